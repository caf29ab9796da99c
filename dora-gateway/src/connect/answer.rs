//! One request, and its answer.

use bytes::Bytes;
use dora_core::call::body::Body;
use dora_core::call::deadline::Deadline;
use dora_core::call::metadata::Metadata;
use dora_core::call::mode::Mode;
use dora_core::call::packed::PackMessage as _;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::message::open;
use dora_core::pack::value::Value;
use dora_core::transport::server::door::calls::DoorCalls;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, Version};
use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::access::{Origins, Page, allow, allow_before, is_preflight};
use super::asked::Asked;
use super::codec::{field_to_json, from_json, to_json, to_protobuf};
use super::content::{Codec, compressed, takes_gzip};
use super::fault::{DORA_CODE, Fault, own_code};
use super::heavy::run;
use super::protocol::{from_headers, prefers_async, speaks_connect, to_headers, to_headers_of_error};
use super::schema::Schema;
use crate::web::body::counted;
use crate::web::head::deadline;

/// Where the description of all services lies.
pub(super) const OPENAPI: &str = "/openapi.json";

/// What the answers of a door are made with.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) schema: Schema,
    pub(super) origins: Origins,
    /// The description of all services; `None` where it is nobody's to see.
    pub(super) openapi: Option<Bytes>,
}

