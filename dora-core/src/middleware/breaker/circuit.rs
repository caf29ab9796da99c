//! Circuits that many calls share, and those who look at them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::name::MethodName;
use crate::call::status::Status;

pub use super::machine::{BreakerCause, BreakerState};
use super::machine::{Hold, Machine, Refusal, Step, Ticket};
use super::policy::{BreakerOutcome, BreakerPolicy};

/// Circuits of their own that a breaker keeps, where each method has one: what a
/// program calls by name may come from outside, and must not grow without end.
/// Methods beyond these share one circuit.
const MOST_METHODS: usize = 1_024;

/// A circuit went from one state to another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BreakerChange {
    /// The method, where each has a circuit of its own.
    pub method: Option<MethodName>,
    /// The state that was left.
    pub from: BreakerState,
    /// The state since.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

pub(super) type OnChange = Arc<dyn Fn(&BreakerChange) + Send + Sync>;

/// The circuit, or circuits, of one service: to look at, and to hold open or
/// closed by hand. Cheap to clone; all clones are the same breaker.
///
/// ```
/// use dora::{BreakerPolicy, BreakerState, CircuitBreaker};
///
/// let breaker = CircuitBreaker::new(BreakerPolicy::new());
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// breaker.force_open(); // maintenance: no call passes
/// assert!(!breaker.admits());
/// breaker.automatic();
/// assert!(breaker.admits());
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Shared>);

struct Shared {
    policy: Arc<BreakerPolicy>,
    /// The one of all methods, or of those that have none of their own.
    common: Arc<Circuit>,
    /// `None`: they share the one.
    methods: Option<RwLock<HashMap<MethodName, Arc<Circuit>, foldhash::fast::RandomState>>>,
    on_change: Option<OnChange>,
}

/// One circuit.
struct Circuit {
    method: Option<MethodName>,
    machine: Mutex<Machine>,
}

