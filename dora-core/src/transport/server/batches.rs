//! What of a batch is done while others of its calls run: it counts among what its
//! connection holds.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::call::batch::CallKey;
use crate::call::batch_budget::{BatchBudget, Budgeted};
use crate::call::body::Body;
use crate::call::mode::Mode;
use crate::call::packer::Packer;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::Status;
use crate::wire::error::FrameError;

use super::answer::Manner;
use super::config::SessionConfig;
use super::diagnose;
use super::ledger::{Account, Ledger, MUCH, Precedence, Share, Untaken};

/// How a batch will be answered.
#[derive(Clone, Copy, Debug)]
struct Answered {
    packer: Packer,
    /// Bytes that all results together may have. Compressed, they may be any number.
    most: usize,
}

/// What becomes of the results.
#[derive(Debug)]
enum Fate {
    /// Their caller waits on the connection. No call begins while the connection holds
    /// this many bytes, but those of one batch: else several that are half done would
    /// wait for one another.
    Awaited { bound: usize, precedence: Option<Precedence> },
    /// They are pushed, whenever they are there.
    Pushed,
    /// A door answers with them. It cannot be closed for what it holds: they become errors.
    Given { _share: Share },
}

/// The results of one batch.
struct Tab {
    account: Arc<Account>,
    fate: Fate,
    answered: Option<Answered>,
    untaken: Untaken,
    /// How long each result is that is packed, and what each holds.
    sizes: Vec<Size>,
    /// All of those lengths.
    together: usize,
    /// Rings when there may be room for another call.
    waiting: Option<Bell>,
    /// Rings when what is held must go.
    going: Option<Bell>,
}

type Bell = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    packed: usize,
    held: usize,
}

/// Results that nobody wants.
struct Unwanted;

/// A message that is larger is packed as soon as it is there: its bytes are what it
/// takes, which is not known of it as it stands in memory.
const PACKED_AT_ONCE: usize = 1 << 10;

/// The budget of a batch that came over the connection of `account`, and is answered in
/// this `manner`.
pub(super) fn budget(
    mode: Mode,
    account: &Arc<Account>,
    manner: &Manner,
    config: &SessionConfig,
) -> Budgeted {
    let bound = config.max_buffered;
    let most = if manner.gzip { usize::MAX } else { config.max_packet };
    let (account, answered) = (Arc::clone(account), Answered { packer: manner.packer, most });
    if mode == Mode::NoResult {
        return unwanted();
    }
    Budgeted::new(move || {
        let fate = match mode {
            Mode::Deferred => Fate::Pushed,
            Mode::Wait | Mode::NoResult => Fate::Awaited { bound, precedence: None },
        };
        Box::new(Tab::new(Arc::clone(&account), fate, Some(answered)))
    })
}

/// The budget of a batch that a door answers.
pub(super) fn given(ledger: &Arc<Ledger>) -> Budgeted {
    let ledger = Arc::clone(ledger);
    Budgeted::new(move || {
        let mut share = Share::default();
        let account = Arc::clone(share.account(&ledger));
        Box::new(Tab::new(account, Fate::Given { _share: share }, None))
    })
}

/// The budget of a batch whose results nobody wants: they are dropped as they come.
pub(super) fn unwanted() -> Budgeted {
    Budgeted::new(|| Box::new(Unwanted))
}

