//! What becomes of a call that is checked before it is made.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

pin_project! {
    /// The future of a layer that lets a call pass or refuses it before it is made.
    pub struct CheckedFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Passed { #[pin] call: F },
        Refused { status: Option<Status> },
    }
}

impl<F> CheckedFuture<F> {
    pub(super) const fn passed(call: F) -> Self {
        Self { state: State::Passed { call } }
    }

    pub(super) const fn refused(status: Status) -> Self {
        Self { state: State::Refused { status: Some(status) } }
    }
}

impl<F, E> Future for CheckedFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Passed { call } => {
                call.poll(cx).map_err(|error| Status::from_error(error.into()))
            }
            StateProjection::Refused { status } => {
                let ended = || Status::internal("a future was polled after it had ended");
                Poll::Ready(Err(status.take().unwrap_or_else(ended)))
            }
        }
    }
}
