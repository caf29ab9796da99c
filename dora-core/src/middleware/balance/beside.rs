//! A try beside one whose instance gives no sign of life.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tower::Service;

use crate::call::BoxFuture;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::call::tried_peers::TriedPeers;
use crate::middleware::hedge::service::may_be_hedged;
use crate::middleware::retry::policy::RetryPolicy;

use super::balancer::Balancer;

/// The try beside the first one of a call. An instance that hangs tells nobody: its calls
/// end with their deadlines, when there is no time left for another try. So when its channel
/// doubts it (`call/doubt.rs`), a call that may be made twice is made elsewhere as well,
/// within the budget of the retries. The first try is not given up: it is not known that it
/// fails.
pub(super) enum Beside {
    /// There is none.
    None,
    Runs(BoxFuture<Response>),
    /// It has failed.
    Failed,
}

impl Beside {
    /// Begins it, if the call may have one and there is none. The first try is at `host`.
    #[cold]
    pub(super) fn begin<S>(
        &mut self,
        balancer: &Balancer<S>,
        retry: &RetryPolicy,
        request: &Request,
        host: &Arc<str>,
    ) where
        S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
    {
        let may = matches!(self, Self::None)
            && may_be_hedged(request)
            && retry.attempts > 1
            && balancer.has_several()
            && retry.affords(request.calls().len(), Instant::now());
        if !may {
            return;
        }
        retry.tell(request.head());
        let mut other = request.in_place();
        let mut tried = other.extensions_mut().remove::<TriedPeers>().unwrap_or_default();
        tried.add(Arc::clone(host));
        other.extensions_mut().insert(tried);
        tracing::debug!(target: "dora::retry", method = %request.method(), silent = %host, "trying elsewhere");
        *self = Self::Runs(Box::pin(balancer.clone().call(other)));
    }

    /// The answer to it, while the first try of `request` runs: a failure is none.
    pub(super) fn poll(
        &mut self,
        retry: &RetryPolicy,
        request: &Request,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, Status>> {
        let Self::Runs(other) = self else { return Poll::Pending };
        let result = ready!(other.as_mut().poll(cx));
        *self = Self::Failed;
        match result {
            Err(status) if retry.is_worth_it(&status) => {
                if !status.is_unsent() {
                    request.head().tries().may_have_run();
                }
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

#[cfg(test)]
#[path = "beside_tests.rs"]
mod tests;
