//! The task that keeps the deadlines of an endpoint's calls.
//!
//! It does nothing else, so a connection that is busy, or whose task waits behind
//! one that blocks its worker, holds no deadline up.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;

use crate::transport::io::alarm::Alarm;

use super::link::Link;

/// Ends calls whose deadline has passed, until no channel is left.
pub(super) async fn watch(link: Arc<Link>) {
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        loop {
            let mut mine = Some(cx.waker().clone());
            let mut core = link.core();
            if core.state.is_over() {
                return Poll::Ready(());
            }
            let earliest = core.earliest();
            core.watched = earliest;
            std::mem::swap(&mut core.watch, &mut mine);
            drop(core);
            match earliest {
                Some(due) if alarm.poll(due, cx).is_ready() => link.expire(Instant::now()),
                _ => return Poll::Pending,
            }
        }
    })
    .await;
}
