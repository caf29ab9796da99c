//! What a request of Swoft asks for, and the method that it is.

use bytes::Bytes;
use dora_core::call::metadata::Metadata;
use dora_core::call::method::Method;
use dora_core::call::name::MethodName;
use dora_core::pack::value::Value;
use dora_core::transport::server::door::calls::DoorCalls;

use super::failure::Failure;

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) interface: String,
    pub(super) version: String,
    pub(super) method: String,
    /// A list of JSON, or an object.
    pub(super) params: Bytes,
    pub(super) metadata: Metadata,
}

impl Asked {
    /// The name to call by, and the method where a service declares it. Names of methods
    /// are the same in any case, as in PHP.
    ///
    /// # Errors
    /// Nothing is called so.
    pub(super) fn resolve(
        &self,
        calls: &DoorCalls,
    ) -> Result<(MethodName, Option<&'static Method>), Failure> {
        let Self { interface, version, method, .. } = self;
        let mut services = calls.services().iter().filter(|service| {
            service.version() == version && service.interface() == Some(interface.as_str())
        });
        let found = services.clone().flat_map(|service| service.methods()).copied();
        if let Some(found) = found.into_iter().find(|found| found.name().eq_ignore_ascii_case(method)) {
            return Ok((MethodName::from_static(found.path()), Some(found)));
        }
        let (interface, version, method) = (interface.clone(), version.clone(), method.clone());
        if calls.takes_all_names() {
            Ok((format!("{version}::{interface}::{method}").into(), None))
        } else if services.next().is_some() {
            Err(Failure::NoMethod { interface, version, method })
        } else {
            Err(Failure::NoRoute { interface, version, method })
        }
    }
}

/// A text, or a number in its place.
pub(super) fn text(json: &[u8]) -> Option<String> {
    match serde_json::from_slice(json).ok()? {
        Value::Int(number) => Some(number.to_string()),
        value => Some(value.as_str()?.to_owned()),
    }
}

/// What came beside the call and can be said in pairs: texts and numbers.
pub(super) fn note(metadata: &mut Metadata, key: &str, json: &[u8]) {
    if let Some(text) = text(json).filter(|text| !text.is_empty()) {
        metadata.insert(key, text);
    }
}
