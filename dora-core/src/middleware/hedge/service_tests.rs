use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::Body;
use crate::call::response::Reply;
use crate::middleware::retry::budget::RetryBudget;
use crate::middleware::retry::policy::RetryPolicy;
use crate::middleware::retry::service::RetryLayer;

/// What one try meets: an answer or an error, after so many milliseconds.
type Fate = (u64, Result<(), Status>);

/// Answers each try as was laid down, the rest with success at once.
#[derive(Clone, Default)]
struct Fates(Arc<Inner>);

#[derive(Default)]
struct Inner {
    fates: Mutex<Vec<Fate>>,
    /// When each try began, counted from the first.
    begun: Mutex<Vec<Instant>>,
    ended: AtomicUsize,
}

impl Fates {
    fn new(fates: impl IntoIterator<Item = Fate>) -> Self {
        let mut fates: Vec<_> = fates.into_iter().collect();
        fates.reverse();
        Self(Arc::new(Inner { fates: Mutex::new(fates), ..Inner::default() }))
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
        let inner = Arc::clone(&self.0);
        service_fn(move |_: Request| {
            let number = {
                let mut begun = inner.begun.lock().expect("no panic");
                begun.push(Instant::now());
                begun.len()
            };
            let (takes, result) = inner.fates.lock().expect("no panic").pop().unwrap_or((0, Ok(())));
            let inner = Arc::clone(&inner);
            async move {
                sleep(ms(takes)).await;
                inner.ended.fetch_add(1, Ordering::SeqCst);
                result.map(|()| Response::message(number as i64))
            }
        })
    }

