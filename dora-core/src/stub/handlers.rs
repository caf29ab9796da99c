//! Closures that answer single methods.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::Service;

use crate::call::BoxFuture;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::pack::message::Message;

use super::local;
use super::serve::unary;

/// Closures that answer single methods, as a service in this process: for a
/// [fallback](crate::middleware::fallback::FallbackLayer), or in a test. Methods that have
/// none are `Unimplemented`. Cheap to clone.
///
/// ```
/// use dora::{Code, DynamicClient, Handlers, Request, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handlers = Handlers::new()
///     .on("/math/double", |request: Request<i64>| async move { Ok((request.into_body() * 2).into()) })
///     .on("/math/half", |_: Request<i64>| async { Err::<dora::Response<i64>, _>(Status::internal("no")) });
///
/// let client = DynamicClient::new(handlers);
/// assert_eq!(client.call("/math/double", 21).await?, Value::from(42));
/// assert_eq!(client.call("/math/root", 2).await.expect_err("no such method").code(), Code::Unimplemented);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Handlers(Arc<HashMap<Box<str>, Handler>>);

type Handler = Arc<dyn Fn(Request) -> BoxFuture<Response> + Send + Sync>;

impl Handlers {
    /// Without a method yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `method` with what `handler` makes of its message. `method` is the path
    /// (`/package.Service/Method`), or the name that dynamic callers use. The last one of
    /// a name counts.
    #[must_use]
    pub fn on<Req, Resp, F, Fut>(mut self, method: &str, handler: F) -> Self
    where
        Req: Message,
        Resp: Message,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Resp>, Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let packed: Handler = Arc::new(move |request| {
            let handler = Arc::clone(&handler);
            Box::pin(unary(request, move |request| handler(request)))
        });
        Arc::make_mut(&mut self.0).insert(method.into(), packed);
        self
    }

    /// The handler of a call, by its path or by what it was called.
    fn of(&self, request: &Request) -> Option<&Handler> {
        let names = [request.method(), request.called_as()];
        names.into_iter().find_map(|name| self.0.get(name.as_str()))
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Service<Request> for Handlers {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let handlers = self.clone();
        local::each(request, move |request| match handlers.of(&request) {
            Some(handler) => handler(request),
            None => Box::pin(unknown(&request)),
        })
    }
}

fn unknown(request: &Request) -> Ready<Result<Response, Status>> {
    ready(Err(Status::unimplemented(format!("there is no handler of {}", request.method()))))
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::call::batch::CallKey;
    use crate::call::body::{BatchCall, Body};
    use crate::call::code::Code;
    use crate::call::head::RequestHead;
    use crate::call::response::Reply;

    fn batch(keys: &[i64]) -> Request {
        let call = |key: &i64| {
            let mut head = Box::<RequestHead>::default();
            head.set_method("/same");
            BatchCall::new(CallKey::Int(*key), head, Body::message(*key))
        };
        Request::batch_of(keys.iter().map(call).collect())
    }

    #[tokio::test]
    async fn a_batch_in_this_process_is_refused_for_what_a_connection_refuses() {
        let handlers = Handlers::new().on("/same", |request: Request<i64>| async move {
            Ok::<Response<i64>, Status>(request.into_body().into())
        });
        let response = handlers.clone().oneshot(batch(&[2, 1, 3])).await.expect("answered");
        assert!(matches!(response.into_body(), Reply::Batch(results) if results.len() == 3));
        let refused = handlers.oneshot(batch(&[1, 2, 1])).await.expect_err("one key for two");
        assert_eq!((refused.code(), refused.is_unsent()), (Code::InvalidArgument, true));
        assert!(refused.message().contains("have the key 1"), "{refused}");
    }

    #[tokio::test]
    async fn what_ran_is_not_unsent_because_a_call_within_it_was() {
        let handlers = Handlers::new().on("/outer", |_: Request<i64>| async {
            Err::<Response<i64>, _>(Status::unavailable("nothing listens where I look").unsent())
        });
        let mut head = Box::<RequestHead>::default();
        head.set_method("/outer");
        let failed = handlers.oneshot(Request::from_parts(head, Body::message(1_i64))).await;
        let failed = failed.expect_err("the handler fails");
        assert_eq!((failed.code(), failed.is_unsent()), (Code::Unavailable, false));
    }
}
