//! How a fleet treats its instances and calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower::discover::Discover;

use crate::call::status::{BoxError, Status};
use crate::discovery::record::InstanceRecord;
use crate::discovery::watch::Watch;
use crate::middleware::breaker::circuit::{BreakerChange, CircuitBreaker, OnChange};
use crate::middleware::breaker::policy::BreakerPolicy;
use crate::middleware::hedge::policy::HedgePolicy;
use crate::middleware::retry::policy::RetryPolicy;

use super::balancer::Balancer;
use super::choose::Balance;
use super::fleet::Fleet;
use super::followed::{Followed, follow_watch};
use super::instance::InstanceKey;
use super::node::Node;
use super::updates::follow;

/// How a fleet treats its instances and calls. Each part can be set, or left out.
///
/// ```
/// use std::time::Duration;
///
/// use dora::{Balance, BreakerPolicy, Fleet, HedgePolicy, RetryPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dora::Status> {
/// let fleet = Fleet::builder()
///     .retry(RetryPolicy::new().attempts(2)) // `None`: no retries
///     .hedge(HedgePolicy::at_quantile(0.95)) // by default none
///     .balance(Balance::RoundRobin)
///     .breaker(BreakerPolicy::new().open_for(Duration::from_secs(2))) // `None`: no breakers
///     .connections(2)
///     .connect_lazy(["10.0.2.15:9567", "10.0.2.16:9567"])?;
/// # drop(fleet);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FleetBuilder {
    pub(super) retry: Option<RetryPolicy>,
    pub(super) hedge: Option<HedgePolicy>,
    pub(super) balance: Balance,
    breaker: Option<Arc<BreakerPolicy>>,
    on_breaker_change: OnBreakerChange,
    pub(super) most_ejected: f64,
    slow_start: Duration,
    connections: usize,
    warm_up: bool,
}

/// Who hears of breakers' changes.
#[derive(Clone, Default)]
struct OnBreakerChange(Option<OnChange>);

impl fmt::Debug for OnBreakerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "somebody" } else { "nobody" })
    }
}

