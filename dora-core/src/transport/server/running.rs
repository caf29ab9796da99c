//! The calls of one connection that have begun and not ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::Service;

use crate::call::BoxFuture;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::carry::reply::data;
use crate::pack::packet::ResponseData;

use super::answer::Reply;
use super::cost::Cost;
use super::ledger::Account;
use super::packet::Run;
use super::parked::Parked;
use super::shared::Shared;
use super::shutdown::{Phase, Watcher};
use super::stats::{Counted, Weight};
use super::tasks::{Dear, Framed, Task, Tasks};
use super::turn::Turn;
use crate::transport::io::alarm::Alarm;

/// The parked calls, and those that run in the background. Nothing is allocated
/// for a connection whose handlers never wait.
pub(super) struct Work<S: Service<Request>> {
    parked: Option<Box<Parked<Waited<S>>>>,
    /// The tasks that have begun, and those that wait for a place.
    begun: Option<Box<Parked<Waited<S>>>>,
    tasks: Option<Box<Tasks<Run<S>>>>,
    background: Option<Box<Background>>,
    /// While the peer does not take its answers.
    resting: Option<Box<Resting>>,
    parked_weight: Weight,
    task_weight: Weight,
    background_weight: Weight,
    /// Those of the parked whose results count before they are answered.
    batches: usize,
    shared: Arc<Shared>,
}

/// A packet whose caller waits on this connection.
struct Waited<S: Service<Request>> {
    reply: Reply,
    weight: Weight,
    place: Where<S>,
}

/// Where a packet runs.
enum Where<S: Service<Request>> {
    Here { run: Inline<S>, cost: Option<Arc<Cost>>, deadline: Deadline },
    Task(Task),
}

/// What runs where it was read.
pub(super) enum Inline<S: Service<Request>> {
    Stacked(Pin<Box<Run<S>>>),
    Direct(BoxFuture<Response>),
}

/// A first poll: what it came to, and whether it was told the waker that it will be
/// woken by when it is parked.
pub(super) struct FirstPoll<T> {
    pub(super) polled: T,
    pub(super) knows_its_waker: bool,
}

/// Handlers that are not polled, and so do not see their deadlines.
struct Resting {
    alarm: Alarm,
    /// The earliest of their deadlines.
    due: Option<Instant>,
    expired: Vec<(Reply, Weight)>,
}

/// The way back for calls that outlive their connection.
struct Background {
    sender: mpsc::UnboundedSender<Ended>,
    receiver: mpsc::UnboundedReceiver<Ended>,
}

/// A background packet that ended.
struct Ended {
    weight: Weight,
    /// The result to push, where one is wanted.
    push: Option<Framed>,
}

/// Tells the connection when it is dropped that a background packet ended, however.
struct Ending {
    ended: Option<Ended>,
    sender: mpsc::UnboundedSender<Ended>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The connection may be gone: its result is then nobody's.
        let _ = self.ended.take().map(|ended| self.sender.send(ended));
    }
}

/// What became of a packet at its first poll.
pub(super) enum Started<S: Service<Request>> {
    /// Its result, and the box it ran in.
    Done(ResponseData, Pin<Box<Run<S>>>),
    Parked,
}

/// What there is to send: the result of a waited packet, or one to push.
pub(super) enum Finished {
    Here(Reply, ResponseData),
    Elsewhere(Framed),
}

