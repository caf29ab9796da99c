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
    /// When it rings, whether that is still wanted or not.
    pub(in crate::transport) fn rings(&self) -> Option<Instant> {
        self.0.as_ref().filter(|sleep| !sleep.is_elapsed()).map(|sleep| sleep.deadline())
    }

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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_rings_before_it_is_needed_is_left_alone_and_known() {
        const SECOND: Duration = Duration::from_secs(1);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        assert_eq!(alarm.rings(), None);
        for due in [5, 9, 7] {
            assert!(alarm.poll(start + due * SECOND, &mut cx).is_pending());
            assert_eq!(alarm.rings(), Some(start + 5 * SECOND));
        }
        assert!(alarm.poll(start + 3 * SECOND, &mut cx).is_pending());
        assert_eq!(alarm.rings(), Some(start + 3 * SECOND), "it would ring too late");
        tokio::time::advance(4 * SECOND).await;
        assert_eq!(alarm.rings(), None, "it has rung");
        assert!(alarm.poll(start + 9 * SECOND, &mut cx).is_pending());
        assert_eq!(alarm.rings(), Some(start + 9 * SECOND));
        tokio::time::advance(6 * SECOND).await;
        assert!(alarm.poll(start + 9 * SECOND, &mut cx).is_ready());
    }
}
