//! What the caller of a method waits for, by type.

use std::sync::Arc;

use crate::call::mode::Mode;
use crate::call::name::MethodName;
use crate::call::response::{Reply, Response};
use crate::call::status::{Origin, Status};
use crate::pack::message::{Message, open};

use super::pending::Pending;

/// What awaiting a call gives: [`Wait`], [`NoResult`] or [`Deferred`].
pub trait Awaited<Resp>: sealed::Sealed {
    /// The mode on the wire.
    const MODE: Mode;
    /// What the caller gets.
    type Output;

    /// The output from the response to a call of `method`.
    ///
    /// # Errors
    /// The response is not what it should be.
    fn output(response: Response, method: &MethodName) -> Result<Self::Output, Status>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Wait {}
    impl Sealed for super::NoResult {}
    impl Sealed for super::Deferred {}
}

/// The result is awaited.
#[derive(Debug)]
pub enum Wait {}

/// The acknowledgement is awaited; the result is not wanted.
#[derive(Debug)]
pub enum NoResult {}

/// The acknowledgement is awaited; the result comes later.
#[derive(Debug)]
pub enum Deferred {}

impl<Resp: Message> Awaited<Resp> for Wait {
    const MODE: Mode = Mode::Wait;
    type Output = Resp;

    #[inline]
    fn output(mut response: Response, method: &MethodName) -> Result<Resp, Status> {
        let peer = response.take_peer();
        let opened = response.into_body().into_result().and_then(open);
        opened.map_err(|status| foreign(status, method, peer))
    }
}

impl<Resp> Awaited<Resp> for NoResult {
    const MODE: Mode = Mode::NoResult;
    type Output = ();

    fn output(_: Response, _: &MethodName) -> Result<(), Status> {
        Ok(())
    }
}

impl<Resp: Message> Awaited<Resp> for Deferred {
    const MODE: Mode = Mode::Deferred;
    type Output = Pending<Resp>;

    fn output(response: Response, method: &MethodName) -> Result<Pending<Resp>, Status> {
        let method = method.clone();
        Ok(Pending::new(async move {
            let (metadata, reply) = response.into_parts();
            let response = match reply {
                Reply::Deferred(later) => later.await?,
                // A layer answered, from its cache say, with the result itself.
                reply => Response::from_parts(metadata, reply),
            };
            result(response, &method).map(Response::into_body)
        }))
    }
}

/// The message in the response to a call of `method`.
///
/// # Errors
/// `Code::DataLoss`: it is no such message. That is the answering side's fault,
/// and neither this caller's nor a passing one.
pub(super) fn result<Resp: Message>(
    mut response: Response,
    method: &MethodName,
) -> Result<Response<Resp>, Status> {
    let peer = response.take_peer();
    let (metadata, reply) = response.into_parts();
    match reply.into_result().and_then(open) {
        Ok(message) => Ok(Response::from_parts(metadata, message).with_peer(peer)),
        Err(status) => Err(foreign(status, method, peer)),
    }
}

#[cold]
fn foreign(cause: Status, method: &MethodName, peer: Option<Arc<str>>) -> Status {
    let message = format!("the answer of {method} cannot be read: {}", cause.message());
    let status = Status::data_loss(message).with_origin(Origin::Server).with_source(cause);
    match peer {
        Some(peer) => status.with_peer(peer),
        None => status,
    }
}
