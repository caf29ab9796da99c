//! How many bytes all connections of a server hold, and who holds most.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// The bytes that wait in the whole server: answers that their peers do not take,
/// requests that are not whole.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    total: AtomicUsize,
    accounts: Mutex<Vec<Arc<Account>>>,
}

/// A connection that holds much.
#[derive(Debug, Default)]
struct Account {
    held: AtomicUsize,
    condemned: AtomicBool,
    task: AtomicWaker,
}

/// A connection's part. It has an account only while it holds much.
#[derive(Debug, Default)]
pub(super) struct Share(Option<(Arc<Ledger>, Arc<Account>)>);

/// Who holds less costs more to write down than to keep.
const MUCH: usize = 64 << 10;

impl Ledger {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, total: AtomicUsize::new(0), accounts: Mutex::new(Vec::new()) }
    }

    /// Closes those who hold most, until the rest is within the limit.
    fn relieve(&self) {
        let accounts = self.accounts.lock();
        while self.total.load(Ordering::Relaxed) > self.limit {
            let open = accounts.iter().filter(|account| !account.condemned.load(Ordering::Relaxed));
            let Some(greediest) = open.max_by_key(|account| account.held.load(Ordering::Relaxed)) else {
                return;
            };
            greediest.condemned.store(true, Ordering::Release);
            // What it holds is as good as free.
            self.total.fetch_sub(greediest.held.swap(0, Ordering::AcqRel), Ordering::Relaxed);
            greediest.task.wake();
        }
    }
}

impl Share {
    /// Writes down that the connection, of the task `waker`, holds `bytes` now.
    /// Whether it must go, because the server holds too much and it the most.
    pub(super) fn hold(&mut self, ledger: &Arc<Ledger>, bytes: usize, waker: &Waker) -> bool {
        if bytes < MUCH {
            self.leave();
            return false;
        }
        let (_, account) = self.0.get_or_insert_with(|| {
            let account = Arc::<Account>::default();
            ledger.accounts.lock().push(Arc::clone(&account));
            (Arc::clone(ledger), account)
        });
        account.task.register(waker);
        {
            // Under the lock, so that nobody is condemned for what is being changed.
            let _accounts = ledger.accounts.lock();
            if account.condemned.load(Ordering::Acquire) {
                return true;
            }
            let before = account.held.swap(bytes, Ordering::AcqRel);
            ledger.total.fetch_add(bytes, Ordering::Relaxed);
            ledger.total.fetch_sub(before, Ordering::Relaxed);
        }
        if ledger.total.load(Ordering::Relaxed) > ledger.limit {
            ledger.relieve();
        }
        account.condemned.load(Ordering::Acquire)
    }

    fn leave(&mut self) {
        let Some((ledger, account)) = self.0.take() else { return };
        let mut accounts = ledger.accounts.lock();
        ledger.total.fetch_sub(account.held.swap(0, Ordering::AcqRel), Ordering::Relaxed);
        accounts.retain(|other| !Arc::ptr_eq(other, &account));
    }
}

/// The connection holds little again, or is gone.
impl Drop for Share {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    #[test]
    fn the_greediest_go_first_and_only_as_many_as_must() {
        let ledger = Arc::new(Ledger::new(1000 * KIB));
        let mut shares: Vec<_> = (0..6).map(|_| Share::default()).collect();
        let gone = |shares: &mut Vec<Share>, index: usize, kib: usize| {
            shares[index].hold(&ledger, kib * KIB, Waker::noop())
        };
        for (index, kib) in [100, 400, 200, 300].into_iter().enumerate() {
            assert!(!gone(&mut shares, index, kib), "within the limit");
        }
        assert!(!gone(&mut shares, 4, 90), "one who holds little stays");
        assert!(gone(&mut shares, 1, 400), "the greediest hears it when it is woken");
        assert!(!gone(&mut shares, 3, 300) && !gone(&mut shares, 2, 200));
        assert!(gone(&mut shares, 0, 800), "one that takes too much at once is the greediest itself");
        assert_eq!(ledger.total.load(Ordering::Relaxed), 590 * KIB);
        drop(shares);
        assert_eq!(ledger.total.load(Ordering::Relaxed), 0);
        assert!(ledger.accounts.lock().is_empty());
    }

    #[test]
    fn who_holds_little_is_not_written_down() {
        let ledger = Arc::new(Ledger::new(1));
        let mut share = Share::default();
        assert!(!share.hold(&ledger, MUCH - 1, Waker::noop()));
        assert!(ledger.accounts.lock().is_empty());
        assert!(share.hold(&ledger, MUCH, Waker::noop()));
        assert!(!share.hold(&ledger, 0, Waker::noop()));
        assert!(ledger.accounts.lock().is_empty());
    }
}
