//! The typed calls over a service that only notes what it is asked. No sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::deadline::Deadline;
use dora_core::call::head::RequestHead;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mode::Mode;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::{Reply, Response};
use dora_core::call::status::{Origin, Status};
use dora_core::pack::message::open;
use dora_core::pack::value::Value;
use dora_core::stub::batch::Batch;
use dora_core::stub::call::Call;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::value;
use futures_util::FutureExt;
use tokio::time::Instant;
use tower::limit::ConcurrencyLimit;
use tower::{Service, ServiceExt, service_fn};

static USERS: ServiceDescriptor = ServiceDescriptor::new("t.Users", &[&GET, &PUT]);
static GET: Method = Method::new(&USERS, "Get", "/t.Users/Get")
    .with_aliases(&["/user/get", "user.get"])
    .with_idempotent()
    .with_timeout(Duration::from_millis(500));
static PUT: Method = Method::new(&USERS, "Put", "/t.Users/Put");

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
            async { Ok(Response::new(body.into())) }
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
    assert_eq!((head.method().as_str(), head.called_as().as_str()), ("/t.Users/Get", "/t.Users/Get"));
    assert_eq!(head.descriptor(), Some(&GET));
    assert_eq!(head.mode(), Mode::Wait);
    assert!(head.is_idempotent());
    assert_eq!(head.deadline().expect("the method's").remaining(Instant::now()), Duration::from_millis(500));
    assert!(head.origin().is_none(), "it came over no wire");

    Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(7)).await.expect("an echo");
    let head = notes.take();
    assert_eq!((head.descriptor(), head.is_idempotent(), head.deadline()), (Some(&PUT), false, None));
}

