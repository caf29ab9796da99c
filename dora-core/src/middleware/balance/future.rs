//! A call of a fleet: it waits for an instance, and goes to another one where it
//! surely has not run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::kept;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

use super::balancer::Shared;
use super::dispatch::{Dispatched, Undelivered};
use super::instance::Pinned;
use super::node::{InFlight, Node};

pin_project! {
    /// The future of [`Balancer`](super::balancer::Balancer).
    pub struct BalancerFuture<S: Service<Request>> {
        shared: Arc<Shared<S>>,
        #[pin]
        choice: Choice<S>,
    }
}

pin_project! {
    /// A call that an instance is chosen for. Whoever keeps it has the request again when
    /// it has ended.
    pub(super) struct Choice<S: Service<Request>> {
        // Until it is taken.
        request: Option<Request>,
        // Calls of the fleet that could not be sent before this one began.
        unsent_before: u64,
        // Most calls have none.
        detour: Option<Box<Detour>>,
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        // Before the first instance was asked for.
        Begun,
        Calling { #[pin] future: S::Future, in_flight: InFlight<S> },
        Waiting { wait: Pin<Box<Wait>> },
        Ended,
    }
}

/// Instances that a call came to without having been sent.
#[derive(Default)]
struct Detour {
    visited: Vec<Arc<str>>,
    /// Why it was not sent to the last one.
    last: Option<Status>,
}

/// Until an instance is ready, or the call's time is over.
struct Wait {
    changed: Pin<Box<OwnedNotified>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// The time of a call that waited is over.
struct Elapsed;

impl<S: Service<Request>> BalancerFuture<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, request: Request) -> Self {
        let choice = Choice::new(&shared, request);
        Self { shared, choice }
    }
}

impl<S> Future for BalancerFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.choice.poll(this.shared, cx)
    }
}

impl<S: Service<Request>> Choice<S> {
    #[inline]
    pub(super) fn new(shared: &Shared<S>, request: Request) -> Self {
        let unsent_before = shared.unsent.load(Ordering::Relaxed);
        Self { request: Some(request), unsent_before, detour: None, state: State::Begun }
    }

    /// The request, and the instance that has the call.
    pub(super) fn at_host(self: Pin<&mut Self>) -> Option<(&Request, &Arc<str>)> {
        let this = self.project();
        match this.state.project() {
            StateProjection::Calling { in_flight, .. } => {
                Some((this.request.as_ref()?, &in_flight.node().name))
            }
            _ => None,
        }
    }

    /// The request, for another try.
    pub(super) fn take_request(self: Pin<&mut Self>) -> Option<Request> {
        self.project().request.take()
    }
}

impl<S> Choice<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    pub(super) fn poll(
        self: Pin<&mut Self>,
        shared: &Shared<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, Status>> {
        let mut this = self.project();
        let polled_again = || Status::internal("a future was polled after it had ended");
        let Some(request) = this.request.as_ref() else { return Poll::Ready(Err(polled_again())) };
        loop {
            match this.state.as_mut().project() {
                StateProjection::Begun => {}
                StateProjection::Waiting { wait } => {
                    if ready!(wait.poll(cx)).is_err() {
                        this.state.set(State::Ended);
                        return Poll::Ready(Err(shared.waited_in_vain()));
                    }
                }
                StateProjection::Calling { future, in_flight } => {
                    let mut result = ready!(future.poll(cx)).map_err(|error| of_instance(error, in_flight));
                    in_flight.ended(&mut result);
                    match result {
                        Err(status) if goes_elsewhere(&status, request) => {
                            let detour = this.detour.get_or_insert_default();
                            detour.visited.push(Arc::clone(&in_flight.node().name));
                            shared.note_unsent(in_flight.node(), &status);
                            detour.last = Some(status);
                        }
                        result => {
                            in_flight.node().was_reached();
                            return Poll::Ready(result);
                        }
                    }
                }
                StateProjection::Ended => return Poll::Ready(Err(polled_again())),
            }
            if let Err(status) =
                choose(shared, request, this.detour.as_deref(), *this.unsent_before, this.state.as_mut())
            {
                this.state.set(State::Ended);
                return Poll::Ready(Err(status));
            }
        }
    }
}

/// Finds the instance that takes the call, or what it waits for.
#[inline]
fn choose<S>(
    shared: &Shared<S>,
    request: &Request,
    detour: Option<&Detour>,
    unsent_before: u64,
    mut state: Pin<&mut State<S>>,
) -> Result<(), Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let visited = detour.map_or(&[][..], |detour| &detour.visited);
    match shared.dispatch(request, visited) {
        Ok(Dispatched { future, in_flight }) => {
            state.set(State::Calling { future, in_flight });
            Ok(())
        }
        Err(undelivered) => {
            let last = detour.and_then(|detour| detour.last.as_ref());
            let next = wait(shared, request, visited, last, unsent_before, undelivered)?;
            state.set(next);
            Ok(())
        }
    }
}

