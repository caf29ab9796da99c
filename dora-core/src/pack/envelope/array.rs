//! The envelope of PHP's arrays, written and read once for every packing that
//! has arrays: `serialize` and JSON differ only in what [`ArrayFormat`] asks.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::call::body::{Body, PackError, Packed};
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::method::MethodName;
use crate::call::mode::{Mode, PacketKind};
use crate::call::packer::Packer;
use crate::call::response::Response;
use crate::call::status::{Origin, Status};
use crate::guid::Guid;
use crate::pack::limits::Limits;
use crate::pack::packet::{
    Call, CallKey, CallResult, Calls, Refused, RequestPacket, ResponseData, ResponsePacket,
};

use super::{Shape, body_len, pack_body, undecodable, unreadable};

/// A packing that has arrays. A value is a slice of the body it came in.
pub(super) trait ArrayFormat {
    /// The packing.
    const PACKER: Packer;
    /// Null, packed.
    const NULL: &'static [u8];
    /// The empty array, packed.
    const EMPTY: &'static [u8];

    /// The pairs of an array in order, the last of equal keys winning; `None`
    /// when `value` is something else.
    fn pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Bytes)>>, String>;
    /// What is tried once with a body that does not decode: the same body in
    /// other words, or why there is none.
    fn second_chance(_body: &Bytes, _limits: &Limits) -> Option<Result<Bytes, String>> {
        None
    }
    /// An integer.
    fn int(value: &Bytes) -> Option<i64>;
    /// The bytes of a string.
    fn string(value: &Bytes) -> Option<Bytes>;
    /// Whether the value is the boolean true.
    fn is_true(value: &Bytes) -> bool;

    /// Begins an array of `len` pairs.
    fn open(len: usize, out: &mut Vec<u8>);
    /// Writes a key; `first` of its array or not.
    fn key(key: &CallKey, first: bool, out: &mut Vec<u8>);
    /// Writes a key that needs no escaping.
    fn name(name: &str, first: bool, out: &mut Vec<u8>);
    /// Ends an array.
    fn close(out: &mut Vec<u8>);
    /// Writes an integer.
    fn put_int(value: i64, out: &mut Vec<u8>);
    /// Writes a string.
    fn put_string(value: &[u8], out: &mut Vec<u8>);
}

/// Of equal keys the last one stands, in the place of the first. Keys are an
/// attacker's choice: long lists are compared through a seeded hash.
pub(super) fn last_of_equals(pairs: Vec<(CallKey, Bytes)>) -> Vec<(CallKey, Bytes)> {
    let mut kept: Vec<(CallKey, Bytes)> = Vec::with_capacity(pairs.len());
    let mut places: Option<foldhash::HashMap<CallKey, usize>> = (pairs.len() > 8).then(Default::default);
    for (key, value) in pairs {
        let place = match &places {
            Some(places) => places.get(&key).copied(),
            None => kept.iter().position(|(known, _)| *known == key),
        };
        if let Some(pair) = place.and_then(|place| kept.get_mut(place)) {
            pair.1 = value;
            continue;
        }
        if let Some(places) = &mut places {
            places.insert(key.clone(), kept.len());
        }
        kept.push((key, value));
    }
    kept
}

