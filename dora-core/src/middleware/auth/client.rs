//! Saying who calls.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::head::RequestHead;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

use super::token::{KEY, Token};

/// How long a source that has failed once is left alone, at most, and one that goes on failing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// After so long a source that does not answer is asked again.
const LONGEST_FETCH: Duration = Duration::from_secs(30);

/// Puts a token into the metadata of each call of a client: `authorization: Bearer ..`.
///
/// Where it comes from is a [`Token`], or an async function that is asked for a new one when
/// there is none, when the last one is about to expire, and when the server has answered
/// `Unauthenticated`. It is asked once for all calls that wait for it; while the last one
/// is still good, calls do not wait. It runs in a task of its own, for at most 30 s, whatever
/// becomes of the calls. If it fails, all calls that wait for it end with its status, unsent,
/// and so do those of a pause after that: a random time from half of 100 ms to all of it, twice as
/// long after each further failure, up to 5 s. The first call after the pause asks again. So a
/// source that is down is not asked as often as calls are made.
///
/// The layer is the token: all services that it, or a clone of it, is put around share it.
/// It stands further out than retries, which then make a call again with the same one. A
/// call that says for itself who makes it is left as it is, in a batch too.
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
    tokens: Mutex<Tokens>,
    source: Option<Source>,
}

struct Tokens {
    current: Option<Token>,
    /// What became of the last question to the source. Its sender lives while that is asked.
    asked: Option<Asked>,
    /// Since the source has given a token.
    failures: u32,
    /// Until when the source is not asked, as it has failed.
    pause: Option<Instant>,
}

impl Tokens {
    /// The source has answered so.
    fn answered(&mut self, answer: &Result<Token, Status>) {
        match answer {
            Ok(token) => {
                self.current = Some(token.clone());
                (self.failures, self.pause) = (0, None);
            }
            Err(_) => {
                let longest = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
                self.failures = self.failures.saturating_add(1);
                // So that not all clients of a source ask it in step.
                self.pause = Some(Instant::now() + longest.mul_f64(0.5 + 0.5 * fastrand::f64()));
            }
        }
    }
}

type Asked = watch::Receiver<Option<Result<Token, Status>>>;

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
        let tokens = Mutex::new(Tokens { current: token, asked: None, failures: 0, pause: None });
        Self { shared: Arc::new(Shared { tokens, source }) }
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
    /// It waits for one.
    Waits(BoxFuture<Token>),
}

impl Shared {
    fn next(self: &Arc<Self>) -> Next {
        let now = Instant::now();
        let mut tokens = self.tokens.lock();
        match tokens.current.clone().filter(|token| token.is_good(now)) {
            Some(token) => {
                if !token.is_fresh(now) {
                    // If it fails, whoever has no good token any more hears of it.
                    drop(self.ask(&mut tokens));
                }
                Next::Goes(token)
            }
            None => Next::Waits(match self.ask(&mut tokens) {
                Some(asked) => Box::pin(answer(asked)),
                None => Box::pin(ready(Err(Status::unauthenticated("the token has expired")))),
            }),
        }
    }

    /// The answer of the source, if there is one, which is asked now unless it is already.
    fn ask(self: &Arc<Self>, tokens: &mut Tokens) -> Option<Asked> {
        self.source.as_ref()?;
        let paused = tokens.pause.is_some_and(|until| Instant::now() < until);
        // While it is asked, and while it is left alone, its last answer is for all.
        if let Some(asked) = tokens.asked.as_ref().filter(|asked| paused || asked.has_changed().is_ok()) {
            return Some(asked.clone());
        }
        let (sender, asked) = watch::channel(None);
        let shared = Arc::clone(self);
        // In a task of its own: the call that waits for it first may be given up sooner, and
        // others wait for the same answer.
        drop(tokio::spawn(async move {
            let answering = Answering { shared, sender };
            let answer = answering.shared.fetch().await;
            answering.end(answer);
        }));
        tokens.asked = Some(asked.clone());
        Some(asked)
    }

    async fn fetch(&self) -> Result<Token, Status> {
        let Some(source) = &self.source else {
            return Err(Status::internal("a token without a source is not replaced"));
        };
        let late =
            |_| Status::deadline_exceeded(format!("the source of tokens gave none in {LONGEST_FETCH:?}"));
        timeout(LONGEST_FETCH, source()).await.map_err(late)?
    }

    /// The server does not believe this token.
    fn refused(&self, token: &Token) {
        let current = &mut self.tokens.lock().current;
        if self.source.is_some() && current.as_ref().is_some_and(|current| current.is(token)) {
            *current = None;
        }
    }
}

/// A source that is asked. If it ends without an answer it has panicked.
struct Answering {
    shared: Arc<Shared>,
    sender: watch::Sender<Option<Result<Token, Status>>>,
}

impl Answering {
    fn end(&self, answer: Result<Token, Status>) {
        self.shared.tokens.lock().answered(&answer);
        self.sender.send_replace(Some(answer));
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            let text = "the source of tokens ended without an answer: did it panic?";
            self.end(Err(Status::internal(text)));
        }
    }
}

/// What the source answers to all who wait.
async fn answer(mut asked: Asked) -> Result<Token, Status> {
    let answer = asked.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.unwrap_or_else(|| Err(Status::internal("the runtime of the source of tokens has ended")))
}

/// Says the token once, or, where a call of a batch says for itself who makes it, in each of
/// the others: whoever reads the first that a call has would find the batch's.
fn with(mut request: Request, token: &Token) -> Request {
    match request.body_mut() {
        Body::Batch(calls) if calls.iter().any(|call| says_who(&call.head)) => {
            for call in calls.iter_mut().filter(|call| !says_who(&call.head)) {
                call.head.metadata_mut().insert(KEY, token.header());
            }
        }
        _ => request.metadata_mut().insert(KEY, token.header()),
    }
    request
}

/// Whether a call says for itself who makes it.
fn says_who(call: &RequestHead) -> bool {
    call.metadata().get(KEY).is_some()
}

/// Whether nobody is left of whom the token would have to be said.
fn all_say_who(request: &Request) -> bool {
    says_who(request.head()) || request.calls().all(says_who)
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
        let (state, token) = match all_say_who(&request) {
            true => (State::Calling { call: Oneshot::new(inner, request) }, None),
            false => match self.shared.next() {
                Next::Goes(token) => (calling(inner, request, &token), Some(token)),
                Next::Waits(waiting) => (State::Waiting { waiting, next: Some((inner, request)) }, None),
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
                    let result =
                        task::ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                    if let (Err(status), Some(token)) = (&result, this.token.take())
                        && status.code() == Code::Unauthenticated
                    {
                        this.shared.refused(&token);
                    }
                    return Poll::Ready(result);
                }
                StateProjection::Waiting { waiting, next } => {
                    let token = task::ready!(waiting.as_mut().poll(cx)).map_err(Status::unsent)?;
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
