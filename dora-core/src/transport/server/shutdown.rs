//! Telling every connection of a server to end, and knowing when they have.

use tokio::sync::{mpsc, watch};

/// What the connections of a server are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Serve.
    Serving,
    /// Answer what has come, then close.
    Draining,
    /// Close now.
    Closing,
}

/// The end that decides. Dropping it closes all connections.
#[derive(Debug)]
pub(super) struct Shutdown {
    phase: watch::Sender<Phase>,
    alive: Option<mpsc::Sender<()>>,
    ended: mpsc::Receiver<()>,
}

/// The end that every connection, and every call that outlives its connection,
/// holds: the shutdown is complete when all of these are dropped.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    phase: watch::Receiver<Phase>,
    _alive: Option<mpsc::Sender<()>>,
}

impl Shutdown {
    pub(super) fn new() -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self { phase: watch::Sender::new(Phase::Serving), alive: Some(alive), ended }
    }

    pub(super) fn watcher(&self) -> Watcher {
        Watcher { phase: self.phase.subscribe(), _alive: self.alive.clone() }
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Ends when every watcher is gone; no more can be had.
    pub(super) async fn ended(&mut self) {
        self.alive = None;
        // Nothing is ever sent: this waits for the last sender to go.
        self.ended.recv().await;
    }
}

impl Watcher {
    /// Ends when the phase is `phase` or a later one, or nobody decides any more.
    pub(super) async fn reached(&mut self, phase: Phase) {
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }
}
