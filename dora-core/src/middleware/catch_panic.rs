//! A panic of a handler ends its call, not its connection.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::Level;

use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::name::MethodName;
use crate::call::origin::{Connection, Peer};
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::call::trace::{SERVER, listens};

/// Turns panics into [`Status`]es with `Code::Internal`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// A service whose panics are statuses.
#[derive(Clone, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S> Service<Request> for CatchPanic<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match catch_unwind(AssertUnwindSafe(|| self.inner.poll_ready(cx))) {
            Ok(ready) => ready.map_err(|error| Status::from_error(error.into())),
            Err(panic) => Poll::Ready(Err(report(&*panic, &Whose::default()))),
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let whose = Whose::of(request.head());
        // The handler is not used again after a panic: each call has its own state.
        let state = match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(future) => State::Running { future },
            Err(panic) => State::Panicked { status: Some(report(&*panic, &whose)) },
        };
        CatchPanicFuture { state, whose }
    }
}

/// What the log says of a call that panicked; nothing while nobody reads it.
#[derive(Clone, Default)]
pub(super) struct Whose {
    method: Option<&'static Method>,
    /// Of a call that no service declares.
    name: Option<MethodName>,
    /// `None` in this process.
    connection: Option<Arc<Connection>>,
}

impl Whose {
    pub(super) const fn new(method: &'static Method, connection: Arc<Connection>) -> Self {
        Self { method: Some(method), name: None, connection: Some(connection) }
    }

    fn of(head: &RequestHead) -> Self {
        if !listens(Level::ERROR) {
            return Self::default();
        }
        let method = head.descriptor();
        Self {
            method,
            name: method.is_none().then(|| head.method().clone()),
            connection: head.origin().map(|origin| Arc::clone(origin.connection())),
        }
    }

    fn method(&self) -> MethodName {
        let declared = self.method.map(|method| MethodName::from_static(method.path()));
        declared.or_else(|| self.name.clone()).unwrap_or_default()
    }

    fn peer(&self) -> &Peer {
        self.connection.as_ref().map_or(&Peer::InProcess, |connection| connection.peer())
    }
}

pin_project! {
    /// The future of [`CatchPanic`].
    pub struct CatchPanicFuture<F> {
        #[pin]
        state: State<F>,
        whose: Whose,
    }

    // A handler that is given up, at its deadline say, may panic in what it drops:
    // that must not take those with it who have given it up.
    impl<F> PinnedDrop for CatchPanicFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let mut state = this.state;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| state.set(State::Panicked { status: None }))) {
                report(&*panic, this.whose);
            }
        }
    }
}

impl<F> CatchPanicFuture<F> {
    /// A call that has begun.
    pub(super) const fn running(future: F, whose: Whose) -> Self {
        Self { state: State::Running { future }, whose }
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Running { #[pin] future: F },
        Panicked { status: Option<Status> },
    }
}

impl<F, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProjection::Running { future } => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(poll) => poll.map_err(|error| Status::from_error(error.into())),
                Err(panic) => Poll::Ready(Err(report(&*panic, this.whose))),
            },
            StateProjection::Panicked { status } => {
                Poll::Ready(Err(status.take().unwrap_or_else(|| Status::internal("the handler panicked"))))
            }
        }
    }
}

/// The panic's text goes to the log: it may hold what a caller must not see.
pub(super) fn report(panic: &(dyn Any + Send), whose: &Whose) -> Status {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        target: SERVER,
        method = %whose.method(),
        peer = %whose.peer(),
        panic = text.unwrap_or("(no text)"),
        "a handler panicked"
    );
    Status::internal("the handler panicked")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower::ServiceExt;
    use tower::service_fn;

    use super::*;
    use crate::call::body::Body;
    use crate::call::code::Code;
    use crate::call::packer::Packer;

    fn request() -> Request {
        Request::new(Body::packed(Packer::Php, Bytes::new()))
    }

    #[tokio::test]
    async fn a_panic_in_the_future_or_in_call_is_a_status() {
        let late = service_fn(|_: Request| async { panic!("secret") as Result<Response, Status> });
        let status = CatchPanicLayer.layer(late).oneshot(request()).await.expect_err("panicked");
        assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"));

        let early =
            service_fn(|_: Request| -> std::future::Ready<Result<Response, Status>> { panic!("at once") });
        let status = CatchPanicLayer.layer(early).oneshot(request()).await.expect_err("panicked");
        assert_eq!(status.code(), Code::Internal);
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped")
        }
    }

    #[tokio::test]
    async fn a_handler_that_panics_when_it_is_dropped_harms_nobody() {
        let stuck = service_fn(|_: Request| async {
            let _bomb = Bomb;
            std::future::pending::<Result<Response, Status>>().await
        });
        let mut call = Box::pin(CatchPanicLayer.layer(stuck).oneshot(request()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        drop(call);
    }

    #[tokio::test]
    async fn what_does_not_panic_passes() {
        let fine = service_fn(|request: Request| async {
            Ok::<_, Status>(Response::new(request.into_body().into()))
        });
        assert!(CatchPanicLayer.layer(fine).oneshot(request()).await.is_ok());
    }
}