impl<S> Work<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            parked: None,
            begun: None,
            tasks: None,
            background: None,
            resting: None,
            parked_weight: Weight::default(),
            task_weight: Weight::default(),
            background_weight: Weight::default(),
            batches: 0,
            shared,
        }
    }

    /// What runs, in the background too.
    pub(super) fn weight(&self) -> Weight {
        let mut weight = self.parked_weight;
        weight += self.task_weight;
        weight += self.background_weight;
        weight
    }

    /// Calls whose caller waits on this connection.
    pub(super) fn awaited(&self) -> usize {
        self.parked_weight.calls + self.task_weight.calls
    }

    /// Whether results may come from elsewhere, or wait for others of their batch.
    pub(super) fn expects(&self) -> bool {
        self.task_weight.calls + self.background_weight.calls + self.batches > 0
    }

    /// Begins a packet that its caller waits for, which ends with its connection.
    /// Most handlers are done at their first poll and need not be parked.
    pub(super) fn start(
        &mut self,
        mut run: Pin<Box<Run<S>>>,
        (weight, reply): (Weight, Reply),
        (cost, deadline): (Option<&Arc<Cost>>, impl FnOnce() -> Deadline),
        cx: &mut Context<'_>,
    ) -> Started<S> {
        if weight.calls > 1 {
            // A packet of several stops now and then, and must not wake the task.
            self.parked.get_or_insert_default();
        }
        let FirstPoll { polled, knows_its_waker } =
            self.first_poll(cost.map(|cost| &**cost), cx, |cx| run.as_mut().poll(cx));
        match polled {
            Poll::Ready(data) => Started::Done(data, run),
            Poll::Pending => {
                let about = (cost.cloned(), deadline());
                self.park(Inline::Stacked(run), (weight, reply), about, knows_its_waker);
                Started::Parked
            }
        }
    }

    /// Polls a packet for the first time.
    #[inline]
    pub(super) fn first_poll<T>(
        &mut self,
        cost: Option<&Cost>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> FirstPoll<T> {
        let measured = |cx: &mut Context<'_>| match cost {
            Some(cost) => cost.measure(true, || poll(cx)),
            None => poll(cx),
        };
        // Where others wait already it is told the waker that it will be woken by.
        match self.parked.as_deref_mut() {
            Some(parked) => {
                let polled = measured(&mut Context::from_waker(parked.next_waker()));
                FirstPoll { polled, knows_its_waker: true }
            }
            None => FirstPoll { polled: measured(cx), knows_its_waker: false },
        }
    }

    /// Parks a packet that is pending after its first poll.
    pub(super) fn park(
        &mut self,
        run: Inline<S>,
        (weight, reply): (Weight, Reply),
        (cost, deadline): (Option<Arc<Cost>>, Deadline),
        knows_its_waker: bool,
    ) {
        self.parked_weight += weight;
        self.batches += usize::from(weight.calls > 1);
        self.shared.observers.stats().started(weight);
        let waited = Waited { reply, weight, place: Where::Here { run, cost, deadline } };
        self.parked.get_or_insert_default().park(waited, knows_its_waker);
    }

    /// Begins a packet that its caller waits for as a task, when there is a place.
    pub(super) fn start_task(&mut self, dear: Dear<Run<S>>) {
        self.task_weight += dear.weight;
        let shared = &self.shared;
        self.tasks.get_or_insert_with(|| Box::new(Tasks::new(Arc::clone(shared)))).add(dear);
    }

    fn begin_tasks(&mut self, cx: &Context<'_>) {
        let Some(tasks) = &mut self.tasks else { return };
        while let Poll::Ready((task, reply, weight)) = tasks.poll_begin(cx) {
            let waited = Waited { reply, weight, place: Where::Task(task) };
            self.begun.get_or_insert_default().park(waited, false);
        }
    }

    /// Runs a packet that its caller does not wait for: it runs to its end
    /// whatever becomes of the connection, or to the end of the server's shutdown.
    /// Its result is for `push`, if for anybody.
    pub(super) fn spawn(
        &mut self,
        run: Run<S>,
        weight: Weight,
        push: Option<(Reply, Arc<Account>)>,
        watcher: Watcher,
    ) {
        let background = self.background.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Box::new(Background { sender, receiver })
        });
        self.background_weight += weight;
        let shared = Arc::clone(&self.shared);
        let counted = Counted::new(weight, Arc::clone(shared.observers.stats()));
        let ended = Some(Ended { weight, push: None });
        let mut ending = Ending { ended, sender: background.sender.clone() };
        tokio::spawn(async move {
            if let Some((_, account)) = &push {
                account.room().await;
            }
            let data = tokio::select! {
                biased;
                data = run => data,
                () = watcher.reached(Phase::Closing) => return,
            };
            let framed = push.map(|(reply, account)| Framed::new(reply.frame(&shared, data, true), account));
            ending.ended = Some(Ended { weight, push: framed });
            drop((counted, ending));
            // Only now is the shutdown told: the result is on its way.
            drop(watcher);
        });
    }

    /// Gives back what a connection on which nothing runs does not need.
    pub(super) fn release(&mut self) {
        if self.parked_weight.calls == 0 {
            self.parked = None;
        }
        if self.task_weight.calls == 0 {
            self.begun = None;
            self.tasks = None;
        }
        if self.background_weight.calls == 0 {
            self.background = None;
        }
    }

    /// The next packet that ended and has something to send; pending, too, when
    /// the turn is spent. While more answers may not be made (`may_answer`) handlers
    /// rest, and results of those that run elsewhere stay there; tasks begin while
    /// there is room for their results (`may_begin`).
    pub(super) fn poll_finished(
        &mut self,
        (may_answer, may_begin): (bool, bool),
        turn: &mut Turn,
        cx: &mut Context<'_>,
    ) -> Poll<Finished> {
        if !may_answer {
            return self.poll_expired(cx);
        }
        self.resting = None;
        if may_begin {
            self.begin_tasks(cx);
        }
        if let Some(begun) = self.begun.as_deref_mut()
            && let Poll::Ready((Waited { reply, weight, .. }, outcome)) = begun.poll_next(turn, cx)
        {
            self.task_weight -= weight;
            return Poll::Ready(outcome.finished(reply));
        }
        if let Some(parked) = self.parked.as_deref_mut()
            && let Poll::Ready((Waited { reply, weight, .. }, outcome)) = parked.poll_next(turn, cx)
        {
            self.parked_weight -= weight;
            self.batches -= usize::from(weight.calls > 1);
            self.shared.observers.stats().ended(weight);
            return Poll::Ready(outcome.finished(reply));
        }
        let Some(background) = &mut self.background else { return Poll::Pending };
        while let Poll::Ready(Some(Ended { weight, push })) = background.receiver.poll_recv(cx) {
            self.background_weight -= weight;
            if let Some(framed) = push {
                return Poll::Ready(Finished::Elsewhere(framed));
            }
        }
        Poll::Pending
    }

    /// Ends packets whose deadline passes while they rest: what they hold, a permit
    /// say, may be others' too.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        if self.resting.is_none() {
            let due = self.earliest();
            self.resting = Some(Box::new(Resting { alarm: Alarm::default(), due, expired: Vec::new() }));
        }
        loop {
            let Some(resting) = self.resting.as_deref_mut() else { return Poll::Pending };
            if let Some((reply, _)) = resting.expired.pop() {
                let status = Status::raw(dora_code::TIMEOUT, "the call did not end before its deadline");
                return Poll::Ready(Finished::Here(reply, ResponseData::One(Err(status))));
            }
            let Some(due) = resting.due else { return Poll::Pending };
            ready!(resting.alarm.poll(due, cx));
            self.expire(Instant::now());
        }
    }

    fn earliest(&self) -> Option<Instant> {
        let parked = self.parked.iter().flat_map(|parked| parked.iter()).filter_map(Waited::deadline);
        let parked = parked.map(Deadline::instant).min();
        let queued = self.tasks.as_ref().and_then(|tasks| tasks.earliest());
        parked.into_iter().chain(queued).min()
    }

    fn expire(&mut self, now: Instant) {
        let mut expired = Vec::new();
        if let Some(tasks) = &mut self.tasks {
            tasks.expire(now, &mut expired);
        }
        for (_, weight) in &expired {
            self.task_weight -= *weight;
        }
        let has_passed = |waited: &Waited<S>| waited.deadline().is_some_and(|due| due.has_passed(now));
        let parked = self.parked.iter_mut().flat_map(|parked| parked.take_all(has_passed));
        for Waited { reply, weight, .. } in parked {
            self.parked_weight -= weight;
            self.batches -= usize::from(weight.calls > 1);
            self.shared.observers.stats().ended(weight);
            expired.push((reply, weight));
        }
        let due = self.earliest();
        if let Some(resting) = &mut self.resting {
            (resting.due, resting.expired) = (due, expired);
        }
    }
}

