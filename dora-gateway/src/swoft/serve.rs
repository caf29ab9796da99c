//! One connection of Swoft's.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::observe::Closed;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::held::Held;
use dora_core::transport::server::door::stream::DoorStream;
use serde::de::IgnoredAny;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::asked::Asked;
use super::dialect::{Dialect, Version, holds};
use super::failure::Failure;
use super::frames::{Frames, TooLong};
use super::params::message;
use super::{v1, v2};
use crate::json::put_body;

impl Version {
    fn read(self, frame: &Bytes, limits: &Limits) -> Result<Asked, Failure> {
        match self {
            Self::V1 => v1::read(frame, limits),
            Self::V2 => v2::read(frame, limits),
        }
    }

    fn failure(self, failure: &Failure) -> Vec<u8> {
        match self {
            Self::V1 => v1::failure(failure),
            Self::V2 => v2::failure(failure),
        }
    }

    const fn around(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::V1 => (v1::BEGIN, v1::END),
            Self::V2 => (v2::BEGIN, v2::END),
        }
    }
}

/// Room that is made for what comes.
const ROOM: usize = 8 << 10;

/// Serves one connection to its end: one request after the other.
pub(super) async fn serve(mut stream: DoorStream, calls: DoorCalls, dialect: Dialect) -> Closed {
    let mut frames = Frames::new(dialect.end.clone(), calls.max_packet());
    let mut draining = pin!(calls.draining());
    let mut held = calls.hold(0);
    loop {
        let next = tokio::select! {
            biased;
            next = next(&mut stream, (&mut frames, &mut held), &calls) => next,
            () = draining.as_mut() => Err(Closed::Drained),
        };
        let (answer, last) = match next {
            Err(why) => return why,
            Ok(Ok(frame)) => (answer(&frame, &calls, &dialect).await, false),
            Ok(Err(TooLong)) => {
                let failure = Failure::NotARequest("it is longer than the limit (max_packet)");
                (refuse(&failure, &calls, &dialect), true)
            }
        };
        calls.count(1, 1);
        if let Err(error) = send(&mut stream, answer, &dialect).await {
            return Closed::from(&error);
        }
        if last {
            return Closed::OutOfStep;
        }
    }
}

/// The next frame, or why there is none.
async fn next(
    stream: &mut DoorStream,
    (frames, held): (&mut Frames, &mut Held),
    calls: &DoorCalls,
) -> Result<Result<Bytes, TooLong>, Closed> {
    let mut begun = None;
    loop {
        let next = frames.next();
        held.set(frames.len());
        match next {
            Ok(None) => {}
            Ok(Some(frame)) => return Ok(Ok(frame)),
            Err(TooLong) => return Ok(Err(TooLong)),
        }
        let (until, late) = match frames.is_empty() {
            true => (Instant::now() + calls.idle_timeout(), Closed::Idle),
            false => {
                let begun = *begun.get_or_insert_with(Instant::now);
                (begun + calls.frame_timeout(), Closed::FrameTimeout)
            }
        };
        frames.buffer().reserve(ROOM);
        match tokio::time::timeout_at(until, stream.read_buf(frames.buffer())).await {
            Err(_) => return Err(late),
            Ok(Ok(0)) => return Err(Closed::ByPeer),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Closed::from(&error)),
        }
    }
}

async fn send(stream: &mut DoorStream, mut answer: Vec<u8>, dialect: &Dialect) -> io::Result<()> {
    answer.extend_from_slice(&dialect.end);
    stream.write_all(&answer).await?;
    stream.flush().await
}

async fn answer(frame: &Bytes, calls: &DoorCalls, dialect: &Dialect) -> Vec<u8> {
    let answer = match called(frame, calls, dialect.version).await {
        Ok(body) => written(body, dialect),
        Err(failure) => Err(failure),
    };
    answer.unwrap_or_else(|failure| refuse(&failure, calls, dialect))
}

async fn called(frame: &Bytes, calls: &DoorCalls, version: Version) -> Result<Body, Failure> {
    let asked = version.read(frame, calls.limits())?;
    let (name, method) = asked.resolve(calls)?;
    let body = match method {
        Some(method) => message(&asked.params, method, calls.limits()).map_err(Failure::NotJson)?,
        None => asked.params,
    };
    let mut request = Request::new(Body::packed(Packer::Json, body));
    let head = request.head_mut();
    head.set_method(name);
    head.set_origin(calls.origin());
    *head.metadata_mut() = asked.metadata;
    let response = calls.call(request).await.map(Response::into_body);
    response.and_then(|reply| reply.into_result()).map_err(Failure::Status)
}

/// The answer with a result, which never has within what ends it.
fn written(body: Body, dialect: &Dialect) -> Result<Vec<u8>, Failure> {
    let (begin, end) = dialect.version.around();
    let mut out = begin.to_vec();
    put_body(body, &mut out).map_err(|status| Failure::Unwritable(status.message().to_owned()))?;
    out.extend_from_slice(end);
    match holds(&out, &dialect.end) {
        true => Err(Failure::Unwritable("the result has the bytes within that end a frame".to_owned())),
        false => Ok(out),
    }
}

fn refuse(failure: &Failure, calls: &DoorCalls, dialect: &Dialect) -> Vec<u8> {
    if let Some(status) = failure.refusal() {
        calls.refused(&status);
    }
    dialect.version.failure(failure)
}

/// The members of a request.
///
/// # Errors
/// It is no JSON, or no object.
pub(super) fn members(frame: &Bytes, limits: &Limits) -> Result<Vec<(CallKey, Bytes)>, Failure> {
    let members = json_pairs(frame, limits).map_err(Failure::NotJson)?;
    if members.is_none() {
        serde_json::from_slice::<IgnoredAny>(frame).map_err(|error| Failure::NotJson(error.to_string()))?;
    }
    let is_object = frame.trim_ascii_start().first() == Some(&b'{');
    members.filter(|_| is_object).ok_or(Failure::NotARequest("it is no object"))
}

/// Params; absent ones, or null, are none.
///
/// # Errors
/// They are neither list, object nor null.
pub(super) fn listed(params: Option<Bytes>) -> Result<Bytes, Failure> {
    match params {
        None => Ok(Bytes::from_static(b"[]")),
        Some(params) if &*params == b"null" => Ok(Bytes::from_static(b"[]")),
        Some(params) if matches!(params.first(), Some(b'[' | b'{')) => Ok(params),
        Some(_) => Err(Failure::Params),
    }
}
