//! A request on its way through a service, under its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::kept::{self, Kept};
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::call::trace::CallSpan;

use super::caller::Caller;

pin_project! {
    /// Waits until the service is ready, calls it, and waits for its response, no
    /// longer than to the request's deadline.
    ///
    /// Whoever the response is waited for may keep the deadline itself, as a
    /// channel does; then there is no timer here.
    pub(super) struct Called<S: Service<Request>> {
        #[pin]
        state: State<S>,
        deadline: Option<Deadline>,
        // As soon as anybody had to know.
        made: Option<Instant>,
        timer: Option<Pin<Box<Sleep>>>,
        // While somebody listens.
        span: Option<Box<CallSpan>>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<S: Service<Request>> {
        // The service goes with the future: it may hold a permit meanwhile.
        Unready { service: S, request: Request },
        Running { #[pin] response: S::Future },
        Ended,
    }
}

impl<S: Caller> Called<S> {
    pub(super) fn new(service: S, mut request: Request) -> Self {
        let span = CallSpan::make(&mut request);
        let deadline = request.deadline();
        Self { state: State::Unready { service, request }, deadline, made: None, timer: None, span }
    }
}

impl<S: Caller> State<S> {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response, Status>> {
        loop {
            match self.as_mut().project() {
                StateProjection::Running { response } => {
                    return response.poll(cx).map_err(|error| Status::from_error(error.into()));
                }
                StateProjection::Unready { service, .. } => {
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        return Poll::Ready(Err(Status::from_error(error.into())));
                    }
                }
                StateProjection::Ended => {
                    let message = "a future was polled after it had ended";
                    return Poll::Ready(Err(Status::internal(message)));
                }
            }
            if let StateReplaced::Unready { mut service, request } =
                self.as_mut().project_replace(Self::Ended)
            {
                let response = service.call(request);
                self.set(Self::Running { response });
            }
        }
    }

    /// How long the call may take by what the service says that it waits for.
    fn default_timeout(&self) -> Option<Duration> {
        match self {
            Self::Unready { service, .. } => kept::ask_default(service),
            _ => None,
        }
    }

    /// What is said when the deadline passes now.
    fn expired(&self) -> Status {
        match self {
            Self::Unready { .. } => {
                Status::raw(dora_code::TIMEOUT, "the deadline passed before the service was ready").unsent()
            }
            _ => Status::raw(dora_code::TIMEOUT, "no answer before the deadline"),
        }
    }
}

impl<S: Caller> Future for Called<S> {
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.span.is_some() { self.poll_in_span(cx) } else { self.poll_call(cx) }
    }
}

impl<S: Caller> Called<S> {
    #[cold]
    fn poll_in_span(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response, Status>> {
        let Some(span) = self.as_mut().project().span.take() else { return self.poll_call(cx) };
        let entered = span.enter();
        let polled = self.as_mut().poll_call(cx);
        drop(entered);
        match polled {
            Poll::Ready(result) => Poll::Ready(span.end(result)),
            Poll::Pending => {
                *self.project().span = Some(span);
                Poll::Pending
            }
        }
    }

    fn poll_call(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response, Status>> {
        let mut this = self.project();
        let (polled, kept) = kept::watch(this.made, || this.state.as_mut().poll(cx));
        if polled.is_ready() || kept == Kept::Here {
            return polled;
        }
        if this.deadline.is_none() {
            let made = *this.made.get_or_insert_with(Instant::now);
            let timeout = match kept {
                Kept::Elsewhere(timeout) => Some(timeout),
                _ => this.state.default_timeout(),
            };
            *this.deadline = timeout.map(|timeout| Deadline::from_instant(made, timeout));
        }
        let Some(deadline) = this.deadline else { return polled };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.instant())));
        ready!(timer.as_mut().poll(cx));
        let status = this.state.expired();
        // What still runs is given up now, not when the caller drops this.
        this.state.set(State::Ended);
        Poll::Ready(Err(status))
    }
}
