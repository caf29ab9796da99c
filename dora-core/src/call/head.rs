//! All of a request but its body.

use std::fmt;

use tokio::time::Instant;

use super::batch::BatchPart;
use super::deadline::Deadline;
use super::extensions::Extensions;
use super::metadata::Metadata;
use super::method::Method;
use super::mode::Mode;
use super::name::MethodName;
use super::origin::{Peer, RequestOrigin};
use super::tries::Tries;

/// All of a request but its body: what a layer decides by.
#[derive(Default)]
pub struct RequestHead {
    method: MethodName,
    called_as: Option<MethodName>,
    descriptor: Option<&'static Method>,
    route: Option<u32>,
    metadata: Metadata,
    deadline: Option<Deadline>,
    mode: Mode,
    idempotent: bool,
    origin: Option<RequestOrigin>,
    batch: Option<BatchPart>,
    extensions: Extensions,
    tries: Tries,
}

impl RequestHead {
    /// The head of a call that came from elsewhere.
    #[inline]
    pub(crate) fn received(
        method: MethodName,
        mode: Mode,
        deadline: Option<Deadline>,
        origin: RequestOrigin,
    ) -> Box<Self> {
        Box::new(Self { method, mode, deadline, origin: Some(origin), ..Self::default() })
    }

    /// The canonical path of the method, `/package.Service/Method`; of a method
    /// that nobody has declared, the name as it was sent.
    #[must_use]
    pub const fn method(&self) -> &MethodName {
        &self.method
    }

    /// The name as it was sent: a path, a legacy API name, Swoft's triple.
    #[must_use]
    pub fn called_as(&self) -> &MethodName {
        self.called_as.as_ref().unwrap_or(&self.method)
    }

    /// The method as its `.proto` declares it, with all options.
    #[must_use]
    pub const fn descriptor(&self) -> Option<&'static Method> {
        self.descriptor
    }

    /// Whether it calls `method`, by whichever of its names: what a rule about one
    /// method asks. It is right where the method is known already
    /// ([`descriptor`](Self::descriptor)), and where only a name was said, as in a
    /// dynamic call that a client's layer sees.
    ///
    /// ```
    /// use dora::{Method, Request, ServiceDescriptor};
    ///
    /// // Of a generated service: `users_descriptor::GET_USER`.
    /// static USERS: ServiceDescriptor = ServiceDescriptor::new("users.v1.Users", &[&GET_USER]);
    /// static GET_USER: Method =
    ///     Method::new(&USERS, "GetUser", "/users.v1.Users/GetUser").with_aliases(&["/user/get"]);
    ///
    /// let mut request = Request::new(());
    /// request.head_mut().set_method("/user/get");
    /// assert!(request.head().is(&GET_USER));
    /// ```
    #[must_use]
    pub fn is(&self, method: &Method) -> bool {
        match self.descriptor {
            Some(known) => known == method,
            None => method.is_called(self.method.as_str()),
        }
    }

    /// Calls another method: whatever has that name.
    #[inline]
    pub fn set_method(&mut self, name: impl Into<MethodName>) {
        self.method = name.into();
        self.called_as = None;
        self.descriptor = None;
        self.route = None;
    }

    /// Says which method it is that was called by [`method`](Self::method) or any
    /// other of its names; an idempotent method makes an idempotent call.
    #[inline]
    pub fn resolve(&mut self, method: &'static Method) {
        let called_as = std::mem::replace(&mut self.method, MethodName::from_static(method.path()));
        self.called_as.get_or_insert(called_as);
        self.descriptor = Some(method);
        self.idempotent |= method.is_idempotent();
    }

    /// The method of a call that is made here: what it is sent as depends on the
    /// peer.
    #[inline]
    pub(crate) fn call(&mut self, method: &'static Method) {
        self.method = MethodName::from_static(method.path());
        self.called_as = None;
        self.descriptor = Some(method);
        self.idempotent |= method.is_idempotent();
    }

    pub(crate) const fn route(&self) -> Option<u32> {
        self.route
    }

    pub(crate) const fn set_route(&mut self, route: u32) {
        self.route = Some(route);
    }

    /// Pairs that travel with the call.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Pairs that travel with the call, to change.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// When the caller gives up.
    #[must_use]
    pub const fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Says when the caller gives up.
    pub const fn set_deadline(&mut self, deadline: Option<Deadline>) {
        self.deadline = deadline;
    }

    /// What the caller waits for.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Says what the caller waits for.
    pub const fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Whether calling twice is the same as calling once: of a batch, whether it
    /// is so for all its calls.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Says whether calling twice is the same as calling once.
    pub const fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = idempotent;
    }

    /// Where the call came from; `None` for one made in this process.
    #[must_use]
    pub const fn origin(&self) -> Option<&RequestOrigin> {
        self.origin.as_ref()
    }

    /// Says where the call came from.
    pub fn set_origin(&mut self, origin: RequestOrigin) {
        self.origin = Some(origin);
    }

    /// Notes when the call was taken up, where it came from elsewhere.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.origin.iter_mut().for_each(|origin| origin.begin(now));
    }

    /// Who calls.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.origin.as_ref().map_or(&Peer::InProcess, RequestOrigin::peer)
    }

    /// On a server, the batch that the call came in.
    #[must_use]
    pub const fn batch(&self) -> Option<&BatchPart> {
        self.batch.as_ref()
    }

    pub(crate) fn set_batch(&mut self, part: BatchPart) {
        self.batch = Some(part);
    }

    /// Takes from the head of a batch what it says for all its calls.
    pub(crate) fn inherit(&mut self, batch: &Self) {
        self.mode = batch.mode;
        self.deadline = self.deadline.into_iter().chain(batch.deadline).min();
        self.metadata.inherit(&batch.metadata);
        self.extensions.inherit(&batch.extensions);
        self.tries.inherit(&batch.tries);
        if self.origin.is_none() {
            self.origin.clone_from(&batch.origin);
        }
    }

    /// A copy that is sent in place of this, by who answers for all copies that it makes: it
    /// is no other try, as a clone is.
    pub(crate) fn in_place(&self) -> Self {
        Self {
            method: self.method.clone(),
            called_as: self.called_as.clone(),
            descriptor: self.descriptor,
            route: self.route,
            metadata: self.metadata.clone(),
            deadline: self.deadline,
            mode: self.mode,
            idempotent: self.idempotent,
            origin: self.origin.clone(),
            batch: self.batch.clone(),
            extensions: self.extensions.clone(),
            tries: self.tries.carried_on(),
        }
    }

    /// The other tries of the call: the clones of this.
    pub(crate) const fn tries(&self) -> &Tries {
        &self.tries
    }

    /// Values of layers in this process.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Values of layers in this process, to change.
    pub const fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

/// Each clone is another try of the call.
impl Clone for RequestHead {
    fn clone(&self) -> Self {
        let tries = self.tries.clone();
        Self { tries, ..self.in_place() }
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RequestHead");
        out.field("method", &self.method);
        if let Some(called_as) = &self.called_as {
            out.field("called_as", called_as);
        }
        out.field("mode", &self.mode)
            .field("metadata", &self.metadata)
            .field("deadline", &self.deadline)
            .field("idempotent", &self.idempotent)
            .field("peer", self.peer());
        if let Some(batch) = &self.batch {
            out.field("batch", &format_args!("{} of {}", batch.index(), batch.calls().len()));
        }
        out.field("extensions", &self.extensions).finish_non_exhaustive()
    }
}
