//! Whether any try of a call may have run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::status::Status;

/// What the clones of a request share: each is another try of the same call, so what
/// one knows to be unsent may have run by another. A request that is not cloned shares
/// nothing, and costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Tries(OnceLock<Arc<AtomicUsize>>);

impl Clone for Tries {
    fn clone(&self) -> Self {
        Self(OnceLock::from(Arc::clone(self.0.get_or_init(Arc::default))))
    }
}

impl Tries {
    /// What the future of this try notes; nothing if it is the only one.
    pub(crate) fn begin(&self) -> Option<Try> {
        self.0.get().map(|sent| Try { sent: Arc::clone(sent) })
    }

    /// A try may have run, which no future of it has noted: it is not known whether what
    /// was called takes notes.
    pub(crate) fn may_have_run(&self) {
        self.0.get_or_init(Arc::default).fetch_add(1, Ordering::AcqRel);
    }

    /// How a call ended whose last try failed so: unsent only if all others are.
    pub(crate) fn ended(&self, status: Status) -> Status {
        match self.begin() {
            Some(attempt) => attempt.refused(status),
            None => status,
        }
    }

    /// Those of a copy that is sent in place of the request: it shares what the request
    /// shares with others already, and nothing with the request.
    pub(crate) fn carried_on(&self) -> Self {
        match self.0.get() {
            Some(sent) => Self(OnceLock::from(Arc::clone(sent))),
            None => Self::default(),
        }
    }

    /// Those of a call that was taken out of a batch are the batch's.
    pub(crate) fn inherit(&mut self, batch: &Self) {
        if batch.0.get().is_some() {
            *self = batch.clone();
        }
    }
}

/// One try among several.
#[derive(Debug)]
pub(crate) struct Try {
    /// Tries that may have run.
    sent: Arc<AtomicUsize>,
}

impl Try {
    /// It is on its way: until it turns out to be unsent it may run, also when nobody
    /// waits for it any more.
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::AcqRel);
    }

    /// How it failed after it was [`sent`](Self::sent): unsent only if all others are.
    pub(crate) fn failed(&self, status: Status) -> Status {
        if status.is_unsent() {
            self.sent.fetch_sub(1, Ordering::AcqRel);
        }
        self.refused(status)
    }

    /// How it failed before it was sent.
    pub(crate) fn refused(&self, status: Status) -> Status {
        match self.sent.load(Ordering::Acquire) {
            0 => status,
            _ => status.maybe_sent(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::request::Request;

    #[test]
    fn a_request_that_is_not_cloned_shares_nothing() {
        let request = Request::new(());
        assert!(request.head().tries().begin().is_none());
        let clone = request.clone();
        assert!(request.head().tries().begin().is_some() && clone.head().tries().begin().is_some());
    }

    #[test]
    fn a_copy_in_place_of_a_request_shares_what_that_one_shares() {
        let request = Request::new(());
        let copy = request.in_place();
        assert!(request.head().tries().begin().is_none() && copy.head().tries().begin().is_none());
        let other = request.clone();
        let copy = request.in_place();
        other.head().tries().may_have_run();
        let refused = copy.head().tries().ended(Status::unavailable("refused").unsent());
        assert!(!refused.is_unsent(), "the other one may have run");
    }

    #[test]
    fn a_call_is_unsent_if_none_of_its_tries_was_sent() {
        let request = Request::new(());
        let clone = request.clone();
        let (first, second) = (request.head().tries().begin(), clone.head().tries().begin());
        let (first, second) = (first.expect("shared"), second.expect("shared"));
        let unsent = || Status::unavailable("refused").unsent();
        assert!(first.refused(unsent()).is_unsent());
        first.sent();
        assert!(!second.refused(unsent()).is_unsent(), "the first one is on its way");
        assert!(first.failed(unsent()).is_unsent());
        assert!(second.refused(unsent()).is_unsent(), "neither was sent");
        first.sent();
        assert!(!first.failed(Status::unavailable("lost")).is_unsent());
        assert!(!second.refused(unsent()).is_unsent(), "the first one may have run");
    }
}
