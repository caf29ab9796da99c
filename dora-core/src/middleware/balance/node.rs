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
use crate::call::response::Response;
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
    pub(super) in_flight: AtomicUsize,
    /// The number, among those of the fleet, of the last call that could not be sent here;
    /// 0 if one was since.
    pub(super) unsent: AtomicU64,
    record: Mutex<Record>,
    begun: Instant,
    slow_start: Duration,
}

/// How it answers.
struct Record {
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
            in_flight: AtomicUsize::new(0),
            unsent: AtomicU64::new(0),
            record: Mutex::new(Record { latency: Latency::new(now), silence: Silence::default() }),
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
        let in_flight = self.in_flight.load(Ordering::Relaxed) as f64;
        let (expected, silent) = {
            let Record { latency, silence } = &*self.record.lock();
            (latency.expected(now), silence.of_waiting(now).as_nanos() as f64)
        };
        // A nanosecond, so that of two of which nothing is known the idle one wins.
        expected.max(silent).max(1.0) * (in_flight + 1.0) / self.share(now)
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

    /// Whether its breaker lets calls through.
    pub(super) fn is_admitted(&self) -> bool {
        self.breaker.as_ref().is_none_or(CircuitBreaker::admits)
    }

    /// The future, of the first of its services that is ready, for the call that `request`
    /// gives. `waker` is woken when one becomes so.
    pub(super) fn start(
        &self,
        waker: &Waker,
        mut request: impl FnMut() -> Request,
    ) -> Result<S::Future, NotNow>
    where
        S: Service<Request, Error: Into<BoxError>>,
    {
        let first = match self.lanes.len() {
            1 => 0,
            _ => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        let mut broken = None;
        let mut waiting = false;
        for lane in self.lanes.iter().cycle().skip(first % self.lanes.len().max(1)).take(self.lanes.len()) {
            let mut service = lane.lock();
            match service.poll_ready(&mut Context::from_waker(waker)) {
                Poll::Ready(Ok(())) => return Ok(service.call(request())),
                Poll::Ready(Err(error)) => broken = Some(Status::from_error(error.into())),
                Poll::Pending => waiting = true,
            }
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

    /// What a call is expected to take.
    pub(super) fn latency(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.record.lock().latency.expected(now) as u64)
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
    /// When it began; taken once it is known how it ended.
    begun: Option<Instant>,
    /// What tells the breaker how it went.
    cover: Option<Cover>,
}

impl<S> InFlight<S> {
    pub(super) fn new(node: Arc<Node<S>>, begun: Instant, cover: Option<Cover>) -> Self {
        node.in_flight.fetch_add(1, Ordering::Relaxed);
        node.record.lock().silence.began(begun);
        Self { node, begun: Some(begun), cover }
    }

    pub(super) fn node(&self) -> &Arc<Node<S>> {
        &self.node
    }

    /// The instance has answered, or failed to.
    pub(super) fn ended(&mut self, result: Result<Response, Status>) -> Result<Response, Status> {
        if let Some(begun) = self.begun.take() {
            self.note(result.as_ref().err(), begun, Instant::now());
        }
        match self.cover.take() {
            Some(cover) => cover.watch(result),
            None => result,
        }
    }

    fn note(&self, error: Option<&Status>, begun: Instant, now: Instant) {
        let Record { latency, silence } = &mut *self.node.record.lock();
        match error {
            Some(error) if is_silent(error) => silence.given_up(now),
            _ => silence.answered(now),
        }
        let took = now.saturating_duration_since(begun);
        match error.map(health) {
            None | Some(BreakerOutcome::Success) => latency.succeeded(took, now),
            Some(BreakerOutcome::Ignored) => {}
            Some(BreakerOutcome::Failure) => latency.failed(took.max(PENALTY), now),
        }
    }
}

/// Whether nothing came from the instance: the time of the call was over.
fn is_silent(error: &Status) -> bool {
    error.code() == Code::DeadlineExceeded && matches!(error.origin(), Origin::Local | Origin::Connection)
}

impl<S> Drop for InFlight<S> {
    fn drop(&mut self) {
        self.node.in_flight.fetch_sub(1, Ordering::Relaxed);
        // Its caller has given it up: a timeout around the fleet, a hedge that another
        // instance has won. How long it would have taken nobody knows, but not less than
        // the instance has been silent; else one that hangs would seem as quick as it was.
        let Some(begun) = self.begun else { return };
        let now = Instant::now();
        let silent = {
            let Record { latency, silence } = &mut *self.node.record.lock();
            let silent = silence.length(now);
            silence.given_up(now);
            latency.observe_at_least(silent.max(now.saturating_duration_since(begun)), now);
            silent
        };
        if let Some(cover) = self.cover.take()
            && silent >= PENALTY
        {
            cover.not_answered();
        }
    }
}
