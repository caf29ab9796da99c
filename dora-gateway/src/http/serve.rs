//! One HTTP connection.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use dora_core::call::dora_code;
use dora_core::call::mode::Mode;
use dora_core::call::observe::Closed;
use dora_core::call::response::Reply;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::access::{Access, Denied};
use super::fields::Fields;
use super::packet::{Asked, Era, Refused};

/// Bytes that the head of a request may have.
const MAX_HEAD: usize = 64 << 10;

/// How a door is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) access: Access,
    pub(super) era: Era,
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: DoorStream, calls: DoorCalls, settings: Arc<Settings>) -> Closed {
    let (draining, patience) = (calls.draining(), calls.frame_timeout().min(calls.idle_timeout()));
    let service = service_fn(move |request| {
        let (calls, settings) = (calls.clone(), Arc::clone(&settings));
        async move { Ok::<_, Infallible>(answer(request, calls, &settings).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_header_size(MAX_HEAD)
        // Who has said all that it has to say is still answered, as on Dora's own wire.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_or_else(|error| why(&error), |()| Closed::ByPeer)
}

/// Why a connection ended that failed.
fn why(error: &hyper::Error) -> Closed {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(error) => Closed::from(error),
        None if error.is_timeout() => Closed::Idle,
        None if error.is_parse() => Closed::OutOfStep,
        None => Closed::Lost(error.to_string()),
    }
}

async fn answer(request: Request<Incoming>, calls: DoorCalls, settings: &Settings) -> Response<Full<Bytes>> {
    calls.count(1, 0);
    let answer = match look(request, &calls, settings).await {
        Ok(answer) => packet(answer),
        Err(Turned::Away(status, why)) => {
            calls.refused(&Status::unavailable(why));
            turned_away(status, why)
        }
        Err(Turned::Down(refused)) => {
            calls.refused(refused.status());
            packet(refused.answer())
        }
    };
    calls.count(0, 1);
    answer
}

/// Why a request became no call.
enum Turned {
    /// It is no HTTP for this door: a status of HTTP, and the connection is closed.
    Away(StatusCode, &'static str),
    /// It is answered by a packet.
    Down(Refused),
}

/// A path as the original compares it: without query and slashes around.
fn path(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

async fn look(request: Request<Incoming>, calls: &DoorCalls, settings: &Settings) -> Result<Vec<u8>, Turned> {
    let (head, body) = request.into_parts();
    let path = path(head.uri.path());
    let is_command = path == "server/cmd";
    settings.access.check(&head.headers, is_command).map_err(|denied| match denied {
        Denied::Foreign => Turned::Away(
            StatusCode::FORBIDDEN,
            "a page of another site may not call here (Forms::any_origin)",
        ),
        Denied::Token => Turned::Away(
            StatusCode::UNAUTHORIZED,
            "the token is missing or another one (Authorization: Bearer)",
        ),
    })?;
    let body = whole(body, calls).await?;
    let fields = Fields::read(&head.method, &head.headers, body).await;
    // In 2016 callers had the guid in `params` alone.
    let has_guid = fields.guid.is_some() || settings.era == Era::Plain;
    let Some(params) = fields.params.filter(|_| has_guid) else {
        let guid = fields.guid.and_then(|guid| Some(Value::from(str::from_utf8(&guid).ok()?)));
        return Err(Turned::Down(Refused::fields(settings.era, guid.unwrap_or_default())));
    };
    let asked = Asked::read(&params, settings.era, calls.limits()).map_err(Turned::Down)?;
    let done = match &*path {
        "api/multisync" => wait(&asked, calls).await,
        "api/multinoresult" => {
            let request = asked.request(Mode::NoResult, &calls.origin(), calls.limits());
            calls.begin(request).map(|()| asked.accepted())
        }
        "server/cmd" if settings.access.has_commands() => {
            calls.command(&asked.command(calls.limits())).and_then(|value| asked.value(value))
        }
        "server/cmd" => Err(Status::raw(dora_code::UNKNOWN_COMMAND, dora_code::UNKNOWN_COMMAND_MESSAGE)),
        _ => Err(Status::raw(dora_code::UNKNOWN_TYPE, dora_code::UNKNOWN_TYPE_MESSAGE)),
    };
    done.map_err(|status| Turned::Down(asked.refuse(status)))
}

async fn wait(asked: &Asked, calls: &DoorCalls) -> Result<Vec<u8>, Status> {
    let request = asked.request(Mode::Wait, &calls.origin(), calls.limits());
    match calls.call(request).await?.into_body() {
        Reply::Batch(results) => Ok(asked.answer(results)),
        other => Err(Status::internal(format!("a batch was answered by {other:?}"))),
    }
}

/// The body, when it has come.
async fn whole(body: Incoming, calls: &DoorCalls) -> Result<Bytes, Turned> {
    let too_large = Turned::Away(StatusCode::PAYLOAD_TOO_LARGE, "the body is over the limit (max_packet)");
    let most = calls.max_packet();
    // What is said to be too large is not waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large);
    }
    match tokio::time::timeout(calls.frame_timeout(), Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(_)) => Err(Turned::Away(StatusCode::BAD_REQUEST, "the body does not come whole")),
        Err(_) => Err(Turned::Away(StatusCode::REQUEST_TIMEOUT, "the body does not come (frame_timeout)")),
    }
}

/// The header of the original, an underscore in its name.
const CONTENT_TYPE_OF_OLD: HeaderName = HeaderName::from_static("content_type");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn packet(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_OF_OLD, JSON);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn turned_away(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(format!("{why}\n").into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
