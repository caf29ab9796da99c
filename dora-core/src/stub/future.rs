//! The future of a typed call.

use std::any::{Any, TypeId};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::Service;
use tracing::Level;

use crate::call::mode::Mode;
use crate::call::name::MethodName;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::call::trace::listens;
use crate::pack::message::Message;
use crate::transport::client::channel::Channel;
use crate::transport::client::straight::{Begun, Straight};

use super::awaited::Awaited;
use super::called::Called;
use super::caller::Caller;
use super::draft::{Draft, Plain};

pin_project! {
    /// The future of a [`Call`](super::call::Call).
    pub struct CallFuture<S: Service<Request>, Req, Resp, M> {
        #[pin]
        state: State<S, Req>,
        result: PhantomData<fn() -> (Resp, M)>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<S: Service<Request>, Req> {
        // To a channel with no layers around it, which `S` is.
        Plain { channel: Channel, plain: Plain<Req> },
        Straight { sent: Straight },
        Through { #[pin] response: Called<S>, method: MethodName },
        Ended,
    }
}

impl<S: Caller, Req: Message, Resp, M: Awaited<Resp>> CallFuture<S, Req, Resp, M> {
    #[inline]
    pub(super) fn new(service: S, draft: Draft<Req>) -> Self {
        let bare = TypeId::of::<S>() == TypeId::of::<Channel>();
        let state = match bare && M::MODE == Mode::Wait && !listens(Level::DEBUG) {
            true => match draft.into_plain() {
                Ok(plain) => match cast(service) {
                    Some(channel) => State::Plain { channel, plain },
                    None => State::Ended,
                },
                Err(draft) => State::through(service, draft.name(), draft.into_request(M::MODE)),
            },
            false => State::through(service, draft.name(), draft.into_request(M::MODE)),
        };
        Self { state, result: PhantomData }
    }
}

impl<S: Caller, Req: Message> State<S, Req> {
    fn through(service: S, method: MethodName, request: Request) -> Self {
        Self::Through { response: Called::new(service, request), method }
    }

    /// Sends the call straight, or makes a request of it where that cannot be.
    #[inline]
    fn begin(mut self: Pin<&mut Self>, cx: &Context<'_>) -> Result<(), Status> {
        let StateReplaced::Plain { channel, plain } = self.as_mut().project_replace(Self::Ended) else {
            return Err(Status::internal("a call was begun twice"));
        };
        match Straight::begin(channel, plain.method, &plain.message, plain.deadline, cx.waker())? {
            Begun::Sent(sent) => self.set(Self::Straight { sent }),
            Begun::Not(channel) => {
                let method = MethodName::from_static(plain.method.path());
                if let Some(service) = cast(channel) {
                    self.set(Self::through(service, method, plain.into_request()));
                }
            }
        }
        Ok(())
    }
}

impl<S: Caller, Req: Message, Resp, M: Awaited<Resp>> Future for CallFuture<S, Req, Resp, M> {
    type Output = Result<M::Output, Status>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProjection::Plain { .. } = state.as_mut().project() {
            state.as_mut().begin(cx)?;
            if let StateProjection::Straight { .. } = state.as_mut().project() {
                // Its task is woken by the answer.
                return Poll::Pending;
            }
        }
        match state.project() {
            StateProjection::Straight { sent } => {
                let response = ready!(sent.poll(cx.waker()));
                let output = response.and_then(|response| M::output(response, &sent.method()));
                Poll::Ready(output.map_err(|status| sent.about(status)))
            }
            StateProjection::Through { response, method } => {
                let response = ready!(response.poll(cx));
                Poll::Ready(response.and_then(|response| M::output(response, method)))
            }
            StateProjection::Plain { .. } | StateProjection::Ended => {
                Poll::Ready(Err(Status::internal("a future was polled after it had ended")))
            }
        }
    }
}

/// The value as what it is, where `A` and `B` are one type: known when it is compiled.
#[inline]
fn cast<A: 'static, B: 'static>(value: A) -> Option<B> {
    let mut value = Some(value);
    let value: &mut dyn Any = &mut value;
    value.downcast_mut::<Option<B>>().and_then(Option::take)
}
