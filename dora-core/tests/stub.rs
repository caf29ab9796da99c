//! The typed calls over a service that only notes what it is asked. No sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora_core::call::batch::{BatchRequest, BatchResponse};
use dora_core::call::body::{Body, Deferred};
use dora_core::call::code::Code;
use dora_core::call::deadline::Deadline;
use dora_core::call::method::Method;
use dora_core::call::mode::Mode;
use dora_core::call::request::{Request, RequestHead};
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::pack::message::open;
use dora_core::pack::value::Value;
use dora_core::stub::batch::Batch;
use dora_core::stub::call::Call;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::value;
use futures_util::FutureExt;
use tokio::time::Instant;
use tower::{Service, service_fn};

static GET: Method = Method {
    service: "t.Users",
    name: "Get",
    path: "/t.Users/Get",
    aliases: &["/user/get", "user.get"],
    idempotent: true,
    timeout: Some(Duration::from_millis(500)),
    mode: Mode::Wait,
};

static PUT: Method = Method {
    service: "t.Users",
    name: "Put",
    path: "/t.Users/Put",
    aliases: &[],
    idempotent: false,
    timeout: None,
    mode: Mode::Wait,
};

/// What a service was asked last.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Option<RequestHead>>>);

impl Notes {
    /// A service that notes the request and answers with its parameter.
    fn echo(
        &self,
    ) -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + use<> {
        let Self(notes) = self.clone();
        service_fn(move |request: Request| {
            let (head, body) = request.into_parts();
            *notes.lock().expect("no panic") = Some(*head);
            async { Ok(Response::new(body)) }
        })
    }

    fn take(&self) -> RequestHead {
        self.0.lock().expect("no panic").take().expect("the service was called")
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_carries_what_its_method_says() {
    let notes = Notes::default();
    let answer = Call::<_, Value, Value>::new(notes.echo(), &GET, value!(7)).await.expect("an echo");
    assert_eq!(answer, value!(7));
    let head = notes.take();
    assert_eq!(head.method.as_str(), "/t.Users/Get");
    assert_eq!(head.legacy_name, Some("/user/get"));
    assert_eq!(head.mode, Mode::Wait);
    assert!(head.idempotent);
    assert_eq!(head.deadline.expect("the method's").remaining(Instant::now()), Duration::from_millis(500));
    assert!(head.origin.is_none(), "it came over no wire");

    Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(7)).await.expect("an echo");
    let head = notes.take();
    assert_eq!((head.legacy_name, head.idempotent, head.deadline), (None, false, None));
}

#[tokio::test(start_paused = true)]
async fn a_call_says_more_than_its_method() {
    let notes = Notes::default();
    let call = Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(1));
    call.timeout(Duration::from_secs(9)).metadata("k", "v").idempotent(true).await.expect("an echo");
    let head = notes.take();
    assert_eq!(head.deadline.expect("its own").remaining(Instant::now()), Duration::from_secs(9));
    assert_eq!(head.metadata.get("k"), Some("v"));
    assert!(head.idempotent);
}

