//! Answers, as a Swoft server writes them.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::packer::Packer;
use dora_core::call::response::{Reply, Response};
use dora_core::call::status::{Origin, Status};
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;

use super::asked::text;
use super::dialect::Version;
use super::{v1, v2};

/// The result that an answer is.
///
/// # Errors
/// The call's own; `Code::DataLoss`: it is no answer.
pub(super) fn read(answer: &Bytes, version: Version, max_packet: usize) -> Result<Response, Status> {
    let limits = Limits::for_packet(max_packet);
    let answer = Members::read(answer, &limits)?;
    let result = match version {
        Version::V1 => match answer.number("status") {
            Some(v1::GOOD) => answer.get("data"),
            Some(status) => return Err(failed(status, answer.get("msg"))),
            None => return Err(unreadable("it has no status")),
        },
        Version::V2 => match answer.get("error").filter(|error| &***error != b"null") {
            None => answer.get("result"),
            Some(error) => {
                let error = Members::read(error, &limits)?;
                let code = error.number("code").ok_or_else(|| unreadable("its error has no code"))?;
                return Err(of_json_rpc(failed(code, error.get("message"))));
            }
        },
    };
    let result = result.ok_or_else(|| unreadable("it has no result"))?;
    Ok(Response::new(Reply::Result(Body::packed(Packer::Json, result.clone()))))
}

/// The members of an object.
struct Members(Vec<(CallKey, Bytes)>);

impl Members {
    fn read(json: &Bytes, limits: &Limits) -> Result<Self, Status> {
        let members = json_pairs(json, limits).map_err(|reason| unreadable(&reason))?;
        members.map(Self).ok_or_else(|| unreadable("it is no object"))
    }

    fn get(&self, name: &str) -> Option<&Bytes> {
        let key = CallKey::from(name);
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Option<i64> {
        serde_json::from_slice(self.get(name)?).ok()
    }
}

fn failed(code: i64, message: Option<&Bytes>) -> Status {
    let message = message.and_then(|message| text(message)).unwrap_or_default();
    Status::raw(code, message).with_origin(Origin::Service)
}

/// JSON-RPC's own codes have their kind.
fn of_json_rpc(status: Status) -> Status {
    let code = match status.raw_code() {
        v2::METHOD_NOT_FOUND | v2::INVALID_REQUEST => Code::Unimplemented,
        v2::INVALID_PARAMS | v2::PARSE_ERROR => Code::InvalidArgument,
        v2::INTERNAL_ERROR => Code::Internal,
        _ => return status,
    };
    let raw = status.raw_code();
    status.with_code(code).with_raw_code(raw)
}

fn unreadable(reason: &str) -> Status {
    Status::data_loss(format!("the answer of the Swoft server does not decode: {reason}"))
}
