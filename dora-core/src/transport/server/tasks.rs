//! Packets that run as tasks of the runtime: dear ones, so that one connection
//! can use all cores.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::status::Status;
use crate::call::trace::SERVER;
use crate::pack::packet::ResponseData;

use super::cost::Cost;
use super::stats::Stats;

/// A packet that is to run as a task.
pub(super) struct Dear<R> {
    pub(super) run: Pin<Box<R>>,
    pub(super) calls: usize,
    pub(super) deadline: Option<Deadline>,
    pub(super) cost: Arc<Cost>,
}

/// The tasks of one connection. No more of them begin at a time than there are
/// cores to run on: else a busy connection's tasks would stand before everybody
/// else's in the queues of the runtime.
pub(super) struct Tasks<R, T> {
    places: Arc<Places>,
    queue: VecDeque<(Dear<R>, T)>,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Places {
    free: AtomicUsize,
    connection: AtomicWaker,
}

/// A place among the tasks that begin. It is given back after the first poll.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::AcqRel);
        self.0.connection.wake();
    }
}

/// A task that ends with its connection.
pub(super) struct Task(JoinHandle<ResponseData>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for Task {
    type Output = ResponseData;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        let ended = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|error| {
            tracing::error!(target: SERVER, %error, "a call's task did not end by itself");
            ResponseData::One(Err(Status::internal("the call was ended")))
        }))
    }
}

/// Calls that count as running until this is dropped: a task that is given up
/// goes on until it next waits.
struct Counted(usize, Arc<Stats>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.calls_ended(self.0);
    }
}

impl<R, T> Tasks<R, T>
where
    R: Future<Output = ResponseData> + Send + 'static,
{
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        // One runs while the next one is on its way to a core.
        let free = AtomicUsize::new(2 * Handle::current().metrics().num_workers());
        let places = Arc::new(Places { free, connection: AtomicWaker::new() });
        Self { places, queue: VecDeque::new(), stats }
    }

    /// Takes a packet, and what is to be known of it when it has begun.
    pub(super) fn add(&mut self, dear: Dear<R>, note: T) {
        self.queue.push_back((dear, note));
    }

    /// Begins the next one, if there is one and a place for it.
    pub(super) fn poll_begin(&mut self, cx: &Context<'_>) -> Poll<(Task, T)> {
        if self.queue.is_empty() {
            return Poll::Pending;
        }
        self.places.connection.register(cx.waker());
        let take = |free: usize| free.checked_sub(1);
        if self.places.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err() {
            return Poll::Pending;
        }
        let place = Place(Arc::clone(&self.places));
        match self.queue.pop_front() {
            Some((dear, note)) => Poll::Ready((self.spawn(dear, place), note)),
            None => Poll::Pending,
        }
    }

    fn spawn(&self, dear: Dear<R>, place: Place) -> Task {
        let Dear { run, calls, deadline, cost } = dear;
        self.stats.calls_started(calls);
        let counted = Counted(calls, Arc::clone(&self.stats));
        Task(tokio::spawn(async move {
            let _counted = counted;
            // It may have waited for its turn here.
            if deadline.is_some_and(|deadline| deadline.has_passed(Instant::now())) {
                return ResponseData::One(Err(late()));
            }
            let mut run = pin!(run);
            let mut place = Some(place);
            poll_fn(|cx| {
                let polled = cost.measure(place.is_some(), || run.as_mut().poll(cx));
                place = None;
                polled
            })
            .await
        }))
    }
}

fn late() -> Status {
    Status::raw(dora_code::TIMEOUT, "the deadline had passed before the call began")
}