#[tokio::test(start_paused = true)]
async fn the_nearest_deadline_counts_and_begins_when_awaited() {
    let notes = Notes::default();
    let call = |timeout: Option<u64>, deadline: Option<u64>| {
        let mut call = Call::<_, Value, Value>::new(notes.echo(), &GET, value!(1));
        if let Some(timeout) = timeout {
            call = call.timeout(Duration::from_secs(timeout));
        }
        if let Some(deadline) = deadline {
            call = call.deadline(Deadline::after(Duration::from_secs(deadline)));
        }
        call
    };
    for (timeout, deadline, seconds) in
        [(Some(9), Some(20), 9.), (Some(9), Some(4), 4.), (None, Some(4), 0.5), (None, None, 0.5)]
    {
        call(timeout, deadline).await.expect("an echo");
        let left = notes.take().deadline.expect("it has one").remaining(Instant::now());
        assert_eq!(left, Duration::from_secs_f64(seconds), "{timeout:?} {deadline:?}");
    }
    let prepared = call(Some(9), None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    prepared.await.expect("an echo");
    let left = notes.take().deadline.expect("its own").remaining(Instant::now());
    assert_eq!(left, Duration::from_secs(9));
}

#[tokio::test]
async fn a_request_brings_its_own_metadata() {
    let notes = Notes::default();
    let mut request = Request::new(value!(1));
    request.metadata_mut().append("a", "1");
    let call = Call::<_, Value, Value>::new(notes.echo(), &GET, request).metadata("b", "2");
    assert_eq!(format!("{call:?}"), "Call(/t.Users/Get)");
    call.await.expect("an echo");
    assert_eq!(notes.take().metadata.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
}

#[tokio::test]
async fn each_way_to_await_is_its_mode() {
    let notes = Notes::default();
    let call = || Call::<_, Value, Value>::new(notes.echo(), &GET, value!(7));
    call().no_result().await.expect("accepted");
    assert_eq!(notes.take().mode, Mode::NoResult);
    let pending = call().deferred().await.expect("accepted");
    assert_eq!(notes.take().mode, Mode::Deferred);
    assert_eq!(pending.await.expect("a service in this process answers at once"), value!(7));
    assert_eq!(call().no_result().wait().await.expect("an echo"), value!(7));
    assert_eq!(notes.take().mode, Mode::Wait);
}

#[tokio::test]
async fn a_pending_result_comes_when_it_is_there() {
    let (send, receive) = tokio::sync::oneshot::channel::<Result<Response, Status>>();
    let receive = Arc::new(Mutex::new(Some(receive)));
    let service = service_fn(move |_: Request| {
        let receive = receive.lock().expect("no panic").take().expect("one call");
        let later = Box::pin(async { receive.await.expect("it is sent") });
        async { Ok::<_, Status>(Response::new(Body::Deferred(Deferred::new(later)))) }
    });
    let pending = Call::<_, Value, Value>::new(service, &GET, value!(7)).deferred().await.expect("accepted");
    let mut pending = Box::pin(pending);
    assert!((&mut pending).now_or_never().is_none());
    drop(send.send(Ok(Response::new(Body::message(value!("late"))))));
    assert_eq!(pending.await.expect("it came"), value!("late"));
}

#[tokio::test]
async fn errors_and_metadata_come_through() {
    let fails = service_fn(|_: Request| async { Err::<Response, _>(Status::raw(1231, "out of stock")) });
    let status = Call::<_, Value, Value>::new(fails, &GET, value!(1)).await.expect_err("it failed");
    assert_eq!((status.raw_code(), status.message()), (1231, "out of stock"));
    let boxed = service_fn(|_: Request| async {
        Err::<Response, dora_core::call::status::BoxError>(Status::not_found("none").into())
    });
    let status =
        Call::<_, Value, Value>::new(boxed, &GET, value!(1)).no_result().await.expect_err("it failed");
    assert_eq!(status.code(), Code::NotFound);
    let tells = service_fn(|request: Request| async {
        let mut response = Response::new(request.into_body());
        response.metadata_mut().append("served-by", "b");
        Ok::<_, Status>(response)
    });
    let response = Call::<_, Value, Value>::new(tells, &GET, value!(1)).response().await.expect("an echo");
    assert_eq!((response.metadata().get("served-by"), response.body()), (Some("b"), &value!(1)));
}

#[tokio::test]
async fn a_dynamic_client_calls_by_name() {
    let notes = Notes::default();
    let answer = DynamicClient::new(notes.echo()).call("/user/get", value!({ "id" => 7 })).await;
    assert_eq!(answer.expect("an echo"), value!({ "id" => 7 }));
    let head = notes.take();
    assert_eq!((head.method.as_str(), head.legacy_name, head.deadline), ("/user/get", None, None));
}

/// The methods, the deadline and the metadata pairs of each batch.
type Batches = Arc<Mutex<Vec<(Vec<String>, Option<Deadline>, usize)>>>;

/// Answers a batch in its mode, each call with its parameter; a null fails.
fn echo_all(
    seen: &Batches,
) -> impl Service<BatchRequest, Response = BatchResponse, Error = Status> + Clone + use<> {
    let seen = Arc::clone(seen);
    service_fn(move |batch: BatchRequest| {
        let names = batch.calls.iter().map(|call| call.method().as_str().to_owned()).collect();
        seen.lock().expect("no panic").push((names, batch.deadline, batch.metadata.len()));
        let results = batch.calls.into_iter().map(|call| match open::<Value>(call.into_body())? {
            Value::Null => Err(Status::not_found("null")),
            value => Ok(Response::new(Body::message(value))),
        });
        let results = results.collect();
        let response = match batch.mode {
            Mode::Wait => BatchResponse::Results(results),
            Mode::NoResult => BatchResponse::Accepted,
            Mode::Deferred => BatchResponse::Deferred(Box::pin(async { Ok(results) })),
        };
        async { Ok::<_, Status>(response) }
    })
}

#[tokio::test(start_paused = true)]
async fn a_batch_gives_a_result_for_each_call() {
    let (notes, seen) = (Notes::default(), Batches::default());
    let call = |value| Call::<_, Value, Value>::new(notes.echo(), &GET, value);
    let batch =
        || Batch::new(echo_all(&seen)).call(call(value!(1))).call(call(value!(null))).call(call(value!("x")));
    let batch = batch().timeout(Duration::from_secs(2)).metadata("k", "v");
    assert_eq!(format!("{batch:?}"), "Batch(3 calls)");
    let (first, second, third) = batch.send().await.expect("answered");
    assert_eq!((first.expect("1"), third.expect("x")), (value!(1), value!("x")));
    assert_eq!(second.expect_err("null").code(), Code::NotFound);
    let (names, deadline, pairs) = seen.lock().expect("no panic").remove(0);
    assert_eq!((names, pairs), (vec!["/t.Users/Get".to_owned(); 3], 1));
    assert_eq!(deadline.expect("the batch's").remaining(Instant::now()), Duration::from_secs(2));
}

#[tokio::test]
async fn a_batch_is_accepted_or_deferred_as_well() {
    let (notes, seen) = (Notes::default(), Batches::default());
    let call = || Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(1));
    Batch::new(echo_all(&seen)).call(call()).no_result().await.expect("accepted");
    let pending = Batch::new(echo_all(&seen)).call(call()).deferred().await.expect("accepted");
    let (result,) = pending.await.expect("it came");
    assert_eq!(result.expect("an echo"), value!(1));
}

#[tokio::test]
async fn results_that_are_missing_or_in_another_mode_are_errors() {
    let notes = Notes::default();
    let call = || Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(1));
    let none = service_fn(|_: BatchRequest| async { Ok::<_, Status>(BatchResponse::Results(Vec::new())) });
    assert_eq!(Batch::new(none).call(call()).send().await.expect_err("fewer").code(), Code::DataLoss);
    let accepts = service_fn(|_: BatchRequest| async { Ok::<_, Status>(BatchResponse::Accepted) });
    assert_eq!(Batch::new(accepts).call(call()).send().await.expect_err("no result").code(), Code::Internal);
    assert_eq!(
        Batch::new(accepts).call(call()).deferred().await.expect_err("no result").code(),
        Code::Internal
    );
}
