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

use super::answer::Reply;
use super::cost::Cost;
use super::ledger::{Account, Untaken};
use super::shared::Shared;
use super::stats::{Counted, Weight};

/// A packet that is to run as a task.
pub(super) struct Dear<R> {
    pub(super) run: Pin<Box<R>>,
    pub(super) reply: Reply,
    pub(super) weight: Weight,
    pub(super) deadline: Deadline,
    pub(super) cost: Arc<Cost>,
    /// Where its result is counted until the connection takes it.
    pub(super) account: Arc<Account>,
}

/// An answer that was packed where its packet ran.
#[derive(Debug)]
pub(super) struct Framed {
    frame: Vec<u8>,
    /// It counts until it is among what the connection holds.
    untaken: Untaken,
}

impl Framed {
    pub(super) fn new(frame: Vec<u8>, account: Arc<Account>) -> Self {
        let untaken = Untaken::new(account, frame.capacity());
        Self { frame, untaken }
    }

    /// The frame, which the connection counts from now on.
    pub(super) fn taken(self) -> Vec<u8> {
        drop(self.untaken);
        self.frame
    }
}

/// The tasks of one connection. No more of them begin at a time than there are
/// cores to run on: else a busy connection's tasks would stand before everybody
/// else's in the queues of the runtime.
pub(super) struct Tasks<R> {
    places: Arc<Places>,
    queue: VecDeque<(Dear<R>, Counted)>,
    shared: Arc<Shared>,
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
pub(super) struct Task(JoinHandle<Framed>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for Task {
    type Output = Result<Framed, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(ended.map_err(|error| {
            tracing::error!(target: SERVER, %error, "a call's task did not end by itself");
            Status::internal("the call was ended")
        }))
    }
}

impl<R> Tasks<R>
where
    R: Future<Output = ResponseData> + Send + 'static,
{
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        // One runs while the next one is on its way to a core.
        let free = AtomicUsize::new(2 * Handle::current().metrics().num_workers());
        let places = Arc::new(Places { free, connection: AtomicWaker::new() });
        Self { places, queue: VecDeque::new(), shared }
    }

    /// Takes a packet. It runs from now on: a service may have given it a permit.
    pub(super) fn add(&mut self, dear: Dear<R>) {
        let counted = Counted::new(dear.weight, Arc::clone(self.shared.observers.stats()));
        self.queue.push_back((dear, counted));
    }

    /// The earliest deadline of those that have not begun.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.queue.iter().map(|(dear, _)| dear.deadline.instant()).min()
    }

    /// Gives up those that have not begun and whose deadline is past.
    pub(super) fn expire(&mut self, now: Instant, expired: &mut Vec<(Reply, Weight)>) {
        self.queue.retain(|(dear, _)| {
            let stays = !dear.deadline.has_passed(now);
            if !stays {
                expired.push((dear.reply, dear.weight));
            }
            stays
        });
    }

    /// Begins the next one, if there is one and a place for it.
    pub(super) fn poll_begin(&mut self, cx: &Context<'_>) -> Poll<(Task, Reply, Weight)> {
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
            Some((dear, counted)) => {
                let (reply, weight) = (dear.reply, dear.weight);
                Poll::Ready((self.spawn(dear, counted, place), reply, weight))
            }
            None => Poll::Pending,
        }
    }

    fn spawn(&self, dear: Dear<R>, counted: Counted, place: Place) -> Task {
        let Dear { run, reply, deadline, cost, account, .. } = dear;
        let shared = Arc::clone(&self.shared);
        Task(tokio::spawn(async move {
            // A task that is given up goes on until it next waits.
            let _counted = counted;
            account.room().await;
            let data = match account.is_condemned() {
                // Nobody takes its answer.
                true => ResponseData::Empty,
                // It may have waited for its turn here.
                false if deadline.has_passed(Instant::now()) => ResponseData::One(Err(late())),
                false => polled(run, &cost, place).await,
            };
            Framed::new(reply.frame(&shared, data, false), account)
        }))
    }
}

/// Runs a packet, which gives its place back after its first poll.
async fn polled<R: Future>(run: Pin<Box<R>>, cost: &Cost, place: Place) -> R::Output {
    let mut run = pin!(run);
    let mut place = Some(place);
    poll_fn(|cx| {
        let polled = cost.measure(place.is_some(), || run.as_mut().poll(cx));
        place = None;
        polled
    })
    .await
}

/// What a call ends with that never began.
fn late() -> Status {
    Status::raw(dora_code::TIMEOUT, "the deadline had passed before the call began")
}
