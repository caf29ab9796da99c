//! Several protocols on one port: whom a connection is for.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::transport::io::alpn::ALPN;
use crate::transport::server::config::SessionConfig;
use crate::transport::server::incoming::Incoming;
use crate::transport::server::shutdown::{Phase, Watcher};

use super::{Door, Recognized};

/// The doors that share the port of Dora's own wire.
#[derive(Default)]
pub struct Sharing(Vec<Arc<dyn Door>>);

/// Bytes that are read to tell whom a connection is for.
const ENOUGH: usize = 64;

impl Sharing {
    /// Adds a door: as one with another that is there, where they can be.
    pub(crate) fn add(&mut self, door: Arc<dyn Door>) {
        for other in &mut self.0 {
            if let Some(joined) = other.join(&*door) {
                *other = joined;
                return;
            }
        }
        self.0.push(door);
    }

    /// All of them.
    pub(crate) fn doors(&self) -> &[Arc<dyn Door>] {
        &self.0
    }

    /// Tells whom a connection is for, by what was agreed on within TLS, or by its first
    /// bytes, which are waited for: for a door, or for none of them, and so for Dora's own
    /// wire. One that ends, or that the server's drain finds waiting, is for Dora's own
    /// wire, which knows how to leave it.
    ///
    /// # Errors
    /// As [`told_by_first_bytes`].
    pub(in crate::transport::server) async fn sort(
        &self,
        incoming: Incoming,
        config: &SessionConfig,
        watcher: &Watcher,
    ) -> io::Result<(Incoming, Option<Arc<dyn Door>>)> {
        if self.0.is_empty() || incoming.protocol.as_deref() == Some(ALPN) {
            return Ok((incoming, None));
        }
        let told = told_by_first_bytes(incoming, config, watcher, |first| self.tell(first));
        let (incoming, door) = told.await?;
        Ok((incoming, door.flatten()))
    }

    /// Whom a connection is for that begins with `first`; `None` while that is open.
    fn tell(&self, first: &[u8]) -> Option<Option<Arc<dyn Door>>> {
        if first.is_empty() {
            return None;
        }
        let says = |door: &Arc<dyn Door>| door.recognizes(first);
        if let Some(door) = self.0.iter().find(|door| says(door) == Recognized::Yes) {
            return Some(Some(Arc::clone(door)));
        }
        let open = self.0.iter().any(|door| says(door) == Recognized::Unclear);
        (!open || first.len() >= ENOUGH).then_some(None)
    }
}

/// Reads until `tell` can tell something by the first bytes of a connection. What was
/// read is said again. `None`: it ended before, or the server's drain found it waiting.
///
/// # Errors
/// Nothing came for the idle timeout, or not enough for the frame timeout.
pub(in crate::transport::server) async fn told_by_first_bytes<T>(
    mut incoming: Incoming,
    config: &SessionConfig,
    watcher: &Watcher,
    tell: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<(Incoming, Option<T>)> {
    if let Some(told) = tell(&incoming.first) {
        return Ok((incoming, Some(told)));
    }
    let mut first = BytesMut::with_capacity(ENOUGH);
    first.extend_from_slice(&incoming.first);
    let (mut until, mut begun) = (Instant::now() + config.idle_timeout, false);
    let told = loop {
        if !first.is_empty() && !std::mem::replace(&mut begun, true) {
            until = Instant::now() + config.frame_timeout;
        }
        let read = tokio::select! {
            biased;
            read = timeout_at(until, incoming.stream.read_buf(&mut first)) => read,
            () = watcher.reached(Phase::Draining) => break None,
        };
        match read {
            Ok(Ok(0)) => break None,
            Ok(read) => drop(read?),
            Err(_) => {
                let message = "whom it is for was not said in time";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
        if let Some(told) = tell(&first) {
            break Some(told);
        }
    };
    incoming.first = first.freeze();
    Ok((incoming, told))
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|door| door.name())).finish()
    }
}
