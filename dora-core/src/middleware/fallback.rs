//! Another service answers when the first one cannot.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::{BoxError, Status};

/// Another service answers a call that failed since the first one cannot be reached or
/// does not work: a generated server in this process, a channel to elsewhere, or
/// [`Handlers`](crate::stub::handlers::Handlers) for single methods.
///
/// It gets the call as it was made, its parameters included, with the error as
/// [`FallbackCause`] in its extensions. Where it is `Unimplemented` there too, the first error
/// stays. Of a batch it gets those calls that failed so.
///
/// By default it answers after `Unavailable`, `ResourceExhausted`, `DeadlineExceeded`,
/// `Internal` and `DataLoss`; errors of the business are answers. A call whose deadline
/// has passed has no caller any more: give the service within less time than the call
/// has, as [`RetryPolicy::attempt_timeout`](crate::middleware::retry::policy::RetryPolicy::attempt_timeout)
/// does.
///
/// It stands outside of retries and of what chooses a server: it is the last resort.
///
/// ```
/// use dora::{DynamicClient, FallbackLayer, Handlers, Request, Value, value};
/// use tower::Layer as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nobody = Handlers::new().on("/user/get", |request: Request<Value>| async move {
///     Ok(value!({ "id" => request.into_body(), "name" => "somebody" }).into())
/// });
/// let channel = dora::Endpoint::new("127.0.0.1:1")?.connect_lazy()?;
/// let client = DynamicClient::new(FallbackLayer::new(nobody).layer(channel));
///
/// let user = client.call("/user/get", 7).await?;
/// assert_eq!(user.get("name"), Some(&Value::from("somebody")));
/// assert!(client.call("/user/delete", 7).await.is_err(), "nobody answers that");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FallbackLayer<F> {
    fallback: F,
    applies: Applies,
}

type Applies = Arc<dyn Fn(&Status) -> bool + Send + Sync>;

/// Why the first service did not answer: in the extensions of a call that a fallback
/// gets.
#[derive(Clone, Debug)]
pub struct FallbackCause(pub Status);

impl<F> FallbackLayer<F> {
    /// `fallback` answers what fails.
    pub fn new(fallback: F) -> Self {
        Self { fallback, applies: Arc::new(cannot_serve) }
    }

    /// Answers after these errors, in place of the defaults.
    #[must_use]
    pub fn when(mut self, applies: impl Fn(&Status) -> bool + Send + Sync + 'static) -> Self {
        self.applies = Arc::new(applies);
        self
    }
}

fn cannot_serve(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::DataLoss
    )
}

impl<F: Clone, S> Layer<S> for FallbackLayer<F> {
    type Service = Fallback<F, S>;

    fn layer(&self, inner: S) -> Fallback<F, S> {
        Fallback { inner, fallback: self.fallback.clone(), applies: Arc::clone(&self.applies) }
    }
}

impl<F> fmt::Debug for FallbackLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FallbackLayer")
    }
}

/// A service that another one stands in for.
#[derive(Clone)]
pub struct Fallback<F, S> {
    inner: S,
    fallback: F,
    applies: Applies,
}

impl<F, S: fmt::Debug> fmt::Debug for Fallback<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F, S> Service<Request> for Fallback<F, S>
where
    F: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = FallbackFuture<F, S>;

    /// Always ready: that the service within cannot get ready is one of the reasons to
    /// fall back.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> FallbackFuture<F, S> {
        let resort = Resort {
            request: request.clone(),
            fallback: self.fallback.clone(),
            applies: Arc::clone(&self.applies),
        };
        let first = Oneshot::new(self.inner.clone(), request);
        FallbackFuture { state: State::First { first, resort: Some(resort) } }
    }
}

pin_project! {
    /// The future of [`Fallback`].
    pub struct FallbackFuture<F, S: Service<Request>> {
        #[pin]
        state: State<F, S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, S: Service<Request>> {
        First { #[pin] first: Oneshot<S, Request>, resort: Option<Resort<F>> },
        // Boxed: most calls never come here.
        Resort { future: BoxFuture<Response> },
    }
}

impl<F, S> Future for FallbackFuture<F, S>
where
    F: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future: BoxFuture<Response> = match state.as_mut().project() {
                StateProjection::Resort { future } => return future.as_mut().poll(cx),
                StateProjection::First { first, resort } => {
                    let result = ready!(first.poll(cx)).map_err(|error| Status::from_error(error.into()));
                    match (resort.take(), result) {
                        (Some(resort), Err(status)) if (resort.applies)(&status) => {
                            Box::pin(resort.answer(status))
                        }
                        (Some(resort), Ok(response)) if resort.is_for(&response) => {
                            Box::pin(resort.complete(response))
                        }
                        (_, result) => return Poll::Ready(result),
                    }
                }
            };
            state.set(State::Resort { future });
        }
    }
}

/// A call, and who answers it at last.
struct Resort<F> {
    request: Request,
    fallback: F,
    applies: Applies,
}

