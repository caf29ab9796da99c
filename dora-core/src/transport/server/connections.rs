//! All connections of a server: each a task of its own, and one end for all.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tower::Service;

use crate::call::direct::Lookup;
use crate::call::method::ServiceDescriptor;
use crate::call::origin::Peer;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::transport::io::stream::Stream;

use super::config::SessionConfig;
use super::connection::{self, Accepted};
use super::control::Control;
use super::cost::{Costs, Execution};
use super::door::Door;
use super::door::calls::Copied;
use super::door::porch::{Porch, through};
use super::door::sort::{Sharing, told_by_first_bytes};
use super::incoming::Incoming;
use super::ledger::Ledger;
use super::log::{self, Log};
use super::observers::Observers;
use super::shared::Shared;
use super::shutdown::{Phase, Shutdown, Watcher};
use super::upgrade::{Port, Upgrade};

/// What a server is held to, beside what each of its connections is.
#[derive(Clone)]
pub struct ServerConfig {
    /// Open connections of each port; more wait in the system's queue. Default 65,536.
    pub max_connections: usize,
    /// Calls that may run in the whole server without being done at once.
    /// Default 65,536.
    pub max_running: usize,
    /// Bytes of the requests of calls that run so, inflated. Default 256 MiB.
    pub max_request_bytes: usize,
    /// Bytes that may wait on all connections together; beyond it those that hold
    /// most are closed. Default 256 MiB.
    pub max_buffered: usize,
    /// How long a call may run, whatever its caller is ready to wait. Default 60 s.
    pub call_timeout: Duration,
    /// How long a shutdown waits for running calls. Default 30 s.
    pub drain_timeout: Duration,
    /// Where handlers run. Default: by what they cost.
    pub execution: Execution,
    /// The same for the methods of these names, as they are called.
    pub forced: Vec<(String, Execution)>,
    /// What is spoken before the first frame. Default: nothing.
    pub upgrade: Option<Upgrade>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1 << 16,
            max_running: 1 << 16,
            max_request_bytes: 256 << 20,
            max_buffered: 256 << 20,
            call_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            execution: Execution::Learned,
            forced: Vec::new(),
            upgrade: None,
        }
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("max_connections", &self.max_connections)
            .field("max_running", &self.max_running)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_buffered", &self.max_buffered)
            .field("call_timeout", &self.call_timeout)
            .field("drain_timeout", &self.drain_timeout)
            .field("execution", &self.execution)
            .field("upgraded", &self.upgrade.is_some())
            .finish()
    }
}

/// How a server serves.
#[derive(Debug)]
pub struct Settings {
    /// What the server is held to.
    pub server: ServerConfig,
    /// What its connections are held to.
    pub session: SessionConfig,
    /// The control commands.
    pub control: Control,
    /// Who hears what happens.
    pub observers: Observers,
    /// Finds their methods, for connections.
    pub methods: Arc<dyn Lookup>,
    /// The services that are mounted: what doors find methods by.
    pub services: Vec<&'static ServiceDescriptor>,
    /// Whether a handler takes all names that they have not.
    pub takes_all_names: bool,
    /// The doors that share the port.
    pub sharing: Sharing,
}

/// A server without a listener: connections are handed to it one by one, by
/// whoever accepts them. Dropped, it closes them all.
#[derive(Debug)]
pub struct Connections<S> {
    service: S,
    pub(super) shared: Arc<Shared>,
    shutdown: Shutdown,
    pub(super) config: ServerConfig,
    /// What is spoken on the port of Dora's own wire.
    port: Port,
}

