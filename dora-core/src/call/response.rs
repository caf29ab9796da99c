//! The result of a call.

use super::body::Body;
use super::metadata::Metadata;

/// The result of a call that went well.
#[derive(Debug)]
pub struct Response<T = Body> {
    metadata: Metadata,
    body: T,
}

impl<T> Response<T> {
    /// A response with `body` and no metadata.
    pub const fn new(body: T) -> Self {
        Self { metadata: Metadata::new(), body }
    }

    /// Puts a response together.
    pub const fn from_parts(metadata: Metadata, body: T) -> Self {
        Self { metadata, body }
    }

    /// Takes a response apart.
    pub fn into_parts(self) -> (Metadata, T) {
        (self.metadata, self.body)
    }

    /// The body: the message, for a generated client.
    pub const fn body(&self) -> &T {
        &self.body
    }

    /// The body alone.
    pub fn into_body(self) -> T {
        self.body
    }

    /// The same response with another body.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response { metadata: self.metadata, body: change(self.body) }
    }

    /// Pairs that travel with the result.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Pairs that travel with the result, to change.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}

/// Lets a handler end with `Ok(message.into())`.
impl<T> From<T> for Response<T> {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}
