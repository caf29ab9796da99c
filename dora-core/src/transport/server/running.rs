//! The calls of one connection that have begun and not ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::guid::Guid;
use crate::pack::packet::ResponseData;

use super::answer::Manner;
use super::cost::Cost;
use super::packet::Run;
use super::parked::Parked;
use super::shutdown::{Phase, Watcher};
use super::stats::Stats;
use super::tasks::{Dear, Task, Tasks};
use super::turn::Turn;

/// The parked calls, and those that run in the background. Nothing is allocated
/// for a connection whose handlers never wait.
pub(super) struct Work<S: Service<Request>> {
    parked: Option<Box<Parked<Waited<S>>>>,
    /// The tasks that have begun, and those that wait for a place.
    begun: Option<Box<Parked<Waited<S>>>>,
    tasks: Option<Box<PacketTasks<S>>>,
    background: Option<Box<Background>>,
    parked_calls: usize,
    task_calls: usize,
    background_calls: usize,
    stats: Arc<Stats>,
}

/// Each with whom its answer is for, and its number of calls.
type PacketTasks<S> = Tasks<Run<S>, (Reply, usize)>;

/// A packet whose caller waits on this connection.
struct Waited<S: Service<Request>> {
    reply: Reply,
    calls: usize,
    place: Where<S>,
}

/// Where a packet runs.
enum Where<S: Service<Request>> {
    Here { run: Pin<Box<Run<S>>>, cost: Option<Arc<Cost>> },
    Task(Task),
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) manner: Manner,
    /// The guid for the answer's body.
    pub(super) guid: Option<Guid>,
    /// Whether the peer said what it can, and so is told what this end can.
    pub(super) asks: bool,
}

/// The way back for calls that outlive their connection.
struct Background {
    sender: mpsc::UnboundedSender<Ended>,
    receiver: mpsc::UnboundedReceiver<Ended>,
}

/// A background packet that ended.
struct Ended {
    calls: usize,
    /// The result to push, where one is wanted.
    push: Option<(Reply, ResponseData)>,
}

/// Background calls that count as running until this is dropped, however they end.
struct Counted {
    calls: usize,
    stats: Arc<Stats>,
    sender: mpsc::UnboundedSender<Ended>,
    push: Option<(Reply, ResponseData)>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stats.calls_ended(self.calls);
        // The connection may be gone: its result is then nobody's.
        let _ = self.sender.send(Ended { calls: self.calls, push: self.push.take() });
    }
}

/// What became of a packet at its first poll.
pub(super) enum Started<S: Service<Request>> {
    /// Its result, and the box it ran in.
    Done(ResponseData, Pin<Box<Run<S>>>),
    Parked,
}

/// What there is to send: the result of a waited packet, or one to push.
pub(super) struct Finished {
    pub(super) reply: Reply,
    pub(super) data: ResponseData,
    pub(super) is_result: bool,
}

