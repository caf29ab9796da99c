//! What a door holds for its connection: counted with what all connections hold.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use crate::transport::server::ledger::{Ledger, Share};

/// What a door holds for one connection.
#[derive(Debug)]
pub(in crate::transport::server) struct Holdings {
    ledger: Arc<Ledger>,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    bytes: usize,
    share: Share,
    /// Of the task that serves the connection.
    waker: Waker,
}

impl Holdings {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        let now = Now { bytes: 0, share: Share::default(), waker: Waker::noop().clone() };
        Self { ledger, now: Mutex::new(now) }
    }

    /// Ends when the connection must go, because the server holds too much, and it the
    /// most.
    pub(super) async fn too_much(&self) {
        poll_fn(|cx| {
            let mut now = self.now.lock();
            now.waker.clone_from(cx.waker());
            match now.tell(&self.ledger) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    fn change(&self, before: usize, after: usize) {
        if before != after {
            let mut now = self.now.lock();
            now.bytes = now.bytes.saturating_add(after).saturating_sub(before);
            // Whoever must go for it is woken, be it this one.
            now.tell(&self.ledger);
        }
    }
}

impl Now {
    fn tell(&mut self, ledger: &Arc<Ledger>) -> bool {
        self.share.hold(ledger, (self.bytes, false), &self.waker)
    }
}

/// Bytes that a door holds for its connection, of requests that are not whole or answers
/// that are not taken: they count in
/// [`max_buffered`](crate::server::Server::max_buffered) until this is dropped. Where
/// that is too much, the connections that hold most are closed.
#[derive(Debug)]
pub struct Held {
    holdings: Arc<Holdings>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(holdings: Arc<Holdings>, bytes: usize) -> Self {
        holdings.change(0, bytes);
        Self { holdings, bytes }
    }

    /// It is so many now.
    pub fn set(&mut self, bytes: usize) {
        self.holdings.change(std::mem::replace(&mut self.bytes, bytes), bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const KIB: usize = 1 << 10;

    #[tokio::test]
    async fn who_holds_most_goes_and_is_woken_for_it() {
        let ledger = Arc::new(Ledger::new(1000 * KIB));
        let [greedy, modest] = [0, 1].map(|_| Arc::new(Holdings::new(Arc::clone(&ledger))));
        let hold = |holdings: &Arc<Holdings>, kib: usize| Held::new(Arc::clone(holdings), kib * KIB);
        let mut first = hold(&greedy, 0);
        let going = tokio::spawn({
            let greedy = Arc::clone(&greedy);
            async move { greedy.too_much().await }
        });
        tokio::task::yield_now().await;
        first.set(500 * KIB);
        let second = hold(&greedy, 200);
        assert!(modest.too_much().now_or_never().is_none(), "within the limit");
        let other = hold(&modest, 400);
        assert!(modest.too_much().now_or_never().is_none(), "another one holds more");
        going.await.expect("it was woken");
        drop(second);
        first.set(10 * KIB);
        assert!(greedy.too_much().now_or_never().is_none(), "who holds little stays");
        drop(other);
        let all = hold(&modest, 999);
        assert!(modest.too_much().now_or_never().is_none(), "what was given back counts no more");
        drop(all);
    }
}