impl FleetBuilder {
    /// Tries calls again by this policy; `None` does not, for a fleet under a
    /// [`RetryLayer`](crate::middleware::retry::service::RetryLayer) with other layers in
    /// between. Default: [`RetryPolicy::new`].
    #[must_use]
    pub fn retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        self.retry = policy.into();
        self
    }

    /// Makes another try of an idempotent call beside one that is slow, on another
    /// instance, by this policy. Its hedges are of the retries' budget, unless it has been
    /// given one. Default: none.
    #[must_use]
    pub fn hedge(mut self, policy: impl Into<Option<HedgePolicy>>) -> Self {
        self.hedge = policy.into();
        self
    }

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
        self.breaker = policy.into().map(Arc::new);
        self
    }

    /// Calls `function` after each change of an instance's breaker, on the thread of the call
    /// that brought it. A panic of it is logged. Default: nobody; each change is logged under
    /// `dora::breaker` in any case.
    ///
    /// ```
    /// use dora::Fleet;
    ///
    /// let builder = Fleet::builder().on_breaker_change(|change| {
    ///     println!("{:?}: {:?} -> {:?}, {}", change.instance, change.from, change.to, change.cause);
    /// });
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn on_breaker_change(mut self, function: impl Fn(&BreakerChange) + Send + Sync + 'static) -> Self {
        self.on_breaker_change = OnBreakerChange(Some(Arc::new(function)));
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

    /// Connections to each endpoint, which share its calls. Default: 1, which multiplexes
    /// all calls, and is the quickest until one core is not enough for it. Each is closed
    /// when it was idle for the time of its endpoint's `idle_timeout`, and made again when it
    /// is needed.
    ///
    /// # Panics
    /// `connections` is 0.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        assert!(connections > 0, "an instance has at least one connection");
        self.connections = connections;
        self
    }

    /// Connects to an endpoint as soon as it is of the fleet, in place of with its first
    /// call: the first calls of a program, or of an instance that has come, then wait for no
    /// connection. Default: not.
    #[must_use]
    pub fn warm_up(mut self) -> Self {
        self.warm_up = true;
        self
    }

    /// A fleet of these instances: names and services. They need no slow start. Services
    /// under the same name are as many connections of one instance.
    pub fn instances<K, S>(self, instances: impl IntoIterator<Item = (K, S)>) -> Fleet<S>
    where
        K: Into<InstanceKey>,
    {
        self.of(instances.into_iter().map(|(key, service)| (key.into(), vec![service])))
    }

    /// A fleet of these instances, with the services that are the connections of each.
    pub(crate) fn of<S>(self, instances: impl IntoIterator<Item = (InstanceKey, Vec<S>)>) -> Fleet<S> {
        let mut known: Vec<(InstanceKey, Vec<S>)> = Vec::new();
        for (key, services) in instances {
            match known.iter_mut().find(|(other, _)| *other == key) {
                Some((_, lanes)) => lanes.extend(services),
                None => known.push((key, services)),
            }
        }
        let began = Self { slow_start: Duration::ZERO, ..self.clone() };
        let nodes = known.into_iter().map(|(key, services)| began.node(key, services));
        let nodes = nodes.collect();
        Fleet::new(Balancer::new(self, Some(nodes)))
    }

    /// A fleet whose instances come and go as `changes` says ([`Discover`] is any stream
    /// of [`Change`](tower::discover::Change)s), in a task that ends with the stream or
    /// with the fleet. With all that other fleets have: retries, breakers, and so on.
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
        self.discover_with(changes, |service| Ok(vec![service]))
    }

    /// The same, where `connect` makes the services of an instance.
    pub(crate) fn discover_with<D, S>(
        self,
        changes: D,
        connect: impl Fn(D::Service) -> Result<Vec<S>, Status> + Send + 'static,
    ) -> Fleet<S>
    where
        D: Discover<Key = InstanceKey, Error: Into<BoxError>> + Send + 'static,
        D::Service: Send + 'static,
        S: Send + 'static,
    {
        let balancer = Balancer::new(self, None);
        tokio::spawn(follow(Arc::downgrade(balancer.shared()), changes, connect));
        Fleet::new(balancer)
    }

    /// A fleet of the instances that `watch` sees, in a task that ends with the fleet.
    /// `connect` makes the services of one, which are its connections; an instance that it
    /// refuses is logged and passed over.
    ///
    /// Calls wait for the first list, as in [`discover`](Self::discover). An instance whose
    /// record changed keeps its services; a later run at the same address gets new ones.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn follow<S>(
        self,
        watch: Watch,
        connect: impl FnMut(&InstanceRecord) -> Result<Vec<S>, Status> + Send + 'static,
    ) -> Fleet<S>
    where
        S: Clone + Send + 'static,
    {
        let (followed, ended) = Followed::new(&watch);
        let balancer = Balancer::following(self, followed);
        tokio::spawn(follow_watch(Arc::downgrade(balancer.shared()), watch, connect, ended));
        Fleet::new(balancer)
    }

    /// How many connections an endpoint has, and whether they are made at once.
    pub(crate) fn connecting(&self) -> (usize, bool) {
        (self.connections, self.warm_up)
    }

    pub(super) fn node<S>(&self, key: InstanceKey, services: Vec<S>) -> Arc<Node<S>> {
        let breaker = self.breaker.clone().map(|policy| {
            let on_change = self.on_breaker_change.0.clone();
            CircuitBreaker::with(policy, Some(Arc::clone(&key.name)), false, on_change)
        });
        Arc::new(Node::new(key, services, breaker, self.slow_start))
    }
}

impl Default for FleetBuilder {
    fn default() -> Self {
        Self {
            retry: Some(RetryPolicy::new()),
            hedge: None,
            balance: Balance::default(),
            breaker: Some(Arc::new(BreakerPolicy::new())),
            on_breaker_change: OnBreakerChange::default(),
            most_ejected: 0.5,
            slow_start: Duration::from_secs(10),
            connections: 1,
            warm_up: false,
        }
    }
}
