//! Where a server is and how it is spoken to.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::call::capabilities::Capabilities;
use crate::call::kept;
use crate::call::observe::Observer;
use crate::call::packer::Packer;
use crate::call::status::Status;
use crate::generation::Generation;
use crate::pack::limits::Limits;
use crate::transport::io::address::{Address, AddressError};
use crate::wire::checksum::Salt;
use crate::wire::decoder::Decoder;
use crate::wire::encoder::Encoder;
use crate::wire::header::{DEFAULT_MAX_PACKET, Layout};

use super::dial::Connector;

/// A server's address and the manner of speaking to it.
///
/// By default requests go with the guid header, unsigned, not compressed, and in
/// PHP packing until the server has said that it takes protobuf; a PHP server
/// never says so. What cannot be found out that way is set here: the signature and
/// compression that a PHP server's `SW_DATASIGEN_FLAG` and `SW_DATACOMPRESS_FLAG`
/// say, and the generation of an old one.
///
/// ```
/// use std::time::Duration;
///
/// use dora::Endpoint;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let users = Endpoint::new("users.internal:9567")?.timeout(Duration::from_millis(500)).connect_lazy()?;
/// let php = Endpoint::new("10.0.2.15:9567")?.php().signed().connect_lazy()?;
/// assert_eq!((users.peer(), php.peer()), ("users.internal:9567", "10.0.2.15:9567"));
///
/// let error = Endpoint::new("http://10.0.2.15").expect_err("that is no address");
/// println!("{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: Address,
    pub(super) connector: Connector,
    pub(super) generation: Generation,
    /// Unset, it follows what the server can.
    pub(super) packer: Option<Packer>,
    pub(super) salt: Option<Salt>,
    pub(super) gzip: Option<usize>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    idle_timeout: Option<Duration>,
    pub(super) silence_timeout: Duration,
    pub(super) max_packet: usize,
    pub(super) max_buffered: usize,
    pub(super) limits: Limits,
    pub(super) observer: Observing,
}

/// Who listens, where somebody does.
#[derive(Clone, Default)]
pub(super) struct Observing(pub(super) Option<Arc<dyn Observer>>);

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "yes" } else { "no" })
    }
}

impl Endpoint {
    /// The server at an [`Address`], written `host:port`, `[::1]:9567` or
    /// `unix:/run/x.sock`.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: it is no address that can be connected to; the
    /// message says what to write.
    pub fn new(address: impl TryInto<Address, Error: Into<AddressError>>) -> Result<Self, Status> {
        let address = address.try_into().map_err(Into::into).and_then(|address| {
            address.check_dialable()?;
            Ok(address)
        });
        let address =
            address.map_err(|error| Status::invalid_argument(error.to_string()).with_source(error))?;
        Ok(Self {
            address,
            connector: Connector::default(),
            generation: Generation::Guid,
            packer: None,
            salt: None,
            gzip: None,
            timeout: kept::DEFAULT_TIMEOUT,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: None,
            silence_timeout: Duration::from_secs(10),
            max_packet: DEFAULT_MAX_PACKET,
            max_buffered: 64 << 20,
            limits: Limits::default(),
            observer: Observing::default(),
        })
    }

    /// Speaks PHP's `serialize` and calls methods by their legacy names, whatever
    /// else the server can: as [`packer`](Self::packer) with [`Packer::Php`].
    #[must_use]
    pub fn php(self) -> Self {
        self.packer(Packer::Php)
    }

    /// Packs as protobuf from the first request on: as [`packer`](Self::packer)
    /// with [`Packer::Protobuf`]. A PHP server shuts down over such a request.
    #[must_use]
    pub fn protobuf(self) -> Self {
        self.packer(Packer::Protobuf)
    }

    /// How packets and messages are packed. Default: as PHP does, and as protobuf
    /// on connections whose server has said that it takes it.
    #[must_use]
    pub fn packer(self, packer: Packer) -> Self {
        Self { packer: Some(packer), ..self }
    }

    /// The generation of Dora-RPC that the server is of. Default:
    /// [`Generation::Guid`]. The older ones carry PHP packing only and one call at
    /// a time, and [`Generation::Bare`] no deferred results.
    #[must_use]
    pub fn generation(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// Signs frames with the original salt (`SW_DATASIGEN_FLAG`). Default: not signed.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { salt: Some(Salt::default()), ..self }
    }

    /// Signs frames with another salt.
    #[must_use]
    pub fn salt(self, salt: impl AsRef<[u8]>) -> Self {
        Self { salt: Some(Salt::new(salt.as_ref())), ..self }
    }

    /// Gzips every request (`SW_DATACOMPRESS_FLAG`): a PHP server with that flag
    /// inflates every body it gets. Default: not. Answers are inflated in any case.
    #[must_use]
    pub fn gzip(self) -> Self {
        Self { gzip: Some(0), ..self }
    }

