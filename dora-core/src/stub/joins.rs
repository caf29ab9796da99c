//! Calls that go into a batch.

use crate::call::batch::CallKey;
use crate::call::body::BatchCall;
use crate::pack::message::Message;

use super::awaited::Wait;
use super::call::Call;
use super::results::Append;

/// A call that a batch through the service `S` with results `T` may have: one that is made through
/// the same kind of service, and waits for its result. Nobody implements it but
/// this crate.
///
/// A batch passes the layers of its own service, so a call of a client that stands
/// on other layers has no place in it: it would get around them.
#[diagnostic::on_unimplemented(
    message = "this call cannot join a batch through `{S}`",
    label = "a call through another service, or one that does not wait for its result",
    note = "the call would get around the layers that its client stands on: begin the batch on the same service, \
            `Batch::new(layered.clone())`, or with a call, `client.method(request).batch()`",
    note = "a call that waits for no result, as its method's options may say, joins by `.wait()`: what is \
            awaited is said of the batch as a whole"
)]
pub trait Joins<S, T>: sealed::Sealed {
    /// The results of the batch with those of this call.
    type Next;

    /// The call under its key.
    #[doc(hidden)]
    fn join(self, key: CallKey) -> BatchCall;
}

mod sealed {
    pub trait Sealed {}
}

impl<S, Req, Resp, M> sealed::Sealed for Call<S, Req, Resp, M> {}

impl<S, T, Req, Resp> Joins<S, T> for Call<S, Req, Resp, Wait>
where
    Req: Message,
    Resp: Message,
    T: Append<Resp>,
{
    type Next = T::Next;

    fn join(self, key: CallKey) -> BatchCall {
        let (head, body) = self.into_request().1.into_parts();
        BatchCall::new(key, head, body)
    }
}
