//! Response packets.

use bytes::{Buf, Bytes};

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::packed::{PackError, PackMessage};
use crate::call::packer::Packer;
use crate::call::response::Response;
use crate::call::status::{Origin, Status};
use crate::pack::envelope::{Shape, body_len, pack_body, unreadable};
use crate::pack::limits::Limits;
use crate::pack::packet::{CallResult, ResponseData, ResponsePacket};

use super::fields::*;

// Field numbers of `ResponsePacket` and `Result` in `packet.proto`.
const RESPONSE_CODE: u32 = 1;
const RESPONSE_MESSAGE: u32 = 2;
const RESPONSE_IS_RESULT: u32 = 3;
const RESPONSE_RESULTS: u32 = 4;
const RESPONSE_VALUE: u32 = 5;
const RESPONSE_CAN: u32 = 6;
const RESULT_STATUS: u32 = 1;
const RESULT_CODE: u32 = 2;
const RESULT_MESSAGE: u32 = 3;
const RESULT_DATA: u32 = 4;
const RESULT_DETAILS: u32 = 5;
const RESULT_METADATA: u32 = 6;
const RESULT_KEY: Keys = Keys { index: 7, name: 8 };

/// The result of a single call that went well and has nothing but data: what
/// nearly every answer is, and recognized without taking it apart.
/// The data are the end of the body: how many bytes of it.
#[inline]
fn plain_success(body: &[u8]) -> Option<usize> {
    const HEAD: [u8; 3] = [varint_key(RESPONSE_CODE), 0, bytes_key(RESPONSE_RESULTS)];
    let (result, []) = split_length(body.strip_prefix(&HEAD)?)? else { return None };
    let (data, []) = split_length(result.strip_prefix(&[bytes_key(RESULT_DATA)])?)? else { return None };
    Some(data.len())
}

/// The data of an answer that says nothing else; the body comes back if it is another one.
#[inline]
pub(in crate::pack::envelope) fn plain_result(mut body: Bytes) -> Result<Body, Bytes> {
    let Some(data) = plain_success(&body) else { return Err(body) };
    body.advance(body.len().saturating_sub(data));
    Ok(Body::packed(Packer::Protobuf, body))
}

pub(in crate::pack::envelope) fn decode_response(
    body: Bytes,
    shape: Shape,
    limits: &Limits,
) -> Result<ResponsePacket, Status> {
    let mut packet = ResponsePacket {
        guid: None,
        code: 0,
        message: dora_code::OK_MESSAGE.into(),
        is_result: false,
        data: ResponseData::Empty,
        can: None,
    };
    let mut one = None;
    let mut many = Vec::new();
    let result = each_field(body, |tag, field| {
        match (tag, field) {
            (RESPONSE_CODE, Field::Varint(code)) => packet.code = zigzag(code),
            (RESPONSE_MESSAGE, Field::Bytes(text)) => packet.message = text_of(&text).into(),
            (RESPONSE_IS_RESULT, Field::Varint(flag)) => packet.is_result = flag != 0,
            (RESPONSE_CAN, Field::Varint(bits)) => packet.can = Some(capabilities(bits)),
            (RESPONSE_VALUE, Field::Bytes(bytes)) => {
                packet.data = ResponseData::Value(Body::packed(Packer::Protobuf, bytes));
            }
            (RESPONSE_RESULTS, Field::Bytes(bytes)) => {
                let (key, result) = decode_result(bytes)?;
                match shape {
                    _ if many.len() >= limits.calls => {
                        return Err(Malformed(format!("over {} results (Limits::calls)", limits.calls)));
                    }
                    Shape::Many => many.push((key.unwrap_or(CallKey::Int(0)), result)),
                    Shape::One | Shape::Value | Shape::Bare | Shape::BareMany => one = Some(result),
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

pub(in crate::pack::envelope) fn encode_response(packet: &ResponsePacket, out: &mut Vec<u8>) {
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
    if let Some(can) = packet.can {
        put_varint(RESPONSE_CAN, can.bits().into(), out);
    }
}

pub(in crate::pack::envelope) fn encode_success(
    metadata: &Metadata,
    message: &dyn PackMessage,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    put_varint(RESPONSE_CODE, unzigzag(dora_code::OK), out);
    let len = message.packed_len(Packer::Protobuf);
    put_success(None, (len, |out: &mut Vec<u8>| message.pack(Packer::Protobuf, out)), metadata, out)
}

/// Appends the result of a call that went well, whose data are so long and written so; or
/// a part of it if they cannot be packed.
#[inline]
fn put_success(
    key: Option<&CallKey>,
    (len, data): (usize, impl FnOnce(&mut Vec<u8>) -> Result<(), PackError>),
    metadata: &Metadata,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let result = bytes_len(RESULT_DATA, len)
        .saturating_add(metadata_len(RESULT_METADATA, metadata))
        .saturating_add(key.map_or(0, |key| RESULT_KEY.len(key)));
    out.reserve(result.saturating_add(MARGIN));
    put_len(RESPONSE_RESULTS, result, out);
    put_len(RESULT_DATA, len, out);
    data(out)?;
    encode_metadata(RESULT_METADATA, metadata, out);
    if let Some(key) = key {
        RESULT_KEY.write(key, out);
    }
    Ok(())
}

fn put_body(key: Option<&CallKey>, response: &Response<Body>, out: &mut Vec<u8>) -> Result<(), PackError> {
    let body = response.body();
    let len = body_len(body, Packer::Protobuf);
    put_success(
        key,
        (len, |out: &mut Vec<u8>| pack_body(body, Packer::Protobuf, out)),
        response.metadata(),
        out,
    )
}

/// Room for the length of a result, and what stands before it.
const MARGIN: usize = 16;

fn encode_result(key: Option<&CallKey>, result: &CallResult, out: &mut Vec<u8>) {
    let start = out.len();
    let status = match result {
        Ok(response) => match put_body(key, response, out) {
            Ok(()) => return,
            Err(error) => {
                out.truncate(start);
                &Status::internal(error.to_string())
            }
        },
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
