//! A call and its tries.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower::Service;

use crate::call::BoxFuture;
use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::kept;
use crate::call::pushback::Pushback;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::{BoxError, Status};
use crate::call::tried_peers::TriedPeers;

use super::policy::RetryPolicy;

/// Whether nothing of a call is left to be tried again.
pub(in crate::middleware) fn went_well(result: &Result<Response, Status>) -> bool {
    result.as_ref().is_ok_and(|response| !has_failures(response))
}

fn has_failures(response: &Response) -> bool {
    matches!(response.body(), Reply::Batch(results) if results.iter().any(|(_, result)| result.is_err()))
}

/// A call and its tries.
pub(in crate::middleware) struct Series<S> {
    inner: S,
    policy: Arc<RetryPolicy>,
    /// What is sent the next time: of a batch, those calls that failed.
    request: Request,
    tries: u32,
    /// Tries that were made beside these, by a hedge within.
    beside: u32,
}

impl<S> Series<S> {
    /// The first try of a call: `request` is a copy of what is sent.
    pub(in crate::middleware) fn new(inner: S, policy: Arc<RetryPolicy>, request: Request) -> Self {
        Self { inner, policy, request, tries: 1, beside: 0 }
    }

    /// Whether only the endpoint says how long the call may take, while its tries have
    /// deadlines of their own, so that no channel keeps that of the call.
    pub(super) fn has_to_ask(&self) -> bool {
        self.policy.attempt_timeout.is_some() && self.request.deadline().is_none()
    }

    /// Runs `poll` of the first try, and notes how long the call may take.
    pub(super) fn ask<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let (polled, said) = kept::asking(poll);
        if let Some(timeout) = said {
            let deadline = Deadline::from_instant(kept::made(Instant::now()), timeout);
            self.request.head_mut().set_deadline(Some(deadline));
        }
        polled
    }

    /// `request` with the deadline of one try.
    pub(super) fn limited(&self, mut request: Request) -> Request {
        if let Some(timeout) = self.policy.attempt_timeout
            && request.is_idempotent()
        {
            let of_try = Deadline::after(timeout);
            let deadline = request.deadline().map_or(of_try, |deadline| deadline.min(of_try));
            request.head_mut().set_deadline(Some(deadline));
        }
        request
    }

    /// Whether `status` lets a call be made again, and is worth it.
    fn lets_repeat(&self, status: &Status, idempotent: bool) -> bool {
        let timed_out = self.policy.attempt_timeout.is_some()
            && idempotent
            && status.code() == Code::DeadlineExceeded
            && !self.has_expired(Instant::now());
        (status.is_unsent() || idempotent)
            && status.pushback() != Some(Pushback::Never)
            && (timed_out || self.policy.is_worth_it(status))
    }

    fn has_expired(&self, at: Instant) -> bool {
        self.request.deadline().is_some_and(|deadline| deadline.has_passed(at))
    }

    /// The time to wait before the next try, of so many calls, if there is one.
    fn leave(&self, calls: usize, pushback: Option<Pushback>) -> Option<Duration> {
        if self.tries >= self.policy.attempts {
            return None;
        }
        let wait = match pushback {
            Some(Pushback::After(time)) => time,
            _ => self.policy.wait(self.tries),
        };
        let now = Instant::now();
        if now.checked_add(wait).is_none_or(|at| self.has_expired(at)) {
            return None;
        }
        let affordable = self.policy.affords(calls, now);
        if affordable {
            self.policy.tell(self.request.head());
        }
        affordable.then_some(wait)
    }

    /// Notes where it failed, for whoever chooses the next server.
    fn note(&mut self, status: &Status) {
        if !status.is_unsent() {
            self.request.head().tries().may_have_run();
        }
        if let Some(peer) = status.peer() {
            let extensions = self.request.extensions_mut();
            let mut tried = extensions.remove::<TriedPeers>().unwrap_or_default();
            tried.add(peer);
            extensions.insert(tried);
        }
    }

    /// The error as its caller gets it.
    fn last(&self, status: Status) -> Status {
        let status = self.request.head().tries().ended(status);
        status.with_attempts(self.tries + self.beside)
    }
}

