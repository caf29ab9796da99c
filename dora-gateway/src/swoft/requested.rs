//! Requests, as a Swoft server reads them.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::head::RequestHead;
use dora_core::call::metadata::Metadata;
use dora_core::call::method::Method;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;

use super::dialect::{Dialect, Version, holds};
use crate::json::{put_body, put_str};

/// The frame of a request, its end mark too.
///
/// # Errors
/// Swoft has no name for the method; the request cannot be JSON; or it has within what
/// ends a frame.
pub(super) fn frame(request: Request, dialect: &Dialect) -> Result<Vec<u8>, Status> {
    let (head, body) = request.into_parts();
    let called = Called::of(&head)?;
    let mut json = Vec::new();
    put_body(body, &mut json)
        .map_err(|status| Status::invalid_argument(format!("the request: {}", status.message())))?;
    let params = params(json.into(), head.descriptor())?;
    let mut out = match dialect.version {
        Version::V1 => first(&called, &params, head.metadata()),
        Version::V2 => second(&called, &params, head.metadata()),
    };
    if holds(&out, &dialect.end) {
        let message = "the request has the bytes within that end a frame (package_eof)";
        return Err(Status::invalid_argument(message));
    }
    out.extend_from_slice(&dialect.end);
    Ok(out)
}

/// What Swoft calls a method by.
struct Called {
    version: String,
    interface: String,
    method: String,
}

impl Called {
    fn of(head: &RequestHead) -> Result<Self, Status> {
        if let Some(method) = head.descriptor() {
            let service = method.service();
            let interface = service.interface().ok_or_else(|| {
                let name = service.name();
                Status::failed_precondition(format!(
                    "{name} has no name in Swoft: give it option (dora.service) = {{ interface: \"App\\\\..\" }}"
                ))
            })?;
            let mut letters = method.name().chars();
            let first = letters.next().into_iter().flat_map(char::to_lowercase);
            return Ok(Self {
                version: service.version().to_owned(),
                interface: interface.to_owned(),
                method: first.chain(letters).collect(),
            });
        }
        let name = head.method().as_str();
        let parts: Vec<_> = name.split("::").collect();
        match parts[..] {
            [version, interface, method] if !interface.is_empty() && !method.is_empty() => Ok(Self {
                version: version.to_owned(),
                interface: interface.to_owned(),
                method: method.to_owned(),
            }),
            _ => Err(Status::invalid_argument(format!(
                "{name:?} is no name of a method in Swoft: write \"version::interface::method\""
            ))),
        }
    }
}

/// The list of parameters that a request is.
fn params(json: Bytes, method: Option<&'static Method>) -> Result<Vec<u8>, Status> {
    let limits = Limits::for_packet(json.len().saturating_mul(2)).with_calls(usize::MAX);
    let fields = match method {
        Some(method) if method.fields() != [""] => method.fields(),
        _ if json.first() == Some(&b'[') && method.is_none() => return Ok(json.into()),
        _ if &*json == b"null" && method.is_none() => return Ok(b"[]".into()),
        _ => return Ok([b"[", &*json, b"]"].concat()),
    };
    let members = json_pairs(&json, &limits).map_err(Status::invalid_argument)?.unwrap_or_default();
    let value = |field: &&str| {
        let key = CallKey::from(*field);
        members.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let values: Vec<_> = fields.iter().map(value).collect();
    let said = values.iter().rposition(Option::is_some).map_or(0, |last| last.saturating_add(1));
    let mut out = vec![b'['];
    for (place, value) in values.into_iter().take(said).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(value.map_or(b"null", |value| value));
    }
    out.push(b']');
    Ok(out)
}

fn second(called: &Called, params: &[u8], metadata: &Metadata) -> Vec<u8> {
    const TRACE: [&str; 3] = ["traceid", "spanid", "parentid"];
    let Called { version, interface, method } = called;
    let mut out = br#"{"jsonrpc":"2.0","method":"#.to_vec();
    put_str(&format!("{version}::{interface}::{method}"), &mut out);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(params);
    out.extend_from_slice(b",\"id\":\"\",\"ext\":{");
    for name in TRACE {
        put_member(name, metadata.get(name).unwrap_or_default(), &mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"extra\":{");
    let extra = metadata.iter().filter(|(name, _)| !TRACE.contains(name));
    for (place, (name, value)) in extra.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_member(name, value, &mut out);
    }
    out.extend_from_slice(b"}}}");
    out
}

fn first(called: &Called, params: &[u8], metadata: &Metadata) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, value) in
        [("interface", &called.interface), ("version", &called.version), ("method", &called.method)]
    {
        put_member(name, value, &mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"params\":");
    out.extend_from_slice(params);
    for name in ["logid", "spanid"] {
        out.push(b',');
        put_member(name, metadata.get(name).unwrap_or_default(), &mut out);
    }
    out.push(b'}');
    out
}

fn put_member(name: &str, value: &str, out: &mut Vec<u8>) {
    put_str(name, out);
    out.push(b':');
    put_str(value, out);
}
