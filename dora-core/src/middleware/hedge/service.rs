//! The layer that makes another try beside one that is slow.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::mode::Mode;
use crate::call::pushback::Pushback;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::call::tried_peers::Hosts;
use crate::middleware::balance::instance::Pinned;

use super::policy::{HedgePolicy, Watch};

/// Makes another try of an idempotent call beside one that is slow, on another instance;
/// the first answer is the caller's, and the others are given up: nobody waits for them,
/// though servers that began them end them, as the wire has no word to stop one call. So what one slow
/// instance, or one lost packet, costs is not the time of the call.
///
/// It stands between retries and what chooses a server: each of a retry's tries may be
/// hedged. It hedges what is slow, not what failed: a try that failed with `Unavailable` or
/// `ResourceExhausted` waits for those that still run, and is for the retry if there are
/// none; any other error is an answer. A server that says
/// [when it wants the call again](Status::pushback) is not sent another one before. Neither
/// what is not idempotent, nor deferred calls and those without results, nor
/// [`Pinned`] ones are hedged. A batch is if all of its calls are idempotent.
///
/// [`Status::attempts`] counts hedges, and each is logged under `dora::hedge` at level
/// `debug`.
///
/// ```
/// use std::time::Duration;
///
/// use dora::{DynamicClient, HedgeLayer, HedgePolicy, Request, Server, Status, Value};
/// use tower::Layer as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::atomic::{AtomicUsize, Ordering};
/// # static CALLS: AtomicUsize = AtomicUsize::new(0);
/// // Hangs now and then.
/// let moody = |request: Request<Value>| async move {
///     if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
///         std::future::pending::<()>().await;
///     }
///     Ok::<Value, Status>(request.into_body())
/// };
/// let service = Server::builder().dynamic(moody).into_service()?;
/// let client = DynamicClient::new(HedgeLayer::new(HedgePolicy::after(Duration::from_millis(10))).layer(service));
///
/// assert_eq!(client.call("/user/get", 7).idempotent(true).await?, Value::from(7));
/// assert_eq!(CALLS.load(Ordering::Relaxed), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HedgeLayer {
    policy: Arc<HedgePolicy>,
}

impl HedgeLayer {
    /// Hedges as `policy` says. All services that the layer is put around share its budget.
    #[must_use]
    pub fn new(policy: HedgePolicy) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge::new(inner, Some(Arc::clone(&self.policy)))
    }
}

/// A service whose slow calls are hedged.
#[derive(Clone, Debug)]
pub struct Hedge<S> {
    pub(in crate::middleware) inner: S,
    /// `None`: they are not.
    pub(in crate::middleware) policy: Option<Arc<HedgePolicy>>,
}

impl<S> Hedge<S> {
    pub(in crate::middleware) fn new(inner: S, policy: Option<Arc<HedgePolicy>>) -> Self {
        Self { inner, policy }
    }
}

impl<S> Service<Request> for Hedge<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = HedgeFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> HedgeFuture<S> {
        let Some(policy) = self.policy.as_ref().filter(|_| may_be_hedged(&request)) else {
            return HedgeFuture { first: Some(self.inner.call(request)), race: None };
        };
        policy.count(request.calls().len());
        request.extensions_mut().insert(Hosts::default());
        let watch = policy.watch(request.method());
        let delay = watch.delay.filter(|_| policy.attempts > 1);
        let race = Box::new(Race {
            inner: self.inner.clone(),
            policy: Arc::clone(policy),
            request: request.clone(),
            timer: delay.map(|delay| Box::pin(sleep(delay))),
            watch,
            begun: Instant::now(),
            made: 1,
            others: Vec::new(),
        });
        HedgeFuture { first: Some(self.inner.call(request)), race: Some(race) }
    }
}

/// Whether another try may run beside one of `request`.
pub(in crate::middleware) fn may_be_hedged(request: &Request) -> bool {
    request.is_idempotent() && request.mode() == Mode::Wait && request.extensions().get::<Pinned>().is_none()
}

pin_project! {
    /// The future of [`Hedge`].
    pub struct HedgeFuture<S: Service<Request>> {
        // Until it has ended.
        #[pin]
        first: Option<S::Future>,
        // Boxed, since most calls have none.
        race: Option<Box<Race<S>>>,
    }
}