impl<S> Series<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    /// What follows a first try that failed while `other` runs beside it.
    pub(in crate::middleware) async fn go_on_beside(
        mut self,
        first: Result<Response, Status>,
        other: BoxFuture<Response>,
    ) -> Result<Response, Status> {
        self.beside += 1;
        let Err(status) = &first else { return self.go_on(first).await };
        self.note(status);
        match other.await {
            result if went_well(&result) => result,
            result => self.go_on(result).await,
        }
    }

    /// What follows a first try that failed, and another one beside it before.
    pub(in crate::middleware) async fn go_on_after(
        mut self,
        first: Result<Response, Status>,
    ) -> Result<Response, Status> {
        self.beside += 1;
        self.go_on(first).await
    }

    /// What follows a first try that failed, in part or as a whole.
    pub(in crate::middleware) async fn go_on(
        mut self,
        first: Result<Response, Status>,
    ) -> Result<Response, Status> {
        let mut result = first;
        loop {
            match result {
                Err(status) => {
                    self.note(&status);
                    self.beside += status.attempts() - 1;
                    let leave = match self.lets_repeat(&status, self.request.is_idempotent()) {
                        true => self.leave(self.request.calls().len(), status.pushback()),
                        false => None,
                    };
                    let Some(wait) = leave else { return Err(self.last(status)) };
                    tracing::debug!(target: "dora::retry", tries = self.tries, ?wait, %status, "trying again");
                    result = self.try_again(wait).await;
                }
                Ok(response) if has_failures(&response) => return Ok(self.mend(response).await),
                Ok(response) => return Ok(response),
            }
        }
    }

    /// Tries those calls of a batch again that failed and may be.
    async fn mend(mut self, mut response: Response) -> Response {
        while let Reply::Batch(results) = response.body_mut() {
            let failed = self.repeatable(results);
            let pushback = failed.iter().filter_map(|(_, status)| match status.pushback() {
                Some(Pushback::After(time)) => Some(time),
                _ => None,
            });
            let pushback = pushback.max().map(Pushback::After);
            if failed.is_empty() {
                break;
            }
            let Some(wait) = self.leave(failed.len(), pushback) else { break };
            failed.iter().for_each(|(_, status)| self.note(status));
            let keys: HashSet<CallKey> = failed.into_iter().map(|(key, _)| key).collect();
            self.keep(&keys);
            let again = self.try_again(wait).await;
            self.merge(results, &keys, again);
        }
        response
    }

    /// The calls of the last try that failed and may be made again.
    fn repeatable(&self, results: &BatchResults) -> Vec<(CallKey, Status)> {
        let Body::Batch(calls) = self.request.body() else { return Vec::new() };
        let calls: HashMap<_, _> = calls.iter().map(|call| (&call.key, call.head.is_idempotent())).collect();
        let failed = results.iter().filter_map(|(key, result)| Some((key, result.as_ref().err()?)));
        failed
            .filter(|(key, status)| {
                calls.get(key).is_some_and(|idempotent| self.lets_repeat(status, *idempotent))
            })
            .map(|(key, status)| (key.clone(), status.clone()))
            .collect()
    }

    /// Puts what another try of these calls brought in their places.
    fn merge(&self, results: &mut BatchResults, keys: &HashSet<CallKey>, again: Result<Response, Status>) {
        let mut ended: HashMap<CallKey, Result<Response, Status>> = match again.map(Response::into_body) {
            Ok(Reply::Batch(again)) => again.into_iter().collect(),
            Ok(other) => {
                let status = Status::internal(format!("the reply to a batch is {other:?}"));
                keys.iter().map(|key| (key.clone(), Err(status.clone()))).collect()
            }
            Err(status) => keys.iter().map(|key| (key.clone(), Err(status.clone()))).collect(),
        };
        for (key, result) in results {
            if let Some(last) = ended.remove(key) {
                *result = last.map_err(|status| self.last(status));
            }
        }
    }

    /// Sends only these calls of the batch from now on.
    fn keep(&mut self, keys: &HashSet<CallKey>) {
        if let Body::Batch(calls) = self.request.body_mut() {
            calls.retain(|call| keys.contains(&call.key));
            let idempotent = calls.iter().all(|call| call.head.is_idempotent());
            self.request.head_mut().set_idempotent(idempotent);
        }
    }

    async fn try_again(&mut self, wait: Duration) -> Result<Response, Status> {
        sleep(wait).await;
        self.tries += 1;
        let request = self.limited(self.request.in_place());
        let inner = &mut self.inner;
        let ready = poll_fn(|cx| inner.poll_ready(cx)).await;
        ready.map_err(|error| Status::from_error(error.into()))?;
        inner.call(request).await.map_err(|error| Status::from_error(error.into()))
    }
}
