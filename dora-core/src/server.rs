//! The server put together: services, layers, listener.

mod doors;
pub mod register;
mod serve;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tower::Layer;
use tower::layer::util::{Identity, Stack};

use crate::call::mount::Mount;
use crate::call::observe::Observer;
use crate::call::packer::{Packer, PackerSet};
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::{BoxError, Status};
use crate::discovery::record::RecordError;
use crate::middleware::route::{DuplicateName, Router, RouterBuilder};
use crate::middleware::serves::Serves;
use crate::middleware::stack::{Stacked, stack};
use crate::pack::limits::Limits;
use crate::pack::message::open;
use crate::pack::value::Value;
use crate::stub::in_process::InProcess;
use crate::transport::io::address::AddressError;
use crate::transport::server::bind::ListenError;
use crate::transport::server::config::SessionConfig;
use crate::transport::server::connections::ServerConfig;
use crate::transport::server::control::Control;
use crate::transport::server::cost::Execution;
use crate::transport::server::stats::Stats;
use crate::wire::checksum::Salt;

use self::doors::Doors;
use self::register::{Registration, UnknownAddress};

/// A server that is being put together.
///
/// Every listener speaks all generations, all packings its allow-list
/// has, gzip or not: told apart per frame, and answered in kind. Only whether
/// frames are signed cannot be told and is set here.
/// ```
/// use dora::{Endpoint, Request, Server, Status, Value, value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .max_packet(64 << 10)
///     // Or `.add_service(..)`, of a service that a `.proto` declares.
///     .dynamic(|request: Request<Value>| async move {
///         match request.method().as_str() {
///             "/user/get" => Ok(value!({ "name" => "Ada" })),
///             name => Err(Status::not_found(format!("no API {name}"))),
///         }
///     });
/// // Or `.serve_with_shutdown("0.0.0.0:9567", dora::shutdown_signal()).await?`.
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));
///
/// let php = Endpoint::new(address)?.php().connect().await?.dynamic();
/// assert_eq!(php.call("/user/get", 7).await?, value!({ "name" => "Ada" }));
///
/// drop((stop, php));
/// serving.await??;
/// # Ok(())
/// # }
/// ```
#[must_use = "a server does nothing until it is served"]
pub struct Server<L = Identity> {
    router: RouterBuilder,
    layer: L,
    session: SessionConfig,
    server: ServerConfig,
    control: Control,
    stats: Arc<Stats>,
    observer: Option<Arc<dyn Observer>>,
    share_address: bool,
    registration: Registration,
    doors: Doors,
}

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Two services claim one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateName),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It shall be registered, and where it is reached is not known.
    #[error(transparent)]
    UnknownAddress(#[from] UnknownAddress),
    /// What registries shall be told of it is not as it must be.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A door cannot serve the services.
    #[error("the door {door:?} cannot be opened: {source}")]
    Door {
        /// Its name.
        door: &'static str,
        /// Why not.
        source: BoxError,
    },
}

impl Server {
    /// A server without services.
    pub fn builder() -> Self {
        Self {
            router: RouterBuilder::default(),
            layer: Identity::new(),
            session: SessionConfig::default(),
            server: ServerConfig::default(),
            control: Control::default(),
            stats: Arc::new(Stats::new()),
            observer: None,
            share_address: false,
            registration: Registration::default(),
            doors: Doors::default(),
        }
    }
}

impl<L> Server<L> {
    /// Mounts a generated service.
    pub fn add_service(mut self, service: impl Mount) -> Self {
        self.router.add(service);
        self
    }

    /// Serves every API name that no mounted service has: the `doWork` of the
    /// original. The handler sees the name as [`Request::method`].
    pub fn dynamic<F, Fut, R>(mut self, handler: F) -> Self
    where
        F: Fn(Request<Value>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Status>> + Send + 'static,
        R: Into<Response<Value>>,
    {
        let handler = Arc::new(handler);
        self.router.dynamic(move |request| {
            let handler = Arc::clone(&handler);
            async move {
                let (head, body) = request.into_parts();
                let response = handler(Request::from_parts(head, open(body)?)).await;
                // It ran, whatever a call that it made itself came to.
                let response = response.map_err(Status::maybe_sent)?.into();
                Ok(response.map(Reply::message))
            }
        });
        self
    }

    /// Adds a tower layer around all services; the one added first is outermost,
    /// as in tower's `ServiceBuilder`.
    pub fn layer<N>(self, layer: N) -> Server<Stack<N, L>> {
        Server {
            layer: Stack::new(layer, self.layer),
            router: self.router,
            session: self.session,
            server: self.server,
            control: self.control,
            stats: self.stats,
            observer: self.observer,
            share_address: self.share_address,
            registration: self.registration,
            doors: self.doors,
        }
    }

    /// Takes and gives frames signed with the original salt
    /// (`SW_DATASIGEN_FLAG`). Default: not signed.
    pub fn signed(mut self) -> Self {
        self.session.salt = Some(Salt::default());
        self
    }

    /// Takes and gives frames signed with another salt.
    pub fn salt(mut self, salt: impl AsRef<[u8]>) -> Self {
        self.session.salt = Some(Salt::new(salt.as_ref()));
        self
    }

    /// Gzips every answer (`SW_DATACOMPRESS_FLAG`); else those whose request was.
    pub fn gzip(mut self) -> Self {
        self.session.gzip = true;
        self
    }

    /// The packings this port accepts. Default: all.
    pub fn packers(mut self, packers: impl IntoIterator<Item = Packer>) -> Self {
        self.session.packers = PackerSet::from_iter(packers);
        self
    }

    /// Bounds on unpacking.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.session.limits = limits;
        self
    }

