use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::pushback::Pushback;
use crate::call::response::Reply;
use crate::call::tried_peers::TriedPeers;
use crate::middleware::retry::budget::RetryBudget;

/// Answers from a script, and notes when it was asked and for which calls.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Scripted>>);

#[derive(Default)]
struct Scripted {
    answers: Vec<Result<Response, Status>>,
    asked: Vec<(Instant, Vec<CallKey>, Option<TriedPeers>)>,
}

impl Script {
    /// The answers, the first one first; `Ok` when they are used up.
    fn new(answers: impl IntoIterator<Item = Result<Response, Status>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self(Arc::new(Mutex::new(Scripted { answers, asked: Vec::new() })))
    }

    fn service(
        &self,
    ) -> impl Service<
        Request,
        Response = Response,
        Error = Status,
        Future = impl Future<Output = Result<Response, Status>> + Send,
    > + Clone
    + Send
    + 'static {
        let script = self.clone();
        service_fn(move |request: Request| {
            let keys = match request.body() {
                Body::Batch(calls) => calls.iter().map(|call| call.key.clone()).collect(),
                _ => Vec::new(),
            };
            let tried = request.extensions().get::<TriedPeers>().cloned();
            let mut script = script.0.lock().expect("no panic");
            script.asked.push((Instant::now(), keys, tried));
            let answer = script.answers.pop().unwrap_or_else(|| Ok(Response::accepted()));
            async move { answer }
        })
    }

    fn asked(&self) -> usize {
        self.0.lock().expect("no panic").asked.len()
    }
}

fn gone() -> Status {
    Status::unavailable("gone")
}

fn request(idempotent: bool) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    request.head_mut().set_idempotent(idempotent);
    request
}

/// A batch of calls under 0, 1 and so on, each idempotent or not.
fn batch(idempotent: &[bool]) -> Request {
    let calls = idempotent.iter().zip(0_i64..).map(|(idempotent, key)| {
        let mut head = Box::<RequestHead>::default();
        head.set_idempotent(*idempotent);
        BatchCall::new(key.into(), head, Body::message(0_i64))
    });
    Request::batch_of(calls.collect())
}

fn answered<const N: usize>(results: [(i64, Result<(), Status>); N]) -> Result<Response, Status> {
    let results = results.map(|(key, result)| (key.into(), result.map(|()| Response::accepted())));
    Ok(Response::new(Reply::Batch(results.into())))
}

fn layer() -> RetryLayer {
    RetryLayer::new(RetryPolicy::new())
}

