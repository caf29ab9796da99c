//! Batches of which some calls are refused before they are sent.

use tower::Service;
use tower::util::Oneshot;

use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::head::RequestHead;
use crate::call::mode::Mode;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Deferred, Reply, Response};
use crate::call::status::{BoxError, Status};

/// Sends on the calls of a batch that may pass, and puts the refused ones among
/// the results. A batch whose results are not wanted is refused as a whole: nobody
/// would hear of the one call.
pub(super) async fn send_on<S>(
    inner: S,
    mut head: Box<RequestHead>,
    passed: Vec<BatchCall>,
    refused: Vec<(CallKey, Status)>,
) -> Result<Response, Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    if head.mode() == Mode::NoResult
        && let Some((_, status)) = refused.first()
    {
        return Err(status.clone());
    }
    let refused: BatchResults = refused.into_iter().map(|(key, status)| (key, Err(status))).collect();
    if passed.is_empty() {
        return Ok(Response::new(Reply::Batch(refused)));
    }
    head.set_idempotent(passed.iter().all(|call| call.head.is_idempotent()));
    let rest = Request::from_parts(head, Body::Batch(passed));
    let response = Oneshot::new(inner, rest).await.map_err(|error| Status::from_error(error.into()))?;
    Ok(match refused.is_empty() {
        true => response,
        false => with_refused(response, refused),
    })
}

/// Puts the refused calls among the results of the others.
fn with_refused(response: Response, refused: BatchResults) -> Response {
    response.map(|reply| match reply {
        Reply::Batch(mut results) => {
            results.extend(refused);
            Reply::Batch(results)
        }
        Reply::Deferred(later) => {
            Reply::Deferred(Deferred::new(async move { Ok(with_refused(later.await?, refused)) }))
        }
        other => other,
    })
}
