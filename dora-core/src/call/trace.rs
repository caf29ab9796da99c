//! Where logs go, the span of a call, and who carries its trace on.
//!
//! A call pays for its span only while somebody listens: one comparison tells
//! that nobody does, and all else stands in functions of its own.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::span::Entered;
use tracing::{Level, Span, debug_span};

use super::body::Body;
use super::code::Code;
use super::head::RequestHead;
use super::metadata::Metadata;
use super::mode::Mode;
use super::origin::Peer;
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

/// Who carries traces from process to process, where spans have the ids of another system,
/// such as OpenTelemetry's SDK: see [`set_propagator`].
pub trait Propagator: Send + Sync + 'static {
    /// A call, or a batch, is made in `span`: puts what continues its trace into the
    /// metadata.
    fn inject(&self, span: &Span, metadata: &mut Metadata);

    /// A call is served: makes `span`, which nobody has entered yet, a part of the trace
    /// that the metadata says.
    fn extract(&self, metadata: &Metadata, span: &Span);
}

/// There is a propagator already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a propagator already")]
pub struct PropagatorSet;

static PROPAGATOR: OnceLock<Box<dyn Propagator>> = OnceLock::new();

/// Has `propagator` carry on the traces of all calls of this program whose spans somebody
/// listens to. The guide's chapter on [logging](https://docs.rs/dora-rpc/latest/dora/guide/logging)
/// shows one for `tracing-opentelemetry`.
///
/// ```
/// use dora::Metadata;
/// use dora::trace::{Propagator, set_propagator};
/// use tracing::Span;
///
/// struct ByName;
///
/// impl Propagator for ByName {
///     fn inject(&self, span: &Span, metadata: &mut Metadata) {
///         let name = span.metadata().map_or("disabled", |span| span.name());
///         metadata.insert("caller-span", name);
///     }
///
///     fn extract(&self, metadata: &Metadata, span: &Span) {
///         span.record("parent_span_id", metadata.get("caller-span"));
///     }
/// }
///
/// assert!(set_propagator(ByName).is_ok());
/// assert!(set_propagator(ByName).is_err(), "there is one");
/// ```
///
/// # Errors
/// There is one already.
pub fn set_propagator(propagator: impl Propagator) -> Result<(), PropagatorSet> {
    PROPAGATOR.set(Box::new(propagator)).map_err(|_| PropagatorSet)
}

/// A call that has a span. It ends with the call; dropped before, it says that the
/// call was given up.
#[derive(Debug)]
pub(crate) struct CallSpan {
    span: Span,
    begun: Instant,
    end: End,
}

/// Which end a span is of: they differ in what is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// The span of the call that a request makes, for whoever learns more about it on
/// its way: to whom it goes, and packed as what.
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
        let (address, port) = parts(peer);
        self.0.record("server.address", address).record("server.port", port);
        self.0.record("packing", display(packing));
    }
}

impl CallSpan {
    /// The span of a call or batch that is made here.
    #[inline]
    pub(crate) fn make(request: &mut Request) -> Option<Box<Self>> {
        if listens(Level::DEBUG) { Self::made(request) } else { None }
    }

    /// The span of a call that is served here, once it is known which method it is.
    #[inline]
    pub(crate) fn serve(request: &Request) -> Option<Box<Self>> {
        if listens(Level::DEBUG) { Self::served(request) } else { None }
    }

