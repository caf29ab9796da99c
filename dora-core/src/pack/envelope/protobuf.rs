//! The envelope of `proto/dora/wire/v1/packet.proto`, by hand: parameters and
//! results are slices of the frame when reading, and are packed straight into
//! the connection's buffer when writing.

use std::time::Duration;

use bytes::{Buf, Bytes};
use prost::encoding::{
    self, DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, key_len,
};

use crate::call::body::{Body, PackError};
use crate::call::code::Code;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::method::MethodName;
use crate::call::mode::{Mode, PacketKind};
use crate::call::packer::Packer;
use crate::call::response::Response;
use crate::call::status::{Origin, Status};
use crate::pack::limits::Limits;
use crate::pack::packet::{
    Call, CallKey, CallResult, Calls, Refused, RequestPacket, ResponseData, ResponsePacket,
};

use super::{Shape, body_len, pack_body, undecodable, unreadable};

// Field numbers of `packet.proto`.
const REQUEST_KIND: u32 = 1;
const REQUEST_CALLS: u32 = 2;
const REQUEST_TIMEOUT_MS: u32 = 3;
const REQUEST_METADATA: u32 = 4;
const CALL_NAME: u32 = 1;
const CALL_PARAM: u32 = 2;
const CALL_KEY: Keys = Keys { index: 3, name: 4 };
const RESPONSE_CODE: u32 = 1;
const RESPONSE_MESSAGE: u32 = 2;
const RESPONSE_IS_RESULT: u32 = 3;
const RESPONSE_RESULTS: u32 = 4;
const RESPONSE_VALUE: u32 = 5;
const RESULT_STATUS: u32 = 1;
const RESULT_CODE: u32 = 2;
const RESULT_MESSAGE: u32 = 3;
const RESULT_DATA: u32 = 4;
const RESULT_DETAILS: u32 = 5;
const RESULT_METADATA: u32 = 6;
const RESULT_KEY: Keys = Keys { index: 7, name: 8 };
const PAIR_KEY: u32 = 1;
const PAIR_VALUE: u32 = 2;

/// The field numbers of a `oneof key`.
struct Keys {
    index: u32,
    name: u32,
}

/// The numbers of `enum Kind`.
const KINDS: [(u64, PacketKind); 7] = [
    (1, PacketKind::calls(Mode::Wait, false)),
    (2, PacketKind::calls(Mode::Wait, true)),
    (3, PacketKind::calls(Mode::NoResult, false)),
    (4, PacketKind::calls(Mode::NoResult, true)),
    (5, PacketKind::calls(Mode::Deferred, false)),
    (6, PacketKind::calls(Mode::Deferred, true)),
    (7, PacketKind::Control),
];

pub(super) fn decode_request(body: &Bytes, limits: &Limits) -> Result<RequestPacket, Refused> {
    let mut packet = RequestPacket::default();
    let mut kind = None;
    let mut calls = None;
    let result = each_field(body.clone(), |tag, field| {
        match (tag, field) {
            (REQUEST_KIND, Field::Varint(number)) => kind = Some(number),
            (REQUEST_CALLS, Field::Bytes(bytes)) => add_call(&mut calls, bytes, limits)?,
            (REQUEST_TIMEOUT_MS, Field::Varint(0)) => packet.timeout = None,
            (REQUEST_TIMEOUT_MS, Field::Varint(ms)) => packet.timeout = Some(Duration::from_millis(ms)),
            (REQUEST_METADATA, Field::Bytes(bytes)) => add_pair(&mut packet.metadata, bytes)?,
            _ => {}
        }
        Ok(())
    });
    result.map_err(|Malformed(reason)| undecodable(reason))?;
    let known = KINDS.iter().find(|(number, _)| Some(*number) == kind);
    let Some(&(_, kind)) = known else {
        return Err(Refused::new(Status::raw(dora_code::UNKNOWN_TYPE, dora_code::UNKNOWN_TYPE_MESSAGE)));
    };
    packet.kind = kind;
    packet.calls = match (kind, calls) {
        (PacketKind::Calls { mode: Mode::Wait, multi: true, .. }, None) => {
            return Err(Refused::new(Status::raw(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE)));
        }
        (PacketKind::Calls { multi: true, .. }, Some(Calls::One(call))) => {
            Calls::Many(vec![(CallKey::Int(0), call)])
        }
        (PacketKind::Calls { multi: true, .. }, calls) => calls.unwrap_or_default(),
        (_, Some(Calls::One(call))) => Calls::One(call),
        _ => {
            return Err(undecodable(format_args!("{kind} takes exactly one call")));
        }
    };
    Ok(packet)
}

