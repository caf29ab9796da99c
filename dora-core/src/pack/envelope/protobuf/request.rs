//! Request packets.

use std::ops::Range;
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packed::{PackError, Packed};
use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::pack::envelope::{Parameter, body_len, pack_body, too_many_calls, undecodable};
use crate::pack::limits::Limits;
use crate::pack::packet::{Call, Calls, PlainRequest, Refused, RequestPacket, SingleRequest};

use super::fields::*;

// Field numbers of `RequestPacket` and `Call` in `packet.proto`.
const REQUEST_KIND: u32 = 1;
const REQUEST_CALLS: u32 = 2;
const REQUEST_TIMEOUT_MS: u32 = 3;
const REQUEST_METADATA: u32 = 4;
const REQUEST_CAN: u32 = 5;
const CALL_NAME: u32 = 1;
const CALL_PARAM: u32 = 2;
const CALL_KEY: Keys = Keys { index: 3, name: 4 };
const CALL_TIMEOUT_MS: u32 = 5;
const CALL_METADATA: u32 = 6;

/// The kind that a number of `enum Kind` stands for.
#[inline]
fn kind(number: u64) -> Option<PacketKind> {
    Some(match number {
        1 => PacketKind::calls(Mode::Wait, false),
        2 => PacketKind::calls(Mode::Wait, true),
        3 => PacketKind::calls(Mode::NoResult, false),
        4 => PacketKind::calls(Mode::NoResult, true),
        5 => PacketKind::calls(Mode::Deferred, false),
        6 => PacketKind::calls(Mode::Deferred, true),
        7 => PacketKind::Control,
        _ => return None,
    })
}

/// The number of a kind: the older words have none of their own.
#[inline]
const fn number(kind: PacketKind) -> u64 {
    match kind {
        PacketKind::Calls { mode: Mode::Wait, multi, .. } => 1 + multi as u64,
        PacketKind::Calls { mode: Mode::NoResult, multi, .. } => 3 + multi as u64,
        PacketKind::Calls { mode: Mode::Deferred, multi, .. } => 5 + multi as u64,
        PacketKind::Control => 7,
    }
}

/// Where in a body the parts of a plain request stand.
struct Places {
    kind: PacketKind,
    timeout: Option<Duration>,
    name: Range<usize>,
    param: Range<usize>,
}

impl Places {
    #[inline]
    fn of(body: &[u8]) -> Option<Self> {
        const KIND: u8 = varint_key(REQUEST_KIND);
        const CALLS: u8 = bytes_key(REQUEST_CALLS);
        let [KIND, number, CALLS, rest @ ..] = body else { return None };
        let kind =
            kind((*number).into()).filter(|kind| matches!(kind, PacketKind::Calls { multi: false, .. }))?;
        let (call, rest) = split_length(rest)?;
        let (name, param) = split_length(call.strip_prefix(&[bytes_key(CALL_NAME)])?)?;
        let (param, []) = split_length(param.strip_prefix(&[bytes_key(CALL_PARAM)])?)? else { return None };
        let timeout = match rest {
            [] => None,
            [key, ms @ ..] if *key == varint_key(REQUEST_TIMEOUT_MS) => {
                let mut left = ms;
                let ms = take_number(&mut left)?;
                left.is_empty().then(|| timeout(ms))?
            }
            _ => return None,
        };
        Some(Self { kind, timeout, name: range_in(body, name)?, param: range_in(body, param)? })
    }
}

/// Recognizes a plain request; the body comes back if it is another one.
#[inline]
pub(in crate::pack::envelope) fn plain_request(
    mut body: Bytes,
    known: impl FnOnce(&[u8]) -> Option<MethodName>,
) -> Result<PlainRequest, Bytes> {
    let Some(Places { kind, timeout, name, param }) = Places::of(&body) else { return Err(body) };
    let name = match body.get(name.clone()).and_then(known) {
        Some(known) => known,
        None => MethodName::from_bytes(body.slice(name)),
    };
    // What is left of the body is the parameter: one handle less on the frame.
    body.truncate(param.end);
    body.advance(param.start);
    Ok(PlainRequest { kind, timeout, name, param: Packed { packer: Packer::Protobuf, bytes: body } })
}

