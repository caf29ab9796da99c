//! What a breaker is told of calls and batches.

use std::collections::HashMap;

use crate::call::batch::CallKey;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Deferred, Reply, Response};
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
    pub(in crate::middleware) fn of(breaker: &CircuitBreaker, request: &Request) -> Result<Self, Status> {
        let permit = breaker.acquire(request.head(), request.deadline())?;
        Ok(Self::All(permit, request.calls().count()))
    }

    /// Tells the circuits of a result: of one that comes later, when it comes.
    pub(in crate::middleware) fn watch(self, result: Result<Response, Status>) -> Result<Response, Status> {
        match result {
            Err(status) => {
                self.failed(&status);
                Err(status)
            }
            Ok(response) => Ok(response.map(|reply| match reply {
                Reply::Deferred(later) => {
                    Reply::Deferred(Deferred::new(async move { self.watch(later.await) }))
                }
                Reply::Batch(results) => {
                    self.ended(&results);
                    Reply::Batch(results)
                }
                reply => {
                    self.succeeded();
                    reply
                }
            })),
        }
    }

    /// Tells that whoever was called gave no sign of life.
    pub(in crate::middleware) fn not_answered(self) {
        match self {
            Self::All(permit, calls) => permit.record_alike(BreakerOutcome::Failure, calls),
            Self::Each(permits) => {
                permits.into_iter().for_each(|(_, permit)| permit.record(&[BreakerOutcome::Failure]));
            }
        }
    }

    fn failed(self, status: &Status) {
        match self {
            Self::All(permit, calls) => {
                let outcome = permit.outcome::<()>(Err(status));
                permit.record_alike(outcome, calls);
            }
            Self::Each(permits) => permits.into_iter().for_each(|(_, permit)| {
                let outcome = permit.outcome::<()>(Err(status));
                permit.record(&[outcome]);
            }),
        }
    }

    fn ended(self, results: &BatchResults) {
        match self {
            Self::All(permit, _) => {
                let outcomes: Vec<_> =
                    results.iter().map(|(_, result)| permit.outcome(result.as_ref())).collect();
                permit.record(&outcomes);
            }
            Self::Each(permits) => {
                let results: HashMap<_, _> = results.iter().map(|(key, result)| (key, result)).collect();
                for (key, permit) in permits {
                    // Without a result it counts for nothing.
                    if let Some(result) = results.get(&key) {
                        let outcome = permit.outcome(result.as_ref());
                        permit.record(&[outcome]);
                    }
                }
            }
        }
    }

    fn succeeded(self) {
        match self {
            Self::All(permit, calls) => permit.record_alike(BreakerOutcome::Success, calls),
            Self::Each(permits) => {
                permits.into_iter().for_each(|(_, permit)| permit.record(&[BreakerOutcome::Success]));
            }
        }
    }
}
