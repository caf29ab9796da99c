//! Accepting connections until the end.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::transport::log_limit::LineLimit;

use super::accept::{Accept, is_the_peers};
use super::connections::Connections;
use super::log;

impl<S> Connections<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    /// Accepts connections until `signal` ends, then lets the running calls end
    /// and closes.
    pub async fn accept(mut self, mut listener: impl Accept, signal: impl Future<Output = ()>) {
        log::listening(listener.address().as_ref(), &self.shared, &self.config);
        tokio::select! {
            biased;
            () = signal => {}
            () = self.accept_all(&mut listener) => {}
        }
        // The listener goes first: who is told to leave and dials anew must find a
        // successor, and not this server again.
        for incoming in listener.close() {
            tokio::spawn(self.serve(incoming));
        }
        self.drain().await;
    }

    async fn accept_all(&mut self, listener: &mut impl Accept) {
        let places = Arc::new(Semaphore::new(self.config.max_connections.min(Semaphore::MAX_PERMITS)));
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
            tokio::spawn(self.serve(incoming).map(move |()| drop(place)));
        }
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