impl CircuitBreaker {
    /// A breaker with one circuit for all methods.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self::with(Arc::new(policy), false, None)
    }

    pub(super) fn with(policy: Arc<BreakerPolicy>, per_method: bool, on_change: Option<OnChange>) -> Self {
        let common = Circuit::new(None, &policy);
        Self(Arc::new(Shared { policy, common, methods: per_method.then(RwLock::default), on_change }))
    }

    /// Its state; where each method has a circuit of its own, that of the methods
    /// which were not called yet.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.0.common.machine.lock().state()
    }

    /// The state of a method's circuit, by the method's canonical path.
    #[must_use]
    pub fn state_of(&self, method: &MethodName) -> BreakerState {
        let Some(methods) = &self.0.methods else { return self.state() };
        methods.read().get(method).map_or_else(|| self.state(), |circuit| circuit.machine.lock().state())
    }

    /// Whether a call that is made now would be let through: of any method, where
    /// each has a circuit of its own.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.0.common.machine.lock().admits(Instant::now())
    }

    /// Refuses all calls until [`automatic`](Self::automatic) is called.
    pub fn force_open(&self) {
        self.force(Some(Hold::Open));
    }

    /// Lets all calls through, however they end, until
    /// [`automatic`](Self::automatic) is called.
    pub fn force_closed(&self) {
        self.force(Some(Hold::Closed));
    }

    /// Judges calls again, with nothing held against the service so far.
    pub fn automatic(&self) {
        self.force(None);
    }

    fn force(&self, hold: Option<Hold>) {
        let mut circuits = vec![Arc::clone(&self.0.common)];
        if let Some(methods) = &self.0.methods {
            circuits.extend(methods.read().values().cloned());
        }
        for circuit in circuits {
            let step = circuit.machine.lock().force(hold, Instant::now());
            self.tell(&circuit, step);
        }
    }

    /// Methods that have a circuit of their own.
    #[cfg(test)]
    pub(super) fn methods(&self) -> usize {
        self.0.methods.as_ref().map_or(0, |methods| methods.read().len())
    }

    pub(super) fn is_per_method(&self) -> bool {
        self.0.methods.is_some()
    }

    /// Asks for leave to make a call, which ends at `deadline`.
    pub(super) fn acquire(&self, call: &RequestHead, deadline: Option<Deadline>) -> Result<Permit, Status> {
        let circuit = self.circuit(call);
        let begun = Instant::now();
        let (leave, step) = circuit.machine.lock().acquire(begun);
        self.tell(&circuit, step);
        match leave {
            Ok(ticket) => {
                Ok(Permit { breaker: self.clone(), circuit, ticket: Some(ticket), begun, deadline })
            }
            Err(refusal) => Err(refused(circuit.method.as_ref(), refusal, begun)),
        }
    }

    fn circuit(&self, call: &RequestHead) -> Arc<Circuit> {
        let Some(methods) = &self.0.methods else { return Arc::clone(&self.0.common) };
        if let Some(circuit) = methods.read().get(call.method()) {
            return Arc::clone(circuit);
        }
        let mut methods = methods.write();
        if methods.len() >= MOST_METHODS && !methods.contains_key(call.method()) {
            return Arc::clone(&self.0.common);
        }
        let held = self.0.common.machine.lock().held();
        let circuit = methods.entry(call.method().clone()).or_insert_with(|| {
            let circuit = Circuit::new(Some(call.method().clone()), &self.0.policy);
            if held.is_some() {
                circuit.machine.lock().force(held, Instant::now());
            }
            circuit
        });
        Arc::clone(circuit)
    }

    /// Outside of the lock: what hears of it may ask for the state.
    fn tell(&self, circuit: &Circuit, step: Option<Step>) {
        let Some((from, to, cause)) = step else { return };
        match &circuit.method {
            Some(method) => tracing::info!(target: "dora::breaker", %method, ?from, ?to, ?cause, "circuit"),
            None => tracing::info!(target: "dora::breaker", ?from, ?to, ?cause, "circuit"),
        }
        if let Some(on_change) = &self.0.on_change {
            on_change(&BreakerChange { method: circuit.method.clone(), from, to, cause });
        }
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Circuit {
    fn new(method: Option<MethodName>, policy: &Arc<BreakerPolicy>) -> Arc<Self> {
        Arc::new(Self { method, machine: Mutex::new(Machine::new(Arc::clone(policy), Instant::now())) })
    }
}

/// Leave to make a call. Dropped without a result, it counts for nothing, unless
/// the call's deadline has passed: then a layer outside of the breaker ended it.
pub(in crate::middleware) struct Permit {
    breaker: CircuitBreaker,
    circuit: Arc<Circuit>,
    ticket: Option<Ticket>,
    begun: Instant,
    deadline: Option<Deadline>,
}

impl Permit {
    /// What the end of a call says.
    pub(super) fn outcome<T>(&self, result: Result<T, &Status>) -> BreakerOutcome {
        match result {
            Ok(_) => BreakerOutcome::Success,
            Err(status) => self.breaker.0.policy.outcome(status),
        }
    }

    /// Tells how the call went, or each call of the batch.
    pub(super) fn record(mut self, outcomes: &[BreakerOutcome]) {
        self.give_back(outcomes, Instant::now());
    }

    /// Tells that all of so many calls went alike.
    pub(super) fn record_alike(self, outcome: BreakerOutcome, calls: usize) {
        match calls {
            0 | 1 => self.record(&[outcome]),
            calls => self.record(&vec![outcome; calls]),
        }
    }

    fn give_back(&mut self, outcomes: &[BreakerOutcome], now: Instant) {
        let Some(ticket) = self.ticket.take() else { return };
        let took = now.saturating_duration_since(self.begun);
        let step = self.circuit.machine.lock().finish(ticket, outcomes, took, now);
        self.breaker.tell(&self.circuit, step);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let now = Instant::now();
        let late = self.deadline.is_some_and(|deadline| deadline.has_passed(now));
        self.give_back(&[if late { BreakerOutcome::Failure } else { BreakerOutcome::Ignored }], now);
    }
}

fn refused(method: Option<&MethodName>, refusal: Refusal, now: Instant) -> Status {
    let of = method.map(|method| format!(" of {method}")).unwrap_or_default();
    let why = match refusal {
        Refusal::Open { until, cause } => {
            let wait = rounded(until.saturating_duration_since(now));
            format!("the circuit breaker{of} is open for another {wait:?}: {cause}")
        }
        Refusal::Probing => format!("the circuit breaker{of} is half open, and its probes are on their way"),
        Refusal::Forced => format!("the circuit breaker{of} is held open by hand"),
    };
    Status::unavailable(why).unsent()
}

/// Whole milliseconds: nobody reads the rest.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
