//! The future of one call through a channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::call::BoxFuture;
use crate::call::kept::{self, Kept};
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::call::trace::Making;
use crate::call::tries::Try;

use super::channel::Handle;
use super::exchange::{Exchange, named};
use super::outgoing::outgoing;

/// The future of one call through a [`Channel`](super::channel::Channel).
/// Dropping it gives the call up; an answer that still comes is dropped and
/// counted.
pub struct CallFuture {
    state: State,
    about: About,
}

/// What is said of the call when it fails.
struct About {
    method: MethodName,
    /// This try, where the call may have others.
    attempt: Option<Try>,
}

enum State {
    Unsent { handle: Arc<Handle>, request: Request },
    Waiting { exchange: Exchange, kind: PacketKind, kept: Kept },
    Turn { future: BoxFuture<Response>, kept: Kept },
    Ended,
}

impl CallFuture {
    pub(super) fn new(handle: Arc<Handle>, request: Request) -> Self {
        let about = About::of(&request);
        Self { state: State::Unsent { handle, request }, about }
    }

    /// A call of `request` that waits for its turn first.
    pub(super) fn in_turn(
        request: Request,
        kept: Kept,
        call: impl FnOnce(Request) -> BoxFuture<Response>,
    ) -> Self {
        let about = About::of(&request);
        // When it leaves is not seen from here.
        about.sent();
        Self { state: State::Turn { future: call(request), kept }, about }
    }
}

impl About {
    fn of(request: &Request) -> Self {
        Self { method: request.method().clone(), attempt: request.head().tries().begin() }
    }

    fn sent(&self) {
        self.attempt.iter().for_each(Try::sent);
    }

    /// How the call ended before it was sent.
    fn refused(&self, status: Status) -> Status {
        match &self.attempt {
            Some(attempt) => attempt.refused(status),
            None => status,
        }
    }

    /// How the call ended after it was sent.
    fn ended(&self, result: Result<Response, Status>) -> Result<Response, Status> {
        result.map_err(|status| {
            let status = named(&self.method, status);
            match &self.attempt {
                Some(attempt) => attempt.failed(status),
                None => status,
            }
        })
    }
}

impl Future for CallFuture {
    type Output = Result<Response, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, about } = &mut *self;
        match state {
            State::Turn { future, kept } => {
                kept::say(*kept);
                let result = ready!(future.as_mut().poll(cx));
                return Poll::Ready(about.ended(result));
            }
            State::Ended => return Poll::Ready(Err(polled_again())),
            State::Unsent { .. } => {}
            State::Waiting { exchange, kind, kept } => {
                kept::say(*kept);
                let data = ready!(exchange.poll_first(*kind, cx.waker()));
                if kind.mode() != Mode::Deferred {
                    let result = data.and_then(|data| exchange.ended(data, *kind));
                    *state = State::Ended;
                    return Poll::Ready(about.ended(result));
                }
                let State::Waiting { exchange, kind, .. } = std::mem::replace(state, State::Ended) else {
                    return Poll::Ready(Err(polled_again()));
                };
                return Poll::Ready(about.ended(data.and_then(|data| exchange.finish(data, kind))));
            }
        }
        // Sent at the first poll, when there is somebody to wake.
        let State::Unsent { handle, request } = std::mem::replace(state, State::Ended) else {
            return Poll::Ready(Err(polled_again()));
        };
        let making = Making::of(&request);
        let kept = handle.link.keeps_deadlines();
        let sent = outgoing(request, &handle.link).and_then(|outgoing| {
            outgoing.note(making, &handle.link);
            let kind = outgoing.kind;
            Ok((Exchange::send(handle, outgoing, None, cx.waker())?, kind))
        });
        let (exchange, kind) = sent.map_err(|status| about.refused(status))?;
        about.sent();
        kept::say(kept);
        *state = State::Waiting { exchange, kind, kept };
        Poll::Pending
    }
}

fn polled_again() -> Status {
    Status::internal("a future was polled after it had ended")
}
