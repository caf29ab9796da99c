//! From a request of HTTP to what is asked for.

use std::sync::Arc;

use bytes::Bytes;
use dora_core::call::status::Status;
use dora_core::pack::limits::Limits;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::held::Held;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _};
use serde::de::IgnoredAny;

use super::codec::{read_json, to_protobuf};
use super::content::{Codec, decoded, encoding};
use super::fault::Fault;
use super::fields::read_query;
use super::heavy::run;
use super::query::message;
use super::rules::{Rule, RuleBody};
use super::schema::{Rpc, Schema};
use crate::web::body::{Unread, whole};

/// What a path and a verb ask for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// `POST /package.Service/Method`.
    Post(&'a Rpc),
    /// `GET /package.Service/Method?message=..`: the method changes nothing.
    Get(&'a Rpc),
    /// What `google.api.http` says.
    Rule { rpc: &'a Rpc, rule: &'a Arc<Rule>, values: Vec<String> },
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
        let (query, limits) = (head.uri.query().unwrap_or_default(), *calls.limits());
        // Until it is a call, which counts by itself.
        let mut held = calls.hold(0);
        let (codec, bytes) = match self {
            Self::Get(_) => message(query, limits.bytes).await?,
            Self::Post(_) => {
                let codec = Codec::of(&head.headers)?;
                (codec, read_body(body, head, calls, &mut held).await?)
            }
            Self::Rule { rpc, rule, values } => {
                let body = match rule.body {
                    RuleBody::None => Bytes::new(),
                    _ => read_body(body, head, calls, &mut held).await?,
                };
                // Curl sends nothing as no type, and what has no body needs none.
                if !body.is_empty() && Codec::of(&head.headers)? != Codec::Json {
                    let status = Status::unimplemented("the paths of google.api.http take JSON alone");
                    return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status));
                }
                let (rule, input, query) = (Arc::clone(rule), rpc.input.clone(), query.to_owned());
                let values = values.clone();
                let made = run(body.len(), move || {
                    ruled(&input, &rule, (&values, &query, &body), &limits)
                        .map(|message| to_protobuf(&message))
                });
                return Ok((Codec::Json, made.await?));
            }
        };
        let bytes = match codec {
            Codec::Proto => bytes,
            Codec::Json => {
                let (input, length) = (self.rpc().input.clone(), bytes.len());
                let made = move || read_json(&bytes, &input, &limits).map(|message| to_protobuf(&message));
                run(length, made).await?
            }
        };
        Ok((codec, bytes))
    }
}

/// A message out of path, query and body.
fn ruled(
    input: &MessageDescriptor,
    rule: &Rule,
    (values, query, body): (&[String], &str, &[u8]),
    limits: &Limits,
) -> Result<DynamicMessage, Fault> {
    let mut message = match &rule.body {
        RuleBody::Whole if !body.is_empty() => read_json(body, input, limits)?,
        RuleBody::Field(field) if !body.is_empty() => {
            // Nothing but one value may stand where the field's value is put.
            serde_json::from_slice::<IgnoredAny>(body).map_err(|error| {
                Status::invalid_argument(format!("the body is not JSON: {error}")).with_source(error)
            })?;
            let json = [b"{\"", field.json_name().as_bytes(), b"\":", body, b"}"].concat();
            read_json(&json, input, limits)?
        }
        _ => DynamicMessage::new(input.clone()),
    };
    if !matches!(rule.body, RuleBody::Whole) {
        read_query(&mut message, query)?;
    }
    for (field, value) in rule.variables.iter().zip(values) {
        field.set(&mut message, value)?;
    }
    debug_assert_eq!(message.descriptor(), *input);
    Ok(message)
}

/// The body, when it has come.
async fn read_body(body: Incoming, head: &Parts, calls: &DoorCalls, held: &mut Held) -> Result<Bytes, Fault> {
    let body = whole(body, calls).await.map_err(|unread| {
        let said = unread.to_string();
        match unread {
            Unread::TooLarge(_) => {
                Fault::new(StatusCode::PAYLOAD_TOO_LARGE, Status::resource_exhausted(said))
            }
            Unread::Late => Fault::new(StatusCode::REQUEST_TIMEOUT, Status::deadline_exceeded(said)),
            Unread::Broken(_) => Status::invalid_argument(said).into(),
        }
    })?;
    held.set(body.len());
    let body = decoded(body, encoding(&head.headers), calls.limits().bytes).await?;
    held.set(body.len());
    Ok(body)
}