#[tokio::test(start_paused = true)]
async fn only_what_is_safe_is_tried_again() {
    for (idempotent, status, tries) in [
        (true, gone(), 3),
        (false, gone(), 1),
        (false, gone().unsent(), 3),
        (true, Status::resource_exhausted("shed"), 3),
        (true, Status::not_found("no user 7"), 1),
        (true, Status::internal("a panic"), 1),
        (false, Status::not_found("an alias").unsent(), 1),
        (true, gone().with_pushback(Pushback::Never), 1),
    ] {
        let script = Script::new(vec![Err(status.clone()), Err(status.clone()), Err(status.clone())]);
        let error = layer().layer(script.service()).oneshot(request(idempotent)).await.expect_err("fails");
        assert_eq!(script.asked(), tries, "{status}, idempotent: {idempotent}");
        assert_eq!(error.attempts() as usize, tries);
        assert_eq!(error.is_unsent(), status.is_unsent());
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_may_have_run_is_not_forgotten() {
    let script = Script::new([Err(gone()), Err(gone().unsent()), Err(gone().unsent())]);
    let error = layer().layer(script.service()).oneshot(request(true)).await.expect_err("fails");
    assert!(!error.is_unsent(), "the first one may have run");
    assert_eq!(error.to_string(), "Unavailable (100214): gone after 3 attempts");
}

#[tokio::test(start_paused = true)]
async fn the_next_choice_hears_where_it_failed() {
    let at = |peer: &str| Err(gone().with_peer(peer.into()));
    let script = Script::new([at("a:1"), at("b:1")]);
    assert!(layer().layer(script.service()).oneshot(request(true)).await.is_ok());
    let script = script.0.lock().expect("no panic");
    let told: Vec<_> = script.asked.iter().map(|(_, _, tried)| tried.clone()).collect();
    assert_eq!(told[0], None);
    assert!(told[1].as_ref().is_some_and(|tried| tried.contains("a:1") && !tried.contains("b:1")));
    assert!(told[2].as_ref().is_some_and(|tried| tried.contains("a:1") && tried.contains("b:1")));
}

#[tokio::test(start_paused = true)]
async fn no_try_begins_past_the_deadline_or_before_the_server_wants_it() {
    let pushback = |seconds| gone().with_pushback(Pushback::After(Duration::from_secs(seconds)));
    let script = Script::new([Err(pushback(2)), Err(pushback(2))]);
    let mut call = request(true);
    call.head_mut().set_deadline(Some(Deadline::after(Duration::from_secs(3))));
    let start = Instant::now();
    let error = layer().layer(script.service()).oneshot(call).await.expect_err("it would be late");
    assert_eq!((error.attempts(), start.elapsed()), (2, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_leaves_time_for_the_next() {
    let hangs_first = {
        let tries = Arc::new(Mutex::new(0));
        service_fn(move |request: Request| {
            let mut tries = tries.lock().expect("no panic");
            *tries += 1;
            let hangs = *tries == 1;
            async move {
                let deadline = request.deadline().expect("each try has one");
                if hangs {
                    tokio::time::sleep_until(deadline.instant()).await;
                    return Err(Status::deadline_exceeded("no answer"));
                }
                Ok(Response::accepted())
            }
        })
    };
    let policy = RetryPolicy::new().attempt_timeout(Duration::from_secs(1)).seed(7);
    let mut call = request(true);
    call.head_mut().set_deadline(Some(Deadline::after(Duration::from_secs(10))));
    let start = Instant::now();
    assert!(RetryLayer::new(policy).layer(hangs_first).oneshot(call).await.is_ok());
    assert!(start.elapsed() < Duration::from_millis(1_060), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn when_all_fails_the_load_is_bounded() {
    let script = Script::new((0..20_000).map(|_| Err(gone())));
    let layered =
        RetryLayer::new(RetryPolicy::new().budget(RetryBudget::new(0.2, 10))).layer(script.service());
    let start = Instant::now();
    for _ in 0..1_000 {
        let _ = layered.clone().oneshot(request(true)).await;
    }
    let bound = 1_200 + 10 + start.elapsed().as_millis() as usize / 100;
    assert!((1_190..=bound).contains(&script.asked()), "{} of {bound}", script.asked());
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_the_failed_calls_are_tried_again() {
    let script = Script::new([
        answered([(0, Ok(())), (1, Err(gone())), (2, Err(gone())), (3, Err(Status::not_found("x")))]),
        Err(gone().unsent()),
        answered([(1, Ok(()))]),
    ]);
    let call = batch(&[true, true, false, true]);
    let response = layer().layer(script.service()).oneshot(call).await.expect("answered");
    let asked: Vec<_> =
        script.0.lock().expect("no panic").asked.iter().map(|(_, keys, _)| keys.clone()).collect();
    let keys = |keys: &[i64]| keys.iter().map(|key| CallKey::Int(*key)).collect::<Vec<_>>();
    assert_eq!(asked, [keys(&[0, 1, 2, 3]), keys(&[1]), keys(&[1])]);
    let Reply::Batch(results) = response.into_body() else { panic!("no batch") };
    let codes: Vec<_> = results.iter().map(|(_, result)| result.as_ref().err().map(Status::code)).collect();
    assert_eq!(codes, [None, None, Some(Code::Unavailable), Some(Code::NotFound)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_as_a_whole_is_tried_again_if_all_of_it_may_be() {
    for (idempotent, tries) in [([true, true], 3), ([true, false], 1)] {
        let script = Script::new((0..3).map(|_| Err(gone())));
        let call = batch(&idempotent);
        let error = layer().layer(script.service()).oneshot(call).await.expect_err("fails");
        assert_eq!((script.asked(), error.attempts()), (tries, tries as u32));
    }
    // A repetition that fails as a whole is its calls' failure, and no other's.
    let script = Script::new([answered([(0, Ok(())), (1, Err(gone()))]), Err(gone()), Err(gone())]);
    let response = layer().layer(script.service()).oneshot(batch(&[true, true])).await.expect("answered");
    let Reply::Batch(results) = response.into_body() else { panic!("no batch") };
    assert!(results[0].1.is_ok());
    assert_eq!(results[1].1.as_ref().expect_err("failed").attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_budget_counts_each_call_of_a_batch() {
    let two = || RetryLayer::new(RetryPolicy::new().budget(RetryBudget::new(0.0, 2)));
    for (calls, tries) in [(vec![true; 3], 1), (vec![true; 2], 2)] {
        let script = Script::new([Err(gone())]);
        let _ = two().layer(script.service()).oneshot(batch(&calls)).await;
        assert_eq!(script.asked(), tries, "{} calls", calls.len());
    }
    // Of one that failed in part, what failed.
    let script = Script::new([answered([(0, Ok(())), (1, Err(gone())), (2, Err(gone()))])]);
    two().layer(script.service()).oneshot(batch(&[true; 3])).await.expect("answered");
    assert_eq!(script.asked(), 2);
    // And what it brings: three calls at a half are one try.
    let half = RetryLayer::new(RetryPolicy::new().budget(RetryBudget::new(0.5, 0)));
    let script = Script::new([Ok(Response::accepted()), Err(gone())]);
    half.layer(script.service()).oneshot(batch(&[true; 3])).await.expect("answered");
    half.layer(script.service()).oneshot(request(true)).await.expect("tried again");
    assert_eq!(script.asked(), 3);
}
