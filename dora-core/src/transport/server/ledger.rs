//! How many bytes all connections of a server hold, and who holds most.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The bytes that wait in the whole server: answers that their peers do not take,
/// requests that are not whole.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    total: AtomicUsize,
    accounts: Mutex<Vec<Arc<Account>>>,
    /// Told when what is held is within the limit again.
    relieved: Notify,
}

/// A connection that holds much, or whose calls run as tasks or in batches.
#[derive(Debug)]
pub(super) struct Account {
    ledger: Arc<Ledger>,
    held: AtomicUsize,
    /// It is to go, or has gone.
    condemned: AtomicBool,
    task: AtomicWaker,
    /// Told when less is held, when the precedence is free, when it is to go.
    eased: Notify,
    /// Told when it is to go.
    going: Notify,
    /// Whether one of its batches has precedence.
    preceded: AtomicBool,
    /// Where it stands among the ledger's; changed under their lock.
    place: AtomicUsize,
}

/// A connection's part. It has an account only while it needs one.
#[derive(Debug, Default)]
pub(super) struct Share {
    account: Option<Arc<Account>>,
    /// What the connection itself holds: the rest are results it has not taken.
    own: usize,
}

/// Bytes of a result that its connection has not taken yet.
#[derive(Debug)]
pub(super) struct Untaken {
    account: Arc<Account>,
    bytes: usize,
}

/// The right of one of a connection's batches to go on though it holds its bound:
/// what is done of it is given away only when all is.
#[derive(Debug)]
pub(super) struct Precedence(Arc<Account>);

/// Who holds less costs more to write down than to keep.
pub(super) const MUCH: usize = 64 << 10;

impl Ledger {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            total: AtomicUsize::new(0),
            accounts: Mutex::new(Vec::new()),
            relieved: Notify::const_new(),
        }
    }

    /// Whether more is held than may be: for as long as it takes those to go that
    /// were told to.
    fn is_over(&self) -> bool {
        self.total.load(Ordering::Acquire) > self.limit
    }

    /// Waits until there is room for another result.
    pub(super) async fn room(&self) {
        while self.is_over() {
            let mut relieved = Box::pin(self.relieved.notified());
            relieved.as_mut().enable();
            if self.is_over() {
                relieved.await;
            }
        }
    }

    /// Closes those who hold most, until the rest is within the limit. What they
    /// hold counts until it is given back.
    fn relieve(&self) {
        let accounts = self.accounts.lock();
        let going = accounts.iter().filter(|account| account.is_condemned());
        let going: usize = going.map(|account| account.held()).sum();
        let mut staying = self.total.load(Ordering::Acquire).saturating_sub(going);
        while staying > self.limit {
            let open = accounts.iter().filter(|account| !account.is_condemned());
            let greediest = open.map(|account| (account.held(), account)).max_by_key(|(held, _)| *held);
            let Some((held @ 1.., greediest)) = greediest else { return };
            greediest.condemn();
            greediest.task.wake();
            staying = staying.saturating_sub(held);
        }
    }
}

impl Account {
    fn open(ledger: &Arc<Ledger>) -> Arc<Self> {
        let mut accounts = ledger.accounts.lock();
        let account = Arc::new(Self {
            ledger: Arc::clone(ledger),
            held: AtomicUsize::new(0),
            condemned: AtomicBool::new(false),
            task: AtomicWaker::new(),
            eased: Notify::const_new(),
            going: Notify::const_new(),
            preceded: AtomicBool::new(false),
            place: AtomicUsize::new(accounts.len()),
        });
        accounts.push(Arc::clone(&account));
        account
    }

    fn close(&self) {
        let mut accounts = self.ledger.accounts.lock();
        let place = self.place.load(Ordering::Relaxed);
        accounts.swap_remove(place);
        if let Some(moved) = accounts.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        // What still runs for it in the background holds back for nobody.
        self.condemn();
    }

    fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
        self.eased.notify_waiters();
        self.going.notify_waiters();
    }

    /// Bytes that it holds, as of its last turn, and results that it has not taken.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Whether the connection must go, or has gone.
    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// As [`Ledger::is_over`].
    pub(super) fn is_over(&self) -> bool {
        self.ledger.is_over()
    }

    /// Waits until something has changed for who found no room here; heard from the
    /// first poll on.
    pub(super) async fn eased(account: Arc<Self>) {
        let (mut here, mut all) = (pin!(account.eased.notified()), pin!(account.ledger.relieved.notified()));
        here.as_mut().enable();
        all.as_mut().enable();
        tokio::select! {
            () = here => {}
            () = all => {}
        }
    }

    /// Waits until the connection must go, or has gone.
    pub(super) async fn going(account: Arc<Self>) {
        let mut going = pin!(account.going.notified());
        going.as_mut().enable();
        if !account.is_condemned() {
            going.await;
        }
    }

    /// Lets one batch go on, if none does.
    pub(super) fn take_precedence(account: &Arc<Self>) -> Option<Precedence> {
        let taken = account.preceded.swap(true, Ordering::AcqRel);
        (!taken).then(|| Precedence(Arc::clone(account)))
    }

    /// As [`Ledger::room`].
    pub(super) async fn room(&self) {
        self.ledger.room().await;
    }

    fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::AcqRel);
        let before = self.ledger.total.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) > self.ledger.limit {
            self.ledger.relieve();
        }
    }

    fn take_off(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
        let (ledger, before) = (&self.ledger, self.ledger.total.fetch_sub(bytes, Ordering::AcqRel));
        if before > ledger.limit && before - bytes <= ledger.limit {
            ledger.relieved.notify_waiters();
        }
        self.eased.notify_waiters();
    }
}

