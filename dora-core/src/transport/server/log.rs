//! What a server says of itself and of its peers. What peers cause is written
//! seldom enough that none of them can fill a log.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, debug, enabled, info, warn};

use crate::call::observe::Closed;
use crate::call::origin::Peer;
use crate::call::status::Status;
use crate::call::trace::SERVER;
use crate::transport::io::address::Address;
use crate::transport::log_limit::{LineLimit, LogLimit};

use super::connections::ServerConfig;
use super::diagnose::Refusal;
use super::shared::Shared;
use super::wide;

/// What was said of peers already.
#[derive(Debug, Default)]
pub(super) struct Log {
    frames: LogLimit,
    packets: LogLimit,
    beginnings: LogLimit,
    stalled: LogLimit,
}

impl Log {
    /// Bytes came that are no frame.
    pub(super) fn frame_refused(&self, peer: &Peer, reason: &Refusal<'_>) {
        if let Some(left_out) = due(&self.frames, peer) {
            warn!(target: SERVER, %peer, %reason, left_out, "a frame is refused");
        }
    }

    /// A packet is refused as a whole.
    pub(super) fn packet_refused(&self, peer: &Peer, status: &Status) {
        if let Some(left_out) = due(&self.packets, peer) {
            warn!(target: SERVER, %peer, reason = %status, left_out, "a packet is refused");
        }
    }

    /// A connection was lost before its first frame could come: mostly in TLS.
    pub(super) fn not_begun(&self, peer: &Peer, error: &io::Error) {
        if let Some(left_out) = due(&self.beginnings, peer) {
            warn!(target: SERVER, %peer, reason = %error, left_out, "a connection is lost before it began");
        }
    }

    /// A connection is over.
    pub(super) fn closed(&self, peer: &Peer, why: &Closed) {
        if !matches!(why, Closed::Stalled | Closed::OverBudget) {
            debug!(target: SERVER, %peer, %why, "a connection is closed");
        } else if let Some(left_out) = due(&self.stalled, peer) {
            warn!(target: SERVER, %peer, %why, left_out, "a connection is closed");
        }
    }
}

/// Whether a warning about `peer` is to be written, with how many were left out
/// before it, if any were. Nothing is locked, and no clock is read, while nobody
/// listens.
#[inline]
fn due(limit: &LogLimit, peer: &Peer) -> Option<Option<u64>> {
    if !enabled!(target: SERVER, Level::WARN) {
        return None;
    }
    limit.write(peer.ip(), Instant::now()).map(|left_out| (left_out > 0).then_some(left_out))
}

/// A connection cannot be accepted.
pub(super) fn not_accepted(limit: &mut LineLimit, error: &io::Error) {
    if enabled!(target: SERVER, Level::WARN)
        && let Some(left_out) = limit.write(Instant::now())
    {
        let left_out = (left_out > 0).then_some(left_out);
        warn!(target: SERVER, %error, left_out, "cannot accept a connection");
    }
}

/// The server listens: where, and set how.
pub(super) fn listening(address: Option<&Address>, shared: &Shared, server: &ServerConfig) {
    if !enabled!(target: SERVER, Level::INFO) {
        return;
    }
    let config = &shared.config;
    let place: &dyn Display = match address {
        Some(address) => address,
        None => &"connections that are handed over",
    };
    info!(
        target: SERVER,
        address = %place,
        packings = config.packers.to_string(),
        signed = config.salt.is_some(),
        gzip = config.gzip,
        tls = server.upgrade.is_some(),
        max_packet = config.max_packet,
        "listening"
    );
    for what in wide::settings(address, config, server, &shared.control) {
        info!(target: SERVER, address = %place, what = %what, "the port is open wide");
    }
}

/// A door of the server listens.
pub(super) fn door_listening(
    door: &'static str,
    address: Option<&Address>,
    shared: &Shared,
    server: &ServerConfig,
) {
    if !enabled!(target: SERVER, Level::INFO) {
        return;
    }
    let place: &dyn Display = match address {
        Some(address) => address,
        None => &"connections that are handed over",
    };
    let (tls, max_packet) = (server.upgrade.is_some(), shared.config.max_packet);
    info!(target: SERVER, door, address = %place, tls, max_packet, "listening");
    if let Some(what) = wide::door(address, server) {
        info!(target: SERVER, door, address = %place, what, "the port is open wide");
    }
}

/// The server takes no more connections, and lets `running` calls end.
pub(super) fn draining(running: usize) {
    info!(target: SERVER, running, "draining");
}

/// The time to drain is over, and `cancelled` calls still run.
pub(super) fn cut_short(cancelled: usize) {
    warn!(target: SERVER, cancelled, "calls still run at the end of the drain timeout: they are cancelled");
}

/// The server has drained.
pub(super) fn drained(took: Duration, cancelled: usize) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    info!(target: SERVER, took_ms, cancelled, "drained");
}
