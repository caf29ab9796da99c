//! Where the calls of one method run, one at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::metadata::Metadata;
use super::packed::PackMessage;
use super::request::Request;
use super::response::Response;
use super::status::Status;

/// A slot for calls of one method: who makes one after the other takes memory for them
/// once. As a future it is the call that stands in it.
pub trait Slot: Future<Output = Result<Response, Status>> + Send {
    /// Puts a call in, which begins when it is polled. One that did not end before is
    /// given up.
    fn put(self: Pin<&mut Self>, request: Request);

    /// Polls the call. One that went well is shown where its result stands; as a future
    /// it would have to hand the result over, in memory of its own.
    fn poll_shown(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        show: &mut Show<'_>,
    ) -> Poll<Result<(), Status>>;
}

/// A slot whose type is forgotten.
pub type BoxSlot = Pin<Box<dyn Slot>>;

/// Who is shown a result: what travels beside it, and the message.
pub type Show<'a> = dyn FnMut(&Metadata, &dyn PackMessage) + 'a;
