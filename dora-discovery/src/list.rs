//! Addresses that stand in the target itself.

use std::sync::Arc;

use dora_core::discovery::directory::Directory;
use dora_core::discovery::list::FixedList;
use dora_core::discovery::record::InstanceRecord;
use dora_core::transport::io::address::Address;

use crate::backend::Backend;
use crate::error::TargetError;
use crate::url::TargetUrl;

#[derive(Debug)]
struct List(FixedList);

pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    let addresses = url.rest.split(',').map(|text| {
        let address: Address = text
            .parse()
            .map_err(|error: <Address as std::str::FromStr>::Err| TargetError::new(error.to_string()))?;
        Ok(InstanceRecord::unknown(address.to_string()))
    });
    Ok(Arc::new(List(FixedList::new(addresses.collect::<Result<Vec<_>, TargetError>>()?))))
}

impl Backend for List {
    fn directory(&self, _: Option<&str>) -> Directory {
        self.0.clone().into()
    }
}
