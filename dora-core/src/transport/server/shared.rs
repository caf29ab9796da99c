//! What all connections of a server share.

use std::sync::Arc;
use std::time::Duration;

use crate::call::direct::Lookup;
use crate::call::method::ServiceDescriptor;
use crate::wire::encoder::Encoder;

use super::config::SessionConfig;
use super::control::Control;
use super::cost::Costs;
use super::door::sort::Sharing;
use super::ledger::Ledger;
use super::log::Log;
use super::observers::Observers;
use super::stats::Weight;

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SessionConfig,
    pub(super) encoder: Encoder,
    pub(super) control: Control,
    pub(super) observers: Observers,
    /// Calls that may be parked or running in the background in the whole server.
    pub(super) max_running: usize,
    /// Bytes of their requests.
    pub(super) max_request_bytes: usize,
    /// How long a call may run.
    pub(super) call_timeout: Duration,
    pub(super) ledger: Arc<Ledger>,
    pub(super) costs: Costs,
    pub(super) log: Log,
    /// Finds the methods.
    pub(super) methods: Arc<dyn Lookup>,
    /// The services that are mounted.
    pub(super) services: Vec<&'static ServiceDescriptor>,
    /// Whether a handler takes all names that they have not.
    pub(super) takes_all_names: bool,
    /// The doors that share the port.
    pub(super) sharing: Sharing,
}

impl Shared {
    /// Why a packet is refused, where too much runs already; its connection runs
    /// requests of `own` bytes.
    pub(super) fn overload(&self, packet: Weight, own: usize) -> Option<String> {
        let (Weight { calls, bytes }, stats) = (packet, self.observers.stats());
        let (running, most) = (stats.running(), self.config.max_calls);
        if calls > most || running.saturating_add(calls) > self.max_running {
            return Some(format!(
                "{calls} calls are too many: {running} of {} run (max_running_calls), {most} may on one connection \
                 (max_calls_per_connection)",
                self.max_running
            ));
        }
        // A connection may hold as much as is still free: so there is always some left
        // for those who hold little.
        let used = stats.running_bytes();
        if own.saturating_add(bytes) <= self.max_request_bytes.saturating_sub(used) {
            return None;
        }
        Some(format!(
            "a request of {bytes} bytes is too much now: those that run have {used} bytes of {} \
             (max_request_bytes), {own} of them on this connection, which may have as much as is free",
            self.max_request_bytes
        ))
    }
}
