//! Circuits that many calls share, and those who look at them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::name::MethodName;
use crate::call::status::Status;
use crate::sync::{Mutex, RwLock};

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
    /// The instance of a fleet, if the breaker is that of one.
    pub instance: Option<Arc<str>>,
    /// The method, where each has a circuit of its own.
    pub method: Option<MethodName>,
    /// The state that was left.
    pub from: BreakerState,
    /// The state since.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

pub(in crate::middleware) type OnChange = Arc<dyn Fn(&BreakerChange) + Send + Sync>;

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
    about: Arc<About>,
    /// The one of all methods, or of those that have none of their own.
    common: Arc<Circuit>,
    /// `None`: they share the one.
    methods: Option<RwLock<HashMap<MethodName, Arc<Circuit>, foldhash::fast::RandomState>>>,
}

/// What all circuits of a breaker have in common.
struct About {
    policy: Arc<BreakerPolicy>,
    /// Whose it is, in a fleet.
    instance: Option<Arc<str>>,
    on_change: Option<OnChange>,
}

/// One circuit.
struct Circuit {
    about: Arc<About>,
    method: Option<MethodName>,
    machine: Mutex<Machine>,
}

impl CircuitBreaker {
    /// A breaker with one circuit for all methods.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self::with(Arc::new(policy), None, false, None)
    }

    /// A breaker of an instance of a fleet, or of a service.
    pub(in crate::middleware) fn with(
        policy: Arc<BreakerPolicy>,
        instance: Option<Arc<str>>,
        per_method: bool,
        on_change: Option<OnChange>,
    ) -> Self {
        let about = Arc::new(About { policy, instance, on_change });
        let common = Circuit::new(None, &about);
        let methods = per_method.then(RwLock::default);
        Self(Arc::new(Shared { about, common, methods }))
    }

    /// Its state; where each method has a circuit of its own, that of the one which is
    /// the furthest from closed.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        let states = self.circuits().into_iter().map(|circuit| circuit.machine.lock().state());
        states.max_by_key(|state| state.severity()).unwrap_or(BreakerState::Closed)
    }

    /// The state of a method's circuit, by the method's canonical path; of a method
    /// that was not called yet, where each has a circuit, how it will begin.
    #[must_use]
    pub fn state_of(&self, method: &MethodName) -> BreakerState {
        self.known(method).machine.lock().state()
    }

    /// Whether a call that is made now would be let through: of any method that was
    /// called, where each has a circuit of its own.
    #[must_use]
    pub fn admits(&self) -> bool {
        let now = Instant::now();
        let admits = |circuit: &Arc<Circuit>| circuit.machine.lock().admits(now);
        let methods = self.0.methods.as_ref();
        admits(&self.0.common) && methods.is_none_or(|methods| methods.read().values().all(admits))
    }

    /// Whether a call of this method that is made now would be let through.
    #[must_use]
    pub fn admits_method(&self, method: &MethodName) -> bool {
        self.known(method).machine.lock().admits(Instant::now())
    }

    /// All its circuits.
    fn circuits(&self) -> Vec<Arc<Circuit>> {
        let mut circuits = vec![Arc::clone(&self.0.common)];
        if let Some(methods) = &self.0.methods {
            circuits.extend(methods.read().values().cloned());
        }
        circuits
    }

    /// The circuit of a method; the common one if it has none of its own.
    fn known(&self, method: &MethodName) -> Arc<Circuit> {
        let own = self.0.methods.as_ref().and_then(|methods| methods.read().get(method).cloned());
        own.unwrap_or_else(|| Arc::clone(&self.0.common))
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
        for circuit in self.circuits() {
            let step = circuit.machine.lock().force(hold, Instant::now());
            circuit.tell(step);
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

    /// Asks for leave to make a call, which begins now and ends at `deadline`.
    pub(super) fn acquire(
        &self,
        call: &RequestHead,
        deadline: Option<Deadline>,
        begun: Instant,
    ) -> Result<Permit, Status> {
        let circuit = self.circuit(call);
        let (leave, step) = circuit.machine.lock().acquire(begun);
        circuit.tell(step);
        match leave {
            Ok(ticket) => Ok(Permit { circuit, ticket: Some(ticket), begun, deadline }),
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
            let circuit = Circuit::new(Some(call.method().clone()), &self.0.about);
            if held.is_some() {
                circuit.machine.lock().force(held, Instant::now());
            }
            circuit
        });
        Arc::clone(circuit)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Circuit {
    fn new(method: Option<MethodName>, about: &Arc<About>) -> Arc<Self> {
        let machine = Mutex::new(Machine::new(Arc::clone(&about.policy), Instant::now()));
        Arc::new(Self { about: Arc::clone(about), method, machine })
    }

    /// Outside of the lock: what hears of it may ask for the state. A panic of it is not
    /// the call's that brought the change.
    fn tell(&self, step: Option<Step>) {
        let Some((from, to, cause)) = step else { return };
        let (instance, method) = (&self.about.instance, &self.method);
        tracing::info!(
            target: "dora::breaker",
            instance = instance.as_deref(),
            method = method.as_ref().map(MethodName::as_str),
            ?from,
            ?to,
            ?cause,
            "circuit"
        );
        if let Some(on_change) = &self.about.on_change {
            let change =
                BreakerChange { instance: instance.clone(), method: method.clone(), from, to, cause };
            if catch_unwind(AssertUnwindSafe(|| on_change(&change))).is_err() {
                tracing::error!(target: "dora::breaker", "what hears of a breaker's changes has panicked");
            }
        }
    }
}

/// Leave to make a call. Dropped without a result, it counts for nothing, unless
/// the call's deadline has passed: then a layer outside of the breaker ended it.
pub(in crate::middleware) struct Permit {
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
            Err(status) => self.circuit.about.policy.outcome(status),
        }
    }

    /// Tells how the call went that has ended now, or each call of the batch.
    pub(super) fn record(mut self, outcomes: &[BreakerOutcome], now: Instant) {
        self.give_back(outcomes, now);
    }

    /// Tells that all of so many calls went alike.
    pub(super) fn record_alike(self, outcome: BreakerOutcome, calls: usize, now: Instant) {
        match calls {
            0 | 1 => self.record(&[outcome], now),
            calls => self.record(&vec![outcome; calls], now),
        }
    }

    fn give_back(&mut self, outcomes: &[BreakerOutcome], now: Instant) {
        let Some(ticket) = self.ticket.take() else { return };
        // Asked for by few policies, and by none for each call.
        let slow = self.circuit.about.policy.slow.is_some();
        let took = if slow { now.saturating_duration_since(self.begun) } else { Duration::ZERO };
        let step = self.circuit.machine.lock().finish(ticket, outcomes, took, now);
        self.circuit.tell(step);
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

#[cfg(test)]
#[path = "circuit_model.rs"]
mod model;
