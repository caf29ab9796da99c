//! Telling every connection of a server to end, and knowing when they have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::call::observe::Closed;

/// What the connections of a server are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Serve.
    Serving,
    /// Answer what has come, then close.
    Draining,
    /// Close now.
    Closing,
    /// The same: whoever served has let it go without a drain.
    Abandoned,
}

impl Phase {
    /// Why connections are over in this phase.
    pub(super) fn why(self) -> Closed {
        match self {
            Self::Abandoned => Closed::Lost("whoever served it has let it go".to_owned()),
            _ => Closed::Drained,
        }
    }
}

#[derive(Debug)]
struct State {
    phase: AtomicU8,
    changed: Notify,
    watchers: AtomicUsize,
    gone: Notify,
}

/// The end that decides. Dropping it closes all connections.
#[derive(Debug)]
pub(super) struct Shutdown(Arc<State>);

/// The end that every connection, and every call that outlives its connection,
/// holds: the shutdown is complete when all of these are dropped.
#[derive(Debug)]
pub(super) struct Watcher(Arc<State>);

impl Shutdown {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            phase: AtomicU8::new(Phase::Serving as u8),
            changed: Notify::new(),
            watchers: AtomicUsize::new(0),
            gone: Notify::new(),
        }))
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        Watcher(Arc::clone(&self.0))
    }

    pub(super) fn set(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Ends when every watcher is gone.
    pub(super) async fn ended(&self) {
        while self.0.watchers.load(Ordering::SeqCst) > 0 {
            // One that goes meanwhile leaves its permit.
            self.0.gone.notified().await;
        }
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.set(match self.0.phase() {
            Phase::Serving => Phase::Abandoned,
            _ => Phase::Closing,
        });
    }
}

impl State {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            2 => Phase::Closing,
            _ => Phase::Abandoned,
        }
    }
}

impl Watcher {
    /// What is to be done now.
    pub(super) fn phase(&self) -> Phase {
        self.0.phase()
    }

    /// Ends when the phase changes after this was called.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Ends when the phase is `phase` or a later one.
    pub(super) async fn reached(&self, phase: Phase) {
        loop {
            let changed = self.changed();
            if self.phase() >= phase {
                return;
            }
            changed.await;
        }
    }
}

impl Clone for Watcher {
    fn clone(&self) -> Self {
        self.0.watchers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if self.0.watchers.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.gone.notify_one();
        }
    }
}
