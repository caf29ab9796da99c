//! Many instances of the same services, called as one.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::discovery::watch::DirectoryStatus;
use crate::middleware::hedge::policy::HedgePolicy;
use crate::middleware::hedge::service::Hedge;
use crate::middleware::retry::policy::RetryPolicy;
use crate::middleware::retry::service::{Retry, RetryFuture};

use super::balancer::Balancer;
use super::builder::FleetBuilder;
use super::followed::Followed;
use super::instance::Instance;

/// Many instances of the same services, called as one, with all that keeps calls going
/// while instances do not: for each try an instance is chosen, each has a circuit breaker,
/// and what failed is tried again on another one, where that is safe. Usable wherever a
/// channel is, by generated clients, in batches, under layers. Cheap to clone, and a type
/// that fits into a field: `UsersClient<Fleet<Channel>>`.
///
/// [`Channel::balance`](crate::transport::client::channel::Channel) makes one with all
/// defaults, [`builder`](Fleet::builder) one with settings. What each part does, from the
/// outside in:
///
/// - Retries, by [`RetryPolicy`]: of what surely never left, and of idempotent methods;
///   [`retry`](Self::retry). They stand outside of the choice, so that the next try goes to
///   another instance, and is counted by its breaker.
/// - Hedges, if wanted, by [`HedgePolicy`]: another try beside one that is slow;
///   [`hedge`](Self::hedge). Within the retries, whose budget bounds them too.
/// - The choice of an instance. One that is down, draining or behind an open breaker is not
///   chosen while there is another, and a call that surely never left goes to the next one
///   at once, whatever its method is.
/// - Each instance's breaker, connections, and layers of its own.
///
/// The deadline stands outside of them all, with the caller: it is the time of all tries
/// together, and what is left of it goes with each.
///
/// While no instance is ready, calls wait, up to their deadline (which is, where neither
/// they nor their methods say, what the endpoints have as their timeout); or until an
/// attempt to reach each of them, made since, has failed. If the fleet is known
/// to be empty they fail at once, with PHP's code 100010 and `Code::Unavailable`.
///
/// ```
/// use dora::{Channel, Code, DynamicClient, Fleet, RetryPolicy};
///
/// struct Orders {
///     users: DynamicClient<Fleet<Channel>>, // or a generated client
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Channel::balance(["127.0.0.1:1", "127.0.0.1:2"])?;
/// assert_eq!(fleet.instances().len(), 2);
///
/// // The same instances, for calls that are made in a hurry.
/// let orders = Orders { users: fleet.clone().retry(RetryPolicy::new().attempts(2)).dynamic() };
/// let error = orders.users.call("/user/get", 7).await.expect_err("nothing listens there");
/// assert_eq!((error.code(), error.attempts()), (Code::Unavailable, 2));
/// assert!(error.is_unsent());
///
/// // Without retries.
/// let error = fleet.retry(None).dynamic().call("/user/get", 7).await.expect_err("nothing listens there");
/// assert_eq!(error.attempts(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Fleet<S>(Retry<Hedge<Balancer<S>>>);

impl Fleet<()> {
    /// How a fleet treats its instances and calls; its last step makes the fleet.
    #[must_use]
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }
}

impl<S> Fleet<S> {
    pub(super) fn new(balancer: Balancer<S>) -> Self {
        let settings = &balancer.shared().settings;
        let (retry, hedge) = (settings.retry.clone(), settings.hedge.clone());
        Self::with(balancer, retry.map(Arc::new), hedge)
    }

    fn with(balancer: Balancer<S>, retry: Option<Arc<RetryPolicy>>, hedge: Option<HedgePolicy>) -> Self {
        let budget = retry.as_ref().and_then(|retry| retry.budget.clone());
        let hedge = hedge.map(|hedge| Arc::new(hedge.within(budget)));
        Self(Retry::new(Hedge::new(balancer, hedge), retry))
    }

    /// The same instances with other retries: what is called through this clone, and those
    /// made of it, is tried again by `policy`; `None`: not at all.
    #[must_use]
    pub fn retry(self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        let Hedge { inner, policy: hedge } = self.0.inner;
        Self::with(inner, policy.into().map(Arc::new), hedge.as_deref().cloned())
    }

    /// The same instances with other hedges: what is called through this clone, and those
    /// made of it, is hedged by `policy`; `None`: not at all.
    #[must_use]
    pub fn hedge(self, policy: impl Into<Option<HedgePolicy>>) -> Self {
        Self::with(self.0.inner.inner, self.0.policy, policy.into())
    }

    /// The instances of this moment.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.0.inner.inner.instances()
    }

    /// How it stands with the list of instances, where they are looked for: its age, and
    /// which registries cannot be asked.
    #[must_use]
    pub fn directory(&self) -> Option<DirectoryStatus> {
        self.0.inner.inner.shared().followed.as_ref().map(Followed::status)
    }
}

impl<S> Clone for Fleet<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.0.inner.inner).finish()
    }
}

impl<S> Service<Request> for Fleet<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = RetryFuture<Hedge<Balancer<S>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}
