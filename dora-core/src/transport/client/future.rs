//! The future of one call through a channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::call::BoxFuture;
use crate::call::kept;
use crate::call::mode::PacketKind;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::call::trace::Making;

use super::channel::Handle;
use super::exchange::Exchange;
use super::outgoing::outgoing;

/// The future of one call through a [`Channel`](super::channel::Channel).
/// Dropping it gives the call up; an answer that still comes is dropped and
/// counted.
pub struct CallFuture {
    state: State,
}

enum State {
    Unsent { handle: Arc<Handle>, request: Request },
    Waiting { exchange: Exchange, kind: PacketKind, kept: bool },
    Turn { future: BoxFuture<Response>, kept: bool },
    Ended,
}

impl CallFuture {
    pub(super) const fn new(handle: Arc<Handle>, request: Request) -> Self {
        Self { state: State::Unsent { handle, request } }
    }

    /// A call that waits for its turn first.
    pub(super) const fn in_turn(future: BoxFuture<Response>, kept: bool) -> Self {
        Self { state: State::Turn { future, kept } }
    }
}

impl Future for CallFuture {
    type Output = Result<Response, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Turn { future, kept } => {
                keep(*kept);
                return future.as_mut().poll(cx);
            }
            State::Ended => return Poll::Ready(Err(polled_again())),
            State::Unsent { .. } => {}
            State::Waiting { exchange, kind, kept } => {
                keep(*kept);
                let data = ready!(exchange.poll_first(*kind, cx.waker()));
                let State::Waiting { exchange, kind, .. } = std::mem::replace(&mut self.state, State::Ended)
                else {
                    return Poll::Ready(Err(polled_again()));
                };
                return Poll::Ready(data.and_then(|data| exchange.finish(data, kind)));
            }
        }
        // Sent at the first poll, when there is somebody to wake.
        let State::Unsent { handle, request } = std::mem::replace(&mut self.state, State::Ended) else {
            return Poll::Ready(Err(polled_again()));
        };
        let making = Making::of(&request);
        let outgoing = outgoing(request, &handle.link)?;
        outgoing.note(making, &handle.link);
        let kind = outgoing.packet.kind;
        let kept = handle.link.keeps_deadlines_here();
        let exchange = Exchange::send(handle, outgoing, None, cx.waker())?;
        keep(kept);
        self.state = State::Waiting { exchange, kind, kept };
        Poll::Pending
    }
}

/// The link's task has one timer for the deadlines of all calls.
fn keep(kept: bool) {
    if kept {
        kept::keep();
    }
}

fn polled_again() -> Status {
    Status::internal("a future was polled after it had ended")
}