#[tokio::test(start_paused = true)]
async fn a_call_says_more_than_its_method() {
    let notes = Notes::default();
    let call = Call::<_, Value, Value>::new(notes.echo(), &PUT, value!(1));
    call.timeout(Duration::from_secs(9)).metadata("k", "v").idempotent(true).await.expect("an echo");
    let head = notes.take();
    assert_eq!(head.deadline().expect("its own").remaining(Instant::now()), Duration::from_secs(9));
    assert_eq!(head.metadata().get("k"), Some("v"));
    assert!(head.is_idempotent());
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
        let left = notes.take().deadline().expect("it has one").remaining(Instant::now());
        assert_eq!(left, Duration::from_secs_f64(seconds), "{timeout:?} {deadline:?}");
    }
    let prepared = call(Some(9), None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    prepared.await.expect("an echo");
    let left = notes.take().deadline().expect("its own").remaining(Instant::now());
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
    assert_eq!(notes.take().metadata().iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
}

#[tokio::test]
async fn each_way_to_await_is_its_mode() {
    let notes = Notes::default();
    let call = || Call::<_, Value, Value>::new(notes.echo(), &GET, value!(7));
    call().no_result().await.expect("accepted");
    assert_eq!(notes.take().mode(), Mode::NoResult);
    let pending = call().deferred().await.expect("accepted");
    assert_eq!(notes.take().mode(), Mode::Deferred);
    assert_eq!(pending.await.expect("a service in this process answers at once"), value!(7));
    assert_eq!(call().no_result().wait().await.expect("an echo"), value!(7));
    assert_eq!(notes.take().mode(), Mode::Wait);
}

#[tokio::test]
async fn a_pending_result_comes_when_it_is_there() {
    let (send, receive) = tokio::sync::oneshot::channel::<Result<Response, Status>>();
    let receive = Arc::new(Mutex::new(Some(receive)));
    let service = service_fn(move |_: Request| {
        let receive = receive.lock().expect("no panic").take().expect("one call");
        async { Ok::<_, Status>(Response::deferred(async { receive.await.expect("it is sent") })) }
    });
    let pending = Call::<_, Value, Value>::new(service, &GET, value!(7)).deferred().await.expect("accepted");
    let mut pending = Box::pin(pending);
    assert!((&mut pending).now_or_never().is_none());
    drop(send.send(Ok(Response::message(value!("late")))));
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
        let mut response = Response::new(Reply::from(request.into_body()));
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
    assert_eq!((head.method().as_str(), head.descriptor(), head.deadline()), ("/user/get", None, None));
}

/// Answers a batch in its mode, each call with its parameter; a null fails.
fn echo_all(
    seen: &Arc<Mutex<Vec<Request>>>,
) -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + use<> {
    let seen = Arc::clone(seen);
    service_fn(move |batch: Request| {
        seen.lock().expect("no panic").push(batch.clone());
        let mode = batch.mode();
        let calls = batch.take_apart().expect("a batch").into_iter();
        let results = calls.map(|(key, call)| match open::<Value>(call.into_body()) {
            Ok(Value::Null) => (key, Err(Status::not_found("null"))),
            value => (key, value.map(Response::message)),
        });
        // Not in the order of the calls: keys tell.
        let results = Response::new(Reply::Batch(results.rev().collect()));
        let response = match mode {
            Mode::NoResult => Response::accepted(),
            Mode::Deferred => Response::deferred(async { Ok(results) }),
            _ => results,
        };
        async { Ok::<_, Status>(response) }
    })
}

#[tokio::test(start_paused = true)]
async fn a_batch_gives_a_result_for_each_call() {
    let seen = Arc::default();
    let service = echo_all(&seen);
    let call = |value| Call::<_, Value, Value>::new(service.clone(), &GET, value);
    let batch = Batch::new(service.clone())
        .call(call(value!(1)).metadata("own", "1").timeout(Duration::from_secs(1)))
        .call(call(value!(null)))
        .call(call(value!("x")).timeout(Duration::from_secs(9)));
    let batch = batch.timeout(Duration::from_secs(2)).metadata("k", "v");
    assert_eq!(format!("{batch:?}"), "Batch(3 calls)");
    let (first, second, third) = batch.send().await.expect("answered");
    assert_eq!((first.expect("1"), third.expect("x")), (value!(1), value!("x")));
    assert_eq!(second.expect_err("null").code(), Code::NotFound);

    let batch = seen.lock().expect("no panic").remove(0);
    assert!(batch.is_batch() && batch.is_idempotent() && batch.descriptor().is_none());
    assert!(batch.calls().all(|call| call.descriptor() == Some(&GET)));
    let left = |deadline: Option<Deadline>| deadline.expect("it has one").remaining(Instant::now());
    assert_eq!(left(batch.deadline()), Duration::from_secs(2));
    let calls = batch.take_apart().expect("a batch");
    let said = |place: usize| {
        let call = &calls[place].1;
        let pairs: Vec<_> = call.metadata().iter().collect();
        (left(call.deadline()), format!("{pairs:?}"))
    };
    // The batch's pairs come first, and of two deadlines the earlier one holds.
    assert_eq!(said(0), (Duration::from_secs(1), r#"[("k", "v"), ("own", "1")]"#.to_owned()));
    assert_eq!(said(1), (Duration::from_millis(500), r#"[("k", "v")]"#.to_owned()));
    assert_eq!(said(2).0, Duration::from_secs(2));
    let part = calls[2].1.batch().expect("it came in a batch");
    let siblings: Vec<_> = part.calls().iter().map(|call| call.method.as_str()).collect();
    assert_eq!((part.index(), siblings), (2, vec!["/t.Users/Get"; 3]));
}

#[tokio::test]
async fn a_batch_is_idempotent_if_all_its_calls_are() {
    let seen = Arc::default();
    let service = echo_all(&seen);
    let call = |method| Call::<_, Value, Value>::new(service.clone(), method, value!(1));
    let batch = Batch::new(service.clone()).call(call(&GET)).call(call(&PUT));
    batch.send().await.expect("answered").0.expect("an echo");
    assert!(!seen.lock().expect("no panic")[0].is_idempotent());
}

#[tokio::test]
async fn a_batch_of_any_length_is_built_in_a_loop() {
    let service = echo_all(&Arc::default());
    let call = |value| Call::<_, Value, Value>::new(service.clone(), &GET, value);
    let mut batch = Batch::new(service.clone()).list();
    for number in 0..100 {
        batch.push(call(value!(number)));
    }
    batch.extend([call(Value::Null)]);
    assert_eq!(batch.len(), 101);
    let mut results = batch.send().await.expect("answered");
    assert_eq!(results.pop().expect("the last").expect_err("null").code(), Code::NotFound);
    let numbers: Vec<_> = results.into_iter().map(|result| result.expect("an echo")).collect();
    assert_eq!(numbers, (0..100).map(Value::from).collect::<Vec<_>>());

    // Begun with a call, and so through that call's client.
    let mut begun = call(value!(1)).batch().list();
    begun.push(call(value!(2)));
    let results: Result<Vec<_>, _> = begun.send().await.expect("answered").into_iter().collect();
    assert_eq!(results.expect("echoes"), [1, 2].map(Value::from));

    // Without calls there is nothing to send, and nobody who could fail.
    let never = service_fn(|_: Request| async { Err::<Response, _>(Status::internal("called")) });
    let empty = Batch::new(never).list::<Value>();
    assert!(empty.send().await.expect("nothing was sent").is_empty());
}

#[tokio::test]
async fn a_batch_is_accepted_or_deferred_as_well() {
    let service = echo_all(&Arc::default());
    let call = || Call::<_, Value, Value>::new(service.clone(), &PUT, value!(1));
    Batch::new(service.clone()).call(call()).no_result().await.expect("accepted");
    let pending = Batch::new(service.clone()).call(call()).deferred().await.expect("accepted");
    let (result,) = pending.await.expect("it came");
    assert_eq!(result.expect("an echo"), value!(1));
}

#[tokio::test]
async fn untyped_calls_have_keys_of_their_own() {
    let php = DynamicClient::new(echo_all(&Arc::default()));
    let multi = || php.multi().call("b", "/b", 1).call(7, "/seven", Value::Null).call("a", "/a", "x");
    let results = multi().call("b", "/b", 2).send().await.expect("answered");
    let keys: Vec<_> = results.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["b", "7", "a"], "in the order of the calls");
    assert_eq!(results[0].1.as_ref().ok(), Some(&value!(2)), "of equal keys the last one");
    assert!(results[1].1.is_err());
    multi().no_result().await.expect("accepted");
    let results = multi().deferred().await.expect("accepted").await.expect("they came");
    assert_eq!(results[2].1.as_ref().ok(), Some(&value!("x")));
}

#[tokio::test]
async fn results_that_are_missing_or_in_another_mode_are_errors() {
    let none = service_fn(|_: Request| async { Ok::<_, Status>(Response::new(Reply::Batch(Vec::new()))) });
    let call = Call::<_, Value, Value>::new(none, &PUT, value!(1));
    let (result,) = Batch::new(none).call(call).send().await.expect("answered");
    assert_eq!(result.expect_err("there is none").code(), Code::DataLoss);
    let accepts = service_fn(|_: Request| async { Ok::<_, Status>(Response::accepted()) });
    let call = || Call::<_, Value, Value>::new(accepts, &PUT, value!(1));
    assert_eq!(call().await.expect_err("no result").code(), Code::DataLoss);
    let sent = Batch::new(accepts).call(call()).send().await;
    assert_eq!(sent.expect_err("no result").code(), Code::Internal);
    let pending = Batch::new(accepts).call(call()).deferred().await.expect("accepted");
    assert_eq!(pending.await.expect_err("no result").code(), Code::Internal);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_the_callers_fault() {
    let odd = service_fn(|_: Request| async {
        let body = Body::packed(Packer::Php, bytes::Bytes::from_static(br#"a:1:{s:7:"seconds";a:0:{}}"#));
        Ok::<_, Status>(Response::new(body.into()))
    });
    let call = Call::<_, Value, prost_types::Duration>::new(odd, &GET, value!(1));
    let status = call.await.expect_err("it is no duration");
    assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Server), "{status}");
    assert!(status.message().contains("/t.Users/Get"), "{status}");
    assert!(std::error::Error::source(&status).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_caller_keeps_the_deadline_wherever_the_service_is() {
    let slow = service_fn(|_: Request| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, Status>(Response::message(value!(1)))
    });
    let start = Instant::now();
    let call = || Call::<_, Value, Value>::new(slow, &PUT, value!(1));
    let status = call().timeout(Duration::from_millis(50)).await.expect_err("it is too slow");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(!status.is_unsent());
    assert_eq!(start.elapsed().as_millis(), 50);
    let batch = Batch::new(slow).call(call()).timeout(Duration::from_millis(50));
    assert_eq!(batch.send().await.expect_err("it is too slow").code(), Code::DeadlineExceeded);

    // One that is never ready was never called.
    let busy = ConcurrencyLimit::new(slow, 1);
    let mut holds = busy.clone();
    holds.ready().await.expect("it is free");
    let call = Call::<_, Value, Value>::new(busy, &PUT, value!(1)).timeout(Duration::from_millis(50));
    assert!(call.await.expect_err("it is never ready").is_unsent());
}

#[tokio::test]
async fn a_call_runs_in_a_task_of_its_own() {
    let notes = Notes::default();
    let running = Call::<_, Value, Value>::new(notes.echo(), &GET, value!(7)).spawn();
    assert_eq!(running.await.expect("no panic").expect("an echo"), value!(7));
}

#[tokio::test(start_paused = true)]
async fn in_process_a_call_of_a_batch_has_a_deadline_of_its_own() {
    #[derive(Clone)]
    struct Sleeps;

    impl dora_core::call::mount::Mount for Sleeps {
        fn descriptor(&self) -> &'static ServiceDescriptor {
            &USERS
        }

        fn call(&self, _: usize, request: Request) -> dora_core::call::BoxFuture<Response> {
            Box::pin(async {
                let seconds: Value = open(request.into_body())?;
                let seconds = u64::try_from(seconds.as_int().unwrap_or(0)).unwrap_or(0);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(Response::message(value!("slept")))
            })
        }
    }

    let service = service_fn(|request: Request| dora_core::stub::serve::dispatch(&Sleeps, request));
    let call = |seconds| Call::<_, Value, Value>::new(service, &PUT, value!(seconds));
    let batch = Batch::new(service).call(call(9).timeout(Duration::from_secs(1))).call(call(2));
    let start = Instant::now();
    let (late, slept) = batch.timeout(Duration::from_secs(5)).send().await.expect("answered");
    assert_eq!(late.expect_err("it is late").code(), Code::DeadlineExceeded);
    assert_eq!(slept.expect("in time"), value!("slept"));
    assert_eq!(start.elapsed().as_secs(), 2);

    // How long the caller waits for the acknowledgement binds no call.
    let pending = call(9).timeout(Duration::from_secs(1)).deferred().await.expect("accepted");
    assert_eq!(pending.await.expect("it runs on"), value!("slept"));
}
