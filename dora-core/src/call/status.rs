//! The one error that crosses the wire.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::code::Code;
use super::dora_code;
use super::metadata::Metadata;
use super::trace::SERVER;

/// Any error a layer of tower may give.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a call failed: the canonical code, the raw Dora code, a message, and
/// which layer of which peer says so.
///
/// ```
/// use dora::{Code, Origin, Status};
///
/// fn user(id: i64) -> Result<&'static str, Status> {
///     match id {
///         7 => Ok("Ada"),
///         8 => Err(Status::raw(1231, "locked")), // the code that PHP callers know
///         _ => Err(Status::not_found(format!("no user {id}"))),
///     }
/// }
///
/// let status = user(9).expect_err("there are two");
/// assert_eq!((status.code(), status.message()), (Code::NotFound, "no user 9"));
/// // What a PHP caller finds in `code`:
/// assert_eq!(status.raw_code(), 100_205);
/// assert_eq!(user(8).map_err(|status| status.raw_code()), Err(1231));
/// // Nobody sent it: it was made here.
/// assert_eq!(status.origin(), Origin::Local);
/// ```
#[derive(Clone)]
pub struct Status(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    raw: i64,
    message: Cow<'static, str>,
    details: Bytes,
    metadata: Metadata,
    origin: Origin,
    peer: Option<Arc<str>>,
    unsent: bool,
    /// Its message is about the servers that this process calls.
    inward: bool,
    attempts: u32,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The layer that made a [`Status`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// This end: the client, a layer, or the code around it.
    #[default]
    Local,
    /// The connection to the peer.
    Connection,
    /// The server: it answered the packet with an error (PHP's outer `code`).
    Server,
    /// The service: the method itself failed (the `code` of the call's own packet).
    Service,
}

macro_rules! shorthands {
    ($($name:ident: $code:ident, $what:literal;)*) => {
        $(
            #[doc = concat!("A status with [`Code::", stringify!($code), "`]: ", $what, ".")]
            #[must_use]
            pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self::new(Code::$code, message)
            }
        )*
    };
}

impl Status {
    /// A status with a canonical code. A PHP caller gets it as
    /// `100200 + number` (see [`dora_code::CANONICAL`]).
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_codes(code, dora_code::from_code(code), message.into())
    }

    /// A status with the raw code that a PHP caller knows: the code of the
    /// exception that the PHP service threw. 0 is allowed and looks like a
    /// success with an empty array to a PHP caller.
    #[must_use]
    pub fn raw(raw: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_codes(dora_code::to_code(raw), raw, message.into())
    }

    fn with_codes(code: Code, raw: i64, message: Cow<'static, str>) -> Self {
        Self(Box::new(Inner {
            code,
            raw,
            message,
            details: Bytes::new(),
            metadata: Metadata::new(),
            origin: Origin::Local,
            peer: None,
            unsent: false,
            inward: false,
            attempts: 1,
            source: None,
        }))
    }

    shorthands! {
        cancelled: Cancelled, "the caller gave the call up";
        unknown: Unknown, "an error of no known kind";
        invalid_argument: InvalidArgument, "the caller sent what cannot be meant";
        deadline_exceeded: DeadlineExceeded, "no answer in time";
        not_found: NotFound, "what was asked for does not exist";
        already_exists: AlreadyExists, "what was to be made exists";
        permission_denied: PermissionDenied, "the caller may not do this";
        resource_exhausted: ResourceExhausted, "a limit or quota is used up";
        failed_precondition: FailedPrecondition, "the system is not in the state the call needs";
        aborted: Aborted, "a concurrent change got in the way";
        out_of_range: OutOfRange, "past the valid range";
        unimplemented: Unimplemented, "no such method, or not supported";
        internal: Internal, "a broken invariant";
        unavailable: Unavailable, "the peer cannot be reached";
        data_loss: DataLoss, "bytes were lost or changed";
        unauthenticated: Unauthenticated, "the caller is not known";
    }

    /// The canonical code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The raw Dora code, or the application's own.
    #[must_use]
    pub fn raw_code(&self) -> i64 {
        self.0.raw
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Bytes of the application that say more about the error; opaque to Dora.
    #[must_use]
    pub fn details(&self) -> &Bytes {
        &self.0.details
    }

    /// Pairs that travel with the error.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// Pairs that travel with the error, to change.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.0.metadata
    }

    /// The layer that made it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// The peer it came from or is about: `host:port`.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// Whether the request surely never reached a peer, so that sending it again
    /// cannot run it twice. That is said of all tries of a call: where a layer tries
    /// again or hedges with clones of the request, of every one of them.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.0.unsent
    }

    /// How often the call was made, where a layer tried it again; else 1.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The same with another canonical code; the raw one stays.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.0.code = code;
        self
    }

    /// The same with another raw code; the canonical one stays.
    #[must_use]
    pub fn with_raw_code(mut self, raw: i64) -> Self {
        self.0.raw = raw;
        self
    }

    /// The same with another message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self.0.inward = false;
        self
    }

    /// The same, whose message is about the servers that this process calls: their
    /// addresses are not for its own callers.
    pub(crate) fn inward(mut self) -> Self {
        self.0.inward = true;
        self
    }

    /// What the callers of this process are told of it: not which servers it calls, and
    /// what became of that, which its log says.
    pub(crate) fn outward(self) -> Self {
        if !self.0.inward {
            return self;
        }
        tracing::debug!(target: SERVER, status = %self, "a call fails as one that it made has");
        let message = match self.code() {
            Code::Unavailable => "a server that this one calls cannot be reached",
            Code::DeadlineExceeded => "a server that this one calls gave no answer in time",
            _ => "a call of this server to another one has failed",
        };
        self.with_message(message)
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Bytes>) -> Self {
        self.0.details = details.into();
        self
    }

    /// The same with metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.0.metadata = metadata;
        self
    }

    /// The same with the layer that made it.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// The same with the peer it came from or is about.
    #[must_use]
    pub fn with_peer(mut self, peer: Arc<str>) -> Self {
        self.0.peer = Some(peer);
        self
    }

    /// The same, for a request that surely never reached the peer.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.0.unsent = true;
        self
    }

    /// The same, for a call that may have reached a server by another try, or that ran.
    pub(crate) fn maybe_sent(mut self) -> Self {
        self.0.unsent = false;
        self
    }

    /// The same, for a call that was made so often.
    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The status for any error a tower layer gives: the [`Status`] itself if it
    /// is one or was caused by one, a fitting code for the errors of tower's own
    /// layers, else [`Code::Unknown`] with the error's text.
    #[must_use]
    pub fn from_error(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(status) => return *status,
            Err(error) => error,
        };
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(current) = cause {
            if let Some(status) = Self::of(current) {
                return status.clone();
            }
            if current.is::<tower::timeout::error::Elapsed>() {
                return Self::raw(dora_code::TIMEOUT, "a timeout layer gave the call up").with_source(error);
            }
            if current.is::<tower::load_shed::error::Overloaded>() {
                return Self::resource_exhausted("the service is overloaded").with_source(error);
            }
            cause = cause_of(current);
        }
        Self::unknown(error.to_string()).with_source(error)
    }

    /// The status that an error is, behind whatever pointer: those give their target's
    /// source as their own, and so never the target.
    fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let boxed = || error.downcast_ref::<Box<Self>>().map(|status| &**status);
        let shared = || error.downcast_ref::<Arc<Self>>().map(|status| &**status);
        error.downcast_ref().or_else(boxed).or_else(shared)
    }
}

