//! Accepting connections until the end.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::transport::log_limit::LineLimit;

use super::accept::{Accept, is_the_peers};
use super::connections::Connections;
use super::door::porch::Entrance;
use super::incoming::Incoming;
use super::log;

impl<S> Connections<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    /// Accepts connections until `signal` ends, then lets the running calls end
    /// and closes.
    pub async fn accept(self, listener: impl Accept, signal: impl Future<Output = ()>) {
        self.accept_beside(listener, Vec::new(), signal).await;
    }

    /// The same beside the `entrances` of other protocols.
    pub(crate) async fn accept_beside(
        mut self,
        mut listener: impl Accept,
        entrances: Vec<Entrance>,
        signal: impl Future<Output = ()>,
    ) {
        log::listening(listener.address().as_ref(), &self.shared, &self.config);
        let mut porches: Vec<_> =
            entrances.into_iter().map(|(listener, door)| (self.porch(door), listener)).collect();
        let (config, this) = (self.config.clone(), &mut self);
        let beside = porches.iter_mut().map(|(porch, listener)| porch.accept(listener, &config));
        // A listener that ends is one less; the server ends with its own.
        let beside = join_all(beside).then(|_| pending());
        tokio::select! {
            biased;
            () = signal => {}
            () = beside => {}
            () = accept_all(&mut listener, config.max_connections, move |incoming| this.serve(incoming)) => {}
        }
        // The listeners go first: who is told to leave and dials anew must find a
        // successor, and not this server again.
        for incoming in listener.close() {
            tokio::spawn(self.serve(incoming));
        }
        for (porch, listener) in porches {
            for incoming in Accept::close(listener) {
                tokio::spawn(porch.serve(incoming));
            }
        }
        self.drain().await;
    }
}

/// Accepts connections, at most `most` of which are open at a time, and has each
/// served by a task of its own.
pub(super) async fn accept_all<F>(
    listener: &mut impl Accept,
    most: usize,
    mut serve: impl FnMut(Incoming) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let (mut backoff, mut limit) = (Backoff::default(), LineLimit::default());
    loop {
        // Never closed, so there is always a place in the end.
        let place = Arc::clone(&places).acquire_owned().await;
        let incoming = match poll_fn(|cx| listener.poll_accept(cx)).await {
            None => return,
            Some(Err(error)) => {
                backoff.wait(&error, &mut limit).await;
                continue;
            }
            Some(Ok(incoming)) => incoming,
        };
        backoff = Backoff::default();
        // Not an async block, which would have room for what it awaits twice.
        tokio::spawn(serve(incoming).map(move |()| drop(place)));
    }
}

/// Waiting after a failed accept, so that a process without file descriptors
/// does not spin, and goes on accepting when it has some again.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    async fn wait(&mut self, error: &io::Error, limit: &mut LineLimit) {
        if is_the_peers(error) {
            return;
        }
        log::not_accepted(limit, error);
        self.0 = (self.0 * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
        tokio::time::sleep(self.0).await;
    }
}
