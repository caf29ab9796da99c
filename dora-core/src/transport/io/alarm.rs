//! One timer for all the deadlines of a connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::call::deadline::Deadline;

/// The moment `wait` after `start`; "never" (`Duration::MAX`) is a moment too.
pub(in crate::transport) fn after(start: Instant, wait: Duration) -> Instant {
    Deadline::from_instant(start, wait).instant()
}

/// A timer that is moved only when it would ring too late: one that rings early
/// is set anew, so a busy connection seldom touches the clock's queue.
#[derive(Debug, Default)]
pub(in crate::transport) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `due` has passed.
    pub(in crate::transport) fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}
