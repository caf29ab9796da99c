//! What a breaker is told of calls and batches.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::call::batch::CallKey;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::Status;

use super::circuit::{CircuitBreaker, Permit};
use super::policy::BreakerOutcome;

/// Permits, and the calls that each is for.
pub(in crate::middleware) enum Cover {
    /// One for all calls, of which there are so many.
    All(Permit, usize),
    /// One for each call of a batch.
    Each(Vec<(CallKey, Permit)>),
}

impl Cover {
    /// Leave of a breaker with one circuit for `request`, be it a call or a batch: one
    /// packet, which goes or is refused as one.
    pub(in crate::middleware) fn of(
        breaker: &CircuitBreaker,
        request: &Request,
        now: Instant,
    ) -> Result<Self, Status> {
        let permit = breaker.acquire(request.head(), request.deadline(), now)?;
        Ok(Self::All(permit, request.calls().len()))
    }

    /// Tells the circuits of a result that is there now: of one that comes later, when it
    /// comes.
    pub(in crate::middleware) fn watch(self, result: &mut Result<Response, Status>, now: Instant) {
        match result {
            Err(status) => self.failed(status, now),
            Ok(response) => match response.body_mut() {
                Reply::Deferred(_) => self.watch_later(response),
                Reply::Batch(results) => self.ended(results, now),
                _ => self.succeeded(now),
            },
        }
    }

    #[cold]
    fn watch_later(self, response: &mut Response) {
        response.body_mut().wrap_later(|later| async move {
            let mut result = later.await;
            self.watch(&mut result, Instant::now());
            result
        });
    }

    /// Tells that whoever was called gave no sign of life.
    pub(in crate::middleware) fn not_answered(self, now: Instant) {
        self.alike(|_| BreakerOutcome::Failure, now);
    }

    fn failed(self, status: &Status, now: Instant) {
        self.alike(|permit| permit.outcome::<()>(Err(status)), now);
    }

    fn succeeded(self, now: Instant) {
        self.alike(|_| BreakerOutcome::Success, now);
    }

    /// All calls ended alike.
    fn alike(self, outcome: impl Fn(&Permit) -> BreakerOutcome, now: Instant) {
        match self {
            Self::All(permit, calls) => {
                let outcome = outcome(&permit);
                permit.record_alike(outcome, calls, now);
            }
            Self::Each(permits) => permits.into_iter().for_each(|(_, permit)| {
                let outcome = outcome(&permit);
                permit.record(&[outcome], now);
            }),
        }
    }

    fn ended(self, results: &BatchResults, now: Instant) {
        match self {
            Self::All(permit, _) => {
                let outcomes: Vec<_> =
                    results.iter().map(|(_, result)| permit.outcome(result.as_ref())).collect();
                permit.record(&outcomes, now);
            }
            Self::Each(permits) => {
                let results: HashMap<_, _> = results.iter().map(|(key, result)| (key, result)).collect();
                for (key, permit) in permits {
                    // Without a result it counts for nothing.
                    if let Some(result) = results.get(&key) {
                        let outcome = permit.outcome(result.as_ref());
                        permit.record(&[outcome], now);
                    }
                }
            }
        }
    }
}