impl BatchBudget for Unwanted {
    fn poll_begin(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn count(&mut self, results: &mut BatchResults) {
        results.clear();
    }

    fn watch(&mut self, _: &mut Context<'_>, _: &mut BatchResults) {}
}

impl Tab {
    fn new(account: Arc<Account>, fate: Fate, answered: Option<Answered>) -> Self {
        let untaken = Untaken::new(Arc::clone(&account), 0);
        Self { account, fate, answered, untaken, sizes: Vec::new(), together: 0, waiting: None, going: None }
    }

    fn has_room(&mut self) -> bool {
        let Self { account, fate, .. } = self;
        match fate {
            // Its connection ends, and it with that.
            Fate::Awaited { .. } if account.is_condemned() => false,
            Fate::Pushed | Fate::Given { .. } if account.is_condemned() => true,
            _ if account.is_over() => false,
            Fate::Awaited { bound, precedence } => {
                if precedence.is_none() && account.held() >= *bound {
                    *precedence = Account::take_precedence(account);
                    return precedence.is_some();
                }
                true
            }
            Fate::Pushed | Fate::Given { .. } => true,
        }
    }

    /// The connection has gone, or goes because it holds too much.
    fn give_up(&mut self, results: &mut BatchResults) {
        match self.fate {
            Fate::Awaited { .. } | Fate::Pushed => results.clear(),
            Fate::Given { .. } => {
                for (_, result) in results.iter_mut().filter(|(_, result)| result.is_ok()) {
                    *result = Err(Status::resource_exhausted(diagnose::OVER_BUDGET));
                }
            }
        }
        self.sizes.clear();
        self.together = 0;
        self.untaken.set(0);
    }

    fn size(&self, result: &mut Result<Response, Status>) -> Size {
        let mut size = Size { packed: 0, held: size_of::<(CallKey, Result<Response, Status>)>() };
        let response = match result {
            Ok(response) => response,
            Err(status) => {
                size.held += status.message().len();
                return size;
            }
        };
        let pairs = response.metadata().iter();
        size.held += pairs.map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let Reply::Result(body) = response.body_mut() else { return size };
        let packer = self.answered.map(|answered| answered.packer);
        if let Some(packer) = packer {
            pack_large(body, packer);
        }
        match body {
            Body::Packed(packed) => {
                size.packed = packed.bytes.len();
                size.held += size.packed;
            }
            Body::Message(message) => size.held += message.packed_len(packer.unwrap_or(Packer::Php)),
            Body::Batch(_) => {}
        }
        size
    }

    /// Ends the largest results until the others fit into one packet.
    fn fit(&mut self, most: usize, results: &mut BatchResults) {
        while self.together > most {
            let sizes = self.sizes.iter().enumerate();
            let Some((place, size)) = sizes.max_by_key(|(_, size)| size.packed) else { return };
            let (packed, held) = (size.packed, size.held);
            let message = match packed > most {
                true => diagnose::answer_too_long(&FrameError::TooLong { len: packed as u64, max: most }),
                false => diagnose::answers_too_long(packed, most),
            };
            if let Some((_, result)) = results.get_mut(place) {
                *result = Err(Status::resource_exhausted(message));
                self.sizes[place] = self.size(result);
            }
            self.together -= packed;
            self.untaken.set(self.untaken.bytes() - held + self.sizes[place].held);
        }
    }
}

impl BatchBudget for Tab {
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            if self.has_room() {
                return Poll::Ready(());
            }
            let mut waiting = Box::pin(Account::eased(Arc::clone(&self.account)));
            // It hears from now on: what happened before is seen by looking again.
            let heard = waiting.as_mut().poll(cx).is_ready();
            if heard || self.has_room() {
                continue;
            }
            self.waiting = Some(waiting);
            return Poll::Pending;
        }
    }

    fn count(&mut self, results: &mut BatchResults) {
        if self.account.is_condemned() {
            return self.give_up(results);
        }
        let Some((_, result)) = results.last_mut() else { return };
        let size = self.size(result);
        self.sizes.push(size);
        self.together += size.packed;
        self.untaken.set(self.untaken.bytes() + size.held);
        if let Some(Answered { most, .. }) = self.answered {
            self.fit(most, results);
        }
    }

    fn watch(&mut self, cx: &mut Context<'_>, results: &mut BatchResults) {
        // With a connection that ends ends what is awaited on it.
        if matches!(self.fate, Fate::Awaited { .. }) || self.untaken.bytes() < MUCH {
            return;
        }
        let account = &self.account;
        let going = self.going.get_or_insert_with(|| Box::pin(Account::going(Arc::clone(account))));
        if going.as_mut().poll(cx).is_ready() {
            self.going = None;
            self.give_up(results);
        }
    }
}

/// Packs a message that is not small. What cannot be packed is left as it is: that is
/// told when it is sent.
fn pack_large(body: &mut Body, packer: Packer) {
    let Body::Message(message) = body else { return };
    let len = message.packed_len(packer);
    if len < PACKED_AT_ONCE {
        return;
    }
    let mut out = Vec::with_capacity(len);
    // A message's own code: it may panic, here as where it is sent.
    let packed = catch_unwind(AssertUnwindSafe(|| message.pack(packer, &mut out)));
    if matches!(packed, Ok(Ok(()))) {
        out.shrink_to_fit();
        *body = Body::packed(packer, Bytes::from(out));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::call::code::Code;
    use crate::pack::value::Value;

    fn result(len: usize) -> (CallKey, Result<Response, Status>) {
        (CallKey::Int(len as i64), Ok(Response::message(Value::from("x".repeat(len)))))
    }

    /// A door has nobody to close.
    #[test]
    fn what_a_door_holds_becomes_errors_when_all_hold_too_much() {
        let ledger = Arc::new(Ledger::new(500 << 10));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second) = (given(&ledger).open(), given(&ledger).open());
        let (mut large, mut small) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            assert!(first.poll_begin(&mut cx).is_ready());
            large.push(result(100 << 10));
            first.count(&mut large);
            first.watch(&mut cx, &mut large);
        }
        small.push(result(150 << 10));
        second.count(&mut small);
        assert!(second.poll_begin(&mut cx).is_pending(), "there is no room until the larger one has gone");
        first.watch(&mut cx, &mut large);
        let codes = |results: &BatchResults| -> Vec<Option<Code>> {
            results.iter().map(|(_, result)| result.as_ref().err().map(Status::code)).collect()
        };
        assert_eq!(codes(&large), [Some(Code::ResourceExhausted); 4]);
        large.push(result(100 << 10));
        first.count(&mut large);
        assert_eq!(codes(&large), [Some(Code::ResourceExhausted); 5], "and so do those that come");
        assert!(first.poll_begin(&mut cx).is_ready(), "its calls need not wait");
        assert!(second.poll_begin(&mut cx).is_ready());
        assert_eq!(codes(&small), [None]);
    }
}
