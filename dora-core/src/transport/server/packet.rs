//! The calls of a packet, running.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::carry::reply::data;
use crate::pack::packet::ResponseData;

pin_project! {
    /// The running calls of a packet; ends with the `data` of its answer.
    #[project = RunProjection]
    pub(super) enum Run<S: Service<Request>> {
        Called { #[pin] call: S::Future },
        // What is left of a run that has ended, or never was.
        Ended { status: Option<Status> },
    }
}

/// Calls the service, which is always ready: waiting for what it consists of is
/// part of each call.
pub(super) fn run<S>(service: &mut S, request: Request, cx: &mut Context<'_>) -> Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    match service.poll_ready(cx) {
        Poll::Ready(Ok(())) => Run::Called { call: service.call(request) },
        Poll::Ready(Err(error)) => Run::Ended { status: Some(Status::from_error(error.into())) },
        Poll::Pending => Run::Ended { status: Some(Status::unavailable("the server is not ready")) },
    }
}

impl<S> Future for Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = ResponseData;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match self.project() {
            RunProjection::Called { call } => {
                call.poll(cx).map(|result| data(result.map_err(|error| Status::from_error(error.into()))))
            }
            RunProjection::Ended { status } => {
                let status =
                    status.take().unwrap_or_else(|| Status::internal("a run was polled after its end"));
                Poll::Ready(ResponseData::One(Err(status)))
            }
        }
    }
}
