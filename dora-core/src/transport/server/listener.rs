//! Accepting connections, and ending all of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

use crate::call::origin::Connection;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::transport::io::stream::Stream;

use super::config::SessionConfig;
use super::connection::{Opened, serve};
use super::control::Control;
use super::shared::Shared;
use super::shutdown::{Phase, Shutdown};
use super::signal;
use super::stats::Stats;

/// What a listener is held to, beside what each of its connections is.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Open connections; more wait in the system's queue. Default 65,536.
    pub max_connections: usize,
    /// Calls that may run in the whole server without being done at once.
    /// Default 65,536.
    pub max_running: usize,
    /// How long a shutdown waits for running calls. Default 30 s.
    pub drain_timeout: Duration,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self { max_connections: 1 << 16, max_running: 1 << 16, drain_timeout: Duration::from_secs(30) }
    }
}

/// A listener that is being served.
#[derive(Debug)]
pub struct Serve {
    /// What the listener is held to.
    pub listener: ListenerConfig,
    /// What its connections are held to.
    pub session: SessionConfig,
    /// The control commands.
    pub control: Control,
    /// The counters.
    pub stats: Arc<Stats>,
}

impl Serve {
    /// Accepts connections until `signal` ends, then lets the running calls end
    /// and closes.
    pub async fn run<S>(self, listener: TcpListener, service: S, signal: impl Future<Output = ()>)
    where
        S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let signal = signal::until(signal, self.control.clone());
        let shutdown = Shutdown::new();
        let shared = Arc::new(Shared {
            encoder: self.session.encoder(),
            config: self.session,
            control: self.control,
            stats: self.stats,
            max_running: self.listener.max_running,
        });
        let accept = accept(listener, service, shared, self.listener.max_connections, &shutdown);
        tokio::select! {
            biased;
            () = signal => {}
            () = accept => {}
        }
        shutdown.set(Phase::Draining);
        let drained = tokio::time::timeout(self.listener.drain_timeout, shutdown.ended()).await;
        if drained.is_err() {
            tracing::warn!("calls still run at the end of the drain timeout: they are cancelled");
            shutdown.set(Phase::Closing);
        }
    }
}

async fn accept<S>(
    listener: TcpListener,
    service: S,
    shared: Arc<Shared>,
    max_connections: usize,
    shutdown: &Shutdown,
) where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let mut backoff = Backoff::default();
    loop {
        // Never closed, so there is always a place in the end.
        let place = Arc::clone(&places).acquire_owned().await;
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                backoff.wait(&error).await;
                continue;
            }
        };
        backoff = Backoff::default();
        let stream = match Stream::tcp(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%peer, %error, "connection lost before it began");
                continue;
            }
        };
        let opened =
            Opened { stream, first: Bytes::new(), over: Connection::new(Connection::DORA, peer.into()) };
        let (service, shared, watcher) = (service.clone(), Arc::clone(&shared), shutdown.watcher());
        tokio::spawn(async move {
            serve(opened, service, shared, watcher).await;
            drop(place);
        });
    }
}

/// Waiting after a failed accept, so that a process without file descriptors
/// does not spin, and goes on accepting when it has some again.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    async fn wait(&mut self, error: &io::Error) {
        // These are the peer's doing and say nothing about the next one.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        ) {
            return;
        }
        tracing::warn!(%error, "cannot accept a connection");
        self.0 = (self.0 * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
        tokio::time::sleep(self.0).await;
    }
}
