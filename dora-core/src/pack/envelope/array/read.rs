//! Packets out of arrays.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packed::Packed;
use crate::call::response::Response;
use crate::call::status::{Origin, Status};
use crate::guid::Guid;
use crate::pack::envelope::{Shape, too_many_calls, undecodable, unreadable};
use crate::pack::limits::Limits;
use crate::pack::packet::{Call, CallResult, Calls, Refused, RequestPacket, ResponseData, ResponsePacket};
use crate::pack::unreadable::Unreadable;

use super::{ArrayFormat, Passed};

pub(in crate::pack::envelope) fn decode_request<F: ArrayFormat>(
    body: &Bytes,
    limits: &Limits,
) -> Result<RequestPacket, Refused> {
    let pairs = match F::forgiving_pairs(body, limits) {
        Ok(pairs) => pairs.ok_or_else(|| undecodable("the body is no array"))?,
        Err(reason) => {
            return match F::second_chance(body, limits) {
                Some(Ok(body)) => decode_request::<F>(&body, limits),
                Some(Err(reason)) => Err(undecodable(reason)),
                None => Err(undecodable(reason)),
            };
        }
    };
    let mut packet = RequestPacket::default();
    let (mut api, mut kind) = (None, None);
    for (key, Passed { bytes: value, .. }) in pairs {
        let CallKey::Str(key) = key else { continue };
        match &*key {
            // Whose call is over the limits is looked for there.
            b"api" => api = Some(value),
            b"guid" => packet.guid = F::string(&value).and_then(|guid| Guid::from_bytes(&guid)),
            b"type" => kind = read_kind::<F>(&value),
            b"timeout" => packet.timeout = read_timeout::<F>(&value),
            b"meta" => packet.metadata = read_metadata::<F>(&value, limits).map_err(undecodable)?,
            b"can" => packet.can = read_capabilities::<F>(&value),
            _ => {}
        }
    }
    let guid = packet.guid;
    let refuse = |code, message: &'static str| Refused::new(Status::raw(code, message)).of(guid, kind);
    let calls = match api {
        Some(api) => read_calls::<F>(&api, limits).map_err(|refused| refused.of(guid, kind))?,
        None => None,
    };
    let calls = calls.ok_or_else(|| refuse(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE))?;
    packet.kind = kind.ok_or_else(|| refuse(dora_code::UNKNOWN_TYPE, dora_code::UNKNOWN_TYPE_MESSAGE))?;
    packet.calls = match packet.kind {
        PacketKind::Calls { mode: Mode::Wait, multi: true, .. } if calls.is_empty() => {
            return Err(refuse(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE));
        }
        PacketKind::Calls { multi: true, .. } => Calls::Many(calls),
        PacketKind::Calls { mode, multi: false, .. } => match take_call(calls, b"one") {
            Some(call) => Calls::One(call),
            // The original hands null to the business code. Whoever waits is told.
            None if mode == Mode::Wait => {
                return Err(refuse(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE));
            }
            None => Calls::default(),
        },
        PacketKind::Control => take_call(calls, b"cmd").map_or_else(Calls::default, Calls::One),
    };
    Ok(packet)
}

fn take_call(calls: Vec<(CallKey, Call)>, key: &[u8]) -> Option<Call> {
    let mut calls = calls.into_iter();
    calls.find_map(|(name, call)| matches!(name, CallKey::Str(name) if name == key).then_some(call))
}

fn null<F: ArrayFormat>() -> Body {
    Body::packed(F::PACKER, Bytes::from_static(F::NULL))
}

/// PHP compares `type` loosely: `true` equals the first word it is compared with.
fn read_kind<F: ArrayFormat>(value: &Bytes) -> Option<PacketKind> {
    match F::string(value) {
        Some(word) => PacketKind::parse(&word),
        None if F::is_true(value) => Some(PacketKind::calls(Mode::Wait, false)),
        None => None,
    }
}

fn read_timeout<F: ArrayFormat>(value: &Bytes) -> Option<Duration> {
    let ms = u64::try_from(F::int(value)?).ok()?;
    (ms > 0).then(|| Duration::from_millis(ms))
}

/// What the peer says that it can; a word of another kind is no word of ours.
fn read_capabilities<F: ArrayFormat>(value: &Bytes) -> Option<Capabilities> {
    u32::try_from(F::int(value)?).ok().map(Capabilities::from_bits)
}

