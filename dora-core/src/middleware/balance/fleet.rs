//! Many instances of the same services, called as one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::Service;

use crate::call::BoxFuture;
use crate::call::doubt;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::discovery::watch::DirectoryStatus;
use crate::middleware::hedge::policy::HedgePolicy;
use crate::middleware::hedge::service::{Hedge, may_be_hedged};
use crate::middleware::retry::policy::RetryPolicy;
use crate::middleware::retry::series::{Series, went_well};
use crate::middleware::retry::service::Retry;

use super::balancer::Balancer;
use super::beside::Beside;
use super::builder::FleetBuilder;
use super::followed::Followed;
use super::future::Choice;
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
/// - A try elsewhere beside one at an instance that is in doubt: it owes answers, was asked
///   whether it is there, and has not said so for half a second. Of idempotent calls alone,
///   and of the retries' budget.
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
pub struct Fleet<S>(Arc<Stack<S>>);

/// What a fleet is made of.
struct Stack<S> {
    balancer: Balancer<S>,
    hedge: Option<Arc<HedgePolicy>>,
    retry: Option<Arc<RetryPolicy>>,
}

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
        Self(Arc::new(Stack { balancer, hedge, retry }))
    }

    /// The same instances with other retries: what is called through this clone, and those
    /// made of it, is tried again by `policy`; `None`: not at all.
    #[must_use]
    pub fn retry(self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        let Stack { balancer, hedge, .. } = &*self.0;
        Self::with(balancer.clone(), policy.into().map(Arc::new), hedge.as_deref().cloned())
    }

    /// The same instances with other hedges: what is called through this clone, and those
    /// made of it, is hedged by `policy`; `None`: not at all.
    #[must_use]
    pub fn hedge(self, policy: impl Into<Option<HedgePolicy>>) -> Self {
        Self::with(self.0.balancer.clone(), self.0.retry.clone(), policy.into())
    }

    /// The instances of this moment.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.0.balancer.instances()
    }

    /// How it stands with the list of instances, where they are looked for: its age, and
    /// which registries cannot be asked.
    #[must_use]
    pub fn directory(&self) -> Option<DirectoryStatus> {
        self.0.balancer.shared().followed.as_ref().map(Followed::status)
    }
}

impl<S> Clone for Fleet<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Fleet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.0.balancer).finish()
    }
}

impl<S> Service<Request> for Fleet<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = FleetFuture<S>;

    /// Always ready: which instance must be is known with the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> FleetFuture<S> {
        let stack = Arc::clone(&self.0);
        let state = match stack.is_one_try_at_a_time(&request) {
            true => {
                if let Some(retry) = &stack.retry {
                    retry.made(&request);
                }
                State::First { choice: Choice::new(stack.balancer.shared(), request), beside: Beside::None }
            }
            false => State::Layered { future: stack.layered(request) },
        };
        FleetFuture { stack, state }
    }
}

impl<S> Stack<S> {
    /// Whether nothing is done beside the first try of `request`, and nothing to it.
    fn is_one_try_at_a_time(&self, request: &Request) -> bool {
        let limits_tries = self.retry.as_ref().is_some_and(|retry| retry.attempt_timeout.is_some());
        !limits_tries && (self.hedge.is_none() || !may_be_hedged(request))
    }

    /// What stands within the retries.
    fn hedged(&self) -> Hedge<Balancer<S>> {
        Hedge::new(self.balancer.clone(), self.hedge.clone())
    }
}

impl<S> Stack<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    /// The answer of a try beside the first one, which may begin now as it is `in_doubt`
    /// whether that will be answered.
    #[cold]
    fn poll_beside(
        &self,
        choice: Pin<&mut Choice<S>>,
        beside: &mut Beside,
        in_doubt: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, Status>> {
        let (Some(retry), Some((request, host))) = (&self.retry, choice.at_host()) else {
            return Poll::Pending;
        };
        if in_doubt {
            beside.begin(&self.balancer, retry, request, host);
        }
        beside.poll(retry, request, cx)
    }

    /// The call through all layers.
    fn layered(&self, request: Request) -> BoxFuture<Response> {
        Box::pin(Retry::new(self.hedged(), self.retry.clone()).call(request))
    }
}

pin_project! {
    /// The future of [`Fleet`].
    ///
    /// Most calls are one try: the request is kept here for the choice and the retries
    /// alike, and neither retries nor hedges have a future of their own.
    pub struct FleetFuture<S: Service<Request>> {
        stack: Arc<Stack<S>>,
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        First { #[pin] choice: Choice<S>, beside: Beside },
        Layered { future: BoxFuture<Response> },
    }
}

impl<S> Future for FleetFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let future: BoxFuture<Response> = match this.state.as_mut().project() {
                StateProjection::Layered { future } => return future.as_mut().poll(cx),
                StateProjection::First { mut choice, beside } => {
                    let shared = this.stack.balancer.shared();
                    let (polled, in_doubt) = doubt::hear(|| choice.as_mut().poll(shared, cx));
                    let Poll::Ready(result) = polled else {
                        if !in_doubt && matches!(beside, Beside::None) {
                            return Poll::Pending;
                        }
                        return this.stack.poll_beside(choice, beside, in_doubt, cx);
                    };
                    if went_well(&result) {
                        return Poll::Ready(result);
                    }
                    let (Some(retry), Some(request)) = (&this.stack.retry, choice.take_request()) else {
                        return Poll::Ready(result);
                    };
                    let series = Series::new(this.stack.hedged(), Arc::clone(retry), request);
                    match std::mem::replace(beside, Beside::Failed) {
                        Beside::None => Box::pin(series.go_on(result)),
                        Beside::Runs(other) => Box::pin(series.go_on_beside(result, other)),
                        Beside::Failed => Box::pin(series.go_on_after(result)),
                    }
                }
            };
            this.state.set(State::Layered { future });
        }
    }
}
