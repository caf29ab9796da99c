//! Calls to a Swoft server.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use dora_core::call::BoxFuture;
use dora_core::call::deadline::Deadline;
use dora_core::call::dora_code;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::stub::local::each;
use tokio::time::Instant;
use tower::Service;

use super::endpoint::SwoftEndpoint;
use super::pool::{Pool, Trouble};
use super::{reply, requested};

/// Calls to a Swoft server, behind the clients that speak to Dora's: generated ones, and
/// [`DynamicClient`](dora_core::stub::dynamic::DynamicClient). Cheap to clone; all clones
/// share its connections.
///
/// A service is called by the options `interface` and `version` of its `.proto`, its
/// methods with a small first letter; the fields of the request are the parameters, in
/// the order of their numbers, and those that are absent behind the last one are not
/// said. A dynamic call is named `version::interface::method`; a list is its parameters,
/// anything else the only one.
///
/// A connection has one call at a time, so that calls that run at once have one each. One
/// whose call was given up is closed: what comes late on it would be the answer to
/// another. The calls of a batch are calls of their own; a call whose result is not
/// wanted, or is wanted later, is made by a task of this process, for Swoft knows no such
/// thing. Nothing is sent twice.
///
/// An exception is a [`Status`] of its code; JSON-RPC's own codes have their kind:
/// `Unimplemented`, `InvalidArgument`, `Internal`.
#[derive(Clone)]
pub struct SwoftChannel {
    pool: Arc<Pool>,
}

impl SwoftChannel {
    pub(super) fn new(endpoint: SwoftEndpoint) -> Self {
        Self { pool: Arc::new(Pool::new(endpoint)) }
    }
}

impl Service<Request> for SwoftChannel {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        let pool = Arc::clone(&self.pool);
        each(request, move |request| Box::pin(call(Arc::clone(&pool), request)))
    }
}

async fn call(pool: Arc<Pool>, request: Request) -> Result<Response, Status> {
    let endpoint = pool.endpoint();
    let deadline = request.deadline().unwrap_or_else(|| Deadline::after(endpoint.timeout));
    if deadline.has_passed(Instant::now()) {
        return Err(Status::raw(dora_code::TIMEOUT, "the deadline passed before the call began").unsent());
    }
    let frame = requested::frame(request, &endpoint.dialect).map_err(Status::unsent)?;
    let asked = tokio::time::timeout_at(deadline.instant(), pool.ask(&frame));
    let answer: Bytes = match asked.await {
        Ok(asked) => asked.map_err(Trouble::into_status)?,
        Err(_) => return Err(Status::raw(dora_code::TIMEOUT, "no answer before the deadline")),
    };
    reply::read(&answer, endpoint.dialect.version, endpoint.max_packet)
}

impl fmt::Debug for SwoftChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SwoftChannel").field(&self.pool.endpoint().address).finish()
    }
}