/// Answers one request.
pub(super) async fn answer(
    request: hyper::Request<Incoming>,
    calls: &DoorCalls,
    desk: &Desk,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let guarded = Codec::of(&head.headers).is_ok();
    let page = desk.origins.check(&head.uri, &head.headers, guarded);
    let (page, looked) = match page {
        Ok(page) => {
            let looked = look(&head, body, &page, calls, desk).await;
            (page, looked)
        }
        Err(fault) => (Page::Foreign, Err(fault)),
    };
    let mut response = looked.unwrap_or_else(|fault| failed(&fault, head.version));
    allow(&page, response.headers_mut());
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

async fn look(
    head: &Parts,
    body: Incoming,
    page: &Page,
    calls: &DoorCalls,
    desk: &Desk,
) -> Result<Response<Full<Bytes>>, Fault> {
    if is_preflight(&head.method, &head.headers) && matches!(page, Page::Allowed(_)) {
        let mut response = response(StatusCode::NO_CONTENT, Bytes::new());
        allow_before(&head.headers, response.headers_mut());
        return Ok(response);
    }
    let path = head.uri.path();
    if let Some(document) = desk.openapi.as_ref().filter(|_| path == OPENAPI) {
        return match head.method {
            Method::GET => Ok(written(document.to_vec(), Codec::Json, head, calls).await),
            _ => Err(Fault::verb("GET")),
        };
    }
    let refused = |fault: Fault| {
        calls.refused(&fault.status);
        fault
    };
    let asked = Asked::find(&desk.schema, &head.method, path).map_err(refused)?;
    let (request, mode, codec) = request(&asked, head, body, calls).await.map_err(refused)?;
    let rpc = asked.rpc();
    if mode != Mode::Wait {
        calls.begin(request)?;
        // A client of Connect's knows of no other success than a message.
        return Ok(match speaks_connect(&head.headers)? && !prefers_async(&head.headers) {
            true => written(empty(codec), codec, head, calls).await,
            false => accepted(&head.headers),
        });
    }
    let (metadata, reply) = calls.call(request).await?.into_parts();
    let protobuf = packed(reply.into_result()?, &rpc.output)?;
    let field = match &asked {
        Asked::Rule { rule, .. } => rule.response_body.clone(),
        Asked::Post(_) | Asked::Get(_) => None,
    };
    let output = rpc.output.clone();
    let body = run(protobuf.len(), move || body_of(protobuf, codec, &output, field.as_ref())).await?;
    let mut response = written(body, codec, head, calls).await;
    to_headers(&metadata, response.headers_mut())?;
    Ok(response)
}

/// The call that is asked for.
async fn request(
    asked: &Asked<'_>,
    head: &Parts,
    body: Incoming,
    calls: &DoorCalls,
) -> Result<(Request, Mode, Codec), Fault> {
    // From here on the caller's time counts.
    let deadline = deadline(&head.headers)?;
    speaks_connect(&head.headers)?;
    let metadata: Metadata = from_headers(&head.headers)?;
    let (origin, method) = (calls.origin(), asked.rpc().method);
    let (codec, message) = asked.read(head, body, calls).await?;
    let mode = match asked.rpc().has_no_result() || prefers_async(&head.headers) {
        true => Mode::NoResult,
        false => Mode::Wait,
    };
    let mut request = Request::new(Body::packed(Packer::Protobuf, message));
    let made = request.head_mut();
    made.set_method(method.path());
    made.set_origin(origin);
    made.set_mode(mode);
    // Who does not wait gives no deadline, as on Dora's own wire.
    if mode == Mode::Wait {
        made.set_deadline(deadline.or_else(|| method.timeout().map(Deadline::after)));
    }
    *made.metadata_mut() = metadata;
    Ok((request, mode, codec))
}

/// The result as protobuf, whatever the service packed it in.
fn packed(body: Body, message: &MessageDescriptor) -> Result<Bytes, Status> {
    let failed =
        |reason: String| Status::internal(format!("the result is no {}: {reason}", message.full_name()));
    match body {
        Body::Packed(packed) if packed.packer == Packer::Protobuf => Ok(packed.bytes),
        Body::Message(result) if result.has_schema() => {
            let mut out = Vec::with_capacity(result.packed_len(Packer::Protobuf));
            result.pack(Packer::Protobuf, &mut out).map_err(|error| failed(error.reason))?;
            Ok(out.into())
        }
        // A value, or what another server has packed: by the names of its fields.
        other => {
            let mut json = Vec::new();
            open::<Value>(other)?.pack(Packer::Json, &mut json).map_err(|error| failed(error.reason))?;
            let read = from_json(&json, message).map_err(|status| failed(status.message().to_owned()))?;
            Ok(to_protobuf(&read))
        }
    }
}

fn body_of(
    protobuf: Bytes,
    codec: Codec,
    message: &MessageDescriptor,
    field: Option<&FieldDescriptor>,
) -> Result<Vec<u8>, Status> {
    match (codec, field) {
        (_, Some(field)) => field_to_json(protobuf, message, field),
        (Codec::Json, None) => to_json(protobuf, message),
        (Codec::Proto, None) => Ok(protobuf.into()),
    }
}

/// A message that says nothing.
fn empty(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Json => b"{}".to_vec(),
        Codec::Proto => Vec::new(),
    }
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

async fn written(body: Vec<u8>, codec: Codec, head: &Parts, calls: &DoorCalls) -> Response<Full<Bytes>> {
    let gzip = takes_gzip(&head.headers);
    // Nothing is done with a body that stays as it is.
    let much = if gzip { body.len() } else { 0 };
    let (body, encoding) = run(much, move || compressed(body, gzip)).await;
    let mut response = response(StatusCode::OK, counted(body, calls));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, codec.content_type());
    if head.method == Method::GET {
        out.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    out.extend(encoding);
    response
}

/// Accepted, and nobody is told what comes of it.
fn accepted(asked: &HeaderMap) -> Response<Full<Bytes>> {
    let mut response = response(StatusCode::ACCEPTED, Bytes::new());
    if prefers_async(asked) {
        let applied = HeaderName::from_static("preference-applied");
        response.headers_mut().insert(applied, HeaderValue::from_static("respond-async"));
    }
    response
}

fn failed(fault: &Fault, version: Version) -> Response<Full<Bytes>> {
    let mut response = response(fault.http, fault.json());
    let headers = response.headers_mut();
    to_headers_of_error(fault.status.metadata(), headers);
    headers.insert(CONTENT_TYPE, Codec::Json.content_type());
    if let Some(raw) = own_code(&fault.status) {
        headers.insert(DORA_CODE, raw.into());
    }
    headers.extend(fault.headers.iter().cloned());
    // A body that did not come, or is not read, is not to be taken for the next request.
    let unread = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::REQUEST_TIMEOUT];
    if version < Version::HTTP_2 && unread.contains(&fault.http) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