/// What caused an error: of an I/O error what it was made of, which it does not give as
/// its source.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let made_of = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    made_of.map(|inner| inner as _).or_else(|| error.source())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { code, raw, message, origin, peer, attempts, .. } = &*self.0;
        write!(f, "{code} ({raw}): ")?;
        for letter in message.chars() {
            match letter {
                // They change nothing in a log, and are easier to read as they are.
                '"' | '\'' | '\\' => write!(f, "{letter}")?,
                letter => write!(f, "{}", letter.escape_debug())?,
            }
        }
        let origin = match origin {
            Origin::Local => None,
            Origin::Connection => Some("connection"),
            Origin::Server => Some("server"),
            Origin::Service => Some("service"),
        };
        match (origin, peer) {
            (Some(origin), Some(peer)) => write!(f, " [{origin}, {peer}]")?,
            (Some(text), None) => write!(f, " [{text}]")?,
            (None, Some(peer)) => write!(f, " [{peer}]")?,
            (None, None) => {}
        }
        match attempts {
            1 => Ok(()),
            attempts => write!(f, " after {attempts} attempts"),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Status")
            .field("code", &inner.code)
            .field("raw", &inner.raw)
            .field("message", &inner.message)
            .field("origin", &inner.origin)
            .field("peer", &inner.peer)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl Error for Status {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_within_an_error_is_found() {
        let boxed: BoxError = Box::new(Status::not_found("x"));
        assert_eq!(Status::from_error(boxed).code(), Code::NotFound);
        let elapsed: BoxError = Box::new(tower::timeout::error::Elapsed::new());
        assert_eq!(Status::from_error(elapsed).raw_code(), dora_code::TIMEOUT);
        assert_eq!(Status::from_error("odd".into()).message(), "odd");
    }

    /// An error that was caused by another one.
    #[derive(Debug)]
    struct Because(BoxError);

    impl fmt::Display for Because {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("because")
        }
    }

    impl Error for Because {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn a_status_is_found_however_deep_it_is() {
        let status = || Status::not_found("x").with_details("y");
        let found = |error: BoxError| Status::from_error(error).details().clone();
        assert_eq!(found(io::Error::other(status()).into()), "y");
        assert_eq!(found(io::Error::other(io::Error::other(status())).into()), "y");
        assert_eq!(found(io::Error::other(Because(Box::new(io::Error::other(status())))).into()), "y");
        assert_eq!(found(Box::new(Arc::new(status()))), "y");
        assert_eq!(found(Box::new(Because(Box::new(Box::new(status()))))), "y");
        let deep = (0..100).fold(BoxError::from(status()), |error, _| Box::new(Because(error)));
        assert_eq!(found(deep), "y");
        let plain = io::Error::other(Because("odd".into()));
        assert_eq!(Status::from_error(plain.into()).code(), Code::Unknown);
    }

    #[test]
    fn display_says_who_and_escapes() {
        let status = Status::raw(1231, "a\nb").with_origin(Origin::Service).with_peer("10.0.0.1:9567".into());
        assert_eq!(status.to_string(), "Unknown (1231): a\\nb [service, 10.0.0.1:9567]");
        let quoted = Status::not_found("no \"App\\Users\", isn't there");
        assert_eq!(quoted.to_string(), "NotFound (100205): no \"App\\Users\", isn't there");
    }
}
