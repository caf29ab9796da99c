//! Packets into arrays.

use std::time::Duration;

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::mode::PacketKind;
use crate::call::packed::PackError;
use crate::call::status::Status;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::envelope::{body_len, pack_body};
use crate::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData, ResponsePacket};

use super::ArrayFormat;

pub(in crate::pack::envelope) fn encode_request<F: ArrayFormat>(
    generation: Generation,
    packet: &RequestPacket,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let fields = 2 + usize::from(packet.guid.is_some());
    let extra = usize::from(packet.timeout.is_some())
        + usize::from(!packet.metadata.is_empty())
        + usize::from(packet.can.is_some());
    F::open(fields.saturating_add(extra), out);
    // The order of the keys is each generation's own.
    let early = packet.guid.as_ref().filter(|_| !generation.has_guid());
    if let Some(guid) = early {
        F::name("guid", true, out);
        F::put_string(guid.as_bytes(), out);
    }
    F::name("api", early.is_none(), out);
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
    if let (Some(guid), None) = (&packet.guid, early) {
        F::name("guid", false, out);
        F::put_string(guid.as_bytes(), out);
    }
    if packet.kind != PacketKind::Control {
        put_kind(out);
    }
    put_timeout::<F>(packet.timeout, out);
    put_metadata::<F>(&packet.metadata, out);
    put_capabilities::<F>(packet.can, out);
    F::close(out);
    Ok(())
}

fn encode_call<F: ArrayFormat>(call: &Call, out: &mut Vec<u8>) -> Result<(), PackError> {
    let extra = usize::from(call.timeout.is_some()) + usize::from(!call.metadata.is_empty());
    F::open(2 + extra, out);
    F::name("name", true, out);
    F::put_string(call.name.as_bytes(), out);
    F::name("param", false, out);
    out.reserve(body_len(&call.param, F::PACKER));
    pack_body(&call.param, F::PACKER, out)?;
    put_timeout::<F>(call.timeout, out);
    put_metadata::<F>(&call.metadata, out);
    F::close(out);
    Ok(())
}

/// The `timeout` pair of an array, if there is one, in milliseconds: at least 1,
/// for 0 would say that there is none.
fn put_timeout<F: ArrayFormat>(timeout: Option<Duration>, out: &mut Vec<u8>) {
    let Some(timeout) = timeout else { return };
    F::name("timeout", false, out);
    F::put_int(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1), out);
}

/// The `can` pair of an array, if something is to be said.
fn put_capabilities<F: ArrayFormat>(can: Option<Capabilities>, out: &mut Vec<u8>) {
    let Some(can) = can else { return };
    F::name("can", false, out);
    F::put_int(can.bits().into(), out);
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

pub(in crate::pack::envelope) fn encode_response<F: ArrayFormat>(
    generation: Generation,
    packet: &ResponsePacket,
    out: &mut Vec<u8>,
) {
    let fields = 3
        + usize::from(packet.guid.is_some())
        + usize::from(packet.is_result)
        + usize::from(packet.can.is_some());
    F::open(fields, out);
    let (early, late) = match generation.has_guid() {
        true => (packet.guid.as_ref(), None),
        false => (None, packet.guid.as_ref()),
    };
    put_outcome::<F>(early, packet.code, packet.message.as_bytes(), out);
    F::name("data", false, out);
    let encode_result = |result: &CallResult, out: &mut Vec<u8>| match generation {
        Generation::Bare => encode_bare::<F>(result, out),
        Generation::Guid | Generation::Plain => encode_result::<F>(early, result, out),
    };
    match &packet.data {
        ResponseData::Empty => out.extend_from_slice(F::EMPTY),
        ResponseData::One(result) => encode_result(result, out),
        ResponseData::Many(results) => {
            F::open(results.len(), out);
            for (index, (key, result)) in results.iter().enumerate() {
                F::key(key, index == 0, out);
                encode_result(result, out);
            }
            F::close(out);
        }
        ResponseData::Value(value) => put_data::<F>(value, out).unwrap_or(()),
    }
    if let Some(guid) = late {
        F::name("guid", false, out);
        F::put_string(guid.as_bytes(), out);
    }
    if packet.is_result {
        F::name("isresult", false, out);
        F::put_int(1, out);
    }
    put_capabilities::<F>(packet.can, out);
    F::close(out);
}

/// The call's own packet.
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
    encode_status::<F>(guid, status, out);
}

/// The bare value; there is no place for metadata beside it. What failed is a
/// packet all the same.
fn encode_bare<F: ArrayFormat>(result: &CallResult, out: &mut Vec<u8>) {
    let start = out.len();
    match result {
        Ok(response) => {
            if let Err(error) = put_data::<F>(response.body(), out) {
                out.truncate(start);
                encode_status::<F>(None, &Status::internal(error.to_string()), out);
            }
        }
        Err(status) => encode_status::<F>(None, status, out),
    }
}

fn encode_status<F: ArrayFormat>(guid: Option<&Guid>, status: &Status, out: &mut Vec<u8>) {
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