/// The calls of `api`; `None` when it is no array.
fn read_calls<F: ArrayFormat>(api: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Call)>>, Refused> {
    let pairs = F::forgiving_pairs(api, &limits.within(1)).map_err(undecodable)?;
    let Some(pairs) = pairs else { return Ok(None) };
    if pairs.len() > limits.calls {
        return Err(too_many_calls(limits));
    }
    let mut calls = Vec::with_capacity(pairs.len());
    for (key, raw) in pairs {
        calls.push((key, read_call::<F>(raw, &limits.within(2)).map_err(undecodable)?));
    }
    Ok(Some(calls))
}

/// A call. What is over the limits in it becomes a parameter that nobody can open.
fn read_call<F: ArrayFormat>(Passed { bytes, over }: Passed, limits: &Limits) -> Result<Call, String> {
    let mut call = Call::new(MethodName::default(), null::<F>());
    for (field, Passed { bytes: value, .. }) in F::forgiving_pairs(&bytes, limits)?.unwrap_or_default() {
        match field {
            CallKey::Str(field) if field == "name" => call.name = read_name::<F>(&value),
            CallKey::Str(field) if field == "param" => call.param = Body::packed(F::PACKER, value),
            CallKey::Str(field) if field == "timeout" => call.timeout = read_timeout::<F>(&value),
            CallKey::Str(field) if field == "meta" => call.metadata = read_metadata::<F>(&value, limits)?,
            _ => {}
        }
    }
    match over {
        None => call.raw = Some(Packed { packer: F::PACKER, bytes }),
        Some(reason) => call.param = Body::message(Unreadable { packer: F::PACKER, reason }),
    }
    Ok(call)
}

fn read_name<F: ArrayFormat>(value: &Bytes) -> MethodName {
    match (F::string(value), F::int(value)) {
        (Some(name), _) => MethodName::from_bytes(name),
        (None, Some(number)) => number.to_string().into(),
        (None, None) => MethodName::default(),
    }
}

fn read_metadata<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<Metadata, String> {
    let mut metadata = Metadata::new();
    for (key, value) in F::pairs(value, limits)?.unwrap_or_default() {
        if metadata.len() >= Metadata::MAX_PAIRS {
            return Err(format!("over {} metadata pairs", Metadata::MAX_PAIRS));
        }
        let key = match key {
            CallKey::Str(key) => text(&key),
            CallKey::Int(key) => key.to_string(),
        };
        let value = match (F::string(&value), F::int(&value)) {
            (Some(value), _) => text(&value),
            (None, Some(value)) => value.to_string(),
            (None, None) => continue,
        };
        metadata.append(key, value);
    }
    Ok(metadata)
}

/// The fields that the packet and each call's own packet have in common.
struct Envelope {
    guid: Option<Guid>,
    code: i64,
    message: Bytes,
    is_result: bool,
    can: Option<Capabilities>,
    data: Bytes,
    /// Why `data` must not be read.
    over: Option<String>,
    details: Bytes,
    metadata: Metadata,
}

fn read_envelope<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<Envelope, String> {
    let pairs = F::forgiving_pairs(value, limits)?.ok_or("a packet is no array")?;
    let mut code = None;
    let mut envelope = Envelope {
        guid: None,
        code: 0,
        message: Bytes::new(),
        is_result: false,
        can: None,
        data: Bytes::from_static(F::NULL),
        over: None,
        details: Bytes::new(),
        metadata: Metadata::new(),
    };
    for (key, Passed { bytes: value, over }) in pairs {
        let CallKey::Str(key) = key else { continue };
        match &*key {
            b"guid" => envelope.guid = F::string(&value).and_then(|guid| Guid::from_bytes(&guid)),
            b"code" => code = Some(read_code::<F>(&value)?),
            b"msg" => envelope.message = F::string(&value).unwrap_or_default(),
            b"isresult" => envelope.is_result = F::int(&value) == Some(1) || F::is_true(&value),
            b"data" => (envelope.data, envelope.over) = (value, over),
            b"can" => envelope.can = read_capabilities::<F>(&value),
            b"details" => envelope.details = F::string(&value).unwrap_or_default(),
            b"meta" => envelope.metadata = read_metadata::<F>(&value, limits)?,
            _ => {}
        }
    }
    // Else any array would be a success.
    envelope.code = code.ok_or("a packet has no code")?;
    Ok(envelope)
}

/// A PHP exception's code is an integer, but for some extensions' (`PDOException`
/// has an SQLSTATE): those are -1, and never taken for success.
fn read_code<F: ArrayFormat>(value: &Bytes) -> Result<i64, String> {
    match (F::int(value), F::string(value)) {
        (Some(code), _) => Ok(code),
        (None, Some(code)) => Ok(text(&code).trim().parse().unwrap_or(-1)),
        (None, None) => Err("a packet's code is no integer".to_owned()),
    }
}

