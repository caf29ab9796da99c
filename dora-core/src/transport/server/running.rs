//! The calls of one connection that have begun and not ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesUnordered, Stream};
use tokio::sync::mpsc;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::guid::Guid;
use crate::pack::packet::ResponseData;

use super::answer::Manner;
use super::packet::Run;
use super::shutdown::{Phase, Watcher};
use super::stats::Stats;

/// The parked calls, and those that run in the background. Nothing is allocated
/// for a connection whose handlers never wait.
pub(super) struct Work<S: Service<Request>> {
    parked: Option<Box<FuturesUnordered<Parked<S>>>>,
    background: Option<Box<Background>>,
    parked_calls: usize,
    background_calls: usize,
    stats: Arc<Stats>,
}

/// A packet whose caller waits on this connection.
struct Parked<S: Service<Request>> {
    reply: Reply,
    calls: usize,
    run: Pin<Box<Run<S>>>,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) manner: Manner,
    /// The guid for the answer's body.
    pub(super) guid: Option<Guid>,
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
        Self { parked: None, background: None, parked_calls: 0, background_calls: 0, stats }
    }

    /// Calls that run, in the background too.
    pub(super) fn calls(&self) -> usize {
        self.parked_calls + self.background_calls
    }

    /// Whether nothing runs that may still answer.
    pub(super) fn is_idle(&self) -> bool {
        self.calls() == 0
    }

    /// Parks a packet that its caller waits for: it ends with its connection.
    pub(super) fn park(&mut self, run: Pin<Box<Run<S>>>, calls: usize, reply: Reply) {
        self.parked_calls += calls;
        self.stats.calls_started(calls);
        self.parked.get_or_insert_default().push(Parked { reply, calls, run });
    }

    /// Runs a packet that its caller does not wait for: it runs to its end
    /// whatever becomes of the connection, or to the end of the server's shutdown.
    pub(super) fn spawn(&mut self, run: Run<S>, calls: usize, push: Option<Reply>, mut watcher: Watcher) {
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

    /// The next packet that ended and has something to send.
    pub(super) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        if let Some(parked) = self.parked.as_deref_mut()
            && let Poll::Ready(Some((reply, calls, data))) = Pin::new(parked).poll_next(cx)
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

impl<S> Future for Parked<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = (Reply, usize, ResponseData);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let data = ready!(self.run.as_mut().poll(cx));
        Poll::Ready((self.reply, self.calls, data))
    }
}