impl Untaken {
    /// Counts a result of `bytes` until this is dropped.
    pub(super) fn new(account: Arc<Account>, bytes: usize) -> Self {
        account.add(bytes);
        Self { account, bytes }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// It has so many bytes now.
    pub(super) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes < before {
            self.account.take_off(before - bytes);
        } else if bytes > before {
            self.account.add(bytes - before);
        }
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.account.take_off(self.bytes);
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        self.0.preceded.store(false, Ordering::Release);
        self.0.eased.notify_waiters();
    }
}

impl Share {
    /// The account of the connection.
    pub(super) fn account(&mut self, ledger: &Arc<Ledger>) -> &Arc<Account> {
        self.account.get_or_insert_with(|| Account::open(ledger))
    }

    /// Bytes of results that the connection has not taken yet.
    pub(super) fn untaken(&self) -> usize {
        self.account.as_ref().map_or(0, |account| account.held().saturating_sub(self.own))
    }

    /// Writes down that the connection, of the task `waker`, holds `bytes` now;
    /// `expects`: results may come for it. Whether it must go, because the server
    /// holds too much and it the most.
    pub(super) fn hold(
        &mut self,
        ledger: &Arc<Ledger>,
        (bytes, expects): (usize, bool),
        waker: &Waker,
    ) -> bool {
        if bytes < MUCH && !expects {
            self.leave();
            return false;
        }
        let before = std::mem::replace(&mut self.own, bytes);
        let account = self.account(ledger);
        // First: who is condemned from here on wakes the task.
        account.task.register(waker);
        if bytes < before {
            account.take_off(before - bytes);
        } else if bytes > before {
            account.add(bytes - before);
        }
        account.is_condemned()
    }

    fn leave(&mut self) {
        let Some(account) = self.account.take() else { return };
        account.close();
        account.take_off(std::mem::take(&mut self.own));
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
    use futures_util::FutureExt;

    use super::*;

    const KIB: usize = 1 << 10;

    fn shares(count: usize) -> Vec<Share> {
        (0..count).map(|_| Share::default()).collect()
    }

    fn total(ledger: &Ledger) -> usize {
        ledger.total.load(Ordering::Relaxed)
    }

    #[test]
    fn the_greediest_go_first_and_only_as_many_as_must() {
        let ledger = Arc::new(Ledger::new(1000 * KIB));
        let mut shares = shares(6);
        let gone = |shares: &mut Vec<Share>, index: usize, kib: usize| {
            shares[index].hold(&ledger, (kib * KIB, false), Waker::noop())
        };
        for (index, kib) in [100, 400, 200, 300].into_iter().enumerate() {
            assert!(!gone(&mut shares, index, kib), "within the limit");
        }
        assert!(!gone(&mut shares, 4, 90), "one who holds little stays");
        assert!(gone(&mut shares, 1, 400), "the greediest hears it when it is woken");
        assert!(!gone(&mut shares, 3, 300) && !gone(&mut shares, 2, 200));
        assert!(gone(&mut shares, 0, 800), "one that takes too much at once is the greediest itself");
        assert!(!gone(&mut shares, 5, 400), "those who go make room for others");
        assert_eq!(total(&ledger), 2190 * KIB, "and count until they are gone");
        drop(shares.drain(..2));
        assert_eq!(total(&ledger), 990 * KIB);
        drop(shares);
        assert_eq!(total(&ledger), 0);
        assert!(ledger.accounts.lock().is_empty());
    }

    #[test]
    fn who_holds_little_is_not_written_down() {
        let ledger = Arc::new(Ledger::new(1));
        let mut share = Share::default();
        assert!(!share.hold(&ledger, (MUCH - 1, false), Waker::noop()));
        assert!(ledger.accounts.lock().is_empty());
        assert!(share.hold(&ledger, (MUCH, false), Waker::noop()));
        assert!(!share.hold(&ledger, (0, false), Waker::noop()));
        assert!(ledger.accounts.lock().is_empty());
    }

    #[test]
    fn results_that_nobody_has_taken_count() {
        let ledger = Arc::new(Ledger::new(1000 * KIB));
        let mut shares = shares(2);
        let results: Vec<_> =
            (0..3).map(|_| Untaken::new(Arc::clone(shares[0].account(&ledger)), 300 * KIB)).collect();
        assert!(!shares[0].hold(&ledger, (KIB, true), Waker::noop()));
        assert_eq!((shares[0].untaken(), total(&ledger)), (900 * KIB, 901 * KIB));
        assert!(ledger.room().now_or_never().is_some(), "there is room");
        assert!(!shares[1].hold(&ledger, (300 * KIB, false), Waker::noop()), "another one is to go");
        assert!(shares[0].hold(&ledger, (KIB, true), Waker::noop()));
        let mut room = std::pin::pin!(ledger.room());
        assert!(room.as_mut().now_or_never().is_none(), "there is none until it has gone");
        drop(shares.remove(0));
        assert!(room.as_mut().now_or_never().is_none(), "its results are still there");
        drop(results);
        assert!(room.now_or_never().is_some());
        assert_eq!(total(&ledger), 300 * KIB);
    }
}
