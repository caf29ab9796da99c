//! Swoft 2.x: JSON-RPC 2.0.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::code::Code;
use dora_core::call::metadata::Metadata;
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;

use super::asked::{Asked, note, text};
use super::failure::{Failure, is_plain};
use crate::json::put_str;

pub(super) const PARSE_ERROR: i64 = -32_700;
pub(super) const INVALID_REQUEST: i64 = -32_600;
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
pub(super) const INVALID_PARAMS: i64 = -32_602;
pub(super) const INTERNAL_ERROR: i64 = -32_603;

/// Reads a request. `jsonrpc` and `id` are not looked at, as in PHP.
pub(super) fn read(frame: &Bytes, limits: &Limits) -> Result<Asked, Failure> {
    let (mut method, mut params, mut metadata) = (None, None, Metadata::new());
    for (key, value) in super::serve::members(frame, limits)? {
        match key {
            CallKey::Str(key) if key == "method" => method = text(&value),
            CallKey::Str(key) if key == "params" => params = Some(value),
            CallKey::Str(key) if key == "ext" => read_ext(&value, limits, &mut metadata),
            _ => {}
        }
    }
    let method = method.ok_or(Failure::NotARequest("it has no method"))?;
    let mut parts = method.split("::");
    let (Some(version), Some(interface), Some(method)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Failure::NotARequest("its method is no version::interface::method"));
    };
    if interface.is_empty() || method.is_empty() {
        return Err(Failure::NotARequest("its interface, or its method, is empty"));
    }
    let (interface, version, method) = (interface.to_owned(), version.to_owned(), method.to_owned());
    Ok(Asked { interface, version, method, params: super::serve::listed(params)?, metadata })
}

/// Ids of traces, and what the caller added.
fn read_ext(ext: &Bytes, limits: &Limits, metadata: &mut Metadata) {
    for (key, value) in json_pairs(ext, limits).ok().flatten().unwrap_or_default() {
        let CallKey::Str(key) = key else { continue };
        if key != "extra" {
            note(metadata, &String::from_utf8_lossy(&key), &value);
            continue;
        }
        for (key, value) in json_pairs(&value, limits).ok().flatten().unwrap_or_default() {
            note(metadata, &key.to_string(), &value);
        }
    }
}

/// Begins an answer with a result.
pub(super) const BEGIN: &[u8] = br#"{"jsonrpc":"2.0","result":"#;
/// Ends it.
pub(super) const END: &[u8] = b"}";

/// An answer without.
pub(super) fn failure(failure: &Failure) -> Vec<u8> {
    let (code, message) = match failure {
        Failure::NotJson(reason) => (PARSE_ERROR, format!("the request is no JSON: {reason}")),
        Failure::NotARequest(reason) => (INVALID_REQUEST, format!("no request: {reason}")),
        Failure::Params => (INVALID_PARAMS, "params are neither a list, an object nor null".to_owned()),
        Failure::NoRoute { interface, version, .. } => {
            (INVALID_REQUEST, format!("Route({version}-{interface}) is not founded!"))
        }
        Failure::NoMethod { interface, method, .. } => {
            (METHOD_NOT_FOUND, format!("Method({interface}::{method}) is not founded!"))
        }
        Failure::Unwritable(reason) => (INTERNAL_ERROR, reason.clone()),
        Failure::Status(status) => {
            let code = match status {
                status if is_plain(status, Code::Internal) => INTERNAL_ERROR,
                status if is_plain(status, Code::InvalidArgument) => INVALID_PARAMS,
                status => status.raw_code(),
            };
            (code, status.message().to_owned())
        }
    };
    let mut out = format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"#).into_bytes();
    put_str(&message, &mut out);
    out.extend_from_slice(b"}}");
    out
}
