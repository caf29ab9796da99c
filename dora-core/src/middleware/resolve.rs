//! What is called, known before anybody decides by it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::batch::CallKey;
use crate::call::batch_budget::{BatchBudget, Budgeted};
use crate::call::request::Request;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::{BoxError, Status};

use super::route::Router;

/// Says of each call which method it is, whatever name it was called by, and
/// takes batches apart: each call goes on as a request of its own, and they run
/// concurrently.
///
/// Stands outside all layers that decide by method, so that none is walked
/// around by an alias or within a batch.
#[derive(Clone, Debug)]
pub struct ResolveLayer {
    router: Router,
}

impl ResolveLayer {
    /// Resolves the names that `router` knows.
    #[must_use]
    pub const fn new(router: Router) -> Self {
        Self { router }
    }
}

impl<S> Layer<S> for ResolveLayer {
    type Service = Resolve<S>;

    fn layer(&self, inner: S) -> Resolve<S> {
        Resolve { inner, router: self.router.clone(), last: None }
    }
}

/// A service whose calls are known by their method.
#[derive(Clone, Debug)]
pub struct Resolve<S> {
    inner: S,
    router: Router,
    /// Where the method stands that was called last: mostly it is called again.
    last: Option<u32>,
}

impl<S> Service<Request> for Resolve<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = ResolveFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if !request.is_batch() {
            self.last = self.router.resolve(request.head_mut(), self.last);
            return ResolveFuture { state: State::One { call: self.inner.call(request) } };
        }
        // All of them first, so that each is told the methods of those beside it.
        request.calls_mut().for_each(|call| self.last = self.router.resolve(call, self.last));
        let budget = request.extensions_mut().remove::<Budgeted>();
        let state = match request.take_apart() {
            Err(single) => State::One { call: self.inner.call(single) },
            Ok(calls) => {
                let done = Vec::with_capacity(calls.len());
                let (inner, budget) = (self.inner.clone(), budget.map(|budget| budget.open()));
                let (waiting, running) = (calls.into(), FuturesUnordered::new());
                State::Many { calls: Box::new(Calls { inner, waiting, running, done, budget, expiry: None }) }
            }
        };
        ResolveFuture { state }
    }
}

/// How long the calls of one batch are polled one after the other.
const SLICE: Duration = Duration::from_micros(200);

pin_project! {
    /// The future of [`Resolve`].
    pub struct ResolveFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        One { #[pin] call: S::Future },
        Many { calls: Box<Calls<S>> },
    }
}

/// The calls of a batch.
struct Calls<S: Service<Request>> {
    inner: S,
    /// Those that have not begun.
    waiting: VecDeque<(CallKey, Request)>,
    running: FuturesUnordered<Keyed<S>>,
    /// Their results, in the order in which the calls ended.
    done: BatchResults,
    budget: Option<Box<dyn BatchBudget>>,
    /// Rings when the first of those passes its deadline that wait for the budget.
    expiry: Option<Pin<Box<Sleep>>>,
}

/// A call of a batch.
struct Keyed<S: Service<Request>> {
    key: CallKey,
    call: Pin<Box<Oneshot<S, Request>>>,
}

impl<S> Future for Keyed<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = (CallKey, Result<Response, Status>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.call.as_mut().poll(cx));
        Poll::Ready((self.key.clone(), result.map_err(|error| Status::from_error(error.into()))))
    }
}

impl<S> Future for ResolveFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::One { call } => call.poll(cx).map_err(|error| Status::from_error(error.into())),
            StateProjection::Many { calls } => {
                calls.poll(cx).map(|results| Ok(Response::new(Reply::Batch(results))))
            }
        }
    }
}

impl<S> Calls<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BatchResults> {
        let start = Instant::now();
        loop {
            // One at a time: what it comes to counts before the next one begins.
            let next = self.next(cx);
            let begins = next.is_some();
            if let Some((key, request)) = next {
                let call = Box::pin(Oneshot::new(self.inner.clone(), request));
                self.running.push(Keyed { key, call });
            }
            match Pin::new(&mut self.running).poll_next(cx) {
                Poll::Ready(Some(result)) => {
                    self.done.push(result);
                    if let Some(budget) = &mut self.budget {
                        budget.count(&mut self.done);
                    }
                }
                Poll::Ready(None) if self.waiting.is_empty() => {
                    return Poll::Ready(std::mem::take(&mut self.done));
                }
                Poll::Ready(None) | Poll::Pending if begins => {}
                Poll::Ready(None) | Poll::Pending => {
                    if let Some(budget) = &mut self.budget {
                        budget.watch(cx, &mut self.done);
                    }
                    return Poll::Pending;
                }
            }
            // Others on the connection and its worker are next.
            if start.elapsed() > SLICE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// The next call that may begin: where the budget has no room, one whose deadline
    /// has passed, which only says so.
    fn next(&mut self, cx: &mut Context<'_>) -> Option<(CallKey, Request)> {
        if self.waiting.is_empty() {
            return None;
        }
        let room = self.budget.as_mut().is_none_or(|budget| budget.poll_begin(cx).is_ready());
        if room {
            self.expiry = None;
            return self.waiting.pop_front();
        }
        let deadlines = || self.waiting.iter().map(|(_, request)| request.deadline());
        if self.expiry.is_none() {
            let due = deadlines().flatten().min()?;
            self.expiry = Some(Box::pin(sleep_until(due.instant())));
        }
        let rings = self.expiry.as_mut().is_some_and(|expiry| expiry.as_mut().poll(cx).is_ready());
        if !rings {
            return None;
        }
        let now = Instant::now();
        let passed = deadlines().position(|due| due.is_some_and(|due| due.has_passed(now)));
        if passed.is_none() {
            // Of those that are left none is due yet: the timer is set anew.
            self.expiry = None;
            cx.waker().wake_by_ref();
        }
        self.waiting.remove(passed?)
    }
}
