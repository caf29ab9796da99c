//! How many calls run at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::head::RequestHead;
use crate::call::name::MethodName;
use crate::call::priority::Priority;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

use super::by_method::ByMethod;
use super::gradient::Gradient;
use super::limiter::{Full, Limit, Limiter, Permit};
use super::policy::AdaptivePolicy;
use super::refused::refused;

/// Bounds how many calls run at once, by a fixed number or by how long they take. A call
/// over the limit is refused at once with `Code::ResourceExhausted`, and told when to come
/// again ([`Status::pushback`]); those of low [`Priority`] first, where the limit has
/// priorities.
///
/// The layer is the limit: all services that it, or a clone of it, is put around share it.
/// Around a server it bounds all its calls together, around a service those of the
/// service, with [`per_method`](Self::per_method) those of each method.
///
/// A call has its place until its result is there, also if that comes later (deferred) or
/// nobody waits for it. On a server each call of a batch has one; around a client, where a
/// batch is one request, it goes if there are places for all its calls, and one that is
/// larger than the limit goes alone.
///
/// What runs in a task of its own when the call has ended, such as one that the handler
/// spawned, has none.
///
/// ```
/// use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer, Priority};
/// use dora::{Code, DynamicClient, Request, Server, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // As many as do not make each other slow; reports are refused first.
/// let limit = ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new()).priority(Priority::of);
/// // No more than two at a time of any method.
/// let two = ConcurrencyLimitLayer::new(2).per_method();
///
/// let handler = |_: Request<Value>| async { std::future::pending::<Result<Value, Status>>().await };
/// let server = Server::builder().layer(limit.clone()).layer(two).dynamic(handler);
///
/// let client = DynamicClient::new(server.into_service()?);
/// let running: Vec<_> = (0..2).map(|_| tokio::spawn(client.call("/report", 1).into_future())).collect();
/// tokio::task::yield_now().await;
/// assert_eq!(limit.running(), 2);
///
/// let refused = client.call("/report", 1).await.expect_err("two run");
/// assert_eq!(refused.code(), Code::ResourceExhausted);
/// assert!(refused.pushback().is_some());
/// # running.iter().for_each(|call| call.abort());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ConcurrencyLimitLayer {
    limits: Arc<Limits>,
}

struct Limits {
    kind: Kind,
    /// That of all methods, or of those that have none of their own.
    common: Arc<Limiter>,
    /// `None`: they share the one.
    methods: Option<ByMethod<Limiter>>,
    priority: Option<PriorityOf>,
    pushback: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Fixed(usize),
    Adaptive(AdaptivePolicy),
}

type PriorityOf = Arc<dyn Fn(&RequestHead) -> Priority + Send + Sync>;

impl Kind {
    fn limiter(&self) -> Limiter {
        Limiter::new(match self {
            Self::Fixed(calls) => Limit::Fixed(*calls),
            Self::Adaptive(policy) => {
                Limit::Adaptive(Box::new(Gradient::new(policy.clone(), Instant::now())))
            }
        })
    }
}

impl ConcurrencyLimitLayer {
    /// At most `calls` at once.
    ///
    /// # Panics
    /// `calls` is 0.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        assert!(calls > 0, "a limit lets at least one call run");
        Self::of(Kind::Fixed(calls), None, false, DEFAULT_PUSHBACK)
    }

    /// As many at once as do not make each other slow: see [`AdaptivePolicy`].
    #[must_use]
    pub fn adaptive(policy: AdaptivePolicy) -> Self {
        Self::of(Kind::Adaptive(policy), None, false, DEFAULT_PUSHBACK)
    }

    fn of(kind: Kind, priority: Option<PriorityOf>, per_method: bool, pushback: Duration) -> Self {
        let common = Arc::new(kind.limiter());
        let methods = per_method.then(|| ByMethod::new(Arc::clone(&common)));
        Self { limits: Arc::new(Limits { kind, common, methods, priority, pushback }) }
    }

    /// Gives each method a limit of its own. The first 1,024 names have their own, others
    /// share one.
    #[must_use]
    pub fn per_method(self) -> Self {
        let Limits { kind, priority, pushback, .. } = &*self.limits;
        Self::of(kind.clone(), priority.clone(), true, *pushback)
    }

    /// Refuses calls by priority when the limit is nearly reached: each may fill its share
    /// of it, so that as load grows the low ones are refused first, and at the limit only
    /// critical ones are let in. Default: all may fill it.
    ///
    /// [`Priority::of`] believes what calls say of themselves. Where callers are not to be
    /// trusted with that, it is for who knows them, or for the method:
    ///
    /// ```
    /// use dora::limit::{ConcurrencyLimitLayer, Priority};
    ///
    /// let layer = ConcurrencyLimitLayer::new(200).priority(|call| match call.descriptor() {
    ///     Some(method) if method.name().starts_with("Report") => Priority::Low,
    ///     _ => Priority::Normal,
    /// });
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn priority(self, of: impl Fn(&RequestHead) -> Priority + Send + Sync + 'static) -> Self {
        let Limits { kind, methods, pushback, .. } = &*self.limits;
        Self::of(kind.clone(), Some(Arc::new(of)), methods.is_some(), *pushback)
    }

    /// When who is refused should come again: each is told a random time from half to one
    /// and a half of this. Default: 500 ms.
    #[must_use]
    pub fn pushback(self, after: Duration) -> Self {
        let Limits { kind, methods, priority, .. } = &*self.limits;
        Self::of(kind.clone(), priority.clone(), methods.is_some(), after)
    }

    /// Calls that run within the limit: where each method has its own, of methods beyond
    /// the first 1,024.
    #[must_use]
    pub fn running(&self) -> usize {
        self.limits.common.running()
    }

    /// The limit now. An adaptive one moves.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limits.common.limit()
    }

    /// Calls of a method that run, by its canonical path, where each has a limit of its own.
    #[must_use]
    pub fn running_of(&self, method: &MethodName) -> usize {
        self.limits.known(method).map_or(0, |limiter| limiter.running())
    }

    /// The limit of a method now, where each has its own.
    #[must_use]
    pub fn limit_of(&self, method: &MethodName) -> usize {
        self.limits.known(method).map_or_else(|| self.limit(), |limiter| limiter.limit())
    }
}

