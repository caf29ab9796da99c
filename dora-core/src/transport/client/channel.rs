//! The client's end of a connection: what generated clients call through.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use crate::call::BoxFuture;
use crate::call::batch::{BatchRequest, BatchResponse, BatchResults};
use crate::call::body::{Body, Deferred};
use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{Origin, Status};
use crate::pack::envelope::Shape;
use crate::pack::message::open;
use crate::pack::packet::{Call, CallKey, CallResult, Calls, RequestPacket, ResponseData};
use crate::pack::value::Value;

use super::driver::drive;
use super::endpoint::Endpoint;
use super::exchange::{accept, call_of, send};
use super::link::Link;
use super::multiplex::Ticket;

/// A multiplexed connection to one server, made when it is needed and made anew
/// when it was lost. Cheap to clone; all clones share the connection, and it is
/// closed when the last one is gone.
#[derive(Clone)]
pub struct Channel(Arc<Handle>);

struct Handle {
    link: Arc<Link>,
    /// One call at a time, where answers may be without a guid.
    turn: Option<Arc<Semaphore>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.abandon();
    }
}

/// Answers that were dropped: nobody was given another caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedAnswers {
    /// To calls that were cancelled or timed out.
    pub late: u64,
    /// To guids that this end never sent.
    pub unknown: u64,
}

impl Channel {
    /// A channel of `endpoint`; its connection is not made yet. Must be called
    /// within a tokio runtime.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let turn = endpoint.is_serial().then(|| Arc::new(Semaphore::new(1)));
        let link = Arc::new(Link::new(endpoint));
        tokio::spawn(drive(Arc::clone(&link)));
        Self(Arc::new(Handle { link, turn }))
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    /// `Code::Unavailable`: it cannot be made.
    pub(crate) async fn ready(&self) -> Result<(), Status> {
        self.0.link.connected().await
    }

    /// The server's address: `host:port`.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.0.link.peer
    }

    /// Answers that came for no waiting call.
    #[must_use]
    pub fn dropped_answers(&self) -> DroppedAnswers {
        let (late, unknown) = self.0.link.dropped_answers();
        DroppedAnswers { late, unknown }
    }

    /// Runs a control command of the server: `getStat` or `reloadTask`.
    ///
    /// # Errors
    /// The server refuses it (it answers control commands only where it was told
    /// to), or the call fails as any other.
    pub async fn control(&self, command: &str) -> Result<Value, Status> {
        let param = Body::message(Value::Array(Default::default()));
        let packet = RequestPacket {
            kind: PacketKind::Control,
            calls: Calls::One(Call::new(command.to_owned(), param)),
            ..RequestPacket::default()
        };
        let deadline = self.deadline(None);
        let turn = self.turn(deadline).await?;
        let mut exchange = Exchange::begin(self, packet, Some(deadline), turn).await?;
        match exchange.first(Shape::Value, dora_code::OK).await? {
            ResponseData::Value(value) => open(value),
            _ => Err(exchange.unexpected()),
        }
    }

    fn deadline(&self, deadline: Option<Deadline>) -> Deadline {
        deadline.unwrap_or_else(|| Deadline::after(self.0.link.endpoint.timeout))
    }

    /// Waits for this call's turn, where calls must take turns.
    async fn turn(&self, deadline: Deadline) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let Some(turn) = &self.0.turn else { return Ok(None) };
        let permit = tokio::time::timeout_at(deadline.instant(), Arc::clone(turn).acquire_owned()).await;
        match permit {
            // Never closed.
            Ok(permit) => Ok(permit.ok()),
            Err(_) => {
                let status = Status::raw(dora_code::TIMEOUT, "other calls took until the deadline");
                Err(self.0.link.status(status).unsent())
            }
        }
    }

    /// The kind of a packet for this server, where its generation has a word for it.
    fn kind(&self, mode: Mode, multi: bool) -> Result<PacketKind, Status> {
        let link = &self.0.link;
        let generation = link.endpoint.generation;
        PacketKind::calls_of(generation, mode, multi).ok_or_else(|| {
            let message = format!("the {generation:?} generation of Dora-RPC has no deferred results");
            Status::unimplemented(message).with_peer(Arc::clone(&link.peer)).unsent()
        })
    }

    fn single(&self, mut request: Request) -> Result<(RequestPacket, Option<Deadline>), Status> {
        let deadline = request.deadline();
        let packet = RequestPacket {
            kind: self.kind(request.head().mode, false)?,
            metadata: std::mem::take(request.metadata_mut()),
            calls: Calls::One(call_of(request, self.0.link.endpoint.packer)),
            ..RequestPacket::default()
        };
        Ok((packet, deadline))
    }

    async fn in_turn(self, request: Request) -> Result<Response, Status> {
        let (packet, deadline) = self.single(request)?;
        let mode = packet.kind.mode();
        let deadline = self.deadline(deadline);
        let turn = self.turn(deadline).await?;
        let mut exchange = Exchange::begin(&self, packet, Some(deadline), turn).await?;
        let data = exchange.first(Shape::One, acceptable(mode)).await?;
        exchange.finish(data, mode)
    }

    async fn send_batch(self, batch: BatchRequest) -> Result<BatchResponse, Status> {
        let BatchRequest { calls, mode, deadline, metadata } = batch;
        let count = calls.len();
        if count == 0 {
            return Err(Status::invalid_argument("a batch of no calls"));
        }
        let packer = self.0.link.endpoint.packer;
        let numbered = (0..).map(CallKey::Int).zip(calls.into_iter().map(|call| call_of(call, packer)));
        let packet = RequestPacket {
            kind: self.kind(mode, true)?,
            calls: Calls::Many(numbered.collect()),
            metadata,
            ..RequestPacket::default()
        };
        let deadline = self.deadline(deadline);
        let turn = self.turn(deadline).await?;
        let mut exchange = Exchange::begin(&self, packet, Some(deadline), turn).await?;
        match mode {
            Mode::Wait => {
                let data = exchange.first(Shape::Many, dora_code::OK).await?;
                exchange.results(data, count).map(BatchResponse::Results)
            }
            Mode::NoResult => {
                exchange.first(Shape::Many, dora_code::ACCEPTED).await?;
                Ok(BatchResponse::Accepted)
            }
            Mode::Deferred => {
                exchange.first(Shape::Many, dora_code::ACCEPTED).await?;
                Ok(BatchResponse::Deferred(Box::pin(async move {
                    let data = exchange.second(Shape::Many).await?;
                    exchange.results(data, count)
                })))
            }
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.peer())
    }
}

