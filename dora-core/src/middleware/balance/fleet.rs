//! Many instances of the same services, called as one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::Service;
use tower::discover::Discover;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::breaker::circuit::{BreakerState, CircuitBreaker};
use crate::middleware::breaker::policy::BreakerPolicy;

use super::choose::{Balance, Chooser};
use super::dispatch::waker;
use super::future::FleetFuture;
use super::node::Node;
use super::updates::follow;

/// Many instances of the same services, called as one: for each call one is chosen.
/// Usable wherever a channel is, by generated clients, in batches, under layers.
/// Cheap to clone.
///
/// An instance that is down, draining or behind an open breaker is not chosen while
/// there is another, and a call that surely never left its instance goes to the next
/// one. What may have run is not made again: that is for a
/// [`RetryLayer`](crate::middleware::retry::service::RetryLayer) around the fleet, which
/// knows what is safe; its next try goes to another instance.
///
/// While no instance is ready, calls wait, up to their deadline (which is, where neither
/// they nor their methods say, what the endpoints have as their timeout); or until an
/// attempt to reach each of them, made since, has failed. If the fleet is known
/// to be empty they fail at once, with PHP's code 100010 and `Code::Unavailable`.
///
/// ```
/// use dora::{Code, Fleet};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Fleet::builder().connect_lazy(["127.0.0.1:1", "127.0.0.1:2"])?;
/// assert_eq!(fleet.instances().len(), 2);
///
/// let error = fleet.dynamic().call("/user/get", 7).await.expect_err("nothing listens there");
/// assert_eq!(error.code(), Code::Unavailable);
/// assert!(error.is_unsent());
/// # Ok(())
/// # }
/// ```
pub struct Fleet<S>(pub(super) Arc<Shared<S>>);

pub(super) struct Shared<S> {
    /// `None` before anything was heard.
    pub(super) nodes: ArcSwapOption<Vec<Arc<Node<S>>>>,
    pub(super) chooser: Chooser,
    /// An instance became ready, came or went.
    pub(super) changed: Arc<Notify>,
    /// Notifies of it.
    pub(super) ready: Waker,
    /// Calls that could not be sent to an instance, and why the last one could not.
    pub(super) unsent: AtomicU64,
    pub(super) last_unsent: Mutex<Option<Status>>,
    pub(super) settings: FleetBuilder,
}

/// An instance of a fleet as it is at a moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Instance {
    /// Its name: of a fleet of channels the address, as it was given.
    pub name: Arc<str>,
    /// Its weight.
    pub weight: u32,
    /// Calls on their way.
    pub in_flight: usize,
    /// What its answers take of late, the slow ones counting most; zero before the
    /// first one.
    pub latency: Duration,
    /// The state of its circuit breaker, where there is one.
    pub breaker: Option<BreakerState>,
}

/// How a fleet treats its instances.
#[derive(Clone, Debug)]
pub struct FleetBuilder {
    balance: Balance,
    pub(super) breaker: Option<BreakerPolicy>,
    pub(super) most_ejected: f64,
    slow_start: Duration,
}

impl FleetBuilder {
    /// Chooses by this. Default: [`Balance::PowerOfTwo`].
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// Gives each instance a circuit breaker of this policy; `None` gives it none.
    /// Default: [`BreakerPolicy::new`].
    #[must_use]
    pub fn breaker(mut self, policy: impl Into<Option<BreakerPolicy>>) -> Self {
        self.breaker = policy.into();
        self
    }