/// What a call waits for that no instance has taken; or one has, that became ready meanwhile.
#[cold]
fn wait<S>(
    shared: &Shared<S>,
    request: &Request,
    visited: &[Arc<str>],
    last: Option<&Status>,
    unsent_before: u64,
    undelivered: Undelivered,
) -> Result<State<S>, Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let may_wait = |undelivered| match undelivered {
        // What the last instance said is more than that there is no other one.
        Undelivered::Impossible(status) => Err(last.cloned().unwrap_or(status)),
        // The attempts that others made meanwhile were made for this call too.
        Undelivered::Waiting { all_unsent } if all_unsent > unsent_before => {
            last.cloned().or_else(|| shared.last_unsent.lock().clone()).map_or(Ok(()), Err)
        }
        Undelivered::Waiting { .. } => Ok(()),
    };
    may_wait(undelivered)?;
    let mut changed = Box::pin(Arc::clone(&shared.changed).notified_owned());
    changed.as_mut().enable();
    // Looked at again, so that no change is missed.
    let (dispatched, said) = kept::asking(|| shared.dispatch(request, visited));
    match dispatched {
        Ok(Dispatched { future, in_flight }) => Ok(State::Calling { future, in_flight }),
        Err(undelivered) => {
            may_wait(undelivered)?;
            let deadline = shared.deadline(request, said);
            let deadline = deadline.map(|at| Box::pin(sleep_until(at.instant())));
            Ok(State::Waiting { wait: Box::pin(Wait { changed, deadline }) })
        }
    }
}

impl<S> Shared<S> {
    /// Until when a call waits for an instance: if it does not say, as long as its
    /// endpoints let it take, of which those that are not ready have `said` something.
    /// While nothing was heard of any, as long as endpoints do by default.
    fn deadline(&self, request: &Request, said: Option<Duration>) -> Option<Deadline> {
        let nothing_heard = self.nodes.load().is_none();
        let by_default = || said.or(nothing_heard.then_some(kept::DEFAULT_TIMEOUT));
        let made = || kept::made(Instant::now());
        request.deadline().or_else(|| by_default().map(|timeout| Deadline::from_instant(made(), timeout)))
    }

    /// No instance became ready for a call in its time: the caller is told what became of
    /// the last call that could not be sent, if no instance has been reached since.
    fn waited_in_vain(&self) -> Status {
        if self.followed.is_some() && self.nodes.load().is_none() {
            let text = format!("there is no server can connect: {}", self.described());
            return Status::raw(dora_code::NO_SERVER, text).inward().unsent();
        }
        let mut text = "no instance of the fleet was ready before the deadline".to_owned();
        let nodes = self.nodes.load();
        let mut nodes = nodes.iter().flat_map(|nodes| nodes.iter());
        let last = nodes
            .any(|node| node.unsent.load(Ordering::Relaxed) > 0)
            .then(|| self.last_unsent.lock().clone());
        if let Some(last) = last.flatten() {
            let peer = last.peer().map(|peer| format!(" of {peer}")).unwrap_or_default();
            text = format!("{text}; the last that was heard{peer}: {}", last.message());
        }
        Status::raw(dora_code::TIMEOUT, text).inward().unsent()
    }

    /// A call could not be sent to `node`: those that wait may be told.
    fn note_unsent(&self, node: &Node<S>, status: &Status) {
        *self.last_unsent.lock() = Some(status.clone());
        let number = self.unsent.fetch_add(1, Ordering::Relaxed) + 1;
        node.unsent.store(number, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

impl Wait {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Elapsed>> {
        if self.changed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        deadline.as_mut().poll(cx).map(|()| Err(Elapsed))
    }
}

/// Whether the call surely has not run, and another instance may take it.
fn goes_elsewhere(status: &Status, request: &Request) -> bool {
    status.is_unsent()
        && matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
        && request.extensions().get::<Pinned>().is_none()
}

/// An error that names its instance: what is said of one is held against it.
#[cold]
fn of_instance<S>(error: impl Into<BoxError>, in_flight: &InFlight<S>) -> Status {
    let status = Status::from_error(error.into());
    match status.peer() {
        Some(peer) => {
            in_flight.node().is_called(peer);
            status
        }
        None => status.with_peer(Arc::clone(&in_flight.node().name)),
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