const DEFAULT_PUSHBACK: Duration = Duration::from_millis(500);

impl Limits {
    fn known(&self, method: &MethodName) -> Option<Arc<Limiter>> {
        self.methods.as_ref()?.get(method)
    }

    /// Places for all calls of a request, or why there are none.
    fn take(&self, request: &Request) -> Result<Permits, Status> {
        let now = Instant::now();
        match &self.methods {
            None => {
                let head = request.head();
                let calls = request.calls().len();
                // A batch goes with the most important of its calls.
                let priority = request.calls().map(|call| self.priority_of(call)).max();
                let priority = priority.unwrap_or_default();
                let permit = self.common.take(head.method(), calls, priority, now);
                permit.map(Permits::One).map_err(|full| self.refused(None, full))
            }
            Some(methods) if !request.is_batch() => {
                let permit = self.take_of(methods, request.head(), now)?;
                Ok(Permits::One(permit))
            }
            // What was taken before one is refused is given back.
            Some(methods) => {
                let permits = request.calls().map(|call| self.take_of(methods, call, now));
                Ok(Permits::Each(permits.collect::<Result<_, _>>()?))
            }
        }
    }

    fn take_of(
        &self,
        methods: &ByMethod<Limiter>,
        call: &RequestHead,
        now: Instant,
    ) -> Result<Permit, Status> {
        let limiter = methods.of(call.method(), || self.kind.limiter());
        let permit = limiter.take(call.method(), 1, self.priority_of(call), now);
        permit.map_err(|full| self.refused(Some(call.method()), full))
    }

    fn priority_of(&self, call: &RequestHead) -> Priority {
        self.priority.as_ref().map_or(Priority::Critical, |of| of(call))
    }

    #[cold]
    fn refused(&self, method: Option<&MethodName>, full: Full) -> Status {
        let of = method.map(|method| format!(" of {method}")).unwrap_or_default();
        let Full { running, limit } = full;
        let message = format!("{running} calls{of} run, and {limit} may: this one is refused");
        refused(message, self.pushback)
    }
}

impl fmt::Debug for ConcurrencyLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("limit", &self.limits.kind)
            .field("per_method", &self.limits.methods.is_some())
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> ConcurrencyLimit<S> {
        ConcurrencyLimit { inner, limits: Arc::clone(&self.limits) }
    }
}

/// A service that runs so many calls at once.
#[derive(Clone)]
pub struct ConcurrencyLimit<S> {
    inner: S,
    limits: Arc<Limits>,
}

impl<S: fmt::Debug> fmt::Debug for ConcurrencyLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S> Service<Request> for ConcurrencyLimit<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = ConcurrencyLimitFuture<S>;

    /// Always ready: a call over the limit is refused, whatever the service within waits
    /// for.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.limits.take(&request) {
            Ok(permits) => {
                State::Running { call: Oneshot::new(self.inner.clone(), request), permits: Some(permits) }
            }
            Err(status) => State::Refused { status: Some(status) },
        };
        ConcurrencyLimitFuture { state }
    }
}

/// The places of a request.
enum Permits {
    One(Permit),
    /// One for each call of a batch.
    Each(Vec<Permit>),
}

impl Permits {
    fn watch(self, result: Result<Response, Status>) -> Result<Response, Status> {
        match self {
            Self::One(permit) => permit.watch(result),
            Self::Each(permits) => permits.into_iter().fold(result, |result, permit| permit.watch(result)),
        }
    }
}

pin_project! {
    /// The future of [`ConcurrencyLimit`].
    pub struct ConcurrencyLimitFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        Running { #[pin] call: Oneshot<S, Request>, permits: Option<Permits> },
        Refused { status: Option<Status> },
    }
}

impl<S> Future for ConcurrencyLimitFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Running { call, permits } => {
                let result = ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                Poll::Ready(match permits.take() {
                    Some(permits) => permits.watch(result),
                    None => result,
                })
            }
            StateProjection::Refused { status } => {
                let ended = || Status::internal("a future was polled after it had ended");
                Poll::Ready(Err(status.take().unwrap_or_else(ended)))
            }
        }
    }
}

#[cfg(test)]
#[path = "concurrency_tests.rs"]
mod tests;