impl<F> Resort<F>
where
    F: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    /// Whether some calls of a batch failed so.
    fn is_for(&self, response: &Response) -> bool {
        let Reply::Batch(results) = response.body() else { return false };
        results.iter().any(|(_, result)| result.as_ref().is_err_and(|status| (self.applies)(status)))
    }

    /// The answer to a call, or a batch, that failed as a whole.
    async fn answer(self, status: Status) -> Result<Response, Status> {
        let Self { mut request, fallback, .. } = self;
        request.extensions_mut().insert(FallbackCause(status.clone()));
        let result = Oneshot::new(fallback, request).await;
        result.map_err(|error| last(Status::from_error(error.into()), status))
    }

    /// The results of a batch of which some calls failed.
    async fn complete(mut self, mut response: Response) -> Result<Response, Status> {
        let Reply::Batch(results) = response.body_mut() else { return Ok(response) };
        let failed: HashMap<CallKey, Status> = results
            .iter()
            .filter_map(|(key, result)| Some((key.clone(), result.as_ref().err()?.clone())))
            .filter(|(_, status)| (self.applies)(status))
            .collect();
        if let Body::Batch(calls) = self.request.body_mut() {
            calls.retain(|call| failed.contains_key(&call.key));
            for call in calls {
                if let Some(status) = failed.get(&call.key) {
                    call.head.extensions_mut().insert(FallbackCause(status.clone()));
                }
            }
        }
        let answers = Oneshot::new(self.fallback, self.request).await;
        // As a whole it did not answer: the first errors stay.
        if let Ok(Reply::Batch(answers)) = answers.map(Response::into_body) {
            merge(results, answers);
        }
        Ok(response)
    }
}

/// Puts answers in the places of the calls that failed.
fn merge(results: &mut BatchResults, answers: BatchResults) {
    let mut answers: HashMap<_, _> = answers.into_iter().collect();
    for (key, result) in results {
        if let (Some(answer), Err(first)) = (answers.remove(key), &*result) {
            *result = answer.map_err(|status| last(status, first.clone()));
        }
    }
}

/// The fallback's error, unless it has no such method.
fn last(of_fallback: Status, first: Status) -> Status {
    match of_fallback.code() {
        Code::Unimplemented => first,
        _ => of_fallback,
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::call::body::BatchCall;
    use crate::call::head::RequestHead;

    /// Fails as the metadata of a call says.
    async fn first(request: Request) -> Result<Response, Status> {
        let fail = |head: &RequestHead| match head.metadata().get("fail") {
            None => Ok(Response::accepted()),
            Some("business") => Err(Status::not_found("no user 7")),
            Some(_) => Err(Status::unavailable("gone")),
        };
        match request.body() {
            Body::Batch(calls) => {
                let results = calls.iter().map(|call| (call.key.clone(), fail(&call.head)));
                Ok(Response::new(Reply::Batch(results.collect())))
            }
            _ => fail(request.head()),
        }
    }

    /// Answers with the code of the failure; knows no `/x`.
    async fn second(request: Request) -> Result<Response, Status> {
        let answer = |head: &RequestHead| {
            let FallbackCause(status) = head.extensions().get::<FallbackCause>().expect("it says why");
            match head.method().as_str() {
                "/x" => Err(Status::unimplemented("/x")),
                _ => Ok(Response::message(status.code().to_string())),
            }
        };
        match request.body() {
            Body::Batch(calls) => {
                let results = calls.iter().map(|call| (call.key.clone(), answer(&call.head)));
                Ok(Response::new(Reply::Batch(results.collect())))
            }
            _ => answer(request.head()),
        }
    }

    fn head(method: &'static str, fail: Option<&str>) -> Box<RequestHead> {
        let mut head = Box::<RequestHead>::default();
        head.set_method(method);
        if let Some(fail) = fail {
            head.metadata_mut().insert("fail", fail);
        }
        head
    }

    async fn call(method: &'static str, fail: Option<&str>) -> Result<Reply, Code> {
        let service = FallbackLayer::new(service_fn(second)).layer(service_fn(first));
        let request = Request::from_parts(head(method, fail), Body::message(0_i64));
        service.oneshot(request).await.map(Response::into_body).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn it_answers_what_cannot_be_served_and_no_more() {
        assert!(matches!(call("/y", None).await, Ok(Reply::Accepted)));
        assert!(matches!(call("/y", Some("business")).await, Err(Code::NotFound)));
        assert!(matches!(call("/y", Some("gone")).await, Ok(Reply::Result(_))));
        assert!(matches!(call("/x", Some("gone")).await, Err(Code::Unavailable)), "the first error stays");
    }

    #[tokio::test]
    async fn of_a_batch_it_answers_the_calls_that_failed() {
        let calls = [("/y", None), ("/y", Some("gone")), ("/x", Some("gone")), ("/y", Some("business"))];
        let calls = calls.into_iter().zip(0_i64..).map(|((method, fail), key)| {
            BatchCall::new(key.into(), head(method, fail), Body::message(0_i64))
        });
        let service = FallbackLayer::new(service_fn(second)).layer(service_fn(first));
        let response = service.oneshot(Request::batch_of(calls.collect())).await.expect("answered");
        let Reply::Batch(results) = response.into_body() else { panic!("no batch") };
        let ends: Vec<_> =
            results.iter().map(|(_, result)| result.as_ref().err().map(Status::code)).collect();
        assert_eq!(ends, [None, None, Some(Code::Unavailable), Some(Code::NotFound)]);
    }
}
