//! The parameter of a call or its result, packed or not yet.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::BoxFuture;
use super::packer::Packer;
use super::response::Response;

/// What a call carries between layers.
///
/// A body that came over a wire is [`Packed`](Body::Packed): an unparsed slice
/// of its frame, until the generated code knows the type. A body made here is a
/// [`Message`](Body::Message) until the connection knows how its peer packs.
/// So nothing is packed twice, nor for a peer in this process.
pub enum Body {
    /// Bytes in the packing of the frame they came in.
    Packed(Packed),
    /// A typed message that is packed when it is sent.
    Message(Arc<dyn PackMessage>),
    /// Only on a response: the call was acknowledged, its result comes later.
    Deferred(Deferred),
}

/// The future of a result that comes later. Polled by one owner at a time.
pub struct Deferred(Mutex<BoxFuture<Response<Body>>>);

/// Bytes and how they were packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// How the bytes were packed.
    pub packer: Packer,
    /// The bytes of one value.
    pub bytes: Bytes,
}

/// A message that can be packed in every way: what `pack::message` makes of
/// generated messages and of dynamic values.
pub trait PackMessage: Any + Send + Sync {
    /// Appends the packed message to `out`.
    ///
    /// # Errors
    /// The message has a value that this packing cannot express; the text names
    /// the field.
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError>;

    /// The exact number of bytes [`pack`](Self::pack) appends, where that is
    /// known beforehand (Protobuf), else an estimate for reserving space.
    fn packed_len(&self, packer: Packer) -> usize;
}

/// A message that cannot be packed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot pack as {packer}: {reason}")]
pub struct PackError {
    /// The packing that was asked for.
    pub packer: Packer,
    /// What could not be packed, and where in the message.
    pub reason: String,
}

impl Body {
    /// A body that is packed when it is sent.
    #[must_use]
    pub fn message<M: PackMessage>(message: M) -> Self {
        Self::Message(Arc::new(message))
    }

    /// A body that is packed already.
    #[must_use]
    pub const fn packed(packer: Packer, bytes: Bytes) -> Self {
        Self::Packed(Packed { packer, bytes })
    }
}

impl Deferred {
    /// A result that comes when `future` ends.
    #[must_use]
    pub fn new(future: BoxFuture<Response<Body>>) -> Self {
        Self(Mutex::new(future))
    }

    /// The future of the result.
    #[must_use]
    pub fn into_future(self) -> BoxFuture<Response<Body>> {
        self.0.into_inner()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(packed) => write!(f, "Packed({}, {} bytes)", packed.packer, packed.bytes.len()),
            Self::Message(_) => f.write_str("Message"),
            Self::Deferred(_) => f.write_str("Deferred"),
        }
    }
}
