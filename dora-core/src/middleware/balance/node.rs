//! One instance of a fleet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tower::Service;

use crate::call::code::Code;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::{BoxError, Origin, Status};
use crate::call::tried_peers::TriedPeers;
use crate::middleware::breaker::circuit::CircuitBreaker;
use crate::middleware::breaker::cover::Cover;
use crate::middleware::breaker::policy::{BreakerOutcome, health};

use super::choose::hash;
use super::instance::InstanceKey;
use super::latency::Latency;
use super::silence::Silence;

/// What a failed call counts as having taken, at least: an instance that refuses
/// quickly must not look quick. One that is silent for so long has failed those that are
/// given up.
const PENALTY: Duration = Duration::from_secs(1);

/// What a new instance's weight starts from.
const FIRST_SHARE: f64 = 0.1;

/// One instance of a fleet. Calls in flight keep it when it has left the fleet.
pub(super) struct Node<S> {
    pub(super) name: Arc<str>,
    /// Of the name, for choosing by hash.
    pub(super) hash: u64,
    pub(super) weight: u32,
    /// Its connections, which take calls in turn. One clone of each for all calls: what
    /// is remembered of a clone, such as that it may try an endpoint in doubt, is so for
    /// the fleet.
    lanes: Box<[Mutex<S>]>,
    turn: AtomicUsize,
    /// How its errors call it, where that is not its name.
    alias: Mutex<Option<Arc<str>>>,
    pub(super) breaker: Option<CircuitBreaker>,
    /// The number, among those of the fleet, of the last call that could not be sent here;
    /// 0 if one was since.
    pub(super) unsent: AtomicU64,
    record: Mutex<Record>,
    begun: Instant,
    slow_start: Duration,
}

/// How it answers. One lock for all that each call changes.
struct Record {
    /// Calls on their way, those that were accepted and have a later result included.
    in_flight: usize,
    latency: Latency,
    silence: Silence,
}

impl<S> Node<S> {
    pub(super) fn new(
        key: InstanceKey,
        services: Vec<S>,
        breaker: Option<CircuitBreaker>,
        slow_start: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            hash: hash(key.name.as_bytes()),
            name: key.name,
            weight: key.weight,
            lanes: services.into_iter().map(Mutex::new).collect(),
            turn: AtomicUsize::new(0),
            alias: Mutex::default(),
            breaker,
            unsent: AtomicU64::new(0),
            record: Mutex::new(Record {
                in_flight: 0,
                latency: Latency::new(now),
                silence: Silence::default(),
            }),
            begun: now,
            slow_start,
        }
    }

    /// Its services, for another node.
    pub(super) fn services(&self) -> Vec<S>
    where
        S: Clone,
    {
        self.lanes.iter().map(|lane| lane.lock().clone()).collect()
    }

    /// What one more call costs here: less is better.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let (in_flight, expected, silent) = {
            let Record { in_flight, latency, silence } = &*self.record.lock();
            (*in_flight, latency.expected(now), silence.of_waiting(now).as_nanos() as f64)
        };
        // A nanosecond, so that of two of which nothing is known the idle one wins.
        expected.max(silent).max(1.0) * (in_flight as f64 + 1.0) / self.share(now)
    }

    /// Its weight; of one that has just come only a part, which grows.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let weight = f64::from(self.weight);
        let age = now.saturating_duration_since(self.begun);
        if age >= self.slow_start {
            return weight;
        }
        weight * (age.as_secs_f64() / self.slow_start.as_secs_f64()).max(FIRST_SHARE)
    }

    /// One of its calls was sent.
    pub(super) fn was_reached(&self) {
        // Looked at first: what all cores write they wait for.
        if self.unsent.load(Ordering::Relaxed) != 0 {
            self.unsent.store(0, Ordering::Relaxed);
        }
    }

    /// Whether its breaker lets calls through.
    pub(super) fn is_admitted(&self) -> bool {
        self.breaker.as_ref().is_none_or(CircuitBreaker::admits)
    }

    /// The future, of the first of its services that is ready, for a copy of `request`.
    /// `waker` is woken when one becomes so.
    #[inline]
    pub(super) fn start(&self, waker: &Waker, request: &Request) -> Result<S::Future, NotNow>
    where
        S: Service<Request, Error: Into<BoxError>>,
    {
        let mut left = self.lanes.len();
        let mut next = match left {
            1 => 0,
            lanes => self.turn.fetch_add(1, Ordering::Relaxed) % lanes.max(1),
        };
        let (mut broken, mut waiting) = (None, false);
        while let Some(lane) = self.lanes.get(next).filter(|_| left > 0) {
            let mut service = lane.lock();
            match service.poll_ready(&mut Context::from_waker(waker)) {
                Poll::Ready(Ok(())) => return Ok(service.call(request.in_place())),
                Poll::Ready(Err(error)) => broken = Some(Status::from_error(error.into())),
                Poll::Pending => waiting = true,
            }
            left -= 1;
            next = if next + 1 == self.lanes.len() { 0 } else { next + 1 };
        }
        match broken {
            Some(status) if !waiting => Err(NotNow::Broken(status)),
            _ => Err(NotNow::Waiting),
        }
    }

    /// Whether `peers` has it, by its name or by what its errors call it.
    pub(super) fn is_among(&self, peers: &TriedPeers) -> bool {
        peers.contains(&self.name) || self.alias.lock().as_deref().is_some_and(|alias| peers.contains(alias))
    }

    /// Remembers what the error of one of its calls called it.
    pub(super) fn is_called(&self, peer: &str) {
        if peer == &*self.name {
            return;
        }
        let mut alias = self.alias.lock();
        if alias.as_deref() != Some(peer) {
            *alias = Some(peer.into());
        }
    }

    /// Calls on their way, and what one is expected to take.
    pub(super) fn load(&self, now: Instant) -> (usize, Duration) {
        let Record { in_flight, latency, .. } = &*self.record.lock();
        (*in_flight, Duration::from_nanos(latency.expected(now) as u64))
    }
}

