//! Finding out who calls, and whether they may.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::head::RequestHead;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::checked::CheckedFuture;

use super::cache::Cache;
use super::credentials::Credentials;

/// Finds out who makes each call before it goes on, by an async function from what the call
/// shows ([`Credentials`]: a token, a certificate, a signature) to an identity of any type,
/// or to the status that the call ends with: `Unauthenticated` where nobody is shown or
/// believed.
///
/// Layers within and handlers read it with [`Request::identity`];
/// [`AuthorizeLayer`] refuses by it.
///
/// On a server each call of a batch is asked about. Around a client, or by hand around a
/// service of this process, a batch is one request and goes by what it says as a whole.
///
/// ```
/// use std::time::Duration;
///
/// use dora::auth::{AuthLayer, AuthorizeLayer, Credentials, Token, TokenLayer};
/// use dora::{Code, DynamicClient, Request, Server, Status, Value};
/// use tower::Layer as _;
///
/// struct User {
///     name: String,
///     admin: bool,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authenticate = AuthLayer::new(|shown: Credentials| async move {
///     match shown.token() {
///         // Where a database, or a JWT, would be looked at.
///         Some("sesame") => Ok(User { name: "Ada".into(), admin: false }),
///         Some(_) => Err(Status::unauthenticated("nobody has this token")),
///         None => Err(Status::unauthenticated("no token")),
///     }
/// })
/// .remember(Duration::from_secs(60));
/// let admins = AuthorizeLayer::new(|user: &User, call| user.admin || !call.method().starts_with("/admin/"));
///
/// let server = Server::builder().layer(authenticate).layer(admins).dynamic(|request: Request<Value>| async move {
///     let user = request.identity::<User>().ok_or_else(|| Status::internal("no authenticator"))?;
///     Ok(Value::from(user.name.as_str()))
/// });
/// let service = server.into_service()?;
///
/// let nobody = DynamicClient::new(service.clone());
/// assert_eq!(nobody.call("/me", 1).await.expect_err("no token").code(), Code::Unauthenticated);
///
/// let ada = DynamicClient::new(TokenLayer::new(Token::new("sesame")).layer(service));
/// assert_eq!(ada.call("/me", 1).await?, Value::from("Ada"));
/// assert_eq!(ada.call("/admin/stop", 1).await.expect_err("no admin").code(), Code::PermissionDenied);
/// # Ok(())
/// # }
/// ```
pub struct AuthLayer<F, T> {
    authenticator: Arc<Authenticator<F, T>>,
}

struct Authenticator<F, T> {
    function: F,
    cache: Option<Cache<T>>,
}

impl<F, T> AuthLayer<F, T> {
    /// Asks `function` about each call.
    pub fn new<Fut>(function: F) -> Self
    where
        F: Fn(Credentials) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        Self { authenticator: Arc::new(Authenticator { function, cache: None }) }
    }

    /// Does not ask again for so long about a token that was good: who is no longer
    /// welcome is let in for as long. For authenticators that go by the token alone; calls
    /// without one are asked about each time. At most 10,000 tokens are remembered.
    #[must_use]
    pub fn remember(self, time: Duration) -> Self
    where
        F: Clone,
    {
        let function = self.authenticator.function.clone();
        Self { authenticator: Arc::new(Authenticator { function, cache: Some(Cache::new(time)) }) }
    }
}

impl<F, T> Clone for AuthLayer<F, T> {
    fn clone(&self) -> Self {
        Self { authenticator: Arc::clone(&self.authenticator) }
    }
}

impl<F, T> fmt::Debug for AuthLayer<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthLayer")
    }
}

impl<F, T, S> Layer<S> for AuthLayer<F, T> {
    type Service = Auth<F, T, S>;

    fn layer(&self, inner: S) -> Auth<F, T, S> {
        Auth { authenticator: Arc::clone(&self.authenticator), inner }
    }
}

/// A service that knows who calls.
pub struct Auth<F, T, S> {
    authenticator: Arc<Authenticator<F, T>>,
    inner: S,
}

impl<F, T, S: Clone> Clone for Auth<F, T, S> {
    fn clone(&self) -> Self {
        Self { authenticator: Arc::clone(&self.authenticator), inner: self.inner.clone() }
    }
}

impl<F, T, S: fmt::Debug> fmt::Debug for Auth<F, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F, Fut, T, S> Service<Request> for Auth<F, T, S>
where
    F: Fn(Credentials) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Status>> + Send + 'static,
    T: Any + Send + Sync,
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = AuthFuture<F, Fut, T, S>;

    /// Always ready: the inner service is waited for when it is known who calls.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let shown = Credentials::of(request.head());
        let known = self.authenticator.cache.as_ref().and_then(|cache| cache.get(shown.token()?));
        let inner = self.inner.clone();
        let state = match known {
            Some(identity) => {
                request.head_mut().set_identity::<T>(identity);
                State::Passed { call: Oneshot::new(inner, request) }
            }
            None => {
                let asking = (self.authenticator.function)(shown.clone());
                let waiting =
                    Waiting { authenticator: Arc::clone(&self.authenticator), shown, inner, request };
                State::Asking { asking, waiting: Some(waiting) }
            }
        };
        AuthFuture { state }
    }
}

