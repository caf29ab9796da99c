//! The packet: one guid, one mode, one or more keyed calls, or their results.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::capabilities::Capabilities;
use crate::call::metadata::Metadata;
use crate::call::mode::PacketKind;
use crate::call::name::MethodName;
use crate::call::packed::Packed;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::guid::Guid;

/// A request packet.
#[derive(Debug, Default)]
pub struct RequestPacket {
    /// The guid in the body. PHP writes the header's once more; a peer may leave
    /// it out or write something else.
    pub guid: Option<Guid>,
    /// The `type`.
    pub kind: PacketKind,
    /// The calls. A single packet has exactly one, or none where the peer put it
    /// under another key and waits for no result.
    pub calls: Calls,
    /// What remains of the caller's deadline, in whole milliseconds on the wire.
    pub timeout: Option<Duration>,
    /// Pairs that travel with every call of the packet.
    pub metadata: Metadata,
    /// What the sender can, until it has heard what its peer can. A PHP peer does
    /// not look at it.
    pub can: Option<Capabilities>,
}

/// The calls of a packet. One call, by far the most frequent case, costs no list.
#[derive(Debug)]
pub enum Calls {
    /// One call.
    One(Call),
    /// Calls under keys of the caller.
    Many(Vec<(CallKey, Call)>),
}

/// A call within a packet.
#[derive(Debug)]
pub struct Call {
    /// The API name or method path.
    pub name: MethodName,
    /// The parameter.
    pub param: Body,
    /// What remains of this call's own deadline, where it is not the packet's.
    pub timeout: Option<Duration>,
    /// Pairs that travel with this call alone, behind the packet's.
    pub metadata: Metadata,
    /// The whole call as packed, further fields included (PHP and JSON).
    pub raw: Option<Packed>,
}

/// A request packet of one call that says nothing beyond its name, its parameter and the
/// packet's timeout: what nearly every request is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlainRequest {
    pub(crate) kind: PacketKind,
    pub(crate) timeout: Option<Duration>,
    pub(crate) name: MethodName,
    pub(crate) param: Packed,
}

/// A request packet of one call, in parts that stand wherever they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SingleRequest<'a, P> {
    pub(crate) kind: PacketKind,
    pub(crate) name: &'a [u8],
    pub(crate) param: &'a P,
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) can: Option<Capabilities>,
}

/// A response packet.
#[derive(Debug)]
pub struct ResponsePacket {
    /// The guid for the body; left out where the request's body had none and
    /// its header could not have one.
    pub guid: Option<Guid>,
    /// The raw code of the packet; what the calls ended with is in `data`.
    pub code: i64,
    /// The message of the packet.
    pub message: Cow<'static, str>,
    /// Whether this is the later result of an async call (`isresult`).
    pub is_result: bool,
    /// The results.
    pub data: ResponseData,
    /// What the server can, where the request said what its client can.
    pub can: Option<Capabilities>,
}

/// The `data` of a response packet.
#[derive(Debug)]
pub enum ResponseData {
    /// Nothing: an acknowledgement or an error (an empty array in PHP).
    Empty,
    /// The result of the one call.
    One(CallResult),
    /// Results under the caller's keys, in the order of completion.
    Many(Vec<(CallKey, CallResult)>),
    /// A value of the server itself: the answer to a control command.
    Value(Body),
}

/// How a call ended.
pub type CallResult = Result<Response<Body>, Status>;

/// A request packet that is refused as a whole.
#[derive(Debug)]
pub struct Refused {
    /// The guid in the body, as far as it could be read.
    pub guid: Option<Guid>,
    /// The `type`, as far as it could be read.
    pub kind: Option<PacketKind>,
    /// The answer.
    pub status: Status,
}

impl Call {
    /// A call that says nothing beyond name and parameter.
    #[must_use]
    pub fn new(name: impl Into<MethodName>, param: Body) -> Self {
        Self { name: name.into(), param, timeout: None, metadata: Metadata::new(), raw: None }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Calls {
    /// The number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(calls) => calls.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Refused {
    /// Refuses a packet whose guid is not known.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self { guid: None, kind: None, status }
    }

    /// The same of a packet of which this could be read.
    #[must_use]
    pub fn of(self, guid: Option<Guid>, kind: Option<PacketKind>) -> Self {
        Self { guid: self.guid.or(guid), kind: self.kind.or(kind), status: self.status }
    }
}
