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
use crate::call::response::{Deferred, Reply, Response};
use crate::call::status::{BoxError, Status};

use super::balancer::Shared;
use super::dispatch::Undelivered;
use super::instance::Pinned;
use super::node::{InFlight, Node};

pin_project! {
    /// The future of [`Balancer`](super::balancer::Balancer).
    pub struct BalancerFuture<S: Service<Request>> {
        shared: Arc<Shared<S>>,
        request: Request,
        // Instances that the call came to without having been sent.
        visited: Vec<Arc<str>>,
        last: Option<Status>,
        // Calls of the fleet that could not be sent before this one began.
        unsent_before: u64,
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        // Before the first instance was asked for.
        Begun,
        Calling { #[pin] future: S::Future, in_flight: Option<InFlight<S>> },
        Waiting { wait: Pin<Box<Wait>> },
    }
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
        let unsent_before = shared.unsent.load(Ordering::Relaxed);
        Self { shared, request, visited: Vec::new(), last: None, unsent_before, state: State::Begun }
    }
}

impl<S> Future for BalancerFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Begun => {
                    choose(this.shared, this.request, this.visited, this.last, *this.unsent_before)?
                }
                StateProjection::Waiting { wait } => {
                    if ready!(wait.poll(cx)).is_err() {
                        return Poll::Ready(Err(this.shared.waited_in_vain()));
                    }
                    choose(this.shared, this.request, this.visited, this.last, *this.unsent_before)?
                }
                StateProjection::Calling { future, in_flight } => {
                    let result = ready!(future.poll(cx)).map_err(|error| Status::from_error(error.into()));
                    let Some(mut in_flight) = in_flight.take() else {
                        return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
                    };
                    // Named first: what is said of an instance is held against it.
                    let result = result.map_err(|status| of_instance(status, &in_flight));
                    match in_flight.ended(result) {
                        Err(status) if goes_elsewhere(&status, this.request) => {
                            this.visited.push(Arc::clone(&in_flight.node().name));
                            this.shared.note_unsent(in_flight.node(), &status);
                            *this.last = Some(status);
                            choose(this.shared, this.request, this.visited, this.last, *this.unsent_before)?
                        }
                        result => {
                            in_flight.node().unsent.store(0, Ordering::Relaxed);
                            return Poll::Ready(result.map(|response| until_later(response, in_flight)));
                        }
                    }
                }
            };
            this.state.set(next);
        }
    }
}

/// The instance that takes the call, or what it waits for.
fn choose<S>(
    shared: &Arc<Shared<S>>,
    request: &Request,
    visited: &[Arc<str>],
    last: &Option<Status>,
    unsent_before: u64,
) -> Result<State<S>, Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    // Before it looks, so that no change is missed.
    let mut changed = None;
    loop {
        let (dispatched, said) = kept::asking(|| shared.dispatch(request, visited));
        match dispatched {
            Ok(taken) => {
                return Ok(State::Calling { future: taken.future, in_flight: Some(taken.in_flight) });
            }
            // What the last instance said is more than that there is no other one.
            Err(Undelivered::Impossible(status)) => return Err(last.clone().unwrap_or(status)),
            Err(Undelivered::Waiting { all_unsent }) => {
                // The attempts that others made meanwhile were made for this call too.
                if all_unsent > unsent_before
                    && let Some(status) = last.clone().or_else(|| shared.last_unsent.lock().clone())
                {
                    return Err(status);
                }
                if let Some(changed) = changed.take() {
                    let deadline = shared.deadline(request, said);
                    let deadline = deadline.map(|at| Box::pin(sleep_until(at.instant())));
                    return Ok(State::Waiting { wait: Box::pin(Wait { changed, deadline }) });
                }
                let mut listener = Box::pin(Arc::clone(&shared.changed).notified_owned());
                listener.as_mut().enable();
                changed = Some(listener);
            }
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
            return Status::raw(dora_code::NO_SERVER, text).unsent();
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
        Status::raw(dora_code::TIMEOUT, text).unsent()
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

/// An error that names its instance.
fn of_instance<S>(status: Status, in_flight: &InFlight<S>) -> Status {
    match status.peer() {
        Some(peer) => {
            in_flight.node().is_called(peer);
            status
        }
        None => status.with_peer(Arc::clone(&in_flight.node().name)),
    }
}

/// A result that comes later keeps its call in flight.
fn until_later<S: Send + 'static>(response: Response, in_flight: InFlight<S>) -> Response {
    response.map(|reply| match reply {
        Reply::Deferred(later) => Reply::Deferred(Deferred::new(async move {
            let result = later.await;
            drop(in_flight);
            result
        })),
        reply => reply,
    })
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
