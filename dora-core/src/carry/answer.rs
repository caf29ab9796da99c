//! Bodies of answers into responses.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::response::{Reply, Response};
use crate::call::status::{Origin, Status};
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Shape, decode_response, plain_result};
use crate::pack::limits::Limits;
use crate::pack::packet::{CallResult, ResponseData, ResponsePacket};

/// What the answer to a packet of calls holds.
pub(crate) const fn shape(kind: PacketKind) -> Shape {
    match kind {
        PacketKind::Calls { multi: true, .. } => Shape::Many,
        PacketKind::Calls { multi: false, .. } => Shape::One,
        PacketKind::Control => Shape::Value,
    }
}

/// The code of a first answer that is none of an error.
pub(crate) const fn acceptable(mode: Mode) -> i64 {
    match mode {
        Mode::Wait => dora_code::OK,
        Mode::NoResult | Mode::Deferred => dora_code::ACCEPTED,
    }
}

/// What an answer is to be, for the request that it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) guid: Guid,
    pub(crate) generation: Generation,
    pub(crate) shape: Shape,
    /// Its code, beside 0: see [`acceptable`].
    pub(crate) code: i64,
}

/// The `data` of an answer.
///
/// # Errors
/// As [`read`] and [`accept`].
#[inline]
pub(crate) fn open(body: Bytes, expected: &Expected, limits: &Limits) -> Result<ResponseData, Status> {
    let body = match expected.shape {
        Shape::One => match plain_result(body) {
            Ok(result) => return Ok(ResponseData::One(Ok(Response::new(result)))),
            Err(body) => body,
        },
        _ => body,
    };
    let Expected { guid, generation, shape, code } = *expected;
    read(body, shape.of(generation), limits).and_then(|packet| accept(packet, guid, generation, code))
}

/// Reads the body of an answer.
///
/// # Errors
/// `Code::DataLoss`: it cannot be read.
pub(crate) fn read(body: Bytes, shape: Shape, limits: &Limits) -> Result<ResponsePacket, Status> {
    let body = match compress::is_gzip(&body) {
        true => compress::inflate(&body, limits.bytes).map_err(|error| {
            Status::data_loss(format!("the answer does not inflate: {error}"))
                .with_origin(Origin::Connection)
                .with_source(error)
        })?,
        false => body,
    };
    decode_response(body, shape, limits)
}

/// The `data` of an answer to `guid` with code 0 (or, for an acknowledgement,
/// `expected`); any other is the server's refusal of the packet.
///
/// # Errors
/// The refusal, or the answer is another request's.
fn accept(
    packet: ResponsePacket,
    guid: Guid,
    generation: Generation,
    expected: i64,
) -> Result<ResponseData, Status> {
    if let Some(other) = packet.guid {
        check_guid(guid, other)?;
    }
    match packet.code {
        dora_code::OK => Ok(packet.data),
        code if code == expected => Ok(ResponseData::Empty),
        code => {
            let status = Status::raw(code, Cow::into_owned(packet.message));
            Err(status.with_code(dora_code::refusal(generation, code)).with_origin(Origin::Server))
        }
    }
}

/// Whether an answer under the guid `answer` is one to `request`.
///
/// # Errors
/// `Code::DataLoss`: it is not.
pub(crate) fn check_guid(request: Guid, answer: Guid) -> Result<(), Status> {
    if request == answer {
        return Ok(());
    }
    let message = "the answer has another guid than the request";
    Err(Status::raw(dora_code::FOREIGN_GUID, message).with_origin(Origin::Server))
}

/// The response to a packet of calls that was waited for.
///
/// # Errors
/// How the one call ended, or the answer has no result.
pub(crate) fn response(data: ResponseData, kind: PacketKind, peer: &Arc<str>) -> Result<Response, Status> {
    match (shape(kind), data) {
        (Shape::One, ResponseData::One(result)) => call(result, peer),
        (Shape::Many, ResponseData::Many(results)) => {
            let results = results.into_iter().map(|(key, result)| (key, call(result, peer)));
            Ok(Response::new(Reply::Batch(results.collect())))
        }
        _ => Err(unexpected(peer)),
    }
}

/// How one call ended.
fn call(result: CallResult, peer: &Arc<str>) -> Result<Response, Status> {
    match result {
        Ok(response) => {
            let (metadata, body) = response.into_parts();
            Ok(Response::from_parts(metadata, Reply::Result(body)).with_peer(Some(Arc::clone(peer))))
        }
        Err(status) => Err(status.with_peer(Arc::clone(peer))),
    }
}

/// The status of an answer that has no result.
pub(crate) fn unexpected(peer: &Arc<str>) -> Status {
    let status = Status::data_loss("the answer has no result").with_origin(Origin::Server);
    status.with_peer(Arc::clone(peer))
}