impl<S: Service<Request>> Drop for Work<S> {
    fn drop(&mut self) {
        self.shared.observers.stats().ended(self.parked_weight);
    }
}

impl<S: Service<Request>> Waited<S> {
    /// Of those that run as tasks, their tasks keep it.
    fn deadline(&self) -> Option<Deadline> {
        match &self.place {
            Where::Here { deadline, .. } => Some(*deadline),
            Where::Task(_) => None,
        }
    }
}

impl<S> Inline<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match self {
            Self::Stacked(run) => run.as_mut().poll(cx),
            Self::Direct(call) => call.as_mut().poll(cx).map(data),
        }
    }
}

/// What a packet came to.
enum Outcome {
    Data(ResponseData),
    Framed(Framed),
}

impl Outcome {
    fn finished(self, reply: Reply) -> Finished {
        match self {
            Self::Data(data) => Finished::Here(reply, data),
            Self::Framed(framed) => Finished::Elsewhere(framed),
        }
    }
}

impl<S> Future for Waited<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.place {
            Where::Here { run, cost: Some(cost), .. } => {
                cost.measure(false, || run.poll(cx)).map(Outcome::Data)
            }
            Where::Here { run, cost: None, .. } => run.poll(cx).map(Outcome::Data),
            Where::Task(task) => Pin::new(task).poll(cx).map(|ended| match ended {
                Ok(framed) => Outcome::Framed(framed),
                Err(status) => Outcome::Data(ResponseData::One(Err(status))),
            }),
        }
    }
}
