//! The control commands of the original: `getStat` and `reloadTask`.

use std::fmt;
use std::sync::Arc;

use crate::call::body::Body;
use crate::call::dora_code;
use crate::call::status::Status;
use crate::pack::value::Value;
use crate::value;

use super::stats::Stats;

/// Whether and how the control commands (`SC`) are answered. They carry no
/// authorisation of their own: by default every command is unknown.
#[derive(Clone, Default)]
pub struct Control(Option<Option<Reload>>);

type Reload = Arc<dyn Fn() + Send + Sync>;

impl Control {
    /// Answers `getStat`, and `reloadTask` by doing nothing more.
    #[must_use]
    pub const fn enabled() -> Self {
        Self(Some(None))
    }

    /// Answers both; `reload` is run for each `reloadTask`, before it is answered.
    pub fn with_reload(reload: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Some(Arc::new(reload))))
    }

    /// Runs a command.
    pub(super) fn run(&self, command: &str, stats: &Stats) -> Result<Body, Status> {
        let Some(reload) = &self.0 else { return Err(unknown()) };
        match command {
            "getStat" => Ok(Body::message(report(stats))),
            "reloadTask" => {
                // The answer of the original is the state before the reload.
                let report = report(stats);
                if let Some(reload) = reload {
                    reload();
                }
                Ok(Body::message(report))
            }
            _ => Err(unknown()),
        }
    }
}

fn unknown() -> Status {
    Status::raw(dora_code::UNKNOWN_COMMAND, dora_code::UNKNOWN_COMMAND_MESSAGE)
}

/// What Swoole's `stats()` has a counterpart for here, under its names.
fn report(stats: &Stats) -> Value {
    let now = stats.snapshot();
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let connections = now.accepted.saturating_sub(now.closed);
    let running = now.running as u64;
    value!({
        "server" => {
            "start_time" => count(now.start_time),
            "connection_num" => count(connections),
            "accept_count" => count(now.accepted),
            "close_count" => count(now.closed),
            "tasking_num" => count(running),
            "request_count" => count(now.requests),
            "worker_request_count" => count(now.requests),
            "response_count" => count(now.answers),
            "total_recv_bytes" => count(now.received),
            "total_send_bytes" => count(now.sent),
        },
        // The original's queue of log records; Dora has none.
        "logqueue" => { "queue_num" => 0, "queue_bytes" => 0 },
    })
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Control(enabled)" } else { "Control(disabled)" })
    }
}
