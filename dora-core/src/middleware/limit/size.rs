//! How large requests and responses may be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::body::Body;
use crate::call::packer::Packer;
use crate::call::pushback::Pushback;
use crate::call::request::Request;
use crate::call::response::{Deferred, Reply, Response};
use crate::call::status::{BoxError, Status};

/// Bounds the parameter of each call and its result, in bytes as they are packed. A larger
/// one is refused with `Code::ResourceExhausted`, and not to be tried again
/// ([`Pushback::Never`]): a parameter before it is unpacked, a result before it is sent.
///
/// What a packet may have as a whole is `Server::max_packet`'s to say, before anything is
/// read. This is for methods that need less, or for a server where only some need more;
/// [`WhenLayer`](crate::middleware::when::WhenLayer) puts it around some methods.
///
/// A message that was not packed yet, as results are, is measured in the packing of its
/// request; a call within this process as protobuf.
///
/// ```
/// use dora::limit::SizeLimitLayer;
/// use dora::{Server, WhenLayer};
///
/// // 4 KiB for whatever is not an upload, and no result over 1 MiB.
/// let small = SizeLimitLayer::new().request(4 << 10).response(1 << 20);
/// let server = Server::builder().layer(WhenLayer::any(|method| method.name() != "Upload", small));
/// # drop(server);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeLimitLayer {
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    request: Option<usize>,
    response: Option<usize>,
}

impl SizeLimitLayer {
    /// No limit yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bounds: Bounds { request: None, response: None } }
    }

    /// Parameters have at most so many bytes. Default: no limit.
    #[must_use]
    pub const fn request(self, bytes: usize) -> Self {
        Self { bounds: Bounds { request: Some(bytes), ..self.bounds } }
    }

    /// Results have at most so many bytes. Default: no limit.
    #[must_use]
    pub const fn response(self, bytes: usize) -> Self {
        Self { bounds: Bounds { response: Some(bytes), ..self.bounds } }
    }
}

impl<S> Layer<S> for SizeLimitLayer {
    type Service = SizeLimit<S>;

    fn layer(&self, inner: S) -> SizeLimit<S> {
        SizeLimit { inner, bounds: self.bounds }
    }
}

/// A service whose parameters and results have a limit.
#[derive(Clone, Debug)]
pub struct SizeLimit<S> {
    inner: S,
    bounds: Bounds,
}

impl<S> Service<Request> for SizeLimit<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = SizeLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let packer = packer(request.body());
        if let Some(most) = self.bounds.request
            && let Err(status) = check_request(request.body_mut(), packer, most)
        {
            return SizeLimitFuture { state: State::Refused { status: Some(status) } };
        }
        let limit = self.bounds.response.map(|most| (most, packer));
        SizeLimitFuture { state: State::Passed { call: self.inner.call(request), limit } }
    }
}

pin_project! {
    /// The future of [`SizeLimit`].
    pub struct SizeLimitFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Passed { #[pin] call: F, limit: Option<(usize, Packer)> },
        Refused { status: Option<Status> },
    }
}

impl<F, E> Future for SizeLimitFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Passed { call, limit } => {
                let result = ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                Poll::Ready(match limit.take() {
                    Some((most, packer)) => {
                        result.and_then(|response| check_response(response, packer, most))
                    }
                    None => result,
                })
            }
            StateProjection::Refused { status } => {
                let ended = || Status::internal("a future was polled after it had ended");
                Poll::Ready(Err(status.take().unwrap_or_else(ended)))
            }
        }
    }
}

/// The packing that a request came in, and its result goes out in.
fn packer(body: &Body) -> Packer {
    match body {
        Body::Packed(packed) => packed.packer,
        Body::Message(_) | Body::Batch(_) => Packer::Protobuf,
    }
}

fn check_request(body: &mut Body, packer: Packer, most: usize) -> Result<(), Status> {
    if let Body::Batch(calls) = body {
        return calls.iter_mut().try_for_each(|call| check(&mut call.body, packer, most, "parameter"));
    }
    check(body, packer, most, "parameter")
}

fn check_response(response: Response, packer: Packer, most: usize) -> Result<Response, Status> {
    let mut over = None;
    let response = response.map(|reply| match reply {
        Reply::Result(mut body) => {
            over = check(&mut body, packer, most, "result").err();
            Reply::Result(body)
        }
        Reply::Deferred(later) => Reply::Deferred(Deferred::new(async move {
            later.await.and_then(|response| check_response(response, packer, most))
        })),
        Reply::Batch(results) => Reply::Batch(
            results
                .into_iter()
                .map(|(key, result)| {
                    (key, result.and_then(|response| check_response(response, packer, most)))
                })
                .collect(),
        ),
        reply @ Reply::Accepted => reply,
    });
    over.map_or(Ok(response), Err)
}

/// Whether a body has at most so many bytes. What has to be packed to be known is left
/// packed, so that it is packed once.
fn check(body: &mut Body, packer: Packer, most: usize, what: &str) -> Result<(), Status> {
    let bytes = match body {
        Body::Packed(packed) => packed.bytes.len(),
        Body::Message(message) if packer == Packer::Protobuf => message.packed_len(packer),
        Body::Message(message) => {
            let mut bytes = Vec::with_capacity(message.packed_len(packer).min(most));
            if message.pack(packer, &mut bytes).is_err() {
                // Whoever sends it says why, and to whom.
                return Ok(());
            }
            let len = bytes.len();
            *body = Body::packed(packer, Bytes::from(bytes));
            len
        }
        Body::Batch(_) => return Ok(()),
    };
    if bytes <= most {
        return Ok(());
    }
    let message = format!("the {what} has {bytes} bytes, and may have {most}");
    Err(Status::resource_exhausted(message).with_pushback(Pushback::Never))
}

#[cfg(test)]
#[path = "size_tests.rs"]
mod tests;
