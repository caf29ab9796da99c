//! What all connections of a server share.

use std::sync::Arc;

use crate::wire::encoder::Encoder;

use super::config::SessionConfig;
use super::control::Control;
use super::cost::Costs;
use super::ledger::Ledger;
use super::log::Log;
use super::observers::Observers;

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SessionConfig,
    pub(super) encoder: Encoder,
    pub(super) control: Control,
    pub(super) observers: Observers,
    /// Calls that may be parked or running in the background in the whole server.
    pub(super) max_running: usize,
    pub(super) ledger: Arc<Ledger>,
    pub(super) costs: Costs,
    pub(super) log: Log,
}
