//! Serving a request within the process, as a server would over a connection.

use std::future::{Future, ready};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service, service_fn};

use crate::call::BoxFuture;
use crate::call::batch::check_keys;
use crate::call::body::Body;
use crate::call::dora_code;
use crate::call::method::ServiceDescriptor;
use crate::call::mode::Mode;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::middleware::catch_panic::CatchPanicLayer;

use super::serve::method_of;

/// Serves a request for `service` with `call`, which is given one call at a time,
/// and is called for each with its method known: a batch is taken apart and its
/// calls run concurrently. A panic ends its own call. Else as [`in_mode`].
pub(crate) fn serve<F>(
    service: &'static ServiceDescriptor,
    mut request: Request,
    call: F,
) -> BoxFuture<Response>
where
    F: Fn(Request) -> BoxFuture<Response> + Send + 'static,
{
    // All of them first, so that each is told the methods of those beside it.
    for call in request.calls_mut() {
        if let Some((_, method)) = method_of(service, call) {
            call.resolve(method);
        }
    }
    each(request, call)
}

/// Calls `call` for each call of a request, as its caller wants it: a batch is taken apart
/// and its calls run concurrently; who does not wait for the result is acknowledged
/// first, while the call runs on in the background. A panic ends its own call. For calls
/// whose methods are known already, or need not be: for services that know neither
/// batches nor modes.
pub fn each<F>(request: Request, call: F) -> BoxFuture<Response>
where
    F: Fn(Request) -> BoxFuture<Response> + Send + 'static,
{
    let caught = move |request| -> BoxFuture<Response> {
        Box::pin(CatchPanicLayer.layer(service_fn(&call)).call(request))
    };
    in_mode(request, |request| run(request, caught))
}

/// Runs `request` for what its caller waits for: who does not wait for the result
/// is acknowledged first, while the call runs on in the background.
pub(crate) fn in_mode(
    mut request: Request,
    run: impl FnOnce(Request) -> BoxFuture<Response>,
) -> BoxFuture<Response> {
    // As over a connection, where the later of two would take the earlier one's place.
    if let Body::Batch(calls) = request.body()
        && let Err(status) = check_keys(calls.iter().map(|call| &call.key))
    {
        return Box::pin(ready(Err(status.unsent())));
    }
    if request.mode() != Mode::Wait {
        // How long the caller waits for the acknowledgement binds no call.
        request.head_mut().set_deadline(None);
    }
    match request.mode() {
        Mode::Wait => run(request),
        Mode::NoResult => {
            drop(tokio::spawn(run(request)));
            Box::pin(ready(Ok(Response::accepted())))
        }
        Mode::Deferred => {
            let running = tokio::spawn(run(request));
            let later = async move {
                let lost = |_| Status::raw(dora_code::RESULT_LOST, "the call ended without a result");
                running.await.map_err(lost)?
            };
            Box::pin(ready(Ok(Response::deferred(later))))
        }
    }
}

fn run<F>(request: Request, call: F) -> BoxFuture<Response>
where
    F: Fn(Request) -> BoxFuture<Response> + Send + 'static,
{
    match request.take_apart() {
        Err(single) => unexpired(&call, single),
        Ok(calls) => {
            let running: FuturesUnordered<_> =
                calls.into_iter().map(|(key, request)| keyed(key, unexpired(&call, request))).collect();
            Box::pin(async move { Ok(Response::new(Reply::Batch(running.collect().await))) })
        }
    }
}

async fn keyed<K, T>(key: K, future: impl Future<Output = T>) -> (K, T) {
    (key, future.await)
}

/// Work that has expired never starts, and what a call of a batch says of its own
/// deadline holds for it alone: its caller waits for the whole.
fn unexpired<F>(call: &F, request: Request) -> BoxFuture<Response>
where
    F: Fn(Request) -> BoxFuture<Response>,
{
    let Some(deadline) = request.deadline() else { return call(request) };
    if deadline.has_passed(Instant::now()) {
        let message = "the deadline passed before the call began";
        return Box::pin(ready(Err(Status::raw(dora_code::TIMEOUT, message).unsent())));
    }
    if request.batch().is_none() {
        return call(request);
    }
    let running = timeout_at(deadline.instant(), call(request));
    Box::pin(async move {
        let late = |_| Status::raw(dora_code::TIMEOUT, "the call did not end before its deadline");
        running.await.map_err(late)?
    })
}
