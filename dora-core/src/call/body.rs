//! What a request carries between layers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::CallKey;
use super::head::RequestHead;
use super::packed::{PackMessage, Packed};
use super::packer::Packer;

/// What a call, or its result, carries between layers. Cheap to clone.
///
/// A body that came over a wire is [`Packed`](Body::Packed): an unparsed slice
/// of its frame, until the generated code knows the type. A body made here is a
/// [`Message`](Body::Message) until the connection knows how its peer packs.
/// So nothing is packed twice, nor for a peer in this process.
#[derive(Clone)]
#[non_exhaustive]
pub enum Body {
    /// Bytes in the packing of the frame they came in.
    Packed(Packed),
    /// A typed message that is packed when it is sent.
    Message(Arc<dyn PackMessage>),
    /// The calls of a batch, between its caller and whoever takes it apart.
    Batch(Vec<BatchCall>),
}

/// A call of a batch: a request of its own, under a key. What its head does not
/// say (metadata, deadline), the head of the batch says for all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchCall {
    /// Its key, by which its result is told.
    pub key: CallKey,
    /// All of the call but its body.
    pub head: Box<RequestHead>,
    /// Its parameter.
    pub body: Body,
}

impl BatchCall {
    /// A call under `key`.
    #[must_use]
    pub const fn new(key: CallKey, head: Box<RequestHead>, body: Body) -> Self {
        Self { key, head, body }
    }
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

/// Never the content: it is an application's, and `Debug` ends up in logs.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(packed) => packed.fmt(f),
            Self::Message(_) => f.write_str("Message"),
            Self::Batch(calls) => f.debug_tuple("Batch").field(calls).finish(),
        }
    }
}
