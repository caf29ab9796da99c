//! Traces that span processes.

use std::task::{Context, Poll};

use tower::{Layer, Service};
use tracing::{Level, Span, field};

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::trace::listens;
use crate::call::trace_context::{Scope, TraceContext};

/// Carries W3C's trace context from a call that is served to those that its handler makes.
///
/// Around a server, each call continues its caller's trace with a span id of its own, or
/// begins one; its handler finds it by [`TraceContext::current`], and in the request's
/// extensions. Around a client, each call is given a span id in the current trace, or in a
/// new one, and says so in its metadata; one that says so itself is left as it is. Retries
/// within have the same one.
///
/// Where the spans of calls are listened to, they say `trace_id`, `span_id` and
/// `parent_span_id`. With OpenTelemetry's SDK the ids are its own: see
/// [`set_propagator`](crate::call::trace::set_propagator), in place of this layer.
///
/// ```
/// use dora::trace::{TraceContext, TraceContextLayer};
/// use dora::{DynamicClient, Request, Server, Status, Value};
/// use tower::Layer as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let handler = |_: Request<Value>| async {
///     let current = TraceContext::current().ok_or_else(|| Status::internal("no layer"))?;
///     Ok::<_, Status>(Value::from(format!("{:x}", current.trace_id())))
/// };
/// let server = Server::builder().layer(TraceContextLayer::server()).dynamic(handler);
/// let client = DynamicClient::new(TraceContextLayer::client().layer(server.into_service()?));
///
/// let here = TraceContext::root(); // Or that of the call that is served.
/// let trace = here.clone().scope(client.call("/trace", 1).into_future()).await?;
/// assert_eq!(trace, Value::from(format!("{:x}", here.trace_id())));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TraceContextLayer {
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Server,
    Client,
}

impl TraceContextLayer {
    /// For a server: continues what its callers say.
    #[must_use]
    pub const fn server() -> Self {
        Self { end: End::Server }
    }

    /// For a client: says what its calls belong to.
    #[must_use]
    pub const fn client() -> Self {
        Self { end: End::Client }
    }
}

impl<S> Layer<S> for TraceContextLayer {
    type Service = InTrace<S>;

    fn layer(&self, inner: S) -> InTrace<S> {
        InTrace { inner, end: self.end }
    }
}

/// A service whose calls belong to a trace.
#[derive(Clone, Debug)]
pub struct InTrace<S> {
    inner: S,
    end: End,
}

impl<S: Service<Request, Response = Response>> Service<Request> for InTrace<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Scope<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let parent = match self.end {
            End::Server => TraceContext::read(request.metadata()),
            End::Client if TraceContext::read(request.metadata()).is_some() => {
                return Scope::current(self.inner.call(request));
            }
            End::Client => TraceContext::current(),
        };
        let context = parent.as_ref().map_or_else(TraceContext::root, TraceContext::child);
        if listens(Level::DEBUG) {
            note(&context, parent.as_ref());
        }
        match self.end {
            End::Server => {
                request.extensions_mut().insert(context.clone());
            }
            End::Client => context.write(request.metadata_mut()),
        }
        let future = context.clone().enter(|| self.inner.call(request));
        context.scope(future)
    }
}

/// Notes the ids in the span of the call, within which it runs.
#[cold]
fn note(context: &TraceContext, parent: Option<&TraceContext>) {
    let span = Span::current();
    span.record("trace_id", field::display(format_args!("{:032x}", context.trace_id())));
    span.record("span_id", field::display(format_args!("{:016x}", context.span_id())));
    if let Some(parent) = parent {
        span.record("parent_span_id", field::display(format_args!("{:016x}", parent.span_id())));
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::call::body::{BatchCall, Body};
    use crate::call::metadata::Metadata;
    use crate::call::status::Status;

    fn request() -> Request {
        Request::new(Body::message(0_i64))
    }

    /// What a service within is told, and finds as the current context.
    async fn seen(layer: TraceContextLayer, request: Request) -> (Metadata, Option<TraceContext>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let inner = service_fn(move |request: Request| {
            let sender = sender.clone();
            async move {
                let seen = (request.metadata().clone(), TraceContext::current());
                sender.send(seen).expect("somebody waits");
                Ok::<_, Status>(Response::accepted())
            }
        });
        layer.layer(inner).oneshot(request).await.expect("answered");
        receiver.recv().expect("it was called")
    }

    #[tokio::test]
    async fn a_server_continues_its_callers_trace_or_begins_one() {
        let caller = TraceContext::root().sampled(false);
        let mut known = request();
        caller.write(known.metadata_mut());
        let current = seen(TraceContextLayer::server(), known).await.1.expect("a context");
        assert_eq!(current.trace_id(), caller.trace_id());
        assert_ne!(current.span_id(), caller.span_id());
        assert!(!current.is_sampled());

        let mut odd = request();
        odd.metadata_mut().insert("traceparent", "nonsense");
        let begun = seen(TraceContextLayer::server(), odd).await.1.expect("a context");
        assert_ne!(begun.trace_id(), caller.trace_id());
    }

    #[tokio::test]
    async fn a_client_says_the_current_trace_and_leaves_what_is_said() {
        let here = TraceContext::root();
        let said = |metadata: Metadata| TraceContext::read(&metadata).expect("it is said");
        let (metadata, _) = here.clone().scope(seen(TraceContextLayer::client(), request())).await;
        let next = said(metadata);
        assert_eq!(next.trace_id(), here.trace_id());
        assert_ne!(next.span_id(), here.span_id());

        let mut own = request();
        let other = TraceContext::root();
        other.write(own.metadata_mut());
        let (metadata, current) = here.clone().scope(seen(TraceContextLayer::client(), own)).await;
        assert_eq!((said(metadata), current), (other, Some(here)));
        // Nobody's: a new one.
        said(seen(TraceContextLayer::client(), request()).await.0);
    }

    #[tokio::test]
    async fn the_calls_of_a_batch_have_their_callers_trace() {
        let call = |key: i64| BatchCall::new(key.into(), Box::default(), Body::message(0_i64));
        let batch = Request::batch_of(vec![call(0), call(1)]);
        let here = TraceContext::root();
        let (metadata, _) = here.clone().scope(seen(TraceContextLayer::client(), batch)).await;
        assert_eq!(TraceContext::read(&metadata).expect("it is said").trace_id(), here.trace_id());
    }
}
