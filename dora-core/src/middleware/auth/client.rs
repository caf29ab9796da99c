//! Saying who calls.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::code::Code;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

use super::token::{KEY, Token};

/// Puts a token into the metadata of each call of a client: `authorization: Bearer ..`.
///
/// Where it comes from is a [`Token`], or an async function that is asked for a new one when
/// there is none, when the last one is about to expire, and when the server has answered
/// `Unauthenticated`. It is asked once for all calls that wait for it; while the last one
/// is still good, calls do not wait. If it fails, calls that have no good token end with
/// its status, unsent.
///
/// The layer is the token: all services that it, or a clone of it, is put around share it.
/// It stands further out than retries, which then make a call again with the same one. A
/// call that says for itself who makes it is left as it is.
///
/// Over a connection that is not encrypted everybody on the way can read a token: see
/// `dora::tls`.
///
/// ```
/// use std::time::Duration;
///
/// use dora::auth::{Token, TokenLayer};
/// use dora::{Channel, Endpoint, Status};
/// use tower::ServiceBuilder;
///
/// async fn fetch() -> Result<Token, Status> {
///     // .. asks whoever gives tokens ..
///     Ok(Token::new("a secret").expires_after(Duration::from_secs(300)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel: Channel = Endpoint::new("127.0.0.1:9567")?.connect_lazy()?;
/// let service = ServiceBuilder::new().layer(TokenLayer::refreshing(fetch)).service(channel);
/// # drop(service); // Or `UsersClient::new(service)`.
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenLayer {
    shared: Arc<Shared>,
}

struct Shared {
    current: Mutex<Option<Token>>,
    source: Option<Source>,
    /// Held by whoever asks for a new token.
    asking: Arc<tokio::sync::Mutex<()>>,
}

type Source = Box<dyn Fn() -> BoxFuture<Token> + Send + Sync>;

impl TokenLayer {
    /// The same token for all calls.
    #[must_use]
    pub fn new(token: impl Into<Token>) -> Self {
        Self::of(Some(token.into()), None)
    }

    /// What `source` gives, as long as it is good.
    pub fn refreshing<F, Fut>(source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Token, Status>> + Send + 'static,
    {
        Self::of(None, Some(Box::new(move || Box::pin(source()))))
    }

    fn of(token: Option<Token>, source: Option<Source>) -> Self {
        Self { shared: Arc::new(Shared { current: Mutex::new(token), source, asking: Arc::default() }) }
    }
}

impl fmt::Debug for TokenLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenLayer")
    }
}

/// What a call does for its token.
enum Next {
    /// It has one.
    Goes(Token),
    /// It has one, and is the first to see that it should be replaced.
    GoesAndAsks(Token, tokio::sync::OwnedMutexGuard<()>),
    /// It waits for one.
    Waits,
}

impl Shared {
    fn next(&self) -> Next {
        let now = Instant::now();
        let current = self.current.lock().clone().filter(|token| token.is_good(now));
        match current {
            None => Next::Waits,
            Some(token) if token.is_fresh(now) || self.source.is_none() => Next::Goes(token),
            Some(token) => match Arc::clone(&self.asking).try_lock_owned() {
                Ok(asking) => Next::GoesAndAsks(token, asking),
                Err(_) => Next::Goes(token),
            },
        }
    }

    /// A token for calls that have none.
    async fn wait(&self) -> Result<Token, Status> {
        let asking = Arc::clone(&self.asking).lock_owned().await;
        let current = self.current.lock().clone();
        match current.filter(|token| token.is_good(Instant::now())) {
            // Somebody else has asked meanwhile.
            Some(token) => Ok(token),
            None => self.ask(asking).await,
        }
    }

    async fn ask(&self, _asking: tokio::sync::OwnedMutexGuard<()>) -> Result<Token, Status> {
        let Some(source) = &self.source else {
            return Err(Status::unauthenticated("the token has expired"));
        };
        let token = source().await?;
        *self.current.lock() = Some(token.clone());
        Ok(token)
    }

    /// The server does not believe this token.
    fn refused(&self, token: &Token) {
        let mut current = self.current.lock();
        if self.source.is_some() && current.as_ref().is_some_and(|current| current.is(token)) {
            *current = None;
        }
    }
}

fn with(mut request: Request, token: &Token) -> Request {
    request.metadata_mut().insert(KEY, token.header());
    request
}

/// Whether the request, or any of a batch, says for itself who makes it.
fn says_who(request: &Request) -> bool {
    request.metadata().get(KEY).is_some() || request.calls().any(|call| call.metadata().get(KEY).is_some())
}

impl<S> Layer<S> for TokenLayer {
    type Service = WithToken<S>;

    fn layer(&self, inner: S) -> WithToken<S> {
        WithToken { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service whose calls say who makes them.
#[derive(Clone)]
pub struct WithToken<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: fmt::Debug> fmt::Debug for WithToken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithToken").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S> Service<Request> for WithToken<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = WithTokenFuture<S>;

    /// Always ready: the inner service is waited for when there is a token.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        let (state, token) = match says_who(&request) {
            true => (State::Calling { call: Oneshot::new(inner, request) }, None),
            false => match self.shared.next() {
                Next::Goes(token) => (calling(inner, request, &token), Some(token)),
                Next::GoesAndAsks(token, asking) => {
                    let shared = Arc::clone(&self.shared);
                    // If it fails, whoever has no good token any more hears of it.
                    drop(tokio::spawn(async move { shared.ask(asking).await }));
                    (calling(inner, request, &token), Some(token))
                }
                Next::Waits => {
                    let shared = Arc::clone(&self.shared);
                    let waiting: BoxFuture<Token> = Box::pin(async move { shared.wait().await });
                    (State::Waiting { waiting, next: Some((inner, request)) }, None)
                }
            },
        };
        WithTokenFuture { state, token, shared: Arc::clone(&self.shared) }
    }
}

fn calling<S>(inner: S, request: Request, token: &Token) -> State<S>
where
    S: Service<Request>,
{
    State::Calling { call: Oneshot::new(inner, with(request, token)) }
}

pin_project! {
    /// The future of [`WithToken`].
    pub struct WithTokenFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
        token: Option<Token>,
        shared: Arc<Shared>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        Waiting { waiting: BoxFuture<Token>, next: Option<(S, Request)> },
        Calling { #[pin] call: Oneshot<S, Request> },
    }
}

impl<S> Future for WithTokenFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let call = match this.state.as_mut().project() {
                StateProjection::Calling { call } => {
                    let result = ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                    if let (Err(status), Some(token)) = (&result, this.token.take())
                        && status.code() == Code::Unauthenticated
                    {
                        this.shared.refused(&token);
                    }
                    return Poll::Ready(result);
                }
                StateProjection::Waiting { waiting, next } => {
                    let token = ready!(waiting.as_mut().poll(cx)).map_err(Status::unsent)?;
                    let Some((inner, request)) = next.take() else {
                        return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
                    };
                    let request = with(request, &token);
                    *this.token = Some(token);
                    Oneshot::new(inner, request)
                }
            };
            this.state.set(State::Calling { call });
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
