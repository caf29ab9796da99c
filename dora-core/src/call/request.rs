//! A call on its way to a handler.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::body::{Body, Packed};
use super::deadline::Deadline;
use super::extensions::Extensions;
use super::metadata::Metadata;
use super::method::MethodName;
use super::mode::{Mode, PacketKind};
use crate::guid::Guid;

/// A call: method, body, metadata, deadline.
///
/// Layers see `Request<Body>`; generated handlers get it with their message.
#[derive(Debug)]
pub struct Request<T = Body> {
    head: Box<RequestHead>,
    body: T,
}

/// All of a request but its body.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// The method that is called.
    pub method: MethodName,
    /// The method's first legacy name: what it is called by in a packing that PHP
    /// peers speak.
    pub legacy_name: Option<&'static str>,
    /// Pairs that travel with the call.
    pub metadata: Metadata,
    /// When the caller gives up.
    pub deadline: Option<Deadline>,
    /// What the caller waits for.
    pub mode: Mode,
    /// Whether calling twice is the same as calling once.
    pub idempotent: bool,
    /// Where the call came from; `None` for one made in this process.
    pub origin: Option<RequestOrigin>,
    /// Values of layers in this process.
    pub extensions: Extensions,
}

/// Where a call came from.
#[derive(Clone, Debug)]
pub struct RequestOrigin {
    /// The guid of the packet, shared by all its calls.
    pub guid: Guid,
    /// The `type` of the packet.
    pub kind: PacketKind,
    /// The peer's address.
    pub peer: SocketAddr,
    /// When the server took it up.
    pub begun: Instant,
    /// The door it came through: `tcp`.
    pub protocol: &'static str,
    /// The whole call as it was packed, further fields beside name and
    /// parameter included (PHP and JSON only).
    pub raw: Option<Packed>,
}

impl<T> Request<T> {
    /// A request with `body` and nothing else said.
    pub fn new(body: T) -> Self {
        Self { head: Box::default(), body }
    }

    /// Puts a request together.
    pub fn from_parts(head: Box<RequestHead>, body: T) -> Self {
        Self { head, body }
    }

    /// Takes a request apart.
    pub fn into_parts(self) -> (Box<RequestHead>, T) {
        (self.head, self.body)
    }

    /// All of it but the body.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// All of it but the body, to change.
    pub fn head_mut(&mut self) -> &mut RequestHead {
        &mut self.head
    }

    /// The body: the message, in a generated handler.
    pub fn body(&self) -> &T {
        &self.body
    }

    /// The body alone.
    pub fn into_body(self) -> T {
        self.body
    }

    /// The same request with another body.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        Request { head: self.head, body: change(self.body) }
    }

    /// The method that is called.
    pub fn method(&self) -> &MethodName {
        &self.head.method
    }

    /// Pairs that travel with the call.
    pub fn metadata(&self) -> &Metadata {
        &self.head.metadata
    }

    /// Pairs that travel with the call, to change.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.head.metadata
    }

    /// When the caller gives up. Calls made on behalf of this one should carry
    /// it on: what remains of it is passed to the next server.
    pub fn deadline(&self) -> Option<Deadline> {
        self.head.deadline
    }

    /// The address of the caller; `None` for a call made in this process.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.head.origin.as_ref().map(|origin| origin.peer)
    }

    /// Values of layers in this process.
    pub fn extensions(&self) -> &Extensions {
        &self.head.extensions
    }

    /// Values of layers in this process, to change.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.head.extensions
    }
}

/// What a generated client method takes: the message alone, or a request that
/// says more about the call.
pub trait IntoRequest<T> {
    /// The request.
    fn into_request(self) -> Request<T>;
}

impl<T> IntoRequest<T> for T {
    fn into_request(self) -> Request<T> {
        Request::new(self)
    }
}

impl<T> IntoRequest<T> for Request<T> {
    fn into_request(self) -> Self {
        self
    }
}