    /// Gzips requests whose body has at least `bytes` bytes; for Dora servers,
    /// which tell each body by itself.
    #[must_use]
    pub fn gzip_over(self, bytes: usize) -> Self {
        Self { gzip: Some(bytes), ..self }
    }

    /// How long a call may take when neither it nor its method says, counted from when
    /// it is made: waiting for a layer around the channel, or for a connection, is of
    /// that time. Default 3 s.
    ///
    /// A service that is moved into a task, as tower's `Buffer` does, is not asked: a
    /// call that waits there too long ends when it would be sent, and is not. Where
    /// queues may be long, say `timeout` on the call, or in the `.proto`.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Makes connections with `connect` in place of the system's sockets: over
    /// another runtime's streams, through a proxy, or within the process. One that
    /// panics has failed to connect; the next call tries again.
    ///
    /// ```
    /// use dora::Endpoint;
    /// use tokio::net::TcpStream;
    ///
    /// let endpoint = Endpoint::new("users:9567")?
    ///     .connect_with(|_address| TcpStream::connect("10.0.2.15:9567"));
    /// # Ok::<(), dora::Status>(())
    /// ```
    #[must_use]
    pub fn connect_with<F, Fut, IO>(self, connect: F) -> Self
    where
        F: Fn(Address) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connector = self.connector.clone().with(connect);
        Self { connector, ..self }
    }

    /// How long connecting may take. Default 3 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// A connection without calls is let go after this; the next call makes
    /// another. Default 5 minutes, and 8 s where the server has not said that it
    /// is a Dora server: a PHP server closes after 10 s.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: Some(timeout), ..self }
    }

    /// A server that owes an answer and sends nothing for this long is gone: the connection
    /// is lost at the end. It is asked whether it is there after half a second, or half of
    /// this time if that is less, and after longer each time that it says so; one that does
    /// not say so for half a second is in doubt, and a fleet makes calls elsewhere as well
    /// that may be made twice. Default 10 s; `Duration::MAX`: never. Servers that do not understand the question are
    /// given up when the system has not got bytes through to them for as long
    /// (Linux). A connection on which nothing was ever heard for as long takes no more
    /// calls once one on it was given up: the next one makes another.
    #[must_use]
    pub fn silence_timeout(self, timeout: Duration) -> Self {
        Self { silence_timeout: timeout, ..self }
    }

    /// The largest packet in bytes, both ways. Default 2 MiB.
    #[must_use]
    pub fn max_packet(self, bytes: usize) -> Self {
        Self { limits: self.limits.moved(self.max_packet, bytes), max_packet: bytes, ..self }
    }

    /// Bytes of requests that may wait behind those that are being written, for a
    /// server that does not read; calls beyond it fail at once. Default 64 MiB.
    #[must_use]
    pub fn max_buffered(self, bytes: usize) -> Self {
        Self { max_buffered: bytes, ..self }
    }

    /// Bounds on unpacking answers.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Who hears what happens on the channel beside its calls: connections made and
    /// lost, attempts that failed, calls that expired or were shed, late answers.
    /// Default: nobody. [`Channel::stats`](super::channel::Channel::stats) counts in
    /// any case.
    ///
    /// ```
    /// use dora::{Connection, Endpoint, Observer, Status};
    ///
    /// struct Log;
    ///
    /// impl Observer for Log {
    ///     fn attempt_failed(&self, server: &Connection, why: &Status) {
    ///         println!("{}: {why}", server.peer());
    ///     }
    /// }
    ///
    /// let endpoint = Endpoint::new("users.internal:9567")?.observer(Log);
    /// # Ok::<(), Status>(())
    /// ```
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        Self { observer: Observing(Some(Arc::new(observer))), ..self }
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the settings go together.
    pub(crate) fn check(&self) -> Result<(), Status> {
        if let (true, Some(packer)) = (self.is_serial(), self.packer)
            && packer != Packer::Php
        {
            return Err(Status::failed_precondition(format!(
                "the {:?} generation carries PHP packing only, not {packer}",
                self.generation
            )));
        }
        Ok(())
    }

    /// Whether answers may have no guid, so that one call must end before the next.
    pub(super) fn is_serial(&self) -> bool {
        !self.generation.has_guid()
    }

    /// How long a connection may be idle whose peer can this.
    pub(super) fn idle_after(&self, can: Option<Capabilities>) -> Duration {
        let dora = can.is_some_and(|can| can.contains(Capabilities::NOTICES));
        self.idle_timeout.unwrap_or(Duration::from_secs(if dora { 300 } else { 8 }))
    }

    pub(super) fn layout(&self) -> Layout {
        Layout { signed: self.salt.is_some(), generation: self.generation }
    }

    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.max_packet, self.salt.clone())
    }

    pub(super) fn encoder(&self) -> Encoder {
        Encoder::new(self.max_packet, self.salt.clone())
    }
}
