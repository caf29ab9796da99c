//! What is spoken beneath all that a port speaks: TLS.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use super::door::{Door, Recognized};
use super::incoming::Incoming;

/// Makes another stream of one that stands: TLS. Cheap to clone.
#[derive(Clone)]
pub struct Upgrade {
    asks: Option<fn(&[u8]) -> Recognized>,
    make: Arc<Make>,
}

type Make = dyn Fn(Incoming, Port) -> Upgrading + Send + Sync;
type Upgrading = Pin<Box<dyn Future<Output = io::Result<Incoming>> + Send>>;

impl Upgrade {
    /// By `make`, of those connections of which `asks` says so by their first bytes; of
    /// all where it is not asked.
    pub fn new(
        asks: Option<fn(&[u8]) -> Recognized>,
        make: impl Fn(Incoming, Port) -> Upgrading + Send + Sync + 'static,
    ) -> Self {
        Self { asks, make: Arc::new(make) }
    }

    /// Whether connections are served that are not upgraded.
    pub(super) const fn is_optional(&self) -> bool {
        self.asks.is_some()
    }

    /// Whether a connection is to be upgraded that begins so; `None` while that is open.
    pub(super) fn is_for(&self, first: &[u8]) -> Option<bool> {
        match self.asks {
            None => Some(true),
            Some(_) if first.is_empty() => None,
            Some(asks) => match asks(first) {
                Recognized::Yes => Some(true),
                Recognized::No => Some(false),
                Recognized::Unclear => None,
            },
        }
    }

    pub(super) async fn upgrade(&self, incoming: Incoming, port: Port) -> io::Result<Incoming> {
        (self.make)(incoming, port).await
    }
}

/// What is spoken on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// Dora's own wire, and what the doors that share it say that they speak.
    Own(Arc<[&'static [u8]]>),
    /// What one door speaks.
    Door(&'static [&'static [u8]]),
}

impl Port {
    pub(super) fn own(doors: &[Arc<dyn Door>]) -> Self {
        Self::Own(doors.iter().flat_map(|door| door.alpn()).copied().collect())
    }

    /// The protocols, as ALPN calls them, that of Dora's own wire being `own`.
    pub fn protocols<'a>(&'a self, own: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (own, doors) = match self {
            Self::Own(doors) => (Some(own), &**doors),
            Self::Door(protocols) => (None, *protocols),
        };
        own.into_iter().chain(doors.iter().copied())
    }
}