/// What goes on when it is known who calls.
struct Waiting<F, T, S> {
    authenticator: Arc<Authenticator<F, T>>,
    shown: Credentials,
    inner: S,
    request: Request,
}

pin_project! {
    /// The future of [`Auth`].
    pub struct AuthFuture<F, Fut, T, S: Service<Request>> {
        #[pin]
        state: State<F, Fut, T, S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, Fut, T, S: Service<Request>> {
        Asking { #[pin] asking: Fut, waiting: Option<Waiting<F, T, S>> },
        Passed { #[pin] call: Oneshot<S, Request> },
    }
}

impl<F, Fut, T, S> Future for AuthFuture<F, Fut, T, S>
where
    Fut: Future<Output = Result<T, Status>>,
    T: Any + Send + Sync,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let call = match state.as_mut().project() {
                StateProjection::Passed { call } => {
                    return call.poll(cx).map_err(|error| Status::from_error(error.into()));
                }
                StateProjection::Asking { asking, waiting } => {
                    let identity = Arc::new(ready!(asking.poll(cx))?);
                    let Some(Waiting { authenticator, shown, inner, mut request }) = waiting.take() else {
                        return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
                    };
                    if let (Some(cache), Some(token)) = (&authenticator.cache, shown.token()) {
                        cache.put(token, Arc::clone(&identity));
                    }
                    request.head_mut().set_identity::<T>(identity);
                    Oneshot::new(inner, request)
                }
            };
            state.set(State::Passed { call });
        }
    }
}

/// Lets those pass of whom a rule says so, by who they are and what they call; others end
/// with `PermissionDenied`, and those of whom nobody has said who they are with
/// `Unauthenticated`. It stands within an [`AuthLayer`] of the same identity, around the
/// server, one service, or some methods.
///
/// A batch that is one request passes if all its calls do.
///
/// ```
/// use dora::auth::AuthorizeLayer;
/// use dora::{Server, WhenLayer};
///
/// struct User {
///     admin: bool,
/// }
///
/// let admins = AuthorizeLayer::new(|user: &User, _| user.admin);
/// let server = Server::builder().layer(WhenLayer::any(|method| method.name() == "DeleteUser", admins));
/// # drop(server);
/// ```
pub struct AuthorizeLayer<T, F> {
    rule: Arc<F>,
    identity: PhantomData<fn(&T)>,
}

impl<T, F: Fn(&T, &RequestHead) -> bool> AuthorizeLayer<T, F> {
    /// Lets pass of whom `rule` says so.
    pub fn new(rule: F) -> Self {
        Self { rule: Arc::new(rule), identity: PhantomData }
    }
}

impl<T, F> Clone for AuthorizeLayer<T, F> {
    fn clone(&self) -> Self {
        Self { rule: Arc::clone(&self.rule), identity: PhantomData }
    }
}

impl<T, F> fmt::Debug for AuthorizeLayer<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizeLayer")
    }
}

impl<T, F, S> Layer<S> for AuthorizeLayer<T, F> {
    type Service = Authorize<T, F, S>;

    fn layer(&self, inner: S) -> Authorize<T, F, S> {
        Authorize { rule: self.clone(), inner }
    }
}

/// A service for those who may call it.
pub struct Authorize<T, F, S> {
    rule: AuthorizeLayer<T, F>,
    inner: S,
}

impl<T, F, S: Clone> Clone for Authorize<T, F, S> {
    fn clone(&self) -> Self {
        Self { rule: self.rule.clone(), inner: self.inner.clone() }
    }
}

impl<T, F, S: fmt::Debug> fmt::Debug for Authorize<T, F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorize").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T, F, S> Service<Request> for Authorize<T, F, S>
where
    T: Any + Send + Sync,
    F: Fn(&T, &RequestHead) -> bool,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = CheckedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.rule.check(&request) {
            Ok(()) => CheckedFuture::passed(self.inner.call(request)),
            Err(status) => CheckedFuture::refused(status),
        }
    }
}

impl<T: Any + Send + Sync, F: Fn(&T, &RequestHead) -> bool> AuthorizeLayer<T, F> {
    fn check(&self, request: &Request) -> Result<(), Status> {
        for call in request.calls() {
            // A batch that is one request has one identity.
            let Some(identity) = call.identity::<T>().or_else(|| request.identity::<T>()) else {
                return Err(Status::unauthenticated("nobody has said who calls"));
            };
            if !(self.rule)(identity, call) {
                return Err(Status::permission_denied(format!("the caller may not call {}", call.method())));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
