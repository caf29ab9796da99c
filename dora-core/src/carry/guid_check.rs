//! Answers are given to their own request only.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::status::{BoxError, Status};
use crate::guid::Guid;

use super::answer::check_guid;
use super::frame::{Answer, Frame};

/// Refuses answers that are not under the guid of their request, later ones too:
/// for carriers that do not look at it themselves. A caller gets
/// [`Code::DataLoss`](crate::call::code::Code::DataLoss) in place of another
/// caller's result.
///
/// The guid within an answer's body, where it has one, is checked by
/// [`PackLayer`](super::pack::PackLayer), which reads the body. On the server's
/// side nothing is refused for its guids: a request may have another one in its
/// body than its frame has, and [`UnpackLayer`](super::unpack::UnpackLayer)
/// answers each where it stood.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuidCheckLayer(());

impl GuidCheckLayer {
    /// The layer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for GuidCheckLayer {
    type Service = GuidCheck<S>;

    fn layer(&self, inner: S) -> GuidCheck<S> {
        GuidCheck { inner }
    }
}

/// A carrier whose answers have the guid of their request.
#[derive(Clone, Debug)]
pub struct GuidCheck<S> {
    inner: S,
}

impl<S> Service<Frame> for GuidCheck<S>
where
    S: Service<Frame, Response: Into<Answer>, Error: Into<BoxError>>,
{
    type Response = Answer;
    type Error = Status;
    type Future = GuidCheckFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, frame: Frame) -> Self::Future {
        GuidCheckFuture { guid: frame.guid, answer: self.inner.call(frame) }
    }
}

pin_project! {
    /// The future of [`GuidCheck`].
    pub struct GuidCheckFuture<F> {
        guid: Guid,
        #[pin]
        answer: F,
    }
}

impl<F, A, E> Future for GuidCheckFuture<F>
where
    F: Future<Output = Result<A, E>>,
    A: Into<Answer>,
    E: Into<BoxError>,
{
    type Output = Result<Answer, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx)).map_err(|error| Status::from_error(error.into()))?;
        Poll::Ready(checked(*this.guid, answer.into()))
    }
}

fn checked(guid: Guid, answer: Answer) -> Result<Answer, Status> {
    let (first, later) = answer.into_parts();
    check_guid(guid, first.guid)?;
    let answer = Answer::new(first);
    let Some(later) = later else { return Ok(answer) };
    Ok(answer.with_later(async move {
        let later = later.await?;
        check_guid(guid, later.guid)?;
        Ok(later)
    }))
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::call::code::Code;
    use crate::call::dora_code;

    async fn answered(first: u128, later: Option<u128>) -> Result<Answer, Status> {
        let frame = |guid| Frame::new(Guid::from_u128(guid), "x");
        let carrier = service_fn(move |_: Frame| async move {
            let answer = Answer::new(frame(first));
            Ok::<_, Status>(match later {
                Some(guid) => answer.with_later(async move { Ok(frame(guid)) }),
                None => answer,
            })
        });
        GuidCheckLayer::new().layer(carrier).oneshot(frame(7)).await
    }

    #[tokio::test]
    async fn another_requests_answer_is_refused() {
        assert_eq!(answered(7, None).await.expect("its own").first().guid, Guid::from_u128(7));
        let status = answered(8, None).await.expect_err("another's");
        assert_eq!((status.code(), status.raw_code()), (Code::DataLoss, dora_code::FOREIGN_GUID));
    }

    #[tokio::test]
    async fn so_is_another_requests_later_answer() {
        for (guid, own) in [(7, true), (8, false)] {
            let (_, later) = answered(7, Some(guid)).await.expect("its own").into_parts();
            let later = later.expect("one that comes later").await;
            assert_eq!(later.is_ok(), own, "{later:?}");
        }
    }
}
