//! Several protocols on one port: whom a connection is for.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::transport::server::config::SessionConfig;
use crate::transport::server::incoming::Incoming;
use crate::transport::server::shutdown::{Phase, Watcher};

use super::{Door, Recognized};

/// The doors that share the port of Dora's own wire.
#[derive(Default)]
pub struct Sharing(pub Vec<Arc<dyn Door>>);

/// Bytes that are read to tell whom a connection is for.
const ENOUGH: usize = 64;

impl Sharing {
    /// Tells whom a connection is for, which waits for its first bytes: for a door, or
    /// for none of them, and so for Dora's own wire. What was read is said again. One
    /// that ends, or that the server's drain finds waiting, is for Dora's own wire, which
    /// knows how to leave it.
    ///
    /// # Errors
    /// Nothing came for the idle timeout, or not enough for the frame timeout.
    pub(in crate::transport::server) async fn sort(
        &self,
        mut incoming: Incoming,
        config: &SessionConfig,
        watcher: &Watcher,
    ) -> io::Result<(Incoming, Option<Arc<dyn Door>>)> {
        if self.0.is_empty() {
            return Ok((incoming, None));
        }
        let mut first = BytesMut::with_capacity(ENOUGH);
        first.extend_from_slice(&incoming.first);
        let (mut until, mut begun) = (Instant::now() + config.idle_timeout, false);
        let door = loop {
            if !first.is_empty() && !std::mem::replace(&mut begun, true) {
                until = Instant::now() + config.frame_timeout;
            }
            if let Some(told) = self.tell(&first) {
                break told;
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
        };
        incoming.first = first.freeze();
        Ok((incoming, door))
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

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|door| door.name())).finish()
    }
}
