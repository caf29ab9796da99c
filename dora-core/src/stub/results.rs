//! The results of a batch, by type.

use crate::call::batch::CallKey;
use crate::call::name::MethodName;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::pack::message::Message;

use super::awaited::result;

/// How the calls of a batch ended, in their order.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Ended {
    calls: std::vec::IntoIter<(MethodName, Result<Response, Status>)>,
}

impl Ended {
    /// Puts the results of `response` into the order of `calls`, whose keys are
    /// their places.
    pub(super) fn new(response: Response, calls: Vec<MethodName>) -> Result<Self, Status> {
        let results = match response.into_body() {
            Reply::Batch(results) => results,
            other => {
                return Err(Status::internal(format!("a batch was answered with {other:?}")));
            }
        };
        let missing = || Err(Status::data_loss("the answer has no result for this call"));
        let mut calls: Vec<_> = calls.into_iter().map(|name| (name, missing())).collect();
        for (key, result) in results {
            let place = match key {
                CallKey::Int(index) => usize::try_from(index).ok(),
                CallKey::Str(_) => None,
            };
            if let Some(call) = place.and_then(|index| calls.get_mut(index)) {
                call.1 = result;
            }
        }
        Ok(Self { calls: calls.into_iter() })
    }

    fn next<R: Message>(&mut self) -> Option<Result<R, Status>> {
        let (name, ended) = self.calls.next()?;
        Some(ended.and_then(|response| result(response, &name)).map(Response::into_body))
    }
}

/// What the results of a batch come as: a tuple of `Result`s, or a `Vec` of them.
/// Nobody implements it but this crate.
#[diagnostic::on_unimplemented(
    message = "a batch without calls is not sent",
    label = "this batch has no calls",
    note = "add calls of any types by `.call(client.method(request))`",
    note = "or begin with `.list()` a batch of any length, to which `push` adds calls, and which may stay empty"
)]
pub trait Results: sealed::Results + Sized {
    #[doc(hidden)]
    /// The results in the order of the calls.
    ///
    /// # Errors
    /// There are fewer results than calls.
    fn open(ended: &mut Ended) -> Result<Self, Status>;
}

/// A tuple of results with one more at its end, or a `Vec` that grows. Nobody implements it but this crate.
#[diagnostic::on_unimplemented(
    message = "a call with results of `{R}` cannot be added to this batch",
    label = "a tuple has 16 results at most, and a list results of one type",
    note = "a batch of up to 16 calls of any types grows by `call`; one of any length, after `list`, by `push`"
)]
pub trait Append<R>: sealed::Append<R> {
    /// The longer one.
    type Next;
}

mod sealed {
    pub trait Results {}
    pub trait Append<R> {}
}

impl<R: Message> sealed::Results for Vec<Result<R, Status>> {}

impl<R> sealed::Append<R> for Vec<Result<R, Status>> {}

impl<R> Append<R> for Vec<Result<R, Status>> {
    type Next = Self;
}

impl<R: Message> Results for Vec<Result<R, Status>> {
    fn open(ended: &mut Ended) -> Result<Self, Status> {
        Ok(std::iter::from_fn(|| ended.next()).collect())
    }
}

fn next<R: Message>(ended: &mut Ended) -> Result<Result<R, Status>, Status> {
    ended.next().ok_or_else(|| Status::internal("a batch has fewer calls than results"))
}

macro_rules! tuples {
    ($($name:ident)*) => { tuples!(@ () $($name)*); };
    (@ ($($name:ident)*)) => {};
    (@ ($($name:ident)*) $new:ident $($rest:ident)*) => {
        impl<$($name,)* $new> sealed::Append<$new> for ($(Result<$name, Status>,)*) {}

        impl<$($name,)* $new> Append<$new> for ($(Result<$name, Status>,)*) {
            type Next = ($(Result<$name, Status>,)* Result<$new, Status>,);
        }

        impl<$($name: Message,)* $new: Message> sealed::Results
            for ($(Result<$name, Status>,)* Result<$new, Status>,)
        {
        }

        impl<$($name: Message,)* $new: Message> Results for ($(Result<$name, Status>,)* Result<$new, Status>,) {
            fn open(ended: &mut Ended) -> Result<Self, Status> {
                Ok(($(next::<$name>(ended)?,)* next::<$new>(ended)?,))
            }
        }

        tuples!(@ ($($name)* $new) $($rest)*);
    };
}

tuples!(A B C D E F G H I J K L M N O P);
