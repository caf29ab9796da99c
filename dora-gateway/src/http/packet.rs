//! What is asked in a form, and what is answered.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::{BatchCall, Body};
use dora_core::call::dora_code;
use dora_core::call::head::RequestHead;
use dora_core::call::metadata::Metadata;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::name::MethodName;
use dora_core::call::origin::{PacketOrigin, RequestOrigin};
use dora_core::call::packed::Packed;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::{BatchResults, Response};
use dora_core::call::status::Status;
use dora_core::guid::Guid;
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;
use dora_core::pack::value::Value;

use crate::json::{put_body, put_str, put_value};

/// The guid of an HTTP request as its caller wrote it: any text, or a number. It stands
/// among the extensions of each of its calls.
///
/// ```
/// use dora::Request;
/// use dora::http::WrittenGuid;
///
/// fn guid<T>(request: &Request<T>) -> Option<&dora::Value> {
///     request.extensions().get::<WrittenGuid>().map(|guid| &guid.0)
/// }
/// # assert!(guid(&Request::new(())).is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenGuid(pub Value);

/// Whose callers they are, and so how packets look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Era {
    /// Of 2017 and later: a guid in all packets, first.
    #[default]
    Guid,
    /// Of 2016: a guid in the outermost alone, last, and not in one that refuses.
    Plain,
}

/// What `params` asks for.
#[derive(Debug)]
pub(super) struct Asked {
    era: Era,
    guid: Value,
    calls: Vec<(CallKey, Bytes)>,
}

/// A packet that answers a request as a whole.
#[derive(Debug)]
pub(super) struct Refused {
    era: Era,
    guid: Value,
    status: Status,
}

impl Refused {
    /// What the two fields, or one of them, lack.
    pub(super) fn fields(era: Era, guid: Value) -> Self {
        let status = Status::raw(dora_code::NO_CALLS, dora_code::WRONG_PARAMETER_MESSAGE);
        Self { era, guid, status }
    }

    fn params(era: Era, guid: Value) -> Self {
        let code = match era {
            Era::Guid => dora_code::WRONG_PARAMETER,
            Era::Plain => dora_code::NO_CALLS,
        };
        Self { era, guid, status: Status::raw(code, dora_code::WRONG_PARAMETER_MESSAGE) }
    }

    pub(super) const fn status(&self) -> &Status {
        &self.status
    }

    pub(super) fn answer(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.era {
            Era::Guid => Packet { era: self.era, guid: Some(&self.guid) },
            Era::Plain => Packet { era: self.era, guid: None },
        }
        .put_error(&self.status, &mut out);
        out
    }
}

impl Asked {
    /// Reads `params`.
    ///
    /// # Errors
    /// It is not JSON, or says not what to do: 100004, under the guid as far as there
    /// is one. In 2016 it was 100003.
    pub(super) fn read(params: &Bytes, era: Era, limits: &Limits) -> Result<Self, Refused> {
        let is_object = params.trim_ascii_start().first() == Some(&b'{');
        let pairs = json_pairs(params, limits).ok().flatten().filter(|_| is_object);
        let (mut guid, mut api) = (Value::Null, None);
        for (key, value) in pairs.unwrap_or_default() {
            match key {
                CallKey::Str(key) if key == "guid" => {
                    guid = serde_json::from_slice(&value).unwrap_or_default();
                }
                CallKey::Str(key) if key == "api" => api = Some(value),
                _ => {}
            }
        }
        let calls = api.and_then(|api| json_pairs(&api, limits).ok().flatten());
        match calls {
            Some(calls) if !guid.is_null() && !calls.is_empty() => {
                if calls.len() > limits.calls {
                    let message = format!("more than {} calls in one packet (Limits::calls)", limits.calls);
                    return Err(Refused { era, guid, status: Status::resource_exhausted(message) });
                }
                Ok(Self { era, guid, calls })
            }
            _ => Err(Refused::params(era, guid)),
        }
    }

    /// Refuses it.
    pub(super) fn refuse(self, status: Status) -> Refused {
        Refused { era: self.era, guid: self.guid, status }
    }

    /// The name of the control command that it is.
    pub(super) fn command(&self, limits: &Limits) -> MethodName {
        let cmd = self.calls.iter().find(|(key, _)| *key == CallKey::from("cmd"));
        cmd.map(|(_, call)| Called::read(call, limits).name).unwrap_or_default()
    }

    /// The calls, as one request.
    pub(super) fn request(&self, mode: Mode, origin: &RequestOrigin, limits: &Limits) -> Request {
        let guid = self.guid.as_bytes().and_then(Guid::from_bytes).unwrap_or(Guid::ZERO);
        let packet = PacketOrigin::new(guid, PacketKind::calls(mode, true));
        let calls = self.calls.iter().map(|(key, raw)| {
            let Called { name, param } = Called::read(raw, limits);
            let mut packet = packet.clone();
            packet.raw = Some(Packed::new(Packer::Json, raw.clone()));
            let mut head = Box::<RequestHead>::default();
            head.set_method(name);
            head.set_origin(origin.clone().with_packet(packet));
            BatchCall::new(key.clone(), head, param)
        });
        let mut request = Request::batch_of(calls.collect());
        let head = request.head_mut();
        head.set_mode(mode);
        head.set_origin(origin.clone().with_packet(packet));
        head.extensions_mut().insert(WrittenGuid(self.guid.clone()));
        request
    }

