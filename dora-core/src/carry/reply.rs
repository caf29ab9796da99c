//! Results of calls into bodies of answers.

use std::borrow::Cow;

use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Format, encode_response};
use crate::pack::packet::{CallResult, ResponseData, ResponsePacket};

impl ResponsePacket {
    /// The acknowledgement of a packet whose caller does not wait for the result.
    pub(crate) const fn accepted(guid: Option<Guid>) -> Self {
        let message = Cow::Borrowed(dora_code::ACCEPTED_MESSAGE);
        Self::new(guid, dora_code::ACCEPTED, message, ResponseData::Empty)
    }

    /// The answer to a packet whose calls have ended.
    pub(crate) const fn ended(guid: Option<Guid>, data: ResponseData) -> Self {
        Self::new(guid, dora_code::OK, Cow::Borrowed(dora_code::OK_MESSAGE), data)
    }

    /// The answer to a packet that is refused as a whole.
    pub(crate) fn refused(guid: Option<Guid>, status: &Status) -> Self {
        let message = Cow::Owned(status.message().to_owned());
        Self::new(guid, status.raw_code(), message, ResponseData::Empty)
    }

    const fn new(guid: Option<Guid>, code: i64, message: Cow<'static, str>, data: ResponseData) -> Self {
        Self { guid, code, message, is_result: false, data, can: None }
    }

    /// The same as the later result of a deferred packet.
    pub(crate) fn later(self) -> Self {
        Self { is_result: true, ..self }
    }

    /// The same with what this end can, where the request asked.
    pub(crate) fn with_can(self, can: Option<Capabilities>) -> Self {
        Self { can, ..self }
    }
}

/// The `data` of the answer to a packet that ended with `result`.
#[inline]
pub(crate) fn data(result: Result<Response, Status>) -> ResponseData {
    match result.map(Response::into_parts) {
        Ok((metadata, Reply::Result(body))) => ResponseData::One(Ok(Response::from_parts(metadata, body))),
        Ok((_, Reply::Batch(results))) => {
            ResponseData::Many(results.into_iter().map(|(key, result)| (key, packed(result))).collect())
        }
        Ok((_, other)) => ResponseData::One(other.into_result().map(Response::new)),
        Err(status) => ResponseData::One(Err(status.outward())),
    }
}

/// How a call ended, as whoever asked for it from outside is told.
pub(crate) fn outward(result: Result<Response, Status>) -> Result<Response, Status> {
    let told = |reply| match reply {
        Reply::Batch(results) => {
            Reply::Batch(results.into_iter().map(|(key, result)| (key, outward(result))).collect())
        }
        reply => reply,
    };
    result.map(|response| response.map(told)).map_err(Status::outward)
}

fn packed(result: Result<Response, Status>) -> CallResult {
    let (metadata, reply) = result.map_err(Status::outward)?.into_parts();
    Ok(Response::from_parts(metadata, reply.into_result()?))
}

/// Appends the body of a frame to `out`.
pub(crate) fn write(packet: &ResponsePacket, format: Format, gzip: bool, out: &mut Vec<u8>) {
    if gzip {
        let mut body = Vec::new();
        encode_response(format, packet, &mut body);
        compress::deflate(&body, out);
    } else {
        encode_response(format, packet, out);
    }
}
