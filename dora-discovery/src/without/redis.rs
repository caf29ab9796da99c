//! Without the feature `redis`.

use std::sync::Arc;

use crate::backend::Backend;
use crate::error::TargetError;
use crate::url::TargetUrl;

pub(crate) fn open(_: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    Err(TargetError::feature("redis"))
}
