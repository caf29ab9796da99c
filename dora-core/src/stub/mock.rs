//! Services that are told what they will be asked, for tests.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::call::BoxFuture;
use crate::call::method::Method;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;

/// What a generated mock consists of: it answers each call as the next
/// expectation of its method says, and fails those that nobody expects.
#[derive(Clone)]
pub struct Mock(Arc<Mutex<Script>>);

/// Where a mock is told what to expect. When it is dropped, or verified, it
/// panics if a call that was expected did not come or panicked, or another one came.
pub struct Expectations(Arc<Mutex<Script>>);

/// What an expectation answers with: `Ok(message)`, `Err(status)`, or
/// `Box::pin(async { .. })`, whose output is as a handler's: a response or a
/// status. Nobody implements it but this crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer",
    note = "answer with `Ok(message)`, `Err(status)`, or `Box::pin(async move {{ Ok(message.into()) }})`"
)]
pub trait IntoAnswer<T>: sealed::Sealed<T> {
    /// The answer, when it comes.
    fn into_answer(self) -> BoxFuture<Response<T>>;
}

mod sealed {
    pub trait Sealed<T> {}
}

impl<T: Send + 'static> sealed::Sealed<T> for Result<T, Status> {}

impl<T, F> sealed::Sealed<T> for Pin<Box<F>> where
    F: Future<Output = Result<Response<T>, Status>> + Send + 'static
{
}

impl<T: Send + 'static> IntoAnswer<T> for Result<T, Status> {
    fn into_answer(self) -> BoxFuture<Response<T>> {
        Box::pin(ready(self.map(Response::from)))
    }
}

impl<T, F> IntoAnswer<T> for Pin<Box<F>>
where
    F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
{
    fn into_answer(self) -> BoxFuture<Response<T>> {
        self
    }
}

/// How one call is answered.
type Answer<Req, Resp> = Box<dyn FnOnce(Request<Req>) -> BoxFuture<Response<Resp>> + Send>;

/// What is expected, and what came that was not, or was not as it should be.
#[derive(Default)]
struct Script {
    expected: Vec<Expected>,
    unexpected: Vec<String>,
}

/// Writes down that an expectation panicked, at an assertion of its own say: the
/// caller gets a status, as of any handler that panics, and may expect an error.
struct NotePanic {
    script: Arc<Mutex<Script>>,
    method: &'static Method,
}

impl Drop for NotePanic {
    fn drop(&mut self) {
        if thread::panicking() {
            let message = format!("an expected call of {} panicked", self.method.path());
            self.script.lock().unexpected.push(message);
        }
    }
}

/// The calls of a method that are still to come, in their order.
struct Expected {
    method: &'static Method,
    /// Of the [`Answer`] type of the method.
    answers: VecDeque<Box<dyn Any + Send>>,
}

impl Mock {
    /// A mock that expects nothing yet.
    pub fn new() -> (Self, Expectations) {
        let script = Arc::new(Mutex::new(Script::default()));
        (Self(Arc::clone(&script)), Expectations(script))
    }

    /// Answers a call of `method` as its next expectation says.
    pub fn call<Req: Send + 'static, Resp: Send + 'static>(
        &self,
        method: &'static Method,
        request: Request<Req>,
    ) -> BoxFuture<Response<Resp>> {
        // Not called under the lock: it may expect more, or panic.
        let next = self.0.lock().next(method);
        match next.and_then(|answer| answer.downcast::<Answer<Req, Resp>>().ok()) {
            Some(answer) => {
                let script = Arc::clone(&self.0);
                Box::pin(async move {
                    let _noted = NotePanic { script, method };
                    answer(request).await
                })
            }
            None => {
                let message = format!("the mock expects no call of {}, and one came", method.path());
                self.0.lock().unexpected.push(message.clone());
                Box::pin(ready(Err(Status::failed_precondition(message))))
            }
        }
    }
}

impl Expectations {
    /// Expects a call of `method`, after those that are expected already.
    pub fn expect<Req, Resp, A>(
        &mut self,
        method: &'static Method,
        answer: impl FnOnce(Request<Req>) -> A + Send + 'static,
    ) where
        Req: 'static,
        Resp: 'static,
        A: IntoAnswer<Resp>,
    {
        let answer: Answer<Req, Resp> = Box::new(move |request| answer(request).into_answer());
        let answer: Box<dyn Any + Send> = Box::new(answer);
        let mut script = self.0.lock();
        match script.expected.iter_mut().find(|expected| expected.method == method) {
            Some(expected) => expected.answers.push_back(answer),
            None => script.expected.push(Expected { method, answers: [answer].into() }),
        }
    }

    /// Ends the test of what was expected, as dropping this does.
    ///
    /// # Panics
    /// If a call that was expected did not come or panicked, or another one came.
    pub fn verify(self) {}
}

impl Drop for Expectations {
    fn drop(&mut self) {
        // A test that fails says why already.
        if thread::panicking() {
            return;
        }
        let report = self.0.lock().report();
        assert!(report.is_empty(), "{report}");
    }
}

impl Script {
    fn next(&mut self, method: &'static Method) -> Option<Box<dyn Any + Send>> {
        let expected = self.expected.iter_mut().find(|expected| expected.method == method)?;
        expected.answers.pop_front()
    }

    /// What did not go as expected; empty if all did.
    fn report(&self) -> String {
        let mut report = self.unexpected.join("\n");
        for Expected { method, answers } in &self.expected {
            let (path, calls) = (method.path(), answers.len());
            let start = if report.is_empty() { "" } else { "\n" };
            let _ = match calls {
                0 => Ok(()),
                1 => write!(report, "{start}the mock expected a call of {path}, and none came"),
                _ => write!(report, "{start}the mock expected {calls} more calls of {path}"),
            };
        }
        report
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").finish_non_exhaustive()
    }
}

impl fmt::Debug for Expectations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectations").field("open", &self.0.lock().report()).finish()
    }
}
