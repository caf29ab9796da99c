//! Looking at each call before it goes on, without writing a layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::join_all;
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::batch::CallKey;
use crate::call::body::BatchCall;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::sifted::send_on;

/// Runs an async function on every call before it goes on: it gives the request
/// back, changed or not, or the status that the call ends with.
///
/// It stands on clients and servers alike and sees each call, those of a batch
/// one by one. On a server it knows the method whatever it was called by; on a
/// client a dynamic call has but the name that its caller wrote. A refused call
/// fails alone; only a batch on a client whose results are not wanted is refused
/// as a whole, for nobody would hear of the one call.
///
/// ```
/// use dora::{Code, DynamicClient, InterceptLayer, Request, Server, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authorized = InterceptLayer::new(|request: Request| async move {
///     match request.metadata().get("authorization") {
///         Some("Bearer sesame") => Ok(request),
///         _ => Err(Status::unauthenticated("who calls?")),
///     }
/// });
/// let echo = |request: Request<Value>| async move { Ok::<Value, Status>(request.into_body()) };
/// let server = Server::builder().layer(authorized).dynamic(echo);
///
/// let client = DynamicClient::new(server.into_service()?);
/// let refused = client.call("/echo", 1).await.expect_err("no token");
/// assert_eq!(refused.code(), Code::Unauthenticated);
/// assert_eq!(client.call("/echo", 1).metadata("authorization", "Bearer sesame").await?, Value::from(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct InterceptLayer<F> {
    function: Arc<F>,
}

impl<F, Fut> InterceptLayer<F>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Request, Status>>,
{
    /// Runs `function` on every call.
    pub fn new(function: F) -> Self {
        Self { function: Arc::new(function) }
    }
}

impl<F, S> Layer<S> for InterceptLayer<F> {
    type Service = Intercept<F, S>;

    fn layer(&self, inner: S) -> Intercept<F, S> {
        Intercept { function: Arc::clone(&self.function), inner }
    }
}

impl<F> fmt::Debug for InterceptLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InterceptLayer")
    }
}

/// A service whose calls are looked at before they go on.
pub struct Intercept<F, S> {
    function: Arc<F>,
    inner: S,
}

impl<F, S: Clone> Clone for Intercept<F, S> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function), inner: self.inner.clone() }
    }
}

impl<F, S: fmt::Debug> fmt::Debug for Intercept<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercept").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F, Fut, S> Service<Request> for Intercept<F, S>
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Request, Status>> + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = InterceptFuture<Fut, S>;

    /// Always ready: the inner service is waited for when the function has let
    /// the call pass.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        let state = match request.is_batch() {
            false => State::Looking { looking: (self.function)(request), inner: Some(inner) },
            true => {
                State::Batch { future: Box::pin(intercept_batch(Arc::clone(&self.function), inner, request)) }
            }
        };
        InterceptFuture { state }
    }
}

pin_project! {
    /// The future of [`Intercept`].
    pub struct InterceptFuture<Fut, S: Service<Request>> {
        #[pin]
        state: State<Fut, S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<Fut, S: Service<Request>> {
        Looking { #[pin] looking: Fut, inner: Option<S> },
        Passed { #[pin] call: Oneshot<S, Request> },
        Batch { future: BoxFuture<Response> },
    }
}

impl<Fut, S> Future for InterceptFuture<Fut, S>
where
    Fut: Future<Output = Result<Request, Status>>,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let call = match state.as_mut().project() {
                StateProjection::Looking { looking, inner } => {
                    let request = ready!(looking.poll(cx))?;
                    let Some(inner) = inner.take() else {
                        return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
                    };
                    Oneshot::new(inner, request)
                }
                StateProjection::Passed { call } => {
                    return call.poll(cx).map_err(|error| Status::from_error(error.into()));
                }
                StateProjection::Batch { future } => return future.as_mut().poll(cx),
            };
            state.set(State::Passed { call });
        }
    }
}

/// Looks at each call of a batch, and sends on those that may pass.
async fn intercept_batch<F, Fut, S>(function: Arc<F>, inner: S, request: Request) -> Result<Response, Status>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Result<Request, Status>>,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let mut head = request.head().clone();
    // Each call has it from now on.
    *head.metadata_mut() = Default::default();
    let Ok(calls) = request.take_apart() else {
        return Err(Status::internal("a single call was taken for a batch"));
    };
    let looked = join_all(calls.into_iter().map(async |(key, call)| (key, function(call).await))).await;
    let (mut passed, mut refused): (Vec<BatchCall>, Vec<(CallKey, Status)>) = Default::default();
    for (key, looked) in looked {
        match looked.map(Request::into_parts) {
            Ok((head, body)) => passed.push(BatchCall::new(key, head, body)),
            Err(status) => refused.push((key, status)),
        }
    }
    send_on(inner, Box::new(head), passed, refused).await
}
