//! What is said of a call before it is made.

use std::time::Duration;

use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::mode::Mode;
use crate::call::name::MethodName;
use crate::call::packed::PackMessage;
use crate::call::request::Request;

/// A call with its message. A head is made when there is something to say in it: most
/// calls have no more than a method.
pub(super) struct Draft<Req> {
    /// None where there is a head from the start.
    method: Option<&'static Method>,
    head: Option<Box<RequestHead>>,
    message: Req,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
}

/// A call of which nothing is said but its method and how long it may take.
pub(super) struct Plain<Req> {
    pub(super) method: &'static Method,
    pub(super) message: Req,
    pub(super) deadline: Option<Deadline>,
}

impl<Req> Draft<Req> {
    #[inline]
    pub(super) fn new(method: &'static Method, head: Option<Box<RequestHead>>, message: Req) -> Self {
        let head = head.map(|head| calling(head, method));
        Self { method: Some(method), head, message, timeout: method.timeout(), deadline: None }
    }

    pub(super) fn named(name: MethodName, head: Option<Box<RequestHead>>, message: Req) -> Self {
        let mut head = head.unwrap_or_default();
        head.set_method(name);
        Self { method: None, head: Some(head), message, timeout: None, deadline: None }
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }

    /// The head, for what else is said.
    pub(super) fn head_mut(&mut self) -> &mut RequestHead {
        self.head.get_or_insert_with(|| head_of(self.method))
    }

    pub(super) fn name(&self) -> MethodName {
        let of_method = || self.method.map(|method| MethodName::from_static(method.path()));
        let of_head = self.head.as_ref().map(|head| head.method().clone());
        of_head.or_else(of_method).unwrap_or_default()
    }

    /// The same as far as it is plain; what is not comes back. The timeout begins.
    #[inline]
    pub(super) fn into_plain(self) -> Result<Plain<Req>, Self> {
        match (self.method, &self.head) {
            (Some(method), None) => {
                let Self { message, timeout, deadline, .. } = self;
                Ok(Plain { method, message, deadline: within(timeout, deadline) })
            }
            _ => Err(self),
        }
    }
}

impl<Req: PackMessage> Draft<Req> {
    /// The request. The timeout begins.
    pub(super) fn into_request(self, mode: Mode) -> Request {
        let Self { method, head, message, timeout, deadline } = self;
        let mut head = head.unwrap_or_else(|| head_of(method));
        let deadline = deadline.or(head.deadline());
        head.set_mode(mode);
        head.set_deadline(within(timeout, deadline));
        Request::from_parts(head, Body::message(message))
    }
}

impl<Req: PackMessage> Plain<Req> {
    /// The request of a call that is waited for.
    pub(super) fn into_request(self) -> Request {
        let Self { method, message, deadline } = self;
        let mut head = calling(Box::default(), method);
        head.set_mode(Mode::Wait);
        head.set_deadline(deadline);
        Request::from_parts(head, Body::message(message))
    }
}

/// The head of a call of which nothing else is said.
fn head_of(method: Option<&'static Method>) -> Box<RequestHead> {
    method.map_or_else(Box::default, |method| calling(Box::default(), method))
}

fn calling(mut head: Box<RequestHead>, method: &'static Method) -> Box<RequestHead> {
    head.call(method);
    head
}

/// Whichever is earlier: a deadline that is passed on does not stretch the method's own
/// timeout.
#[inline]
fn within(timeout: Option<Duration>, deadline: Option<Deadline>) -> Option<Deadline> {
    let own = timeout.map(Deadline::after);
    own.into_iter().chain(deadline).min()
}