    /// The share of the instances that breakers may hold back at the same time. If more
    /// of them fail, the fault is hardly theirs: calls then go to all of them. Default:
    /// 0.5.
    ///
    /// # Panics
    /// `share` is not from 0 to 1.
    #[must_use]
    pub fn most_ejected(mut self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "a share of the instances is from 0 to 1, not {share}");
        self.most_ejected = share;
        self
    }

    /// For how long the calls of an instance that has come grow, from a tenth of its
    /// share to all of it. Default: 10 s. Zero gives it all at once.
    #[must_use]
    pub fn slow_start(mut self, time: Duration) -> Self {
        self.slow_start = time;
        self
    }

    /// A fleet of these instances: names and services. They need no slow start.
    ///
    /// Name a channel as its endpoint is called (`host:port`): so an error names where a
    /// call failed, and a layer that tries again finds another instance by that name.
    pub fn instances<K, S>(self, instances: impl IntoIterator<Item = (K, S)>) -> Fleet<S>
    where
        K: Into<InstanceKey>,
    {
        let began = Self { slow_start: Duration::ZERO, ..self.clone() };
        let nodes = instances.into_iter().map(|(key, service)| began.node(key.into(), service));
        let nodes = nodes.collect();
        Fleet(Arc::new(Shared::new(self, Some(nodes))))
    }

    /// A fleet whose instances come and go as `changes` says ([`Discover`] is any stream
    /// of [`Change`](tower::discover::Change)s), in a task that ends with the stream or
    /// with the fleet.
    ///
    /// Calls wait for the first instance, up to their deadline, or 3 s. An instance that is
    /// removed keeps the calls that it has; one that is inserted again under its name is
    /// replaced. A failure of the stream is logged, and changes nothing.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn discover<D>(self, changes: D) -> Fleet<D::Service>
    where
        D: Discover<Key = InstanceKey, Error: Into<BoxError>> + Send + 'static,
        D::Service: Send + 'static,
    {
        let shared = Arc::new(Shared::new(self, None));
        tokio::spawn(follow(Arc::downgrade(&shared), changes));
        Fleet(shared)
    }

    pub(super) fn node<S>(&self, key: InstanceKey, service: S) -> Arc<Node<S>> {
        let breaker = self.breaker.clone().map(CircuitBreaker::new);
        Arc::new(Node::new(key, service, breaker, self.slow_start))
    }
}

impl Default for FleetBuilder {
    fn default() -> Self {
        Self {
            balance: Balance::default(),
            breaker: Some(BreakerPolicy::new()),
            most_ejected: 0.5,
            slow_start: Duration::from_secs(10),
        }
    }
}

/// The name of an instance, and what share of the calls it gets. Names tell instances
/// apart, weights do not.
#[derive(Clone, Debug)]
pub struct InstanceKey {
    pub(super) name: Arc<str>,
    pub(super) weight: u32,
}

impl InstanceKey {
    /// Gets so many times the calls of an instance of weight 1. Default: 1.
    ///
    /// # Panics
    /// `weight` is 0: an instance that shall get no calls is none of the fleet.
    #[must_use]
    pub fn with_weight(self, weight: u32) -> Self {
        assert!(weight > 0, "instance {}: a weight is at least 1", self.name);
        Self { weight, ..self }
    }
}

impl<N: Into<Arc<str>>> From<N> for InstanceKey {
    fn from(name: N) -> Self {
        Self { name: name.into(), weight: 1 }
    }
}

impl PartialEq for InstanceKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for InstanceKey {}

/// For one call, in its extensions: the instance of this name and no other (what mode 2
/// of PHP's client does). The call fails if the fleet has none of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned(pub Arc<str>);

impl<S> Fleet<S> {
    /// The instances of this moment.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        let now = Instant::now();
        let nodes = self.0.nodes.load();
        let nodes = nodes.iter().flat_map(|nodes| nodes.iter());
        nodes
            .map(|node| Instance {
                name: Arc::clone(&node.name),
                weight: node.weight,
                in_flight: node.in_flight.load(Ordering::Relaxed),
                latency: node.latency(now),
                breaker: node.breaker.as_ref().map(CircuitBreaker::state),
            })
            .collect()
    }
}

impl Fleet<()> {
    /// How a fleet treats its instances; its last step makes the fleet.
    #[must_use]
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }
}

impl<S> Shared<S> {
    fn new(settings: FleetBuilder, nodes: Option<Vec<Arc<Node<S>>>>) -> Self {
        let changed = Arc::default();
        Self {
            nodes: ArcSwapOption::new(nodes.map(Arc::new)),
            chooser: Chooser::new(settings.balance.clone()),
            ready: waker(&changed),
            changed,
            unsent: AtomicU64::new(0),
            last_unsent: Mutex::default(),
            settings,
        }
    }
}

impl<S> Clone for Fleet<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.instances().into_iter().map(|instance| instance.name);
        f.debug_tuple("Fleet").field(&names.collect::<Vec<_>>()).finish()
    }
}

impl<S> Service<Request> for Fleet<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = FleetFuture<S>;

    /// Always ready: which instance must be is known with the call, and waited for as a
    /// part of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> FleetFuture<S> {
        FleetFuture::new(Arc::clone(&self.0), request)
    }
}
