//! Where logs go, and the span of a call.
//!
//! A call pays for its span only while somebody listens: one comparison tells
//! that nobody does, and all else stands in functions of its own.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::span::Entered;
use tracing::{Level, Span, debug_span};

use super::body::Body;
use super::mode::Mode;
use super::request::Request;
use super::response::{Deferred, Reply, Response};
use super::status::Status;

// Filters name these targets, and the docs list them: they are no module paths,
// which move.

/// What happens to a server, beside its calls.
pub(crate) const SERVER: &str = "dora::server";
/// What happens to a client's connections.
pub(crate) const CLIENT: &str = "dora::client";
/// The spans of calls that are served.
const SERVED: &str = "dora::server::call";
/// The spans of calls that are made.
const MADE: &str = "dora::client::call";

/// Whether anybody might listen at `level`. Who does may still listen to others
/// alone.
#[inline]
pub(crate) fn listens(level: Level) -> bool {
    level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
}

/// A call that has a span. It ends with the call; dropped before, it says that the
/// call was given up.
#[derive(Debug)]
pub(crate) struct CallSpan {
    span: Span,
    begun: Instant,
}

/// The span of the call that a request makes, for whoever learns more about it on
/// its way: to whom it goes, and packed as what. What a trace's context would be
/// read from, to travel in the metadata.
#[derive(Clone, Debug)]
pub(crate) struct Making(Span);

impl Making {
    /// The span of the call that `request` makes, if it has one.
    #[inline]
    pub(crate) fn of<T>(request: &Request<T>) -> Option<Self> {
        if listens(Level::DEBUG) { request.head().extensions().get().cloned() } else { None }
    }

    /// Notes to whom the call goes, and what it is packed as.
    pub(crate) fn goes(&self, peer: &str, packing: impl Display) {
        self.0.record("peer", peer).record("packing", display(packing));
    }
}

impl CallSpan {
    /// The span of a call or batch that is made here.
    #[inline]
    pub(crate) fn make(request: &mut Request) -> Option<Box<Self>> {
        if listens(Level::DEBUG) { Self::made(request) } else { None }
    }

    /// The span of a call that is served here, once it is known which method it is.
    /// What a trace's context would be taken from is the request's metadata.
    #[inline]
    pub(crate) fn serve(request: &Request) -> Option<Box<Self>> {
        if listens(Level::DEBUG) { Self::served(request) } else { None }
    }

    #[cold]
    fn made(request: &mut Request) -> Option<Box<Self>> {
        let mode = word(request.mode());
        let span = match request.body() {
            Body::Batch(calls) => debug_span!(
                target: MADE, "batch", calls = calls.len(), mode, peer = Empty, packing = Empty,
                code = Empty, raw_code = Empty, failed = Empty, duration_us = Empty
            ),
            _ => debug_span!(
                target: MADE, "call", method = %request.method(), mode, peer = Empty, packing = Empty,
                code = Empty, raw_code = Empty, duration_us = Empty
            ),
        };
        let call = Self::begin(span)?;
        request.head_mut().extensions_mut().insert(Making(call.span.clone()));
        Some(call)
    }

    #[cold]
    fn served(request: &Request) -> Option<Box<Self>> {
        // In this process the call may run in a task of its own by now, away from
        // whoever made it.
        let making = Making::of(request);
        let _within = making.as_ref().map(|making| making.0.enter());
        let span = debug_span!(
            target: SERVED, "serve", method = %request.method(), called_as = Empty,
            mode = word(request.mode()), peer = %request.head().peer(), packing = Empty,
            code = Empty, raw_code = Empty, duration_us = Empty
        );
        if request.called_as() != request.method() {
            span.record("called_as", display(request.called_as()));
        }
        if let Body::Packed(packed) = request.body() {
            span.record("packing", display(packed.packer));
        }
        Self::begin(span)
    }

    fn begin(span: Span) -> Option<Box<Self>> {
        // Of the levels alone it could not be told.
        if span.is_disabled() {
            return None;
        }
        Some(Box::new(Self { span, begun: Instant::now() }))
    }

    /// Events are the call's as long as the guard is there.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.span.enter()
    }

    /// The call has ended so. A result that comes later takes the span along.
    pub(crate) fn end(mut self: Box<Self>, result: Result<Response, Status>) -> Result<Response, Status> {
        match result.as_ref().map(Response::body) {
            Ok(Reply::Deferred(_)) => return result.map(|response| response.map(|reply| self.later(reply))),
            Ok(Reply::Batch(results)) => {
                let failed = results.iter().filter(|(_, result)| result.is_err()).count();
                self.span.record("failed", failed);
                self.finish("Ok");
            }
            Ok(_) => self.finish("Ok"),
            Err(status) => {
                self.span.record("raw_code", status.raw_code());
                self.finish(status.code());
            }
        }
        result
    }

    fn later(self: Box<Self>, reply: Reply) -> Reply {
        match reply {
            Reply::Deferred(later) => Reply::Deferred(Deferred::new(Traced::new(self, later))),
            reply => reply,
        }
    }

    fn finish(&mut self, code: impl Display) {
        let span = std::mem::replace(&mut self.span, Span::none());
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        span.record("code", display(code)).record("duration_us", micros);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if !self.span.is_none() {
            self.finish("Cancelled");
        }
    }
}

/// A mode, as it stands in logs.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Wait => "wait",
        Mode::NoResult => "no_result",
        Mode::Deferred => "deferred",
    }
}

pin_project! {
    /// A call that runs in its span: each poll of it, and what is dropped with it.
    pub(crate) struct Traced<F> {
        #[pin]
        future: Option<F>,
        call: Option<Box<CallSpan>>,
    }

    impl<F> PinnedDrop for Traced<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.call.as_ref().map(|call| call.enter());
            this.future.set(None);
        }
    }
}

impl<F> Traced<F> {
    pub(crate) const fn new(call: Box<CallSpan>, future: F) -> Self {
        Self { future: Some(future), call: Some(call) }
    }
}

impl<F: Future<Output = Result<Response, Status>>> Future for Traced<F> {
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
        };
        let entered = this.call.as_ref().map(|call| call.enter());
        let result = ready!(future.poll(cx));
        this.future.set(None);
        drop(entered);
        Poll::Ready(match this.call.take() {
            Some(call) => call.end(result),
            None => result,
        })
    }
}