impl Service<Request> for Channel {
    type Response = Response;
    type Error = Status;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> CallFuture {
        let state = if self.0.turn.is_some() {
            State::Turn { future: Box::pin(self.clone().in_turn(request)) }
        } else {
            State::Unsent { channel: self.clone(), request }
        };
        CallFuture { state }
    }
}

impl Service<BatchRequest> for Channel {
    type Response = BatchResponse;
    type Error = Status;
    type Future = BoxFuture<BatchResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: BatchRequest) -> Self::Future {
        Box::pin(self.clone().send_batch(batch))
    }
}

/// The future of one call through a [`Channel`]. Dropping it gives the call up;
/// an answer that still comes is dropped and counted.
pub struct CallFuture {
    state: State,
}

enum State {
    Unsent { channel: Channel, request: Request },
    Waiting { exchange: Exchange, mode: Mode },
    Turn { future: BoxFuture<Response> },
    Ended,
}

impl Future for CallFuture {
    type Output = Result<Response, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Turn { future } => return future.as_mut().poll(cx),
            State::Ended => return Poll::Ready(Err(polled_again())),
            State::Unsent { .. } => {}
            State::Waiting { exchange, mode } => {
                let data = ready!(exchange.poll(Shape::One, acceptable(*mode), cx.waker()));
                let State::Waiting { exchange, mode } = std::mem::replace(&mut self.state, State::Ended)
                else {
                    return Poll::Ready(Err(polled_again()));
                };
                return Poll::Ready(data.and_then(|data| exchange.finish(data, mode)));
            }
        }
        // Sent at the first poll, when there is somebody to wake.
        let State::Unsent { channel, request } = std::mem::replace(&mut self.state, State::Ended) else {
            return Poll::Ready(Err(polled_again()));
        };
        let (packet, deadline) = channel.single(request)?;
        let mode = packet.kind.mode();
        let exchange = Exchange::send(channel.0, packet, deadline, None, cx.waker())?;
        self.state = State::Waiting { exchange, mode };
        Poll::Pending
    }
}