pub(in crate::pack::envelope) fn decode_request(
    body: Bytes,
    limits: &Limits,
) -> Result<RequestPacket, Refused> {
    let mut packet = RequestPacket::default();
    let mut number = None;
    let (mut calls, mut full) = (None, false);
    let result = each_field(body, |tag, field| {
        match (tag, field) {
            (REQUEST_KIND, Field::Varint(kind)) => number = Some(kind),
            (REQUEST_CALLS, Field::Bytes(bytes)) => {
                full = calls.as_ref().is_some_and(|calls: &Calls| calls.len() >= limits.calls);
                add_call(&mut calls, bytes, full)?;
            }
            (REQUEST_TIMEOUT_MS, Field::Varint(ms)) => packet.timeout = timeout(ms),
            (REQUEST_METADATA, Field::Bytes(bytes)) => add_pair(&mut packet.metadata, bytes)?,
            (REQUEST_CAN, Field::Varint(bits)) => packet.can = Some(capabilities(bits)),
            _ => {}
        }
        Ok(())
    });
    result.map_err(|Malformed(reason)| if full { too_many_calls(limits) } else { undecodable(reason) })?;
    let Some(kind) = number.and_then(kind) else {
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

/// Adds a call, if there are not as many as there may be: the first one without a
/// key stays alone, without a list.
fn add_call(calls: &mut Option<Calls>, bytes: Bytes, full: bool) -> Decoded<()> {
    if full {
        return Err(Malformed("too many calls in one packet".to_owned()));
    }
    let (key, call) = decode_call(bytes)?;
    *calls = Some(match (calls.take(), key) {
        (None, None) => Calls::One(call),
        (None, Some(key)) => Calls::Many(vec![(key, call)]),
        (Some(Calls::Many(mut list)), Some(key)) => {
            list.push((key, call));
            Calls::Many(list)
        }
        _ => return Err(Malformed("several calls, and one of them without a key".to_owned())),
    });
    Ok(())
}

fn decode_call(bytes: Bytes) -> Decoded<(Option<CallKey>, Call)> {
    let mut key = None;
    let mut call = Call::new(MethodName::default(), Body::packed(Packer::Protobuf, Bytes::new()));
    each_field(bytes, |tag, field| {
        match (tag, field) {
            (CALL_NAME, Field::Bytes(bytes)) => call.name = MethodName::from_bytes(bytes),
            (CALL_PARAM, Field::Bytes(bytes)) => call.param = Body::packed(Packer::Protobuf, bytes),
            (CALL_TIMEOUT_MS, Field::Varint(ms)) => call.timeout = timeout(ms),
            (CALL_METADATA, Field::Bytes(bytes)) => add_pair(&mut call.metadata, bytes)?,
            (tag, field) => CALL_KEY.read(tag, field, &mut key),
        }
        Ok(())
    })?;
    Ok((key, call))
}

/// 0 says that there is no deadline.
fn timeout(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

/// At least 1, for 0 would say that there is no deadline.
fn timeout_ms(timeout: Duration) -> u64 {
    let whole = timeout.as_secs().saturating_mul(1000);
    whole.saturating_add(timeout.subsec_millis().into()).max(1)
}

pub(in crate::pack::envelope) fn encode_request(
    packet: &RequestPacket,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    put_varint(REQUEST_KIND, number(packet.kind), out);
    match &packet.calls {
        Calls::One(call) => encode_call(None, call, out)?,
        Calls::Many(calls) => {
            for (key, call) in calls {
                encode_call(Some(key), call, out)?;
            }
        }
    }
    put_rest(packet.timeout, &packet.metadata, packet.can, out);
    Ok(())
}

/// As [`encode_request`], of a packet of one call.
#[inline]
pub(in crate::pack::envelope) fn encode_single<P: Parameter>(
    request: &SingleRequest<'_, P>,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let SingleRequest { kind, name, param, timeout, metadata, can } = *request;
    let len = param.len(Packer::Protobuf);
    let call = bytes_len(CALL_NAME, name.len()).saturating_add(bytes_len(CALL_PARAM, len));
    out.reserve(call.saturating_add(MARGIN));
    put_varint(REQUEST_KIND, number(kind), out);
    put_len(REQUEST_CALLS, call, out);
    put_bytes(CALL_NAME, name, out);
    put_len(CALL_PARAM, len, out);
    param.put(Packer::Protobuf, out)?;
    put_rest(timeout, metadata, can, out);
    Ok(())
}

/// Room for what a packet of one call says beside it, metadata left out.
const MARGIN: usize = 32;

/// What a packet says for all its calls.
#[inline]
fn put_rest(timeout: Option<Duration>, metadata: &Metadata, can: Option<Capabilities>, out: &mut Vec<u8>) {
    if let Some(timeout) = timeout {
        put_varint(REQUEST_TIMEOUT_MS, timeout_ms(timeout), out);
    }
    encode_metadata(REQUEST_METADATA, metadata, out);
    if let Some(can) = can {
        put_varint(REQUEST_CAN, can.bits().into(), out);
    }
}

fn encode_call(key: Option<&CallKey>, call: &Call, out: &mut Vec<u8>) -> Result<(), PackError> {
    let param = body_len(&call.param, Packer::Protobuf);
    let len = bytes_len(CALL_NAME, call.name.as_bytes().len())
        .saturating_add(bytes_len(CALL_PARAM, param))
        .saturating_add(key.map_or(0, |key| CALL_KEY.len(key)))
        .saturating_add(call.timeout.map_or(0, |timeout| varint_len(CALL_TIMEOUT_MS, timeout_ms(timeout))))
        .saturating_add(metadata_len(CALL_METADATA, &call.metadata));
    put_len(REQUEST_CALLS, len, out);
    put_bytes(CALL_NAME, call.name.as_bytes(), out);
    put_len(CALL_PARAM, param, out);
    out.reserve(param);
    pack_body(&call.param, Packer::Protobuf, out)?;
    if let Some(key) = key {
        CALL_KEY.write(key, out);
    }
    if let Some(timeout) = call.timeout {
        put_varint(CALL_TIMEOUT_MS, timeout_ms(timeout), out);
    }
    encode_metadata(CALL_METADATA, &call.metadata, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(mode: Mode, name: &str, param: &[u8], timeout: Option<u64>) -> Vec<u8> {
        let param = Body::packed(Packer::Protobuf, Bytes::copy_from_slice(param));
        let packet = RequestPacket {
            kind: PacketKind::calls(mode, false),
            calls: Calls::One(Call::new(name.to_owned(), param)),
            timeout: timeout.map(Duration::from_millis),
            ..RequestPacket::default()
        };
        let mut out = Vec::new();
        encode_request(&packet, &mut out).expect("it can be packed");
        out
    }

    /// A request that is taken apart, as if it were plain.
    fn taken_apart(body: Vec<u8>) -> PlainRequest {
        let packet = decode_request(body.into(), &Limits::default()).expect("it is a packet");
        let RequestPacket { kind, calls: Calls::One(call), timeout, .. } = packet else { panic!("one call") };
        let Call { name, param: Body::Packed(param), .. } = call else { panic!("packed") };
        PlainRequest { kind, timeout, name, param }
    }

    /// Recognized or taken apart, a packet says the same.
    #[test]
    fn a_plain_request_is_what_taking_it_apart_finds() {
        // A field that nobody knows.
        let stranger = [varint_key(15), 1];
        for mode in [Mode::Wait, Mode::NoResult, Mode::Deferred] {
            for (name, param) in [("/a.B/C", &b"param"[..]), ("", b""), ("/a.B/C", &[7; 300])] {
                for timeout in [None, Some(1), Some(u64::from(u32::MAX))] {
                    let plain = packet(mode, name, param, timeout);
                    assert!(Places::of(&plain).is_some());
                    let other = [&plain[..], &stranger].concat();
                    assert!(Places::of(&other).is_none());
                    let recognize = |known: fn(&[u8]) -> Option<MethodName>| {
                        plain_request(plain.clone().into(), known).expect("it is plain")
                    };
                    let recognized = recognize(|_| None);
                    assert_eq!(recognized, taken_apart(plain.clone()));
                    assert_eq!(recognized, recognize(|name| (name == b"/a.B/C").then(|| "/a.B/C".into())));
                    assert_eq!(recognized, taken_apart(other));
                    for len in 0..plain.len() {
                        let cut = &plain[..len];
                        let whole = Places::of(cut).is_some();
                        assert!(!whole || len == packet(mode, name, param, None).len(), "{len}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_says_more_is_taken_apart() {
        let one = packet(Mode::Wait, "/a", b"x", Some(9));
        let several = packet(Mode::Wait, "/a", b"x", None);
        let mut multi = several.clone();
        multi[1] = 2;
        let twice = [&several[..], &several[2..]].concat();
        let forever = [&several[..], &[varint_key(REQUEST_TIMEOUT_MS), 0xff]].concat();
        for body in [multi, twice, forever, one[1..].to_vec()] {
            assert!(Places::of(&body).is_none(), "{}", body.escape_ascii());
        }
        let never = [&several[..], &[varint_key(REQUEST_TIMEOUT_MS), 0]].concat();
        assert_eq!(Places::of(&never).map(|plain| plain.timeout), Some(None), "0 is no timeout");
    }
}
