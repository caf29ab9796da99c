//! Requests over a carrier of frames.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::limits::Limits;
use crate::pack::packet::ResponseData;

use super::answer::{self, acceptable, response, shape};
use super::frame::{Answer, Frame};
use super::outgoing::{Outgoing, Said};

/// Packs requests and unpacks their responses: makes a service of requests, on
/// which generated clients stand, of a carrier of frames.
///
/// Each request travels under a random guid, and an answer whose body has another
/// one is refused. The carrier is to bring each answer to its request; where it
/// may not, a [`GuidCheckLayer`](super::guid_check::GuidCheckLayer) belongs between.
/// A call waits for the carrier to its own deadline, and without one for ever.
#[derive(Clone, Debug)]
pub struct PackLayer {
    packer: Packer,
    gzip: Option<usize>,
    limits: Limits,
    peer: Arc<str>,
}

impl PackLayer {
    /// Packs as `packer` does. A peer in PHP is called by legacy names, as with
    /// JSON.
    #[must_use]
    pub fn new(packer: Packer) -> Self {
        Self { packer, gzip: None, limits: Limits::default(), peer: "a carrier".into() }
    }

    /// Gzips bodies of at least `bytes` bytes. Default: none.
    #[must_use]
    pub fn gzip_over(self, bytes: usize) -> Self {
        Self { gzip: Some(bytes), ..self }
    }

    /// Bounds on unpacking answers.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What the other end is called in statuses. Default: `a carrier`.
    #[must_use]
    pub fn peer(self, name: impl Into<Arc<str>>) -> Self {
        Self { peer: name.into(), ..self }
    }

    /// The frame of a request, and how it is answered.
    fn pack(&self, request: Request) -> Result<(Frame, PacketKind), Status> {
        let mut outgoing = Outgoing::new(request, Generation::Guid)?;
        if let Some(deadline) = outgoing.deadline {
            let now = Instant::now();
            if deadline.has_passed(now) {
                return Err(Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent"));
            }
            outgoing.expires(deadline, now);
        }
        let guid = Guid::random();
        // PHP looks for it in the body; two Dora ends have it in the frame.
        let within = (self.packer != Packer::Protobuf).then_some(guid);
        let mut body = Vec::new();
        outgoing.write(self.packer.into(), Said { guid: within, can: None }, self.gzip, &mut body)?;
        Ok((Frame::new(guid, body), outgoing.kind))
    }
}

impl<S> Layer<S> for PackLayer {
    type Service = Pack<S>;

    fn layer(&self, inner: S) -> Pack<S> {
        Pack { inner, manner: self.clone() }
    }
}

/// A carrier of frames as a service of requests.
#[derive(Clone, Debug)]
pub struct Pack<S> {
    inner: S,
    manner: PackLayer,
}

impl<S> Service<Request> for Pack<S>
where
    S: Service<Frame, Response: Into<Answer>, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = PackFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.manner.pack(request) {
            Ok((frame, kind)) => {
                let Self { manner: PackLayer { limits, peer, .. }, inner } = self;
                let expected = Expected { guid: frame.guid, kind, limits: *limits, peer: Arc::clone(peer) };
                State::Sent { answer: inner.call(frame), expected }
            }
            Err(status) => {
                State::Failed { status: Some(status.with_peer(Arc::clone(&self.manner.peer)).unsent()) }
            }
        };
        PackFuture { state }
    }
}

pin_project! {
    /// The future of [`Pack`].
    pub struct PackFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Sent { #[pin] answer: F, expected: Expected },
        Failed { status: Option<Status> },
    }
}

/// What is known of an answer before it is there.
#[derive(Clone)]
struct Expected {
    guid: Guid,
    kind: PacketKind,
    limits: Limits,
    peer: Arc<str>,
}

impl<F, A, E> Future for PackFuture<F>
where
    F: Future<Output = Result<A, E>>,
    A: Into<Answer>,
    E: Into<BoxError>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Sent { answer, expected } => {
                let answer = ready!(answer.poll(cx)).map_err(|error| Status::from_error(error.into()))?;
                Poll::Ready(expected.response(answer.into()))
            }
            StateProjection::Failed { status } => {
                let polled_again = || Status::internal("a future was polled after it had ended");
                Poll::Ready(Err(status.take().unwrap_or_else(polled_again)))
            }
        }
    }
}

impl Expected {
    fn response(&self, answer: Answer) -> Result<Response, Status> {
        let (first, later) = answer.into_parts();
        let mode = self.kind.mode();
        let data = self.open(first, acceptable(mode))?;
        match mode {
            Mode::Wait => response(data, self.kind, &self.peer),
            Mode::NoResult => Ok(Response::accepted()),
            Mode::Deferred => Ok(Response::deferred(self.clone().later(later))),
        }
    }

    /// The result of a deferred call, when it comes.
    async fn later(self, later: Option<BoxFuture<Frame>>) -> Result<Response, Status> {
        let none = || Status::unimplemented("the carrier brings no later results");
        let frame = later.ok_or_else(|| none().with_peer(Arc::clone(&self.peer)))?.await?;
        response(self.open(frame, dora_code::OK)?, self.kind, &self.peer)
    }

    fn open(&self, frame: Frame, expected: i64) -> Result<ResponseData, Status> {
        let (guid, shape) = (self.guid, shape(self.kind));
        let expected = answer::Expected { guid, generation: Generation::Guid, shape, code: expected };
        answer::open(frame.body, &expected, &self.limits)
            .map_err(|status| status.with_peer(Arc::clone(&self.peer)))
    }
}
