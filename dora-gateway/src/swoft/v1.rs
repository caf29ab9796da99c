//! Swoft 1.x: a status beside the data.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::code::Code;
use dora_core::call::metadata::Metadata;
use dora_core::pack::limits::Limits;

use super::asked::{Asked, note, text};
use super::failure::{Failure, is_plain};
use crate::json::put_str;

/// The status of a result.
pub(super) const GOOD: i64 = 200;
/// The status of what died.
const DIED: i64 = 500;

/// Reads a request.
pub(super) fn read(frame: &Bytes, limits: &Limits) -> Result<Asked, Failure> {
    let (mut params, mut metadata) = (None, Metadata::new());
    let (mut interface, mut version, mut method) = (None, None, None);
    for (key, value) in super::serve::members(frame, limits)? {
        let CallKey::Str(key) = key else { continue };
        match &*key {
            b"interface" => interface = text(&value),
            b"version" => version = text(&value),
            b"method" => method = text(&value),
            b"params" => params = Some(value),
            b"logid" | b"spanid" => note(&mut metadata, &String::from_utf8_lossy(&key), &value),
            _ => {}
        }
    }
    let named = |part: Option<String>| part.filter(|part| !part.is_empty());
    let (Some(interface), Some(method)) = (named(interface), named(method)) else {
        return Err(Failure::NotARequest("it has no interface, or no method"));
    };
    let version = version.unwrap_or_else(|| "0".to_owned());
    Ok(Asked { interface, version, method, params: super::serve::listed(params)?, metadata })
}

/// Begins an answer with a result.
pub(super) const BEGIN: &[u8] = br#"{"data":"#;
/// Ends it.
pub(super) const END: &[u8] = br#","status":200,"msg":""}"#;

/// An answer without. What is no exception of the business's own is of status 0, as in
/// PHP.
pub(super) fn failure(failure: &Failure) -> Vec<u8> {
    let (status, message) = match failure {
        Failure::NotJson(reason) => (0, format!("the request is no JSON: {reason}")),
        Failure::NotARequest(reason) => (0, format!("no request: {reason}")),
        Failure::Params => (0, "params are neither a list, an object nor null".to_owned()),
        Failure::NoRoute { interface, version, method }
        | Failure::NoMethod { interface, version, method } => {
            (0, format!("The {method} of {interface} {version} is not exist!"))
        }
        Failure::Unwritable(reason) => (0, reason.clone()),
        Failure::Status(status) => {
            let code = match status {
                status if is_plain(status, Code::Internal) => DIED,
                status if is_plain(status, Code::InvalidArgument) => 0,
                status => status.raw_code(),
            };
            (code, status.message().to_owned())
        }
    };
    let mut out = format!(r#"{{"data":"","status":{status},"msg":"#).into_bytes();
    put_str(&message, &mut out);
    out.push(b'}');
    out
}
