//! The control commands of the original: `getStat` and `reloadTask`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::call::body::Body;
use crate::call::dora_code;
use crate::call::status::Status;
use crate::call::trace::SERVER;
use crate::pack::value::Value;
use crate::value;

use super::stats::Stats;

/// Whether and how the control commands (`SC`) are answered, and what a reload
/// is. The commands carry no authorisation of their own: by default every
/// command is unknown.
///
/// A reload is asked for by the command `reloadTask`, or by SIGUSR1, as Swoole's
/// is: what it means, such as reading a configuration anew, is up to you.
#[derive(Clone, Default)]
pub struct Control {
    answers: bool,
    reload: Option<Reload>,
}

type Reload = Arc<dyn Fn() + Send + Sync>;

impl Control {
    /// Answers `getStat`, and `reloadTask` by doing nothing more.
    #[must_use]
    pub const fn enabled() -> Self {
        Self { answers: true, reload: None }
    }

    /// Answers both; `reload` is run for each `reloadTask`, before it is
    /// answered, and for each SIGUSR1 that the process gets while it serves. If
    /// it panics, the server goes on.
    pub fn with_reload(reload: impl Fn() + Send + Sync + 'static) -> Self {
        Self { answers: true, reload: Some(Arc::new(reload)) }
    }

    /// Runs `reload` for each SIGUSR1 that the process gets while it serves; the
    /// commands stay unknown. Nothing on Windows, which has no such signal.
    pub fn at_signal(reload: impl Fn() + Send + Sync + 'static) -> Self {
        Self { answers: false, reload: Some(Arc::new(reload)) }
    }

    /// Runs a command of a server that runs up to `max_running` calls.
    pub(super) fn run(&self, command: &str, stats: &Stats, max_running: usize) -> Result<Body, Status> {
        if !self.answers {
            return Err(unknown());
        }
        match command {
            "getStat" => Ok(Body::message(report(stats, max_running))),
            "reloadTask" => {
                // The answer of the original is the state before the reload.
                let report = report(stats, max_running);
                self.reload();
                Ok(Body::message(report))
            }
            _ => Err(unknown()),
        }
    }

    /// Whether commands are answered.
    pub(super) const fn answers(&self) -> bool {
        self.answers
    }

    pub(super) fn has_reload(&self) -> bool {
        self.reload.is_some()
    }

    /// Runs the hook, if there is one.
    pub(super) fn reload(&self) {
        let Some(reload) = &self.reload else { return };
        // It is the user's code, and stands where a connection or the server is driven.
        if catch_unwind(AssertUnwindSafe(|| reload())).is_err() {
            tracing::error!(target: SERVER, "the reload hook panicked");
        }
    }
}

fn unknown() -> Status {
    Status::raw(dora_code::UNKNOWN_COMMAND, dora_code::UNKNOWN_COMMAND_MESSAGE)
}

/// What Swoole's `stats()` gives, under its names and in its order, for tools that
/// divide one of them by another. A worker is a thread that serves, a task worker
/// a place for a running call, a coroutine a running call; what has no counterpart
/// is 0.
fn report(stats: &Stats, max_running: usize) -> Value {
    let now = stats.snapshot();
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let workers = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
    value!({
        "server" => {
            "start_time" => count(now.start_time),
            "connection_num" => count(now.accepted.saturating_sub(now.closed)),
            "abort_count" => 0,
            "accept_count" => count(now.accepted),
            "close_count" => count(now.closed),
            "worker_num" => number(workers),
            "task_worker_num" => number(max_running),
            "user_worker_num" => 0,
            // One of them answers this.
            "idle_worker_num" => number(workers.saturating_sub(now.running.max(1))),
            "dispatch_count" => count(now.requests),
            "request_count" => count(now.requests),
            "response_count" => count(now.answers),
            "total_recv_bytes" => count(now.received),
            "total_send_bytes" => count(now.sent),
            "pipe_packet_msg_id" => 0,
            "session_round" => count(now.accepted),
            "min_fd" => 0,
            "max_fd" => 0,
            "worker_request_count" => count(now.requests),
            "worker_response_count" => count(now.answers),
            "worker_dispatch_count" => count(now.requests),
            "task_idle_worker_num" => number(max_running.saturating_sub(now.running)),
            "tasking_num" => number(now.running),
            "coroutine_num" => number(now.running),
            "coroutine_peek_num" => number(now.peak),
        },
        // The original's queue of log records; Dora has none.
        "logqueue" => { "queue_num" => 0, "queue_bytes" => 0 },
    })
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, reload } = self;
        f.debug_struct("Control").field("answers", answers).field("reload", &reload.is_some()).finish()
    }
}