impl<S> Connections<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    /// Connections to `service`.
    pub fn new(settings: Settings, service: S) -> Self {
        let Settings { server, session, control, observers, methods, services, takes_all_names, sharing } =
            settings;
        let port = Port::own(sharing.doors());
        let shared = Shared {
            encoder: session.encoder(),
            config: session,
            control,
            observers,
            max_running: server.max_running,
            max_request_bytes: server.max_request_bytes,
            call_timeout: server.call_timeout,
            costs: Costs::new(server.execution, server.forced.clone()),
            ledger: Arc::new(Ledger::new(server.max_buffered)),
            log: Log::default(),
            methods,
            services,
            takes_all_names,
            sharing,
        };
        Self { service, shared: Arc::new(shared), shutdown: Shutdown::new(), config: server, port }
    }

    /// Serves one connection to its end. Spawn what this returns; dropped, it
    /// closes the connection.
    ///
    /// The limit on open connections is the listener's, and not held here.
    pub fn serve(&self, incoming: Incoming) -> impl Future<Output = ()> + Send + 'static + use<S> {
        let (service, shared, watcher) =
            (self.service.clone(), Arc::clone(&self.shared), self.shutdown.watcher());
        let accepted = Box::new(Accepted { incoming, service, shared, watcher });
        // A task has room for what it is given beside what it makes of it, and for
        // what it does first beside what it does then: in boxes, that is a pointer,
        // and what is done with is given back.
        let upgrade = self.config.upgrade.clone().map(|upgrade| (upgrade, self.port.clone()));
        let opened = Box::pin(open(accepted, upgrade));
        async move {
            match opened.await {
                Some(Opened::Dora(accepted)) => connection::serve(accepted).await,
                Some(Opened::Door(served)) => served.await,
                None => {}
            }
        }
    }

    /// What serves connections that come through `door`, as [`serve`](Self::serve)
    /// those of Dora's own wire.
    pub(super) fn porch(&self, door: Arc<dyn Door>) -> Porch {
        let (service, shared) =
            (Arc::new(Copied(Mutex::new(self.service.clone()))), Arc::clone(&self.shared));
        let protocols = door.alpn();
        Porch {
            door,
            service,
            shared,
            watcher: self.shutdown.watcher(),
            upgrade: self.config.upgrade.clone().map(|upgrade| (upgrade, Port::Door(protocols))),
        }
    }

    /// Serves one connection through `door` to its end, as [`serve`](Self::serve) does
    /// through Dora's own. Spawn what this returns; dropped, it closes the connection.
    ///
    /// ```
    /// # use dora::door::{Door, DoorCalls, DoorFuture, DoorStream};
    /// # use dora::{Closed, Incoming, Server};
    /// # use std::sync::Arc;
    /// # struct Lines;
    /// # impl Door for Lines {
    /// #     fn name(&self) -> &'static str { "lines" }
    /// #     fn serve(&self, _: DoorStream, _: DoorCalls) -> DoorFuture { Box::pin(async { Closed::ByPeer }) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dora::ServeError> {
    /// let server = Server::builder().connections()?;
    /// let lines: Arc<dyn Door> = Arc::new(Lines);
    /// let (near, far) = tokio::io::duplex(64 << 10);
    /// tokio::spawn(server.serve_through(&lines, Incoming::new(far)));
    /// # drop(near);
    /// server.drain().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve_through(
        &self,
        door: &Arc<dyn Door>,
        incoming: Incoming,
    ) -> impl Future<Output = ()> + Send + 'static + use<S> {
        self.porch(Arc::clone(door)).serve(incoming)
    }

    /// Lets what runs end, and closes all connections: in the end those, too, on
    /// which something still runs after the drain timeout. Those that are handed
    /// over from now on are told to go at once.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + use<'_, S> {
        let Self { shutdown, config, shared, .. } = self;
        async move {
            let (stats, begun) = (shared.observers.stats(), Instant::now());
            log::draining(stats.running());
            shutdown.set(Phase::Draining);
            let mut cancelled = 0;
            if tokio::time::timeout(config.drain_timeout, shutdown.ended()).await.is_err() {
                cancelled = stats.running();
                log::cut_short(cancelled);
                shutdown.set(Phase::Closing);
            }
            log::drained(begun.elapsed(), cancelled);
        }
    }
}

/// A connection that is ready for its first frame.
enum Opened<S> {
    /// Of Dora's own wire.
    Dora(Box<Accepted<S>>),
    /// For a door that shares the port: what serves it.
    Door(Pin<Box<dyn Future<Output = ()> + Send>>),
}

async fn open<S>(accepted: Box<Accepted<S>>, upgrade: Option<(Upgrade, Port)>) -> Option<Opened<S>>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    let Accepted { incoming, service, shared, watcher } = *accepted;
    let incoming = prepare(incoming, upgrade, &shared, &watcher).await?;
    let peer = incoming.peer.clone();
    match shared.sharing.sort(incoming, &shared.config, &watcher).await {
        Ok((incoming, None)) => Some(Opened::Dora(Box::new(Accepted { incoming, service, shared, watcher }))),
        Ok((incoming, Some(door))) => {
            let service = Arc::new(Copied(Mutex::new(service)));
            Some(Opened::Door(Box::pin(through(door, service, (shared, watcher), incoming))))
        }
        Err(error) => {
            not_begun(&shared, &peer, &error);
            None
        }
    }
}

/// Tells whoever listens that a connection was lost before it began.
fn not_begun(shared: &Shared, peer: &Peer, error: &io::Error) {
    shared.log.not_begun(peer, error);
    shared.observers.tell(|observer| observer.handshake_failed(peer, error));
}

/// Makes a connection ready for its first byte; `None` when that fails, which is
/// told to whoever listens.
pub(super) async fn prepare(
    incoming: Incoming,
    upgrade: Option<(Upgrade, Port)>,
    shared: &Shared,
    watcher: &Watcher,
) -> Option<Incoming> {
    let peer = incoming.peer.clone();
    match stand(incoming, upgrade, &shared.config, watcher).await {
        Ok(incoming) => Some(incoming),
        Err(error) => {
            not_begun(shared, &peer, &error);
            None
        }
    }
}

async fn stand(
    mut incoming: Incoming,
    upgrade: Option<(Upgrade, Port)>,
    config: &SessionConfig,
    watcher: &Watcher,
) -> io::Result<Incoming> {
    incoming.stream = match incoming.stream {
        Stream::Tcp(stream) => Stream::tcp(stream)?,
        other => other,
    };
    let Some((upgrade, port)) = upgrade else { return Ok(incoming) };
    let told;
    (incoming, told) = told_by_first_bytes(incoming, config, watcher, |first| upgrade.is_for(first)).await?;
    match told {
        Some(true) => tokio::time::timeout(config.frame_timeout, upgrade.upgrade(incoming, port)).await?,
        Some(false) | None => Ok(incoming),
    }
}