/// Adds a call: the first one without a key stays alone, without a list.
fn add_call(calls: &mut Option<Calls>, bytes: Bytes, limits: &Limits) -> Decoded<()> {
    let (key, call) = decode_call(bytes)?;
    *calls = Some(match (calls.take(), key) {
        (None, None) => Calls::One(call),
        (None, Some(key)) => Calls::Many(vec![(key, call)]),
        (Some(Calls::Many(mut list)), Some(key)) => {
            if list.len() >= limits.calls {
                return Err(Malformed(format!("over {} calls in one packet", limits.calls)));
            }
            list.push((key, call));
            Calls::Many(list)
        }
        _ => return Err(Malformed("several calls, and one of them without a key".to_owned())),
    });
    Ok(())
}

fn decode_call(bytes: Bytes) -> Decoded<(Option<CallKey>, Call)> {
    let mut key = None;
    let mut name = MethodName::default();
    let mut param = Bytes::new();
    each_field(bytes, |tag, field| {
        match (tag, field) {
            (CALL_NAME, Field::Bytes(bytes)) => name = MethodName::from_bytes(bytes),
            (CALL_PARAM, Field::Bytes(bytes)) => param = bytes,
            (tag, field) => CALL_KEY.read(tag, field, &mut key),
        }
        Ok(())
    })?;
    Ok((key, Call { name, param: Body::packed(Packer::Protobuf, param), raw: None }))
}

pub(super) fn encode_request(packet: &RequestPacket, out: &mut Vec<u8>) -> Result<(), PackError> {
    let kind = match packet.kind {
        PacketKind::Control => PacketKind::Control,
        PacketKind::Calls { mode, multi, .. } => PacketKind::calls(mode, multi),
    };
    let number = KINDS.iter().find(|(_, known)| *known == kind).map_or(0, |(number, _)| *number);
    put_varint(REQUEST_KIND, number, out);
    match &packet.calls {
        Calls::One(call) => encode_call(None, call, out)?,
        Calls::Many(calls) => {
            for (key, call) in calls {
                encode_call(Some(key), call, out)?;
            }
        }
    }
    if let Some(timeout) = packet.timeout {
        // At least 1: 0 would say that there is no deadline.
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        put_varint(REQUEST_TIMEOUT_MS, ms, out);
    }
    encode_metadata(REQUEST_METADATA, &packet.metadata, out);
    Ok(())
}

fn encode_call(key: Option<&CallKey>, call: &Call, out: &mut Vec<u8>) -> Result<(), PackError> {
    let param = body_len(&call.param, Packer::Protobuf);
    let len = bytes_len(CALL_NAME, call.name.as_bytes().len())
        .saturating_add(bytes_len(CALL_PARAM, param))
        .saturating_add(key.map_or(0, |key| CALL_KEY.len(key)));
    put_len(REQUEST_CALLS, len, out);
    put_bytes(CALL_NAME, call.name.as_bytes(), out);
    put_len(CALL_PARAM, param, out);
    out.reserve(param);
    pack_body(&call.param, Packer::Protobuf, out)?;
    if let Some(key) = key {
        CALL_KEY.write(key, out);
    }
    Ok(())
}

/// The result of a single call that went well and has nothing but data: what
/// nearly every answer is, and recognized without taking it apart.
fn plain_success(body: &Bytes) -> Option<Bytes> {
    const HEAD: &[u8] =
        &[(RESPONSE_CODE << 3) as u8, 0, (RESPONSE_RESULTS << 3) as u8 | WireType::LengthDelimited as u8];
    const DATA: u8 = (RESULT_DATA << 3) as u8 | WireType::LengthDelimited as u8;
    let result = rest_of_length(body.strip_prefix(HEAD)?)?;
    let data = rest_of_length(result.strip_prefix(&[DATA])?)?;
    Some(body.slice_ref(data))
}

/// What follows a length, if it is exactly as long.
fn rest_of_length(mut bytes: &[u8]) -> Option<&[u8]> {
    let len = encoding::decode_varint(&mut bytes).ok()?;
    (usize::try_from(len) == Ok(bytes.len())).then_some(bytes)
}