pub(super) fn decode_request<F: ArrayFormat>(
    body: &Bytes,
    limits: &Limits,
) -> Result<RequestPacket, Refused> {
    let pairs = match F::pairs(body, limits) {
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
    for (key, value) in pairs {
        let CallKey::Str(key) = key else { continue };
        match &*key {
            b"api" => api = Some(value),
            b"guid" => packet.guid = F::string(&value).and_then(|guid| Guid::from_bytes(&guid)),
            b"type" => kind = read_kind::<F>(&value),
            b"timeout" => packet.timeout = read_timeout::<F>(&value),
            b"meta" => packet.metadata = read_metadata::<F>(&value, limits).map_err(undecodable)?,
            _ => {}
        }
    }
    let guid = packet.guid;
    let refuse = |code, message: &'static str| Refused { guid, status: Status::raw(code, message) };
    let calls = match api {
        Some(api) => {
            read_calls::<F>(&api, limits).map_err(|reason| Refused { guid, ..undecodable(reason) })?
        }
        None => None,
    };
    let calls = calls.ok_or_else(|| refuse(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE))?;
    packet.kind = kind.ok_or_else(|| refuse(dora_code::UNKNOWN_TYPE, dora_code::UNKNOWN_TYPE_MESSAGE))?;
    packet.calls = match packet.kind {
        PacketKind::Calls { mode: Mode::Wait, multi: true, .. } if calls.is_empty() => {
            return Err(refuse(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE));
        }
        PacketKind::Calls { multi: true, .. } => Calls::Many(calls),
        PacketKind::Calls { multi: false, .. } => Calls::One(take_call::<F>(calls, b"one")),
        PacketKind::Control => Calls::One(take_call::<F>(calls, b"cmd")),
    };
    Ok(packet)
}

/// The call under `key`. Without one the original hands null to the business
/// code: an empty name and a null parameter.
fn take_call<F: ArrayFormat>(calls: Vec<(CallKey, Call)>, key: &[u8]) -> Call {
    let found = calls.into_iter().find(|(name, _)| matches!(name, CallKey::Str(name) if name == key));
    found.map_or_else(
        || Call {
            name: MethodName::default(),
            param: null::<F>(),
            raw: Some(Packed { packer: F::PACKER, bytes: Bytes::from_static(F::NULL) }),
        },
        |(_, call)| call,
    )
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

/// The calls of `api`; `None` when it is no array.
fn read_calls<F: ArrayFormat>(api: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Call)>>, String> {
    let Some(pairs) = F::pairs(api, limits)? else { return Ok(None) };
    if pairs.len() > limits.calls {
        return Err(format!("{} calls are over the limit of {} in one packet", pairs.len(), limits.calls));
    }
    let mut calls = Vec::with_capacity(pairs.len());
    for (key, raw) in pairs {
        let mut call = Call { name: MethodName::default(), param: null::<F>(), raw: None };
        for (field, value) in F::pairs(&raw, limits)?.unwrap_or_default() {
            match field {
                CallKey::Str(field) if field == "name" => call.name = read_name::<F>(&value),
                CallKey::Str(field) if field == "param" => call.param = Body::packed(F::PACKER, value),
                _ => {}
            }
        }
        call.raw = Some(Packed { packer: F::PACKER, bytes: raw });
        calls.push((key, call));
    }
    Ok(Some(calls))
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

pub(super) fn encode_request<F: ArrayFormat>(
    packet: &RequestPacket,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let fields = 2 + usize::from(packet.guid.is_some());
    let extra = usize::from(packet.timeout.is_some()) + usize::from(!packet.metadata.is_empty());
    F::open(fields.saturating_add(extra), out);
    F::name("api", true, out);
    F::open(packet.calls.len(), out);
    match &packet.calls {
        Calls::One(call) => {
            F::name(if packet.kind == PacketKind::Control { "cmd" } else { "one" }, true, out);
            encode_call::<F>(call, out)?;
        }
        Calls::Many(calls) => {
            for (index, (key, call)) in calls.iter().enumerate() {
                F::key(key, index == 0, out);
                encode_call::<F>(call, out)?;
            }
        }
    }
    F::close(out);
    let put_kind = |out: &mut Vec<u8>| {
        F::name("type", false, out);
        F::put_string(packet.kind.word().as_bytes(), out);
    };
    // The original writes a control command in another order than calls.
    if packet.kind == PacketKind::Control {
        put_kind(out);
    }
    if let Some(guid) = &packet.guid {
        F::name("guid", false, out);
        F::put_string(guid.as_bytes(), out);
    }
    if packet.kind != PacketKind::Control {
        put_kind(out);
    }
    if let Some(timeout) = packet.timeout {
        F::name("timeout", false, out);
        F::put_int(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1), out);
    }
    put_metadata::<F>(&packet.metadata, out);
    F::close(out);
    Ok(())
}

fn encode_call<F: ArrayFormat>(call: &Call, out: &mut Vec<u8>) -> Result<(), PackError> {
    F::open(2, out);
    F::name("name", true, out);
    F::put_string(call.name.as_bytes(), out);
    F::name("param", false, out);
    out.reserve(body_len(&call.param, F::PACKER));
    pack_body(&call.param, F::PACKER, out)?;
    F::close(out);
    Ok(())
}

/// The `meta` pair of an array, if there is metadata. Of equal keys the last
/// one stands: an array has each key once.
fn put_metadata<F: ArrayFormat>(metadata: &Metadata, out: &mut Vec<u8>) {
    if metadata.is_empty() {
        return;
    }
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(metadata.len());
    for (key, value) in metadata.iter() {
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    F::name("meta", false, out);
    F::open(pairs.len(), out);
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        F::key(&CallKey::from(key), index == 0, out);
        F::put_string(value.as_bytes(), out);
    }
    F::close(out);
}

/// The fields that the packet and each call's own packet have in common.
struct Envelope {
    guid: Option<Guid>,
    code: i64,
    message: Bytes,
    is_result: bool,
    data: Bytes,
    details: Bytes,
    metadata: Metadata,
}

fn read_envelope<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<Envelope, String> {
    let pairs = F::pairs(value, limits)?.ok_or("a packet is no array")?;
    let mut code = None;
    let mut envelope = Envelope {
        guid: None,
        code: 0,
        message: Bytes::new(),
        is_result: false,
        data: Bytes::from_static(F::NULL),
        details: Bytes::new(),
        metadata: Metadata::new(),
    };
    for (key, value) in pairs {
        let CallKey::Str(key) = key else { continue };
        match &*key {
            b"guid" => envelope.guid = F::string(&value).and_then(|guid| Guid::from_bytes(&guid)),
            b"code" => code = Some(read_code::<F>(&value)?),
            b"msg" => envelope.message = F::string(&value).unwrap_or_default(),
            b"isresult" => envelope.is_result = F::int(&value) == Some(1) || F::is_true(&value),
            b"data" => envelope.data = value,
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

pub(super) fn decode_response<F: ArrayFormat>(
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
        read_data::<F>(envelope.data, shape, limits).map_err(unreadable)?
    };
    Ok(ResponsePacket {
        guid: envelope.guid,
        code: envelope.code,
        message: Cow::Owned(text(&envelope.message)),
        is_result: envelope.is_result,
        data,
    })
}

fn read_data<F: ArrayFormat>(data: Bytes, shape: Shape, limits: &Limits) -> Result<ResponseData, String> {
    match shape {
        Shape::Value => Ok(ResponseData::Value(Body::packed(F::PACKER, data))),
        Shape::One => read_result::<F>(&data, limits).map(ResponseData::One),
        Shape::Many => {
            let pairs = F::pairs(&data, limits)?.ok_or("the results are no array")?;
            if pairs.len() > limits.calls {
                return Err(format!("over {} results", limits.calls));
            }
            let results = pairs.into_iter().map(|(key, value)| Ok((key, read_result::<F>(&value, limits)?)));
            results.collect::<Result<_, String>>().map(ResponseData::Many)
        }
    }
}

/// The result of a call from its own packet.
///
/// An exception with code 0 differs from a success in its message alone. Its
/// data is an empty array; with other data a foreign message is no error.
fn read_result<F: ArrayFormat>(value: &Bytes, limits: &Limits) -> Result<CallResult, String> {
    let Envelope { code, message, data, details, metadata, .. } = read_envelope::<F>(value, limits)?;
    let silent = message.is_empty() || message == dora_code::OK_MESSAGE || data != F::EMPTY;
    if code == dora_code::OK && silent {
        return Ok(Ok(Response::from_parts(metadata, Body::packed(F::PACKER, data))));
    }
    let status = Status::raw(code, text(&message)).with_origin(Origin::Service);
    Ok(Err(status.with_details(details).with_metadata(metadata)))
}

pub(super) fn encode_response<F: ArrayFormat>(packet: &ResponsePacket, out: &mut Vec<u8>) {
    let fields = 3 + usize::from(packet.guid.is_some()) + usize::from(packet.is_result);
    F::open(fields, out);
    put_outcome::<F>(packet.guid.as_ref(), packet.code, packet.message.as_bytes(), out);
    F::name("data", false, out);
    match &packet.data {
        ResponseData::Empty => out.extend_from_slice(F::EMPTY),
        ResponseData::One(result) => encode_result::<F>(packet.guid.as_ref(), result, out),
        ResponseData::Many(results) => {
            F::open(results.len(), out);
            for (index, (key, result)) in results.iter().enumerate() {
                F::key(key, index == 0, out);
                encode_result::<F>(packet.guid.as_ref(), result, out);
            }
            F::close(out);
        }
        ResponseData::Value(value) => put_data::<F>(value, out).unwrap_or(()),
    }
    if packet.is_result {
        F::name("isresult", false, out);
        F::put_int(1, out);
    }
    F::close(out);
}

fn encode_result<F: ArrayFormat>(guid: Option<&Guid>, result: &CallResult, out: &mut Vec<u8>) {
    let status = match result {
        Ok(response) => {
            let start = out.len();
            let extra = usize::from(!response.metadata().is_empty());
            F::open(3 + usize::from(guid.is_some()) + extra, out);
            put_outcome::<F>(guid, dora_code::OK, dora_code::OK_MESSAGE.as_bytes(), out);
            F::name("data", false, out);
            match put_data::<F>(response.body(), out) {
                Ok(()) => {
                    put_metadata::<F>(response.metadata(), out);
                    F::close(out);
                    return;
                }
                Err(error) => {
                    out.truncate(start);
                    &Status::internal(error.to_string())
                }
            }
        }
        Err(status) => status,
    };
    let extra = usize::from(!status.details().is_empty()) + usize::from(!status.metadata().is_empty());
    F::open(3 + usize::from(guid.is_some()) + extra, out);
    put_outcome::<F>(guid, status.raw_code(), status.message().as_bytes(), out);
    F::name("data", false, out);
    out.extend_from_slice(F::EMPTY);
    if !status.details().is_empty() {
        F::name("details", false, out);
        F::put_string(status.details(), out);
    }
    put_metadata::<F>(status.metadata(), out);
    F::close(out);
}

/// A packed body; nothing is left of it when it cannot be packed.
fn put_data<F: ArrayFormat>(body: &Body, out: &mut Vec<u8>) -> Result<(), PackError> {
    let start = out.len();
    out.reserve(body_len(body, F::PACKER));
    let packed = pack_body(body, F::PACKER, out);
    if packed.is_err() {
        out.truncate(start);
        out.extend_from_slice(F::NULL);
    }
    packed
}

fn put_outcome<F: ArrayFormat>(guid: Option<&Guid>, code: i64, message: &[u8], out: &mut Vec<u8>) {
    if let Some(guid) = guid {
        F::name("guid", true, out);
        F::put_string(guid.as_bytes(), out);
    }
    F::name("code", guid.is_none(), out);
    F::put_int(code, out);
    F::name("msg", false, out);
    F::put_string(message, out);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
