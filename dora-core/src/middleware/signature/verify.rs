//! Believing signed calls, once.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tower::{Layer, Service};

use crate::call::body::Body;
use crate::call::head::RequestHead;
use crate::call::metadata::Metadata;
use crate::call::mode::Mode;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::checked::CheckedFuture;

use super::canonical::{KEY, Signature, Signed};
use super::key::Keyring;
use super::replay::{Refusal, Seen};
use super::sign::now;

/// Who has signed a call: a value of its extensions, for an
/// [`AuthLayer`](crate::middleware::auth::server::AuthLayer) to read
/// (`Credentials::proved`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signer(Arc<str>);

impl Signer {
    /// The name of the key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }
}

/// Lets calls pass that are signed with a key of the [`Keyring`], and that it has not seen
/// before; others end with `Code::Unauthenticated`. It stands around a server, further out than
/// who reads the [`Signer`]. A call is signed by a [`SignLayer`](super::sign::SignLayer),
/// where an example is.
///
/// A signature is believed for 30 s before and after the time it says
/// ([`window`](Self::window)), and once: nonces are remembered for as long, a million of
/// them ([`remember`](Self::remember)). When there are more, further calls are refused with
/// `Code::ResourceExhausted`, as it could not be known whether they came before.
///
/// What was seen is known to this layer and its clones alone: of several instances with the same
/// keys, each believes a call once.
///
/// It proves who sent a call and that nobody changed its method, mode, metadata or
/// parameter. It hides nothing, and says nothing of answers: for that there is `dora::tls`.
#[derive(Clone)]
pub struct VerifyLayer {
    keys: Keyring,
    window: Duration,
    remembered: usize,
    optional: bool,
    seen: Arc<Mutex<Seen>>,
}

const WINDOW: Duration = Duration::from_secs(30);
const REMEMBERED: usize = 1_000_000;

impl VerifyLayer {
    /// Believes these keys.
    #[must_use]
    pub fn new(keys: Keyring) -> Self {
        Self::of(keys, WINDOW, REMEMBERED, false)
    }

    fn of(keys: Keyring, window: Duration, remembered: usize, optional: bool) -> Self {
        // From the window's length before a signature's time to as long after.
        let seen = Seen::new(millis(window).saturating_mul(2).saturating_add(1), remembered);
        Self { keys, window, remembered, optional, seen: Arc::new(Mutex::new(seen)) }
    }

    /// How far the time of a signature may be from this machine's. Default: 30 s.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self::of(self.keys, window, self.remembered, self.optional)
    }

    /// How many signatures are remembered, at about 16 bytes each: at least four windows'
    /// worth. Default: 1,000,000, which is 8,000 calls a second with the default window.
    #[must_use]
    pub fn remember(self, signatures: usize) -> Self {
        Self::of(self.keys, self.window, signatures, self.optional)
    }

    /// Lets calls pass that are not signed, without a [`Signer`]: PHP's, say, beside those of
    /// other Rust ends. Those that are signed have to be right all the same.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// Checks all calls of a request, and notes who signed them.
    pub(super) fn check(&self, request: &mut Request, now: u64) -> Result<(), Status> {
        let (mode, of_batch) = (request.mode(), request.metadata().clone());
        if let Body::Batch(calls) = request.body_mut() {
            for call in calls {
                self.check_one(&mut call.head, &call.body, &of_batch, (mode, now))?;
            }
            return Ok(());
        }
        let body = request.body().clone();
        self.check_one(request.head_mut(), &body, &Metadata::new(), (mode, now))
    }

    fn check_one(
        &self,
        head: &mut RequestHead,
        body: &Body,
        of_batch: &Metadata,
        (mode, now): (Mode, u64),
    ) -> Result<(), Status> {
        let Some(text) = head.metadata().get(KEY).or_else(|| of_batch.get(KEY)) else {
            return match self.optional {
                true => Ok(()),
                false => Err(Status::unauthenticated("the call is not signed, and has to be")),
            };
        };
        let Some(signature) = Signature::parse(text) else {
            return Err(Status::unauthenticated("the signature is none of this form"));
        };
        let Some(key) = self.keys.get(signature.key) else {
            let message = format!("the call is signed with key {:?}, which is not known here", signature.key);
            return Err(Status::unauthenticated(message));
        };
        let Body::Packed(packed) = body else {
            return Err(Status::unauthenticated("the call was changed after it was signed"));
        };
        let method = head.called_as().as_bytes();
        let signed = Signed { method, mode, metadata: [of_batch, head.metadata()], body: packed };
        if !signature.fits(&key, &signed) {
            let message = format!(
                "the signature with key {:?} does not fit the call: the secrets differ, or it was changed on its way",
                signature.key
            );
            return Err(Status::unauthenticated(message));
        }
        self.check_time(&signature, now)?;
        let signer = Signer(Arc::clone(key.id()));
        head.extensions_mut().insert(signer);
        Ok(())
    }

    /// Whether it is in time, and new. Asked of what is signed well alone: nobody else
    /// makes anything be remembered.
    fn check_time(&self, signature: &Signature<'_>, now: u64) -> Result<(), Status> {
        let apart = now.abs_diff(signature.made);
        if apart > millis(self.window) {
            let message = format!(
                "the call was signed {:?} {} this machine's time, and may {:?}: is a clock wrong?",
                Duration::from_millis(apart),
                if signature.made < now { "before" } else { "after" },
                self.window
            );
            return Err(Status::unauthenticated(message));
        }
        self.seen.lock().note(signature.key, &signature.nonce, now).map_err(|refusal| match refusal {
            Refusal::Again => Status::unauthenticated("a call with this signature came before"),
            Refusal::Full => Status::resource_exhausted(format!(
                "{} signed calls came within the time that a signature is good for, and no more are remembered",
                self.remembered
            )),
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyLayer")
            .field("keys", &self.keys)
            .field("window", &self.window)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Verify<S> {
        Verify { inner, layer: self.clone() }
    }
}

/// A service for signed calls.
#[derive(Clone, Debug)]
pub struct Verify<S> {
    inner: S,
    layer: VerifyLayer,
}

impl<S> Service<Request> for Verify<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = CheckedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.layer.check(&mut request, now()) {
            Ok(()) => CheckedFuture::passed(self.inner.call(request)),
            Err(status) => CheckedFuture::refused(status),
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