impl<S> Work<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self {
            parked: None,
            begun: None,
            tasks: None,
            background: None,
            parked_calls: 0,
            task_calls: 0,
            background_calls: 0,
            stats,
        }
    }

    /// Calls that run, in the background too.
    pub(super) fn calls(&self) -> usize {
        self.awaited() + self.background_calls
    }

    /// Those of them whose caller waits on this connection.
    pub(super) fn awaited(&self) -> usize {
        self.parked_calls + self.task_calls
    }

    /// Begins a packet that its caller waits for, which ends with its connection.
    /// Most handlers are done at their first poll and need not be parked.
    pub(super) fn start(
        &mut self,
        mut run: Pin<Box<Run<S>>>,
        (calls, reply): (usize, Reply),
        cost: Option<&Arc<Cost>>,
        cx: &mut Context<'_>,
    ) -> Started<S> {
        if calls > 1 {
            // A packet of several stops now and then, and must not wake the task.
            self.parked.get_or_insert_default();
        }
        let parked = self.parked.as_deref_mut();
        // Where others wait already it is told the waker that it will be woken by.
        let knows_its_waker = parked.is_some();
        let mut poll = |cx: &mut Context<'_>| match cost {
            Some(cost) => cost.measure(true, || run.as_mut().poll(cx)),
            None => run.as_mut().poll(cx),
        };
        let polled = match parked {
            Some(parked) => poll(&mut Context::from_waker(parked.next_waker())),
            None => poll(cx),
        };
        match polled {
            Poll::Ready(data) => Started::Done(data, run),
            Poll::Pending => {
                self.parked_calls += calls;
                self.stats.calls_started(calls);
                let waited = Waited { reply, calls, place: Where::Here { run, cost: cost.cloned() } };
                self.parked.get_or_insert_default().park(waited, knows_its_waker);
                Started::Parked
            }
        }
    }

    /// Begins a packet that its caller waits for as a task, when there is a place.
    pub(super) fn start_task(&mut self, dear: Dear<Run<S>>, reply: Reply) {
        let calls = dear.calls;
        self.task_calls += calls;
        let tasks = self.tasks.get_or_insert_with(|| Box::new(Tasks::new(Arc::clone(&self.stats))));
        tasks.add(dear, (reply, calls));
    }

    fn begin_tasks(&mut self, cx: &Context<'_>) {
        let Some(tasks) = &mut self.tasks else { return };
        while let Poll::Ready((task, (reply, calls))) = tasks.poll_begin(cx) {
            let waited = Waited { reply, calls, place: Where::Task(task) };
            self.begun.get_or_insert_default().park(waited, false);
        }
    }

    /// Runs a packet that its caller does not wait for: it runs to its end
    /// whatever becomes of the connection, or to the end of the server's shutdown.
    pub(super) fn spawn(&mut self, run: Run<S>, calls: usize, push: Option<Reply>, watcher: Watcher) {
        let background = self.background.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Box::new(Background { sender, receiver })
        });
        self.background_calls += calls;
        self.stats.calls_started(calls);
        let (sender, stats) = (background.sender.clone(), Arc::clone(&self.stats));
        let mut counted = Counted { calls, stats, sender, push: None };
        tokio::spawn(async move {
            let data = tokio::select! {
                biased;
                data = run => data,
                () = watcher.reached(Phase::Closing) => return,
            };
            counted.push = push.map(|reply| (reply, data));
            drop(counted);
            // Only now is the shutdown told: the result is on its way.
            drop(watcher);
        });
    }

    /// Gives back what a connection on which nothing runs does not need.
    pub(super) fn release(&mut self) {
        if self.parked_calls == 0 {
            self.parked = None;
        }
        if self.task_calls == 0 {
            self.begun = None;
            self.tasks = None;
        }
        if self.background_calls == 0 {
            self.background = None;
        }
    }

    /// The next packet that ended and has something to send; pending, too, when
    /// the turn is spent. Without `may_begin` handlers rest; the results of those
    /// that run elsewhere are taken all the same: unpacked, nobody counts them.
    pub(super) fn poll_finished(
        &mut self,
        may_begin: bool,
        turn: &mut Turn,
        cx: &mut Context<'_>,
    ) -> Poll<Finished> {
        if may_begin {
            self.begin_tasks(cx);
        }
        if let Some(begun) = self.begun.as_deref_mut()
            && let Poll::Ready((Waited { reply, calls, .. }, data)) = begun.poll_next(turn, cx)
        {
            self.task_calls -= calls;
            return Poll::Ready(Finished { reply, data, is_result: false });
        }
        if may_begin
            && let Some(parked) = self.parked.as_deref_mut()
            && let Poll::Ready((Waited { reply, calls, .. }, data)) = parked.poll_next(turn, cx)
        {
            self.parked_calls -= calls;
            self.stats.calls_ended(calls);
            return Poll::Ready(Finished { reply, data, is_result: false });
        }
        let Some(background) = &mut self.background else { return Poll::Pending };
        while let Poll::Ready(Some(Ended { calls, push })) = background.receiver.poll_recv(cx) {
            self.background_calls -= calls;
            if let Some((reply, data)) = push {
                return Poll::Ready(Finished { reply, data, is_result: true });
            }
        }
        Poll::Pending
    }
}

impl<S: Service<Request>> Drop for Work<S> {
    fn drop(&mut self) {
        self.stats.calls_ended(self.parked_calls);
    }
}

impl<S> Future for Waited<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = ResponseData;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match &mut self.place {
            Where::Here { run, cost: Some(cost) } => cost.measure(false, || run.as_mut().poll(cx)),
            Where::Here { run, cost: None } => run.as_mut().poll(cx),
            Where::Task(task) => Pin::new(task).poll(cx),
        }
    }
}