    /// The largest packet in bytes, both ways. Default 2 MiB.
    pub fn max_packet(mut self, bytes: usize) -> Self {
        self.session.limits = self.session.limits.moved(self.session.max_packet, bytes);
        self.session.max_packet = bytes;
        self
    }

    /// Calls of one connection that may run at once; it is not read further
    /// while they do, and a packet of more is refused. Default 4096, as many as one
    /// packet may have by default ([`Limits::calls`]).
    pub fn max_calls_per_connection(mut self, calls: usize) -> Self {
        self.session.max_calls = calls;
        self
    }

    /// Bytes of requests, inflated, whose calls run on one connection; it is not read
    /// further while so many do. Default 16 MiB.
    ///
    /// The last one that begins may go beyond it, by its own size.
    pub fn max_request_bytes_per_connection(mut self, bytes: usize) -> Self {
        self.session.max_request_bytes = bytes;
        self
    }

    /// The same in the whole server; packets for which there is no room are refused as
    /// `ResourceExhausted`. Default 256 MiB.
    ///
    /// A connection may have as much of it as is still free: the greediest are refused
    /// first, and there is always room for those who have little. Counted are packets as
    /// they came, inflated; what a handler makes of one is its own.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.server.max_request_bytes = bytes;
        self
    }

    /// Bytes of answers that may wait for a peer that does not read; beyond it
    /// the connection's handlers rest. Default 4 MiB.
    ///
    /// What of a batch is done counts too: at the bound the other calls of its
    /// connection's batches do not begin, but for those of one batch.
    ///
    /// A handler that rests keeps what it has (a place of a `ConcurrencyLimit` around
    /// all services, say, that others wait for) until its deadline, or until the
    /// connection is closed at [`stall_timeout`](Self::stall_timeout).
    pub fn max_buffered_per_connection(mut self, bytes: usize) -> Self {
        self.session.max_buffered = bytes;
        self
    }

    /// Bytes that may wait on all connections together: answers that peers do not
    /// take, results of tasks that their connection has not taken, results of a batch
    /// while others of its calls run, requests that are not whole. Beyond it, the
    /// connections that hold most are closed, and no handler begins as a task, and no
    /// further call of a batch, until they are. Default 256 MiB.
    ///
    /// Of a batch that came through a door the results become errors
    /// (`Code::ResourceExhausted`) in place of that, where they are among the largest.
    ///
    /// Requests whose calls run have a budget of their own:
    /// [`max_request_bytes`](Self::max_request_bytes).
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.server.max_buffered = bytes;
        self
    }

    /// Calls that may wait in the whole server; more are refused. Default 65,536.
    pub fn max_running_calls(mut self, calls: usize) -> Self {
        self.server.max_running = calls;
        self
    }

    /// Open connections of each port; more wait in the system's queue. Default 65,536.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.server.max_connections = connections;
        self
    }

    /// Where handlers run. Default: those that compute for long as tasks of the
    /// runtime, on all its cores; the others where their request is read.
    pub fn execution(mut self, execution: Execution) -> Self {
        self.server.execution = execution;
        self
    }

    /// The same for one method, by its path or one of its other names.
    pub fn method_execution(mut self, method: impl Into<String>, execution: Execution) -> Self {
        self.server.forced.push((method.into(), execution));
        self
    }

    /// No call runs longer, whatever its caller is ready to wait. Default 60 s.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.server.call_timeout = timeout;
        self
    }

    /// A connection on which nothing happens is closed. Default 10 minutes; the
    /// PHP server does it after 10 to 17 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.session.idle_timeout = timeout;
        self
    }

    /// A frame that began must be whole in this time. Default 30 s.
    pub fn frame_timeout(mut self, timeout: Duration) -> Self {
        self.session.frame_timeout = timeout;
        self
    }

    /// A peer that takes no byte of its answers for this long is closed. Default 30 s.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.session.stall_timeout = timeout;
        self
    }

    /// How long a shutdown waits for running calls. Default 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.server.drain_timeout = timeout;
        self
    }

    /// Answers the control commands `getStat` and `reloadTask`. Default: they are
    /// unknown. They carry no authorisation: anyone who reaches the port may
    /// send them.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// The server as a service in this process: what a call would go through on a
    /// connection, layers, deadline and all, without one. For tests, and for
    /// clients that stand beside their server.
    ///
    /// # Errors
    /// Two services claim one name.
    pub fn into_service<S>(self) -> Result<InProcess<Stacked<S>>, ServeError>
    where
        L: Layer<Router, Service = S> + 'static,
        S: Serves,
    {
        let Self { router, layer, server, .. } = self;
        Ok(InProcess::new(stack(router.build()?, &layer, server.call_timeout)))
    }

    /// Tells `observer` what no layer sees: connections accepted, and closed and
    /// why, frames and packets refused, calls shed. Default: nobody, beside the
    /// counters of [`stats`](Self::stats).
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The server's counters; they may be read while it serves.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Listens beside other servers: on a TCP port with `SO_REUSEPORT`, on a Unix
    /// socket in place of the one that stands there. A successor started so before
    /// its predecessor is told to stop takes over without a call lost. Default: an
    /// address that is in use is an error.
    pub fn share_address(mut self) -> Self {
        self.share_address = true;
        self
    }
}

impl<L> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services: Vec<_> = self.router.descriptors().map(|service| service.name()).collect();
        f.debug_struct("Server").field("services", &services).finish_non_exhaustive()
    }
}