pub(in crate::pack::envelope) fn decode_response<F: ArrayFormat>(
    body: &Bytes,
    shape: Shape,
    limits: &Limits,
) -> Result<ResponsePacket, Status> {
    let envelope = match read_envelope::<F>(body, limits) {
        Ok(envelope) => envelope,
        Err(reason) => {
            return match F::second_chance(body, limits) {
                Some(Ok(body)) => decode_response::<F>(&body, shape, limits),
                Some(Err(reason)) => Err(unreadable(reason)),
                None => Err(unreadable(reason)),
            };
        }
    };
    let data = if envelope.code != dora_code::OK {
        ResponseData::Empty
    } else {
        let data = Passed { bytes: envelope.data, over: envelope.over };
        read_data::<F>(data, shape, &limits.within(1)).map_err(unreadable)?
    };
    Ok(ResponsePacket {
        guid: envelope.guid,
        code: envelope.code,
        message: Cow::Owned(text(&envelope.message)),
        is_result: envelope.is_result,
        can: envelope.can,
        data,
    })
}

fn read_data<F: ArrayFormat>(
    Passed { bytes: data, over }: Passed,
    shape: Shape,
    limits: &Limits,
) -> Result<ResponseData, String> {
    match shape {
        Shape::Value => match over {
            None => Ok(ResponseData::Value(Body::packed(F::PACKER, data))),
            Some(reason) => Err(reason),
        },
        // Of what is over the limits, each result says so for itself.
        Shape::One => read_result::<F>(&data, limits).map(ResponseData::One),
        Shape::Many => read_results::<F>(&data, limits, read_result::<F>),
        Shape::Bare => read_bare::<F>(&data, limits).map(ResponseData::One),
        Shape::BareMany => read_results::<F>(&data, limits, read_bare::<F>),
    }
}

fn read_results<F: ArrayFormat>(
    data: &Bytes,
    limits: &Limits,
    read: impl Fn(&Bytes, &Limits) -> Result<CallResult, String>,
) -> Result<ResponseData, String> {
    let pairs = F::forgiving_pairs(data, limits)?.ok_or("the results are no array")?;
    if pairs.len() > limits.calls {
        return Err(format!("over {} results (Limits::calls)", limits.calls));
    }
    // A result that is none costs its own call alone.
    let limits = limits.within(1);
    let read = |Passed { bytes, over }: Passed| {
        let result = over.map_or_else(|| read(&bytes, &limits), Err);
        result.unwrap_or_else(|reason| Err(unreadable(reason)))
    };
    Ok(ResponseData::Many(pairs.into_iter().map(|(key, value)| (key, read(value))).collect()))
}

/// The result of a call whose value stands alone. Only an exception is a packet:
/// code, msg and an empty `data`, in this order and with nothing else that an
/// application could mean.
fn read_bare<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<CallResult, String> {
    let is_packet = F::pairs(value, limits)?.is_some_and(|pairs| {
        let named = |at: usize, name: &str| {
            let pair = pairs.get(at);
            pair.filter(|(key, _)| matches!(key, CallKey::Str(key) if key == name)).map(|(_, value)| value)
        };
        let code = named(0, "code").is_some_and(|code| read_code::<F>(code).is_ok());
        let message = named(1, "msg").is_some_and(|message| F::string(message).is_some());
        let empty = named(2, "data").is_some_and(|data| data == F::EMPTY);
        let ours = |(key, _): &(CallKey, Bytes)| matches!(key, CallKey::Str(key) if key == "details" || key == "meta");
        code && message && empty && pairs.iter().skip(3).all(ours)
    });
    if is_packet && let Err(status) = read_result::<F>(value, limits)? {
        return Ok(Err(status));
    }
    Ok(Ok(Response::new(Body::packed(F::PACKER, value.clone()))))
}

/// The result of a call from its own packet.
///
/// An exception with code 0 differs from a success in its message alone. Its
/// data is an empty array; with other data a foreign message is no error.
fn read_result<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<CallResult, String> {
    let Envelope { code, message, data, over, details, metadata, .. } = read_envelope::<F>(value, limits)?;
    if let Some(reason) = over {
        return Err(reason);
    }
    let silent = message.is_empty() || message == dora_code::OK_MESSAGE || data != F::EMPTY;
    if code == dora_code::OK && silent {
        return Ok(Ok(Response::from_parts(metadata, Body::packed(F::PACKER, data))));
    }
    let status = Status::raw(code, text(&message)).with_origin(Origin::Service);
    Ok(Err(status.with_details(details).with_metadata(metadata)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