/// The code of a first answer that is none of an error.
const fn acceptable(mode: Mode) -> i64 {
    match mode {
        Mode::Wait => dora_code::OK,
        Mode::NoResult | Mode::Deferred => dora_code::ACCEPTED,
    }
}

fn polled_again() -> Status {
    Status::internal("a future was polled after it had ended")
}

/// A packet that was sent, and the place where its answers arrive.
struct Exchange {
    handle: Arc<Handle>,
    ticket: Ticket,
    progress: Progress,
    turn: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Sent,
    /// The first answer is there: what still comes has a guid of its own.
    Answered,
    /// The last answer is there, and the place given back.
    Done,
}

impl Exchange {
    async fn begin(
        channel: &Channel,
        packet: RequestPacket,
        deadline: Option<Deadline>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, Status> {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        Self::send(Arc::clone(&channel.0), packet, deadline, turn, &waker)
    }

    fn send(
        handle: Arc<Handle>,
        packet: RequestPacket,
        deadline: Option<Deadline>,
        turn: Option<OwnedSemaphorePermit>,
        waker: &Waker,
    ) -> Result<Self, Status> {
        let ticket = send(&handle.link, packet, deadline, waker)?;
        Ok(Self { handle, ticket, progress: Progress::Sent, turn })
    }

    fn poll(&mut self, shape: Shape, expected: i64, waker: &Waker) -> Poll<Result<ResponseData, Status>> {
        let link = &self.handle.link;
        let (answer, last) = ready!(link.poll_answer(&self.ticket, waker));
        self.progress = if last { Progress::Done } else { Progress::Answered };
        self.turn = None;
        Poll::Ready(answer.and_then(|body| accept(link, &self.ticket, body, shape, expected)))
    }

    async fn first(&mut self, shape: Shape, expected: i64) -> Result<ResponseData, Status> {
        poll_fn(|cx| self.poll(shape, expected, cx.waker())).await
    }

    /// The later result of a deferred packet.
    async fn second(&mut self, shape: Shape) -> Result<ResponseData, Status> {
        let result = self.first(shape, dora_code::OK).await;
        result.map_err(|status| match (status.origin(), status.code()) {
            (Origin::Connection, Code::Unavailable) => status.with_raw_code(dora_code::RESULT_LOST),
            _ => status,
        })
    }

    /// The response of a single call, from its first answer.
    fn finish(self, data: ResponseData, mode: Mode) -> Result<Response, Status> {
        match (mode, data) {
            (Mode::Wait, ResponseData::One(result)) => result.map_err(|status| self.about(status)),
            (Mode::Wait, _) => Err(self.unexpected()),
            (Mode::NoResult, _) => Ok(Response::new(Body::message(Value::Null))),
            (Mode::Deferred, _) => Ok(Response::new(Body::Deferred(Deferred::new(Box::pin(self.later()))))),
        }
    }

    async fn later(mut self) -> Result<Response, Status> {
        match self.second(Shape::One).await? {
            ResponseData::One(result) => result.map_err(|status| self.about(status)),
            _ => Err(self.unexpected()),
        }
    }

    /// The results of a batch in the order of its calls.
    fn results(&self, data: ResponseData, count: usize) -> Result<BatchResults, Status> {
        let ResponseData::Many(results) = data else { return Err(self.unexpected()) };
        let mut ordered: Vec<Option<CallResult>> = Vec::new();
        ordered.resize_with(count, || None);
        for (key, result) in results {
            let place = match key {
                CallKey::Int(index) => usize::try_from(index).ok(),
                CallKey::Str(_) => None,
            };
            if let Some(place) = place.and_then(|index| ordered.get_mut(index)) {
                *place = Some(result.map_err(|status| self.about(status)));
            }
        }
        let missing = || Err(self.about(Status::data_loss("the answer has no result for this call")));
        Ok(ordered.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }

    fn about(&self, status: Status) -> Status {
        status.with_peer(Arc::clone(&self.handle.link.peer))
    }

    fn unexpected(&self) -> Status {
        let status = Status::data_loss("the answer has no result").with_origin(Origin::Server);
        self.about(status)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.progress != Progress::Done {
            let link = &self.handle.link;
            link.close(&self.ticket, self.progress == Progress::Sent && link.endpoint.is_serial());
        }
    }
}