    /// The packet around all calls.
    const fn whole(&self) -> Packet<'_> {
        Packet { era: self.era, guid: Some(&self.guid) }
    }

    /// The packet of one call.
    const fn part(&self) -> Packet<'_> {
        let guid = match self.era {
            Era::Guid => Some(&self.guid),
            Era::Plain => None,
        };
        Packet { era: self.era, guid }
    }

    /// The answer of calls that have ended: a list where the caller sent one.
    pub(super) fn answer(&self, mut results: BatchResults) -> Vec<u8> {
        let mut out = Vec::new();
        let is_list = self.calls.iter().zip(0..).all(|((key, _), place)| *key == CallKey::Int(place));
        self.whole().begin(dora_code::OK, dora_code::OK_MESSAGE, &mut out);
        out.push(if is_list { b'[' } else { b'{' });
        if is_list {
            results.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        for (place, (key, result)) in results.into_iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            if !is_list {
                put_key(&key, &mut out);
            }
            self.put_result(result, &mut out);
        }
        out.push(if is_list { b']' } else { b'}' });
        self.whole().end(&mut out);
        out
    }

    fn put_result(&self, result: Result<Response, Status>, out: &mut Vec<u8>) {
        let start = out.len();
        let put = result.and_then(|response| {
            self.part().begin(dora_code::OK, dora_code::OK_MESSAGE, out);
            let (metadata, reply) = response.into_parts();
            put_body(reply.into_result()?, out)?;
            put_metadata(&metadata, out);
            self.part().end(out);
            Ok(())
        });
        if let Err(status) = put {
            out.truncate(start);
            self.part().put_error(&status, out);
        }
    }

    /// The answer with a value of the server's own.
    pub(super) fn value(&self, value: Body) -> Result<Vec<u8>, Status> {
        let mut out = Vec::new();
        self.whole().begin(dora_code::OK, dora_code::OK_MESSAGE, &mut out);
        put_body(value, &mut out)?;
        self.whole().end(&mut out);
        Ok(out)
    }

    /// The answer to calls whose results are not wanted.
    pub(super) fn accepted(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.whole().begin(dora_code::ACCEPTED, dora_code::ACCEPTED_MESSAGE, &mut out);
        out.extend_from_slice(b"[]");
        self.whole().end(&mut out);
        out
    }
}

/// A call of `api`: whatever it is, as in PHP; what it says not is empty.
struct Called {
    name: MethodName,
    param: Body,
}

impl Called {
    fn read(raw: &Bytes, limits: &Limits) -> Self {
        let null = Body::packed(Packer::Json, Bytes::from_static(b"null"));
        let mut called = Self { name: MethodName::default(), param: null };
        for (key, value) in json_pairs(raw, limits).ok().flatten().unwrap_or_default() {
            match key {
                CallKey::Str(key) if key == "name" => called.name = name(&value),
                CallKey::Str(key) if key == "param" => called.param = Body::packed(Packer::Json, value),
                _ => {}
            }
        }
        called
    }
}

fn name(value: &[u8]) -> MethodName {
    match serde_json::from_slice::<Value>(value) {
        Ok(Value::Int(number)) => number.to_string().into(),
        Ok(value) => value.as_str().unwrap_or_default().to_owned().into(),
        Err(_) => MethodName::default(),
    }
}

/// A packet that is being written.
#[derive(Clone, Copy)]
struct Packet<'a> {
    era: Era,
    guid: Option<&'a Value>,
}

impl Packet<'_> {
    /// All that comes before the data.
    fn begin(self, code: i64, message: &str, out: &mut Vec<u8>) {
        out.push(b'{');
        if let (Era::Guid, Some(guid)) = (self.era, self.guid) {
            out.extend_from_slice(b"\"guid\":");
            put_value(guid, out);
            out.push(b',');
        }
        out.extend_from_slice(format!("\"code\":{code},\"msg\":").as_bytes());
        put_str(message, out);
        out.extend_from_slice(b",\"data\":");
    }

    /// All that comes behind it.
    fn end(self, out: &mut Vec<u8>) {
        if let (Era::Plain, Some(guid)) = (self.era, self.guid) {
            out.extend_from_slice(b",\"guid\":");
            put_value(guid, out);
        }
        out.push(b'}');
    }

    fn put_error(self, status: &Status, out: &mut Vec<u8>) {
        self.begin(status.raw_code(), status.message(), out);
        out.extend_from_slice(b"[]");
        if !status.details().is_empty() {
            out.extend_from_slice(b",\"details\":");
            put_str(&String::from_utf8_lossy(status.details()), out);
        }
        put_metadata(status.metadata(), out);
        self.end(out);
    }
}

/// What a handler said beside the result, under the name that Dora's own wire has for it.
fn put_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    if metadata.is_empty() {
        return;
    }
    // An object has each key once: of equal ones the last stands.
    let pairs: serde_json::Map<_, _> =
        metadata.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    out.extend_from_slice(b",\"meta\":");
    // Text into memory: it cannot fail.
    serde_json::to_writer(out, &pairs).unwrap_or(());
}

fn put_key(key: &CallKey, out: &mut Vec<u8>) {
    match key {
        CallKey::Int(number) => out.extend_from_slice(format!("\"{number}\"").as_bytes()),
        CallKey::Str(name) => put_str(&String::from_utf8_lossy(name), out),
    }
    out.push(b':');
}
