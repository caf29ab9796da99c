//! What a listener's connections are held to.

use std::time::Duration;

use crate::call::capabilities::Capabilities;
use crate::call::packer::PackerSet;
use crate::pack::limits::Limits;
use crate::wire::checksum::Salt;
use crate::wire::decoder::Decoder;
use crate::wire::encoder::Encoder;
use crate::wire::header::DEFAULT_MAX_PACKET;

/// The settings of the connections of one listener. `server::Server` has
/// methods for them.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The largest packet in bytes, both ways. Default 2 MiB.
    pub max_packet: usize,
    /// The salt, on a port of signed frames. Default: not signed.
    pub salt: Option<Salt>,
    /// The packers this port accepts. Default: all.
    pub packers: PackerSet,
    /// Whether every answer is gzipped; else those whose request was.
    pub gzip: bool,
    /// Bounds on unpacking.
    pub limits: Limits,
    /// Calls of one connection that may run at once; the connection is not read
    /// further while they do. Default 4096, as [`Limits::calls`].
    pub max_calls: usize,
    /// Bytes of requests, inflated, of those calls; the connection is not read
    /// further while they run. Default 16 MiB.
    pub max_request_bytes: usize,
    /// Bytes of answers waiting for a peer that does not read; beyond it the
    /// connection's handlers rest. Default 4 MiB.
    pub max_buffered: usize,
    /// A connection on which nothing happens is closed. Default 10 minutes.
    pub idle_timeout: Duration,
    /// A frame that began must be whole in this time. Default 30 s.
    pub frame_timeout: Duration,
    /// A peer that takes no byte of its answers for this long is closed. Default 30 s.
    pub stall_timeout: Duration,
    /// How long a drained connection stays open for requests already on their
    /// way. Default 50 ms.
    pub drain_linger: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_packet: DEFAULT_MAX_PACKET,
            salt: None,
            packers: PackerSet::ALL,
            gzip: false,
            limits: Limits::default(),
            max_calls: 4096,
            max_request_bytes: 16 << 20,
            max_buffered: 4 << 20,
            idle_timeout: Duration::from_secs(600),
            frame_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            drain_linger: Duration::from_millis(50),
        }
    }
}

impl SessionConfig {
    /// What this end can.
    pub(super) const fn capabilities(&self) -> Capabilities {
        Capabilities::of_packers(self.packers).with(Capabilities::NOTICES)
    }

    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.max_packet, self.salt.clone())
    }

    pub(super) fn encoder(&self) -> Encoder {
        Encoder::new(self.max_packet, self.salt.clone())
    }
}
