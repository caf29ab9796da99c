//! The client's end of a connection: what generated clients call through.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::Service;

use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::kept;
use crate::call::mode::PacketKind;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::call::trace::Making;
use crate::carry::answer::unexpected;
use crate::carry::outgoing::Outgoing;
use crate::pack::envelope::Shape;
use crate::pack::message::open;
use crate::pack::packet::{Call, Calls, RequestPacket, ResponseData};
use crate::pack::value::Value;
use crate::sync::spawn;

use super::deadlines::watch;
use super::driver::drive;
use super::endpoint::Endpoint;
use super::exchange::Exchange;
use super::future::CallFuture;
use super::link::Link;
use super::observed::ChannelStats;
use super::outgoing::{default_deadline, outgoing};
use super::readiness::Pass;
use super::state::ChannelState;

/// A multiplexed connection to one server, made when it is needed and made anew
/// when it was lost. Cheap to clone; all clones share the connection, and it is
/// closed when the last one is gone.
///
/// What shares a connection waits for each other: behind large answers a small one comes
/// milliseconds later. Each `connect` or `connect_lazy` of an [`Endpoint`] is a connection
/// of its own, so calls that may not wait get a channel beside the one for large ones:
///
/// ```
/// use dora::Endpoint;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dora::Status> {
/// let endpoint = Endpoint::new("users.internal:9567")?;
/// let lookups = endpoint.clone().connect_lazy()?;
/// let exports = endpoint.connect_lazy()?;
/// # drop((lookups, exports));
/// # Ok(())
/// # }
/// ```
///
/// As a tower service it is not ready while it is in doubt whether the server is
/// there: after an attempt to connect has failed, a call waits until the next one has
/// ended, which is made for it, and is told if that failed too. Before the server has
/// answered, each clone gets one call for each attempt. So a balancer, which has one
/// clone, loses no more than that to a server that is gone, and takes others meanwhile.
/// [`state`](Self::state) and [`in_flight`](Self::in_flight) say how it is.
///
/// ```
/// use dora::{Channel, Endpoint, Status, Value, value};
///
/// /// Connected once, cloned wherever calls are made.
/// async fn name_of(channel: &Channel, id: i64) -> Result<Value, Status> {
///     let user = channel.dynamic().call("/user/get", value!({ "id" => id })).await?;
///     user.get("name").cloned().ok_or_else(|| Status::not_found(format!("user {id} has no name")))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nothing listens there: each call says so, and the next one tries again.
/// let channel = Endpoint::new("127.0.0.1:1")?.connect_lazy()?;
/// let error = name_of(&channel, 7).await.expect_err("no server");
/// assert_eq!(error.code(), dora::Code::Unavailable);
/// assert_eq!(channel.in_flight(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Channel {
    pub(super) handle: Arc<Handle>,
    /// This clone's own.
    pass: Pass,
}

pub(super) struct Handle {
    pub(super) link: Arc<Link>,
    /// One call at a time, where answers may be without a guid.
    turn: Option<Arc<Semaphore>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.abandon();
    }
}

/// A clone waits and calls for itself.
impl Clone for Channel {
    fn clone(&self) -> Self {
        kept::say_default(self.handle.link.endpoint.timeout);
        Self { handle: Arc::clone(&self.handle), pass: Pass::default() }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.handle.link.leave(&mut self.pass);
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
        spawn(drive(Arc::clone(&link)));
        spawn(watch(Arc::clone(&link)));
        Self { handle: Arc::new(Handle { link, turn }), pass: Pass::default() }
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    /// `Code::Unavailable`: it cannot be made.
    pub(crate) async fn ready(&self) -> Result<(), Status> {
        self.handle.link.connected().await
    }

    pub(super) fn link(&self) -> &Link {
        &self.handle.link
    }

    /// Whether one call is made at a time.
    pub(super) fn takes_turns(&self) -> bool {
        self.handle.turn.is_some()
    }

    /// The server's address, as it was given.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.handle.link.peer
    }

    /// How the connection is at this moment.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.handle.link.state()
    }

    /// Answers that are waited for at this moment: a deferred call counts until
    /// its result is there.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.handle.link.in_flight()
    }

    /// Answers that came for no waiting call.
    #[must_use]
    pub fn dropped_answers(&self) -> DroppedAnswers {
        let (late, unknown) = self.handle.link.dropped_answers();
        DroppedAnswers { late, unknown }
    }

    /// What has happened beside its calls since the channel was made.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        self.handle.link.observed.stats()
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
        let deadline = Deadline::after(self.handle.link.endpoint.timeout);
        let outgoing = Outgoing::of(packet, deadline);
        let turn = self.turn(deadline).await?;
        let mut exchange = Exchange::begin(Arc::clone(&self.handle), outgoing, turn).await?;
        match exchange.first(Shape::Value, dora_code::OK).await? {
            ResponseData::Value(value) => open(value),
            _ => Err(unexpected(&self.handle.link.peer)),
        }
    }

    /// Waits for this call's turn, where calls must take turns.
    async fn turn(&self, deadline: Deadline) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let Some(turn) = &self.handle.turn else { return Ok(None) };
        let permit = tokio::time::timeout_at(deadline.instant(), Arc::clone(turn).acquire_owned()).await;
        match permit {
            // Never closed.
            Ok(permit) => Ok(permit.ok()),
            Err(_) => {
                let status = Status::raw(dora_code::TIMEOUT, "other calls took until the deadline");
                Err(self.handle.link.status(status).unsent())
            }
        }
    }

    async fn in_turn(self, request: Request) -> Result<Response, Status> {
        let link = &self.handle.link;
        let making = Making::of(&request);
        let mut outgoing = outgoing(request, link)?;
        outgoing.note(making, link);
        let deadline = outgoing.deadline.unwrap_or_else(|| default_deadline(link, Instant::now()));
        outgoing.deadline = Some(deadline);
        let kind = outgoing.kind;
        let turn = self.turn(deadline).await?;
        Exchange::begin(Arc::clone(&self.handle), outgoing, turn).await?.response(kind).await
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let ready = self.handle.link.poll_ready(&mut self.pass, cx.waker()).map(Ok);
        if ready.is_pending() {
            kept::say_default(self.handle.link.endpoint.timeout);
        }
        ready
    }

    fn call(&mut self, request: Request) -> CallFuture {
        self.handle.link.spend(&mut self.pass);
        kept::say_default(self.handle.link.endpoint.timeout);
        match self.handle.turn {
            Some(_) => {
                let kept = self.handle.link.keeps_deadlines();
                let channel = self.clone();
                CallFuture::in_turn(request, kept, |request| Box::pin(channel.in_turn(request)))
            }
            None => CallFuture::new(Arc::clone(&self.handle), request),
        }
    }
}