    #[cold]
    fn made(request: &mut Request) -> Option<Box<Self>> {
        let (mode, method) = (word(request.mode()), method(request.head()));
        let span = match request.body() {
            Body::Batch(calls) => debug_span!(
                target: MADE, "batch", calls = calls.len(), mode, packing = Empty, failed = Empty,
                otel.kind = "client", otel.status_code = Empty, rpc.system.name = SYSTEM,
                rpc.response.status_code = Empty, raw_code = Empty, error.type = Empty,
                server.address = Empty, server.port = Empty, duration_us = Empty,
                trace_id = Empty, span_id = Empty, parent_span_id = Empty
            ),
            _ => debug_span!(
                target: MADE, "call", rpc.method = %method, mode, packing = Empty, otel.name = %method, otel.kind = "client", otel.status_code = Empty,
                rpc.system.name = SYSTEM, rpc.response.status_code = Empty, raw_code = Empty,
                error.type = Empty, server.address = Empty, server.port = Empty, duration_us = Empty,
                trace_id = Empty, span_id = Empty, parent_span_id = Empty
            ),
        };
        let call = Self::begin(span, End::Client)?;
        if let Some(propagator) = PROPAGATOR.get() {
            propagator.inject(&call.span, request.metadata_mut());
        }
        request.head_mut().extensions_mut().insert(Making(call.span.clone()));
        Some(call)
    }

    #[cold]
    fn served(request: &Request) -> Option<Box<Self>> {
        // In this process the call may run in a task of its own by now, away from
        // whoever made it.
        let making = Making::of(request);
        let _within = making.as_ref().map(|making| making.0.enter());
        let method = method(request.head());
        let span = debug_span!(
            target: SERVED, "serve", rpc.method = %method, rpc.method_original = Empty,
            mode = word(request.mode()), packing = Empty,
            otel.name = %method, otel.kind = "server", otel.status_code = Empty,
            rpc.system.name = SYSTEM, rpc.response.status_code = Empty, raw_code = Empty,
            error.type = Empty, network.peer.address = Empty, network.peer.port = Empty,
            duration_us = Empty, trace_id = Empty, span_id = Empty, parent_span_id = Empty
        );
        if request.called_as() != request.method() {
            span.record("rpc.method_original", display(request.called_as()));
        }
        if let Body::Packed(packed) = request.body() {
            span.record("packing", display(packed.packer));
        }
        match request.head().peer() {
            Peer::Tcp(address) => {
                span.record("network.peer.address", display(address.ip()));
                span.record("network.peer.port", address.port());
            }
            peer => {
                span.record("network.peer.address", display(peer));
            }
        }
        if let (None, Some(propagator)) = (making.as_ref(), PROPAGATOR.get()) {
            propagator.extract(request.metadata(), &span);
        }
        Self::begin(span, End::Server)
    }

    fn begin(span: Span, end: End) -> Option<Box<Self>> {
        // Of the levels alone it could not be told.
        if span.is_disabled() {
            return None;
        }
        Some(Box::new(Self { span, begun: Instant::now(), end }))
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
                self.fail(status.code());
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

    fn fail(&mut self, code: Code) {
        self.span.record("error.type", display(code));
        if self.end == End::Client || is_servers_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        self.finish(code);
    }

    fn finish(&mut self, code: impl Display) {
        let span = std::mem::replace(&mut self.span, Span::none());
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        span.record("rpc.response.status_code", display(code)).record("duration_us", micros);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if !self.span.is_none() {
            self.fail(Code::Cancelled);
        }
    }
}

/// What calls are made by, as OpenTelemetry's conventions name it.
const SYSTEM: &str = "dora";

/// The method as those conventions write it, `package.Service/Method`; of one that nobody
/// has declared, the name as it was sent.
fn method(head: &RequestHead) -> Cow<'static, str> {
    match head.descriptor() {
        Some(method) => method.path().trim_start_matches('/').into(),
        None => head.method().to_string().into(),
    }
}

/// Whether a code says that the server failed, and not its caller: the conventions mark
/// the server's span as an error by that, as they do for gRPC.
const fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// Host and port of an endpoint's address; of what has no port, all of it.
pub(crate) fn parts(peer: &str) -> (&str, Option<u16>) {
    let port = peer.rsplit_once(':').and_then(|(host, port)| Some((host, Some(port.parse().ok()?))));
    port.unwrap_or((peer, None))
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