/// What may run beside the first try.
struct Race<S: Service<Request>> {
    inner: S,
    policy: Arc<HedgePolicy>,
    request: Request,
    watch: Watch,
    /// When the next try is made, if one is.
    timer: Option<Pin<Box<Sleep>>>,
    begun: Instant,
    /// Tries that were made.
    made: u32,
    others: Vec<Other<S>>,
}

struct Other<S: Service<Request>> {
    begun: Instant,
    future: Pin<Box<Oneshot<S, Request>>>,
}

/// How a try ended.
struct Ended {
    result: Result<Response, Status>,
    begun: Instant,
}

impl<S> Future for HedgeFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.first.as_mut().as_pin_mut().map(|first| first.poll(cx));
        let polled = polled.map(|polled| polled.map_err(|error| Status::from_error(error.into())));
        let Some(race) = this.race else {
            let polled_again = || Status::internal("a future was polled after it had ended");
            return polled.unwrap_or_else(|| Poll::Ready(Err(polled_again())));
        };
        let mut end = None;
        if let Some(Poll::Ready(result)) = polled {
            this.first.set(None);
            end = race.judge(Ended { result, begun: race.begun }, false);
        }
        loop {
            let first_runs = this.first.is_some();
            if end.is_none() {
                end = race.poll_others(first_runs, cx);
            }
            if let Some(end) = end {
                let end = race.conclude(end, first_runs);
                this.first.set(None);
                return Poll::Ready(end);
            }
            match &mut race.timer {
                Some(timer) => ready!(timer.as_mut().poll(cx)),
                None => return Poll::Pending,
            }
            race.make_another();
        }
    }
}

impl<S> Race<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    /// The first end among the other tries that is that of the call.
    fn poll_others(&mut self, first_runs: bool, cx: &mut Context<'_>) -> Option<Ended> {
        let mut index = 0;
        while let Some(other) = self.others.get_mut(index) {
            let Poll::Ready(result) = other.future.as_mut().poll(cx) else {
                index += 1;
                continue;
            };
            let Other { begun, .. } = self.others.swap_remove(index);
            let result = result.map_err(|error| Status::from_error(error.into()));
            let end = self.judge(Ended { result, begun }, first_runs);
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// Whether the end of a try is that of the call: not if it failed, as an instance does
    /// which is not able to answer, while others run.
    fn judge(&mut self, ended: Ended, first_runs: bool) -> Option<Ended> {
        let Err(status) = &ended.result else { return Some(ended) };
        if !status.is_unsent() {
            self.request.head().tries().may_have_run();
        }
        let others_run = first_runs || !self.others.is_empty();
        if !others_run || !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
            return Some(ended);
        }
        match status.pushback() {
            Some(Pushback::Never) => self.timer = None,
            Some(Pushback::After(time)) => self.put_off(time),
            None => {}
        }
        None
    }

    /// No other try is made before this time has passed.
    fn put_off(&mut self, time: Duration) {
        if let Some(timer) = &mut self.timer {
            let until = Deadline::after(time).instant().max(timer.deadline());
            timer.as_mut().reset(until);
        }
    }

    /// Makes another try, if the budget has one.
    fn make_another(&mut self) {
        if !self.policy.affords(self.request.calls().len()) {
            self.timer = None;
            return;
        }
        self.made += 1;
        match (&mut self.timer, self.watch.delay) {
            (Some(timer), Some(delay)) if self.made < self.policy.attempts => {
                timer.as_mut().reset(Deadline::after(delay).instant());
            }
            (timer, _) => *timer = None,
        }
        tracing::debug!(target: "dora::hedge", method = %self.request.method(), tries = self.made, "another try");
        let future = Box::pin(Oneshot::new(self.inner.clone(), self.request.clone()));
        self.others.push(Other { begun: Instant::now(), future });
    }

    /// Gives up what still runs.
    fn conclude(&mut self, end: Ended, first_runs: bool) -> Result<Response, Status> {
        if end.result.is_ok() {
            self.watch.took(end.begun.elapsed());
        }
        let first = first_runs.then_some(self.begun);
        for begun in first.into_iter().chain(self.others.drain(..).map(|other| other.begun)) {
            // It would have taken longer.
            self.watch.took(begun.elapsed());
            self.request.head().tries().may_have_run();
        }
        let tries = self.request.head().tries();
        end.result.map_err(|status| tries.ended(status).with_attempts(self.made))
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
