//! What a carrier carries.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use crate::call::BoxFuture;
use crate::call::status::Status;
use crate::guid::Guid;

/// The body of a frame, and the guid that it travels under. Cheap to clone.
///
/// It is all of a frame that matters to calls: Dora's own wire writes the length
/// before the guid and the body behind it, a queue may have the guid as a
/// correlation id, a WebSocket the guid as the first 32 bytes of a message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// The guid of the request; an answer has that of its request.
    pub guid: Guid,
    /// The packed packet, gzipped or not.
    pub body: Bytes,
}

impl Frame {
    /// A frame with `body` under `guid`.
    #[must_use]
    pub fn new(guid: Guid, body: impl Into<Bytes>) -> Self {
        Self { guid, body: body.into() }
    }
}

/// Never the body: it is an application's, and `Debug` ends up in logs.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {} bytes)", self.guid, self.body.len())
    }
}

/// How a frame is answered: at once, and for a deferred call once more, with its
/// result, under the same guid.
pub struct Answer {
    first: Frame,
    later: Option<BoxFuture<Frame>>,
}

impl Answer {
    /// The answer of one frame.
    #[must_use]
    pub const fn new(first: Frame) -> Self {
        Self { first, later: None }
    }

    /// The same with another frame that comes later.
    #[must_use]
    pub fn with_later(self, later: impl Future<Output = Result<Frame, Status>> + Send + 'static) -> Self {
        Self { later: Some(Box::pin(later)), ..self }
    }

    /// The first frame.
    #[must_use]
    pub const fn first(&self) -> &Frame {
        &self.first
    }

    /// The first frame, and what comes later.
    #[must_use]
    pub fn into_parts(self) -> (Frame, Option<BoxFuture<Frame>>) {
        (self.first, self.later)
    }
}

impl From<Frame> for Answer {
    fn from(first: Frame) -> Self {
        Self::new(first)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("first", &self.first).field("later", &self.later.is_some()).finish()
    }
}
