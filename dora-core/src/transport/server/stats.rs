//! Counters of a server.

use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::call::observe::{Closed, Observer, Traffic};
use crate::call::origin::Connection;
use crate::call::status::Status;

/// What happened since the server started. Counters only: reading them is cheap
/// and needs no lock.
#[derive(Debug)]
pub struct Stats {
    start_time: u64,
    accepted: AtomicU64,
    closed: AtomicU64,
    requests: AtomicU64,
    answers: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    refused_frames: AtomicU64,
    refused_packets: AtomicU64,
    running: AtomicUsize,
    running_bytes: AtomicUsize,
    peak: AtomicUsize,
}

/// What a packet weighs while its calls run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    pub(super) calls: usize,
    /// Of its body, inflated.
    pub(super) bytes: usize,
}

/// A packet that counts as running until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    weight: Weight,
    stats: Arc<Stats>,
}

/// A reading of [`Stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// When the server started, in seconds since 1970.
    pub start_time: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed.
    pub closed: u64,
    /// Packets received.
    pub requests: u64,
    /// Packets sent.
    pub answers: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Frames refused by their length or signature.
    pub refused_frames: u64,
    /// Packets refused as a whole.
    pub refused_packets: u64,
    /// Calls running now.
    pub running: usize,
    /// Bytes of the requests of those calls, inflated.
    pub running_bytes: usize,
    /// The most calls that ran at once.
    pub peak: usize,
}

impl Stats {
    /// All zero, started now.
    #[must_use]
    pub fn new() -> Self {
        let start_time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            start_time,
            accepted: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            refused_frames: AtomicU64::new(0),
            refused_packets: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            running_bytes: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// A reading of all counters; each is exact, together they are of about now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            start_time: self.start_time,
            accepted: self.accepted.load(Ordering::Relaxed),
            closed: self.closed.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            answers: self.answers.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            refused_frames: self.refused_frames.load(Ordering::Relaxed),
            refused_packets: self.refused_packets.load(Ordering::Relaxed),
            running: self.running.load(Ordering::Relaxed),
            running_bytes: self.running_bytes.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn running_bytes(&self) -> usize {
        self.running_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn started(&self, weight: Weight) {
        let Weight { calls, bytes } = weight;
        let before = self.running.fetch_add(calls, Ordering::Relaxed);
        self.peak.fetch_max(before.saturating_add(calls), Ordering::Relaxed);
        self.running_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, weight: Weight) {
        self.running.fetch_sub(weight.calls, Ordering::Relaxed);
        self.running_bytes.fetch_sub(weight.bytes, Ordering::Relaxed);
    }
}

impl Counted {
    pub(super) fn new(weight: Weight, stats: Arc<Stats>) -> Self {
        stats.started(weight);
        Self { weight, stats }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stats.ended(self.weight);
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Weight {
    fn sub_assign(&mut self, other: Self) {
        self.calls -= other.calls;
        self.bytes -= other.bytes;
    }
}

/// What every server counts: the [`Observer`] that is always there.
impl Observer for Stats {
    fn connection_accepted(&self, _: &Connection) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn connection_closed(&self, _: &Connection, _: &Closed) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    fn frame_refused(&self, _: &Connection, _: &dyn fmt::Display) {
        self.refused_frames.fetch_add(1, Ordering::Relaxed);
    }

    fn packet_refused(&self, _: &Connection, _: &Status) {
        self.refused_packets.fetch_add(1, Ordering::Relaxed);
    }

    fn traffic(&self, _: &Connection, traffic: &Traffic) {
        for (counter, count) in [
            (&self.requests, traffic.requests),
            (&self.answers, traffic.answers),
            (&self.received, traffic.received),
            (&self.sent, traffic.sent),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}
