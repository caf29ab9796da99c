//! A Swoft server to call.

use std::time::Duration;

use bytes::Bytes;
use dora_core::call::status::Status;
use dora_core::transport::io::address::{Address, AddressError};

use super::channel::SwoftChannel;
use super::dialect::Dialect;

/// A Swoft server to call, and how.
///
/// ```no_run
/// use dora::swoft::SwoftEndpoint;
/// use dora::{DynamicClient, value};
///
/// # async fn show() -> Result<(), dora::Status> {
/// let channel = SwoftEndpoint::new("10.0.2.15:18307")?.channel();
/// // A generated client stands on it as on any channel: `UsersClient::new(channel)`. By
/// // name:
/// let users = DynamicClient::new(channel);
/// let user = users.call(r"1.0::App\Rpc\UserInterface::getList", value!([7, "all"])).await?;
/// # drop(user);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SwoftEndpoint {
    pub(super) address: Address,
    pub(super) dialect: Dialect,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_packet: usize,
}

impl SwoftEndpoint {
    /// The server of Swoft 2.x at an [`Address`], written `host:port`, `[::1]:18307` or
    /// `unix:/run/x.sock`.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: it is no address; the message says what to write.
    pub fn new(address: impl TryInto<Address, Error: Into<AddressError>>) -> Result<Self, Status> {
        let address = address.try_into().map_err(Into::into);
        let address: Address =
            address.map_err(|error| Status::invalid_argument(error.to_string()).with_source(error))?;
        Ok(Self {
            address,
            dialect: Dialect::V2,
            timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            max_connections: 64,
            max_packet: 2 << 20,
        })
    }

    /// Speaks as Swoft 1.x: other packets, and frames that end in `\r\n`.
    #[must_use]
    pub fn v1(mut self) -> Self {
        self.dialect = Dialect::V1;
        self
    }

    /// Frames end in `end`: the server's `package_eof`. A request that has these bytes
    /// within is an error of its call, and is not sent.
    ///
    /// # Panics
    /// `end` is empty.
    #[must_use]
    pub fn package_eof(mut self, end: impl Into<Bytes>) -> Self {
        self.dialect = self.dialect.ended(end.into());
        self
    }

    /// How long a call may take that does not say. Default 3 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take. Default 3 s.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// A connection that nothing was asked on for so long is not used again. Default 10 s:
    /// servers close theirs, and a call that one does so to is lost.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Connections that may be open: as many calls run at once, others wait for one.
    /// Default 64, at least 1.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// The largest answer in bytes. Default 2 MiB.
    #[must_use]
    pub const fn max_packet(mut self, bytes: usize) -> Self {
        self.max_packet = bytes;
        self
    }

    /// The channel: it connects when there is something to call.
    #[must_use]
    pub fn channel(self) -> SwoftChannel {
        SwoftChannel::new(self)
    }
}