pub(super) fn decode_response(body: &Bytes, shape: Shape, limits: &Limits) -> Result<ResponsePacket, Status> {
    if shape == Shape::One
        && let Some(data) = plain_success(body)
    {
        let data = ResponseData::One(Ok(Response::new(Body::packed(Packer::Protobuf, data))));
        let message = dora_code::OK_MESSAGE.into();
        return Ok(ResponsePacket { guid: None, code: dora_code::OK, message, is_result: false, data });
    }
    let mut packet = ResponsePacket {
        guid: None,
        code: 0,
        message: dora_code::OK_MESSAGE.into(),
        is_result: false,
        data: ResponseData::Empty,
    };
    let mut one = None;
    let mut many = Vec::new();
    let result = each_field(body.clone(), |tag, field| {
        match (tag, field) {
            (RESPONSE_CODE, Field::Varint(code)) => packet.code = zigzag(code),
            (RESPONSE_MESSAGE, Field::Bytes(text)) => packet.message = text_of(&text).into(),
            (RESPONSE_IS_RESULT, Field::Varint(flag)) => packet.is_result = flag != 0,
            (RESPONSE_VALUE, Field::Bytes(bytes)) => {
                packet.data = ResponseData::Value(Body::packed(Packer::Protobuf, bytes));
            }
            (RESPONSE_RESULTS, Field::Bytes(bytes)) => {
                let (key, result) = decode_result(bytes)?;
                match shape {
                    _ if many.len() >= limits.calls => {
                        return Err(Malformed(format!("over {} results", limits.calls)));
                    }
                    Shape::Many => many.push((key.unwrap_or(CallKey::Int(0)), result)),
                    Shape::One | Shape::Value => one = Some(result),
                }
            }
            _ => {}
        }
        Ok(())
    });
    result.map_err(|Malformed(reason)| unreadable(reason))?;
    if let Some(result) = one {
        packet.data = ResponseData::One(result);
    } else if !many.is_empty() {
        packet.data = ResponseData::Many(many);
    }
    Ok(packet)
}

fn decode_result(bytes: Bytes) -> Decoded<(Option<CallKey>, CallResult)> {
    let mut key = None;
    let (mut status, mut code) = (0, 0);
    let (mut message, mut details, mut data) = (Bytes::new(), Bytes::new(), Bytes::new());
    let mut metadata = Metadata::new();
    each_field(bytes, |tag, field| {
        match (tag, field) {
            (RESULT_STATUS, Field::Varint(number)) => status = number,
            (RESULT_CODE, Field::Varint(number)) => code = zigzag(number),
            (RESULT_MESSAGE, Field::Bytes(bytes)) => message = bytes,
            (RESULT_DATA, Field::Bytes(bytes)) => data = bytes,
            (RESULT_DETAILS, Field::Bytes(bytes)) => details = bytes,
            (RESULT_METADATA, Field::Bytes(bytes)) => add_pair(&mut metadata, bytes)?,
            (tag, field) => RESULT_KEY.read(tag, field, &mut key),
        }
        Ok(())
    })?;
    if status == 0 {
        return Ok((key, Ok(Response::from_parts(metadata, Body::packed(Packer::Protobuf, data)))));
    }
    let canonical = i64::try_from(status).ok().and_then(Code::from_number).unwrap_or(Code::Unknown);
    let status = Status::raw(code, text_of(&message))
        .with_code(canonical)
        .with_details(details)
        .with_metadata(metadata)
        .with_origin(Origin::Service);
    Ok((key, Err(status)))
}

pub(super) fn encode_response(packet: &ResponsePacket, out: &mut Vec<u8>) {
    put_varint(RESPONSE_CODE, unzigzag(packet.code), out);
    if packet.message != dora_code::OK_MESSAGE {
        put_bytes(RESPONSE_MESSAGE, packet.message.as_bytes(), out);
    }
    if packet.is_result {
        put_varint(RESPONSE_IS_RESULT, 1, out);
    }
    match &packet.data {
        ResponseData::Empty => {}
        ResponseData::One(result) => encode_result(None, result, out),
        ResponseData::Many(results) => {
            for (key, result) in results {
                encode_result(Some(key), result, out);
            }
        }
        ResponseData::Value(value) => {
            let start = out.len();
            put_len(RESPONSE_VALUE, body_len(value, Packer::Protobuf), out);
            if pack_body(value, Packer::Protobuf, out).is_err() {
                out.truncate(start);
            }
        }
    }
}