    /// When tries were made, in milliseconds from the first.
    fn made_at(&self) -> Vec<u128> {
        let begun = self.0.begun.lock().expect("no panic");
        begun.iter().map(|at| at.duration_since(begun[0]).as_millis()).collect()
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn request(idempotent: bool) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    request.head_mut().set_idempotent(idempotent);
    request
}

fn busy() -> Status {
    Status::resource_exhausted("busy")
}

fn gone() -> Status {
    Status::unavailable("gone")
}

async fn call(policy: HedgePolicy, fates: &Fates, request: Request) -> (Result<Response, Status>, u128) {
    let start = Instant::now();
    let result = HedgeLayer::new(policy).layer(fates.service()).oneshot(request).await;
    (result, start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_wins_and_the_others_are_given_up() {
    for (fates, took, made_at, ended) in [
        (vec![(49, Ok(()))], 49, vec![0], 1),
        (vec![(200, Ok(())), (10, Ok(()))], 60, vec![0, 50], 1),
        (vec![(70, Ok(())), (200, Ok(()))], 70, vec![0, 50], 1),
        (vec![(500, Ok(())), (500, Ok(())), (5, Ok(()))], 105, vec![0, 50, 100], 1),
        (vec![(300, Ok(())), (500, Ok(())), (500, Ok(()))], 300, vec![0, 50, 100], 1),
    ] {
        let fates = Fates::new(fates);
        let (result, time) = call(HedgePolicy::after(ms(50)).attempts(3), &fates, request(true)).await;
        assert!(result.is_ok() && time == took, "{time} ms, not {took}: {result:?}");
        assert_eq!(fates.made_at(), made_at);
        sleep(ms(1_000)).await;
        assert_eq!(fates.0.ended.load(Ordering::SeqCst), ended, "those that lost are dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn only_idempotent_calls_that_are_waited_for_are_hedged() {
    type Prepare = fn(&mut Request);
    let prepares: [(&str, bool, Prepare, usize); 5] = [
        ("idempotent", true, |_| {}, 2),
        ("not idempotent", false, |_| {}, 1),
        ("deferred", true, |request| request.head_mut().set_mode(Mode::Deferred), 1),
        ("without result", true, |request| request.head_mut().set_mode(Mode::NoResult), 1),
        ("pinned", true, |request| drop(request.extensions_mut().insert(Pinned("a".into()))), 1),
    ];
    for (what, idempotent, prepare, tries) in prepares {
        let fates = Fates::new([(100, Ok(()))]);
        let mut request = request(idempotent);
        prepare(&mut request);
        assert!(call(HedgePolicy::after(ms(50)), &fates, request).await.0.is_ok());
        assert_eq!(fates.made_at().len(), tries, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_waits_for_those_that_run_and_business_errors_are_answers() {
    let fates = Fates::new([(60, Err(gone())), (200, Ok(()))]);
    let (result, took) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
    assert!(result.is_ok() && took == 250, "the second one answers: {result:?} after {took} ms");

    let fates = Fates::new([(200, Ok(())), (5, Err(Status::not_found("no user 7")))]);
    let (result, took) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
    assert_eq!((result.expect_err("an answer").code(), took), (Code::NotFound, 55));

    let fates = Fates::new([(100, Err(gone())), (20, Err(busy()))]);
    let (result, took) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
    let error = result.expect_err("both failed");
    assert_eq!((error.code(), error.attempts(), took), (Code::Unavailable, 2, 100), "the last one tells");

    let fates = Fates::new([(10, Err(gone()))]);
    let (result, took) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
    assert_eq!((result.expect_err("for a retry").attempts(), took), (1, 10), "it is not slow");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_pushes_back_is_not_sent_another_one_before() {
    let pushed = |pushback| busy().with_pushback(pushback);
    for (pushback, made_at) in [(Pushback::After(ms(80)), vec![0, 50, 140]), (Pushback::Never, vec![0, 50])] {
        let fates = Fates::new([(60, Err(pushed(pushback))), (1_000, Ok(()))]);
        let policy = HedgePolicy::after(ms(50)).attempts(3);
        assert!(call(policy, &fates, request(true)).await.0.is_ok());
        assert_eq!(fates.made_at(), made_at, "{pushback:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_which_one_try_may_have_run_is_not_unsent() {
    let unsent = || gone().unsent();
    for (first, unsent_in_all) in [((100, Err(unsent())), true), ((100, Err(gone())), false)] {
        let fates = Fates::new([first, (100, Err(unsent()))]);
        let (result, _) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
        assert_eq!(result.expect_err("both failed").is_unsent(), unsent_in_all);
    }
    // One that was given up may have run as well.
    let fates = Fates::new([(500, Ok(())), (5, Err(Status::failed_precondition("here").unsent()))]);
    let (result, _) = call(HedgePolicy::after(ms(50)), &fates, request(true)).await;
    assert!(!result.expect_err("an answer").is_unsent());
}

#[tokio::test(start_paused = true)]
async fn hedges_are_bounded_by_their_budget() {
    let fates = Fates::new((0..10_000).map(|_| (100, Ok(()))));
    let policy = HedgePolicy::after(ms(50)).budget(RetryBudget::new(0.0, 10));
    let layered = HedgeLayer::new(policy).layer(fates.service());
    let calls: Vec<_> = (0..1_000).map(|_| tokio::spawn(layered.clone().oneshot(request(true)))).collect();
    for call in calls {
        assert!(call.await.expect("no panic").is_ok());
    }
    assert_eq!(fates.made_at().len(), 1_010, "a second's worth");

    // By default 20 % of the calls besides.
    let fates = Fates::new((0..10_000).map(|_| (100, Ok(()))));
    let layered = HedgeLayer::new(HedgePolicy::after(ms(50))).layer(fates.service());
    let calls: Vec<_> = (0..400).map(|_| tokio::spawn(layered.clone().oneshot(request(true)))).collect();
    for call in calls {
        assert!(call.await.expect("no panic").is_ok());
    }
    assert_eq!(fates.made_at().len(), 400 + 80 + 10);
}

#[tokio::test(start_paused = true)]
async fn retries_and_hedges_spend_one_budget_and_are_counted_together() {
    let budget = RetryBudget::new(0.0, 3);
    let retry = RetryLayer::new(RetryPolicy::new().budget(budget.clone()).seed(1));
    let hedge = HedgeLayer::new(HedgePolicy::after(ms(50)).budget(budget));
    let fates = Fates::new((0..100).map(|_| (60, Err(gone()))));
    let error = retry.layer(hedge.layer(fates.service())).oneshot(request(true)).await.expect_err("all fail");
    assert!((4..=5).contains(&fates.made_at().len()), "three beside the first, and what a second earns");
    assert_eq!(error.attempts() as usize, fates.made_at().len());
}

#[tokio::test(start_paused = true)]
async fn by_a_quantile_the_slow_ones_are_hedged() {
    // One in 20 hangs, for the first 200 calls; the delay is learned meanwhile.
    let fates = Fates::new((0..2_000).map(|number| (if number % 20 == 19 { 10_000 } else { 4 }, Ok(()))));
    let policy = HedgePolicy::at_quantile(0.9).budget(None);
    let layered = HedgeLayer::new(policy).layer(fates.service());
    let mut slow = Vec::new();
    for number in 0..1_000 {
        let start = Instant::now();
        let response = layered.clone().oneshot(request(true)).await.expect("answered");
        assert!(matches!(response.body(), Reply::Result(_)));
        if start.elapsed() > ms(100) {
            slow.push(number);
        }
    }
    assert_eq!(slow, [19, 39], "before 50 answers nothing is known");
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_no_hedge() {
    let fates = Fates::new([(10_000, Ok(()))]);
    let (result, took) = call(HedgePolicy::after(ms(1)).attempts(1), &fates, request(true)).await;
    assert!(result.is_ok() && took == 10_000);
    assert_eq!(fates.made_at(), [0]);
}
