//! Forms, answered.

use std::sync::Arc;

use bytes::Bytes;
use dora_core::call::dora_code;
use dora_core::call::metadata::Metadata;
use dora_core::call::method::ServiceDescriptor;
use dora_core::call::mode::Mode;
use dora_core::call::request::Request as Call;
use dora_core::call::response::Reply;
use dora_core::call::status::{BoxError, Status};
use dora_core::pack::value::Value;
use dora_core::transport::server::door::calls::DoorCalls;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};

use super::access::{Access, Denied};
use super::fields::Fields;
use super::packet::{Asked, Era, Refused};
use crate::web::body::{Unread, counted, whole};
use crate::web::head::{beside, deadline};
use crate::web::site::{Answering, Answers, Site};

/// How a door is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) access: Access,
    pub(super) era: Era,
}

impl Site for Settings {
    fn name(&self) -> &'static str {
        "http"
    }

    /// The three that there are; others are answered too, where nobody else has them.
    fn has(&self, path: &str) -> bool {
        ["api/multisync", "api/multinoresult", "server/cmd"].contains(&&*plain(path))
    }

    fn open(self: Arc<Self>, _: &[&'static ServiceDescriptor]) -> Result<Arc<dyn Answers>, BoxError> {
        Ok(self)
    }
}

impl Answers for Settings {
    fn answer<'a>(&'a self, request: Request<Incoming>, calls: &'a DoorCalls) -> Answering<'a> {
        Box::pin(answer(request, calls, self))
    }
}

async fn answer(request: Request<Incoming>, calls: &DoorCalls, settings: &Settings) -> Response<Full<Bytes>> {
    let version = request.version();
    match look(request, calls, settings).await {
        Ok(answer) => packet(answer, calls),
        Err(Turned::Away(status, why)) => {
            calls.refused(&Status::unavailable(why.clone()));
            turned_away(status, why, version)
        }
        Err(Turned::Down(refused)) => {
            calls.refused(refused.status());
            packet(refused.answer(), calls)
        }
    }
}

/// Why a request became no call.
enum Turned {
    /// It is no HTTP for this door: a status of HTTP, and the connection is closed.
    Away(StatusCode, String),
    /// It is answered by a packet.
    Down(Refused),
}

/// A path as the original compares it: without query and slashes around.
fn plain(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

async fn look(request: Request<Incoming>, calls: &DoorCalls, settings: &Settings) -> Result<Vec<u8>, Turned> {
    let (head, body) = request.into_parts();
    let path = plain(head.uri.path());
    let is_command = path == "server/cmd";
    settings.access.check(&head.uri, &head.headers, is_command).map_err(denied)?;
    let body = whole(body, calls).await.map_err(unread)?;
    let fields = Fields::read(&head.method, &head.headers, body).await;
    // In 2016 callers had the guid in `params` alone.
    let has_guid = fields.guid.is_some() || settings.era == Era::Plain;
    let Some(params) = fields.params.filter(|_| has_guid) else {
        let guid = fields.guid.and_then(|guid| Some(Value::from(str::from_utf8(&guid).ok()?)));
        return Err(Turned::Down(Refused::fields(settings.era, guid.unwrap_or_default())));
    };
    let asked = Asked::read(&params, settings.era, calls.limits()).map_err(Turned::Down)?;
    let done = match &*path {
        "api/multisync" => wait(&asked, &head, calls).await,
        "api/multinoresult" => {
            let request = request_of(&asked, Mode::NoResult, &head, calls);
            request.and_then(|request| calls.begin(request)).map(|()| asked.accepted())
        }
        "server/cmd" if settings.access.has_commands() => {
            calls.command(&asked.command(calls.limits())).and_then(|value| asked.value(value))
        }
        "server/cmd" => Err(Status::raw(dora_code::UNKNOWN_COMMAND, dora_code::UNKNOWN_COMMAND_MESSAGE)),
        _ => Err(Status::raw(dora_code::UNKNOWN_TYPE, dora_code::UNKNOWN_TYPE_MESSAGE)),
    };
    done.map_err(|status| Turned::Down(asked.refuse(status)))
}

/// The calls, with what their head says beside them.
fn request_of(asked: &Asked, mode: Mode, head: &Parts, calls: &DoorCalls) -> Result<Call, Status> {
    let mut request = asked.request(mode, &calls.origin(), calls.limits());
    let made = request.head_mut();
    // Who does not wait gives no deadline, as on Dora's own wire.
    if mode == Mode::Wait {
        made.set_deadline(deadline(&head.headers)?);
    }
    // The original looks at no header: one that cannot be metadata is none.
    let texts = beside(&head.headers).filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in texts.take(Metadata::MAX_PAIRS) {
        made.metadata_mut().append(name.as_str(), value);
    }
    Ok(request)
}

async fn wait(asked: &Asked, head: &Parts, calls: &DoorCalls) -> Result<Vec<u8>, Status> {
    let request = request_of(asked, Mode::Wait, head, calls)?;
    match calls.call(request).await?.into_body() {
        Reply::Batch(results) => Ok(asked.answer(results)),
        other => Err(Status::internal(format!("a batch was answered by {other:?}"))),
    }
}

fn denied(denied: Denied) -> Turned {
    match denied {
        Denied::Foreign => Turned::Away(
            StatusCode::FORBIDDEN,
            "a page of another site may not call here (Forms::any_origin)".to_owned(),
        ),
        Denied::Token => Turned::Away(
            StatusCode::UNAUTHORIZED,
            "the token is missing or another one (Authorization: Bearer)".to_owned(),
        ),
    }
}

fn unread(unread: Unread) -> Turned {
    let status = match unread {
        Unread::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Unread::Late => StatusCode::REQUEST_TIMEOUT,
        Unread::Broken(_) => StatusCode::BAD_REQUEST,
    };
    Turned::Away(status, unread.to_string())
}

/// The header of the original, an underscore in its name.
const CONTENT_TYPE_OF_OLD: HeaderName = HeaderName::from_static("content_type");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn packet(body: Vec<u8>, calls: &DoorCalls) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(counted(body, calls)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_OF_OLD, JSON);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn turned_away(status: StatusCode, why: String, version: Version) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(format!("{why}\n").into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_original_are_its_own_by_whatever_spelling() {
        let site = Settings::default();
        for own in ["/api/multisync", "//api//multinoresult/", "/server/cmd"] {
            assert!(site.has(own), "{own}");
        }
        for other in ["/", "/api", "/api/multisync/x", "/api.multisync/x", "/API/multisync"] {
            assert!(!site.has(other), "{other}");
        }
    }
}
