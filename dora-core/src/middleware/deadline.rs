//! Calls end at their deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::origin::RequestOrigin;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

/// Ends calls at their deadline, or after a time of its own, whichever comes
/// first. A call whose deadline has passed never starts.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    most: Duration,
    always_ready: bool,
}

impl DeadlineLayer {
    /// No call runs longer than `most`, whatever its caller is ready to wait.
    #[must_use]
    pub const fn new(most: Duration) -> Self {
        Self { most, always_ready: false }
    }

    /// Says that the service within is always ready and holds nothing for a next
    /// call, so that calls need no copy of it.
    #[must_use]
    pub const fn always_ready(self, always_ready: bool) -> Self {
        Self { always_ready, ..self }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> WithDeadline<S> {
        WithDeadline { inner, most: self.most, always_ready: self.always_ready }
    }
}

/// A service whose calls end at their deadline.
#[derive(Clone, Debug)]
pub struct WithDeadline<S> {
    inner: S,
    most: Duration,
    always_ready: bool,
}

impl<S> Service<Request> for WithDeadline<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = DeadlineFuture<S>;

    /// Always ready: to wait for the inner service is part of a call, and under
    /// its deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Some(deadline) = begin(&mut request, self.most) else {
            return DeadlineFuture { state: State::Expired };
        };
        let mut cx = Context::from_waker(Waker::noop());
        // A copy for each call: one that waits in a queue, or was given a permit
        // there, must not sit in a connection that has no call for it.
        let mut copy = (!self.always_ready).then(|| self.inner.clone());
        let inner = copy.as_mut().unwrap_or(&mut self.inner);
        let state = match inner.poll_ready(&mut cx) {
            Poll::Ready(Ok(())) => State::Running { future: inner.call(request), deadline, sleep: None },
            Poll::Ready(Err(error)) => State::Refused { status: Some(Status::from_error(error.into())) },
            Poll::Pending => {
                let future = Oneshot::new(copy.unwrap_or_else(|| self.inner.clone()), request);
                State::Waiting { future, sleep: Box::pin(sleep_until(deadline.instant())) }
            }
        };
        DeadlineFuture { state }
    }
}

pin_project! {
    /// The future of [`WithDeadline`].
    pub struct DeadlineFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        Expired,
        Refused { status: Option<Status> },
        Waiting { #[pin] future: Oneshot<S, Request>, sleep: Pin<Box<Sleep>> },
        // Most handlers are done at their first poll and never need the timer.
        Running { #[pin] future: S::Future, deadline: Deadline, sleep: Option<Pin<Box<Sleep>>> },
    }
}

impl<S> Future for DeadlineFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Expired => Poll::Ready(Err(not_begun())),
            StateProjection::Refused { status } => {
                Poll::Ready(Err(status.take().unwrap_or_else(|| expired("the call has ended already"))))
            }
            StateProjection::Waiting { future, sleep } => {
                // First, so that what expired while it waited never starts.
                if sleep.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(expired("the deadline passed before the service was ready")));
                }
                future.poll(cx).map_err(|error| Status::from_error(error.into()))
            }
            StateProjection::Running { future, deadline, sleep } => {
                if let Poll::Ready(result) = future.poll(cx) {
                    return Poll::Ready(result.map_err(|error| Status::from_error(error.into())));
                }
                let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline.instant())));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Err(expired("the call did not end before its deadline")))
            }
        }
    }
}

impl<S: Service<Request>> DeadlineFuture<S> {
    /// A call that is pending after its first poll.
    pub(super) fn pending(future: S::Future, deadline: Deadline, cx: &mut Context<'_>) -> Self {
        let mut sleep = Box::pin(sleep_until(deadline.instant()));
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Self { state: State::Running { future, deadline, sleep: Some(sleep) } }
    }
}

/// Says by when a call that is taken up must have ended; `None` if that has passed.
#[inline]
pub(super) fn begin(request: &mut Request, most: Duration) -> Option<Deadline> {
    // The listener has just looked at the clock; not so for the calls of one
    // packet, which may have run for a while before this one.
    let origin = request.origin().filter(|_| request.batch().is_none());
    let now = origin.map_or_else(Instant::now, RequestOrigin::begun);
    let most = Deadline::from_instant(now, most);
    let deadline = request.deadline().map_or(most, |deadline| deadline.min(most));
    if deadline.has_passed(now) {
        return None;
    }
    // Calls that the handler makes are given what remains.
    request.head_mut().set_deadline(Some(deadline));
    Some(deadline)
}

/// How a call ends whose deadline has passed when it is taken up.
pub(super) fn not_begun() -> Status {
    expired("the deadline passed before the call began")
}

fn expired(message: &'static str) -> Status {
    Status::raw(dora_code::TIMEOUT, message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::call::body::Body;
    use crate::call::code::Code;
    use crate::call::packer::Packer;

    fn request(timeout: Option<Duration>) -> Request {
        let mut request = Request::new(Body::packed(Packer::Php, Bytes::new()));
        request.head_mut().set_deadline(timeout.map(Deadline::after));
        request
    }

    async fn call(timeout: Option<Duration>) -> (Result<Response, Status>, Duration) {
        let never = service_fn(|_: Request| std::future::pending::<Result<Response, Status>>());
        let start = Instant::now();
        let layer = DeadlineLayer::new(Duration::from_secs(60));
        (layer.layer(never).oneshot(request(timeout)).await, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_never_ends_is_ended() {
        let (result, after) = call(Some(Duration::from_secs(3))).await;
        assert_eq!(result.expect_err("ended").code(), Code::DeadlineExceeded);
        assert_eq!(after.as_secs(), 3);
        let (_, after) = call(None).await;
        assert_eq!(after.as_secs(), 60, "without a deadline, and never longer");
        let (_, after) = call(Some(Duration::from_secs(100))).await;
        assert_eq!(after.as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_service_is_under_the_deadline_and_leaks_no_place() {
        let slow = service_fn(|_: Request| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<_, Status>(Response::accepted())
        });
        let limited = tower::limit::ConcurrencyLimitLayer::new(1).layer(slow);
        let mut service = DeadlineLayer::new(Duration::from_secs(60)).layer(limited);
        let start = Instant::now();
        let first = tokio::spawn(service.call(request(None)));
        let second = service.call(request(Some(Duration::from_secs(1))));
        assert_eq!(second.await.expect_err("it waits in vain").code(), Code::DeadlineExceeded);
        assert_eq!(start.elapsed().as_secs(), 1);
        assert!(first.await.expect("no panic").is_ok());
        assert!(service.call(request(None)).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn expired_work_never_starts() {
        let touched = service_fn(|_: Request| -> std::future::Ready<Result<Response, Status>> {
            panic!("the handler was called")
        });
        let layered = DeadlineLayer::new(Duration::from_secs(60)).layer(touched);
        let status = layered.oneshot(request(Some(Duration::ZERO))).await.expect_err("expired");
        assert_eq!(status.raw_code(), dora_code::TIMEOUT);
    }
}
