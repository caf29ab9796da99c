//! Messages as PHP arrays and JSON values.

use prost_reflect::DescriptorPool;

use crate::error::Error;

pub(crate) fn add(_file: &mut syn::File, _pool: &DescriptorPool) -> Result<(), Error> {
    Ok(())
}