fn encode_result(key: Option<&CallKey>, result: &CallResult, out: &mut Vec<u8>) {
    let key_len = key.map_or(0, |key| RESULT_KEY.len(key));
    let status = match result {
        Ok(response) => {
            let start = out.len();
            let data = body_len(response.body(), Packer::Protobuf);
            let len = bytes_len(RESULT_DATA, data)
                .saturating_add(metadata_len(RESULT_METADATA, response.metadata()))
                .saturating_add(key_len);
            put_len(RESPONSE_RESULTS, len, out);
            put_len(RESULT_DATA, data, out);
            out.reserve(data);
            match pack_body(response.body(), Packer::Protobuf, out) {
                Ok(()) => {
                    encode_metadata(RESULT_METADATA, response.metadata(), out);
                    if let Some(key) = key {
                        RESULT_KEY.write(key, out);
                    }
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
    let mut fields = Vec::new();
    put_varint(RESULT_STATUS, u64::from(status.code().number()), &mut fields);
    put_varint(RESULT_CODE, unzigzag(status.raw_code()), &mut fields);
    put_bytes(RESULT_MESSAGE, status.message().as_bytes(), &mut fields);
    if !status.details().is_empty() {
        put_bytes(RESULT_DETAILS, status.details(), &mut fields);
    }
    encode_metadata(RESULT_METADATA, status.metadata(), &mut fields);
    if let Some(key) = key {
        RESULT_KEY.write(key, &mut fields);
    }
    put_bytes(RESPONSE_RESULTS, &fields, out);
}

impl Keys {
    fn read(&self, tag: u32, field: Field, key: &mut Option<CallKey>) {
        match field {
            // The bits of a protobuf int64.
            Field::Varint(bits) if tag == self.index => *key = Some(CallKey::Int(bits.cast_signed())),
            Field::Bytes(bytes) if tag == self.name => *key = Some(CallKey::Str(bytes)),
            _ => {}
        }
    }

    fn write(&self, key: &CallKey, out: &mut Vec<u8>) {
        match key {
            CallKey::Int(index) => put_varint(self.index, index.cast_unsigned(), out),
            CallKey::Str(name) => put_bytes(self.name, name, out),
        }
    }

    fn len(&self, key: &CallKey) -> usize {
        match key {
            CallKey::Int(index) => {
                key_len(self.index).saturating_add(encoded_len_varint(index.cast_unsigned()))
            }
            CallKey::Str(name) => bytes_len(self.name, name.len()),
        }
    }
}

fn add_pair(metadata: &mut Metadata, bytes: Bytes) -> Decoded<()> {
    if metadata.len() >= Metadata::MAX_PAIRS {
        return Err(Malformed(format!("over {} metadata pairs", Metadata::MAX_PAIRS)));
    }
    let (mut key, mut value) = (String::new(), String::new());
    each_field(bytes, |tag, field| {
        match (tag, field) {
            (PAIR_KEY, Field::Bytes(text)) => key = text_of(&text),
            (PAIR_VALUE, Field::Bytes(text)) => value = text_of(&text),
            _ => {}
        }
        Ok(())
    })?;
    metadata.append(key, value);
    Ok(())
}

fn encode_metadata(tag: u32, metadata: &Metadata, out: &mut Vec<u8>) {
    for (key, value) in metadata.iter() {
        put_len(tag, pair_len(key, value), out);
        put_bytes(PAIR_KEY, key.as_bytes(), out);
        put_bytes(PAIR_VALUE, value.as_bytes(), out);
    }
}

fn metadata_len(tag: u32, metadata: &Metadata) -> usize {
    metadata.iter().fold(0, |len, (key, value)| len.saturating_add(bytes_len(tag, pair_len(key, value))))
}

fn pair_len(key: &str, value: &str) -> usize {
    bytes_len(PAIR_KEY, key.len()).saturating_add(bytes_len(PAIR_VALUE, value.len()))
}

/// A field as it stands on the wire. Fixed-width fields are not in the schema
/// and are skipped.
enum Field {
    Varint(u64),
    Bytes(Bytes),
}

/// Why bytes are no envelope.
struct Malformed(String);

type Decoded<T> = Result<T, Malformed>;

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

fn each_field(mut bytes: Bytes, mut visit: impl FnMut(u32, Field) -> Decoded<()>) -> Decoded<()> {
    while bytes.has_remaining() {
        let (tag, wire_type) = encoding::decode_key(&mut bytes)?;
        let field = match wire_type {
            WireType::Varint => Field::Varint(encoding::decode_varint(&mut bytes)?),
            WireType::LengthDelimited => {
                let len = usize::try_from(encoding::decode_varint(&mut bytes)?).unwrap_or(usize::MAX);
                if len > bytes.len() {
                    return Err(Malformed(format!("field {tag} is longer than the packet")));
                }
                Field::Bytes(bytes.split_to(len))
            }
            other => {
                encoding::skip_field(other, tag, &mut bytes, DecodeContext::default())?;
                continue;
            }
        };
        visit(tag, field)?;
    }
    Ok(())
}

fn put_varint(tag: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value, out);
}

fn put_len(tag: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn put_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_len(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// The bytes of a length-delimited field of `len` bytes.
fn bytes_len(tag: u32, len: usize) -> usize {
    key_len(tag).saturating_add(encoded_len_varint(len as u64)).saturating_add(len)
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ (bits & 1).cast_signed().wrapping_neg()
}

fn unzigzag(value: i64) -> u64 {
    (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
