//! From a request of HTTP to what is asked for.

use bytes::Bytes;
use dora_core::call::status::Status;
use dora_core::transport::server::door::calls::DoorCalls;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use prost_reflect::{DynamicMessage, ReflectMessage as _};
use serde::de::IgnoredAny;

use super::codec::{from_json, to_protobuf};
use super::content::{Codec, decoded, encoding};
use super::fault::Fault;
use super::fields::read_query;
use super::query::message;
use super::rules::{Rule, RuleBody};
use super::schema::{Rpc, Schema};

/// What a path and a verb ask for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// `POST /package.Service/Method`.
    Post(&'a Rpc),
    /// `GET /package.Service/Method?message=..`: the method changes nothing.
    Get(&'a Rpc),
    /// What `google.api.http` says.
    Rule { rpc: &'a Rpc, rule: &'a Rule, values: Vec<String> },
}

impl<'a> Asked<'a> {
    /// # Errors
    /// 404: nothing has the path. 405: what has it takes other verbs.
    pub(super) fn find(schema: &'a Schema, verb: &Method, path: &str) -> Result<Self, Fault> {
        let rpc = schema.rpc(path);
        match (rpc, verb) {
            (Some(rpc), &Method::POST) => return Ok(Self::Post(rpc)),
            (Some(rpc), &Method::GET) if rpc.is_safe() => return Ok(Self::Get(rpc)),
            _ => {}
        }
        let mut verbs = match schema.rules.find(verb, path) {
            Ok((rule, values)) => match schema.rpcs.get(rule.rpc) {
                Some(rpc) => return Ok(Self::Rule { rpc, rule, values }),
                None => Vec::new(),
            },
            Err(verbs) => verbs,
        };
        if let Some(rpc) = rpc {
            verbs.push(&Method::POST);
            verbs.extend(rpc.is_safe().then_some(&Method::GET));
        }
        verbs.sort_by_key(|verb| verb.as_str());
        verbs.dedup();
        let verbs: Vec<_> = verbs.into_iter().map(Method::as_str).collect();
        Err(match verbs.is_empty() {
            true => Fault::new(
                StatusCode::NOT_FOUND,
                Status::unimplemented(format!("no method has the path {path}")),
            ),
            false => Fault::verb(&verbs.join(", ")),
        })
    }

    pub(super) const fn rpc(&self) -> &'a Rpc {
        match self {
            Self::Post(rpc) | Self::Get(rpc) | Self::Rule { rpc, .. } => rpc,
        }
    }

    /// The message, as protobuf, and what it came in.
    ///
    /// # Errors
    /// The body does not come, is too large, or is no such message.
    pub(super) async fn read(
        &self,
        head: &Parts,
        body: Incoming,
        calls: &DoorCalls,
    ) -> Result<(Codec, Bytes), Fault> {
        let max = calls.limits().bytes;
        let query = head.uri.query().unwrap_or_default();
        let (codec, bytes) = match self {
            Self::Get(_) => message(query, max)?,
            Self::Post(_) => {
                let codec = Codec::of(&head.headers)?;
                (codec, decoded(whole(body, calls).await?, encoding(&head.headers), max)?)
            }
            Self::Rule { rpc, rule, values } => {
                let body = match rule.body {
                    RuleBody::None => Bytes::new(),
                    _ => decoded(whole(body, calls).await?, encoding(&head.headers), max)?,
                };
                // Curl sends nothing as no type, and what has no body needs none.
                if !body.is_empty() && Codec::of(&head.headers)? != Codec::Json {
                    let status = Status::unimplemented("the paths of google.api.http take JSON alone");
                    return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status));
                }
                let message = ruled(rpc, rule, values, &body, query)?;
                return Ok((Codec::Json, to_protobuf(&message)));
            }
        };
        let bytes = match codec {
            Codec::Proto => bytes,
            Codec::Json => to_protobuf(&from_json(&bytes, &self.rpc().input)?),
        };
        Ok((codec, bytes))
    }
}

/// A message out of path, query and body.
fn ruled(
    rpc: &Rpc,
    rule: &Rule,
    values: &[String],
    body: &[u8],
    query: &str,
) -> Result<DynamicMessage, Fault> {
    let mut message = match &rule.body {
        RuleBody::Whole if !body.is_empty() => from_json(body, &rpc.input)?,
        RuleBody::Field(field) if !body.is_empty() => {
            // Nothing but one value may stand where the field's value is put.
            serde_json::from_slice::<IgnoredAny>(body).map_err(|error| {
                Status::invalid_argument(format!("the body is not JSON: {error}")).with_source(error)
            })?;
            let json = [b"{\"", field.json_name().as_bytes(), b"\":", body, b"}"].concat();
            from_json(&json, &rpc.input)?
        }
        _ => DynamicMessage::new(rpc.input.clone()),
    };
    if !matches!(rule.body, RuleBody::Whole) {
        read_query(&mut message, query)?;
    }
    for (field, value) in rule.variables.iter().zip(values) {
        field.set(&mut message, value)?;
    }
    debug_assert_eq!(message.descriptor(), rpc.input);
    Ok(message)
}

/// The body, when it has come.
async fn whole(body: Incoming, calls: &DoorCalls) -> Result<Bytes, Fault> {
    let most = calls.max_packet();
    let too_large = || {
        let status = Status::resource_exhausted(format!("the body is over {most} bytes (max_packet)"));
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, status)
    };
    // What is said to be too large is not waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(calls.frame_timeout(), Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            Err(Status::invalid_argument(format!("the body does not come whole: {error}")).into())
        }
        Err(_) => {
            let status = Status::deadline_exceeded("the body does not come (frame_timeout)");
            Err(Fault::new(StatusCode::REQUEST_TIMEOUT, status))
        }
    }
}