/// Why an instance takes no call.
pub(super) enum NotNow {
    /// It is not ready yet.
    Waiting,
    /// Its breaker refuses.
    HeldBack,
    /// It will not be ready again.
    Broken(Status),
}

/// A call that an instance has in flight.
pub(super) struct InFlight<S> {
    node: Arc<Node<S>>,
    begun: Instant,
    stage: Stage,
    /// What tells the breaker how it went, until it has.
    cover: Option<Cover>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its answer is awaited.
    Awaited,
    /// The instance has answered, or failed to.
    Over,
}

/// A call that was accepted, and whose result comes later.
struct Accepted<S>(Arc<Node<S>>);

impl<S> Drop for Accepted<S> {
    fn drop(&mut self) {
        self.0.record.lock().in_flight -= 1;
    }
}

impl<S> InFlight<S> {
    pub(super) fn new(node: Arc<Node<S>>, begun: Instant, cover: Option<Cover>) -> Self {
        {
            let Record { in_flight, silence, .. } = &mut *node.record.lock();
            *in_flight += 1;
            silence.began(begun);
        }
        Self { node, begun, stage: Stage::Awaited, cover }
    }

    pub(super) fn node(&self) -> &Arc<Node<S>> {
        &self.node
    }

    /// The instance has answered, or failed to. A result that comes later keeps the call in
    /// flight.
    pub(super) fn ended(&mut self, result: &mut Result<Response, Status>)
    where
        S: Send + 'static,
    {
        let now = Instant::now();
        self.note(result.as_ref().err(), now);
        if let Some(cover) = self.cover.take() {
            cover.watch(result, now);
        }
        if let Ok(response) = result
            && matches!(response.body(), Reply::Deferred(_))
        {
            self.accepted(response);
        }
    }

    #[cold]
    fn accepted(&self, response: &mut Response)
    where
        S: Send + 'static,
    {
        self.node.record.lock().in_flight += 1;
        let accepted = Accepted(Arc::clone(&self.node));
        response.body_mut().wrap_later(|later| async move {
            let result = later.await;
            drop(accepted);
            result
        });
    }

    fn note(&mut self, error: Option<&Status>, now: Instant) {
        self.stage = Stage::Over;
        let Record { in_flight, latency, silence } = &mut *self.node.record.lock();
        *in_flight -= 1;
        match error {
            Some(error) if is_silent(error) => silence.given_up(now),
            _ => silence.answered(now),
        }
        let took = now.saturating_duration_since(self.begun);
        match error.map(health) {
            None | Some(BreakerOutcome::Success) => latency.succeeded(took, now),
            Some(BreakerOutcome::Ignored) => {}
            Some(BreakerOutcome::Failure) => latency.failed(took.max(PENALTY), now),
        }
    }

    /// Its caller has given it up: a timeout around the fleet, a hedge that another
    /// instance has won. How long it would have taken nobody knows, but not less than
    /// the instance has been silent; else one that hangs would seem as quick as it was.
    fn given_up(&mut self) {
        let now = Instant::now();
        let silent = {
            let Record { in_flight, latency, silence } = &mut *self.node.record.lock();
            *in_flight -= 1;
            let silent = silence.length(now);
            silence.given_up(now);
            latency.observe_at_least(silent.max(now.saturating_duration_since(self.begun)), now);
            silent
        };
        if let Some(cover) = self.cover.take()
            && silent >= PENALTY
        {
            cover.not_answered(now);
        }
    }
}

impl<S> Drop for InFlight<S> {
    fn drop(&mut self) {
        if self.stage == Stage::Awaited {
            self.given_up();
        }
    }
}

/// Whether nothing came from the instance: the time of the call was over.
fn is_silent(error: &Status) -> bool {
    error.code() == Code::DeadlineExceeded && matches!(error.origin(), Origin::Local | Origin::Connection)
}
