//! Other protocols beside Dora's own wire.

use std::sync::Arc;

use crate::call::method::ServiceDescriptor;
use crate::transport::io::address::{Address, AddressError};
use crate::transport::server::accept::Accept;
use crate::transport::server::bind::bind;
use crate::transport::server::door::Door;
use crate::transport::server::door::porch::{AnyAccept, Entrance};
use crate::transport::server::door::sort::Sharing;

use super::{ServeError, Server};

/// The doors of a server.
#[derive(Default)]
pub(super) struct Doors {
    /// Those with a port of their own.
    pub(super) apart: Vec<Opening>,
    /// Those that share the port of Dora's own wire.
    pub(super) sharing: Sharing,
}

/// A door, and where it is to be reached.
pub(super) struct Opening {
    at: Place,
    door: Arc<dyn Door>,
}

enum Place {
    /// Listened on when the server serves.
    Address(Result<Address, AddressError>),
    /// Stands already.
    Listener(Box<dyn AnyAccept>),
}

impl<L> Server<L> {
    /// Serves another protocol beside Dora's own, on a port of its own at `address`
    /// (`host:port`, `unix:/run/x.sock`): the same services, layers, limits, TLS and
    /// drain. An address that is none, or is taken, is an error of `serve`.
    /// What there is: `dora::http::Forms` with the feature `http`,
    /// `dora::connect::Connect` with the feature `connect`, `dora::swoft::Swoft`
    /// with the feature `swoft`, and every [`Door`] of your own.
    pub fn door(
        mut self,
        address: impl TryInto<Address, Error: Into<AddressError>>,
        door: impl Door,
    ) -> Self {
        let at = Place::Address(address.try_into().map_err(Into::into));
        self.doors.apart.push(Opening { at, door: Arc::new(door) });
        self
    }

    /// As [`door`](Self::door), on a listener that stands already: tokio's
    /// `TcpListener` or `UnixListener`. The server goes on when it ends.
    pub fn door_with_listener(mut self, listener: impl Accept + 'static, door: impl Door) -> Self {
        self.doors.apart.push(Opening { at: Place::Listener(Box::new(listener)), door: Arc::new(door) });
        self
    }

    /// As [`door`](Self::door), on the port that Dora's own wire is on: a connection is
    /// told by its first bytes, once, and what no door [recognizes](Door::recognizes) is
    /// Dora's. Doors of HTTP are told apart by the path of each request. Of others that
    /// recognize the same, the one that was added first has it: Swoft 1.x and 2.x begin
    /// alike. Under [`tls`](Self::tls) all of them are within it, and those that clients
    /// ask for by name (ALPN) are offered; plain ones are served beside it where
    /// `ServerTls::beside_plain` says so.
    ///
    /// A connection that says nothing is closed after the
    /// [`idle_timeout`](Self::idle_timeout), one that does not say enough after the
    /// [`frame_timeout`](Self::frame_timeout). Packets are to be under 512 MiB, as they are
    /// by default.
    pub fn same_port(mut self, door: impl Door) -> Self {
        self.doors.sharing.add(Arc::new(door));
        self
    }
}

/// Tells a door which services there are.
///
/// # Errors
/// It cannot serve them.
pub(super) fn open(door: &dyn Door, services: &[&'static ServiceDescriptor]) -> Result<(), ServeError> {
    door.open(services).map_err(|source| ServeError::Door { door: door.name(), source })
}

/// Listens wherever a door is to be reached.
///
/// # Errors
/// An address is none, or cannot be listened on; a door cannot serve the services.
pub(super) async fn listen(
    openings: Vec<Opening>,
    services: &[&'static ServiceDescriptor],
    shared: bool,
) -> Result<Vec<Entrance>, ServeError> {
    let mut entrances: Vec<Entrance> = Vec::with_capacity(openings.len());
    for Opening { at, door } in openings {
        open(&*door, services)?;
        let listener: Box<dyn AnyAccept> = match at {
            Place::Listener(listener) => listener,
            Place::Address(address) => Box::new(bind(&address?, shared).await?),
        };
        entrances.push((listener, door));
    }
    Ok(entrances)
}
