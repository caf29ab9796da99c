use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::doubt;
use crate::middleware::balance::builder::FleetBuilder;
use crate::middleware::balance::choose::Balance;
use crate::middleware::balance::fleet::Fleet;
use crate::middleware::hedge::policy::HedgePolicy;
use crate::middleware::retry::budget::RetryBudget;

/// When a channel doubts an instance that hangs.
const DOUBTED: Duration = Duration::from_secs(1);
/// Until then nobody has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// How an instance answers.
#[derive(Clone, Copy)]
enum Does {
    /// Nothing, and it is doubted.
    Hangs,
    /// Nothing until it answers after so many seconds, and it is doubted.
    Wakes(u64),
    Answers,
    Fails(fn() -> Status),
}

impl Does {
    async fn answer(self) -> Result<Response, Status> {
        let doubted = |after: Duration| async move {
            let mut doubt = Box::pin(sleep(DOUBTED));
            let mut end = Box::pin(sleep(after));
            poll_fn(|cx| {
                if doubt.as_mut().poll(cx).is_ready() {
                    doubt::say();
                    doubt.as_mut().reset(Instant::now() + DOUBTED);
                    let _ = doubt.as_mut().poll(cx);
                }
                end.as_mut().poll(cx)
            })
            .await;
        };
        match self {
            Self::Hangs => doubted(100 * PATIENCE).await,
            Self::Wakes(seconds) => doubted(Duration::from_secs(seconds)).await,
            Self::Answers => {}
            Self::Fails(status) => return Err(status()),
        }
        Ok(Response::accepted())
    }
}

/// Calls the first of these instances, and gives how that ended, when, and how often each
/// was called.
async fn called<const N: usize>(
    builder: FleetBuilder,
    does: [Does; N],
    idempotent: bool,
) -> (Option<Result<Response, Status>>, Duration, [usize; N]) {
    let calls: [Arc<AtomicUsize>; N] = std::array::from_fn(|_| Arc::default());
    let instances = does.into_iter().zip(&calls).enumerate().map(|(index, (does, calls))| {
        let calls = Arc::clone(calls);
        let service = service_fn(move |_: Request| {
            calls.fetch_add(1, Ordering::SeqCst);
            does.answer()
        });
        (format!("i{index}"), service)
    });
    let fleet: Fleet<_> = builder.balance(Balance::RoundRobin).instances(instances);
    let mut request = Request::new(Body::message(0_i64));
    request.head_mut().set_idempotent(idempotent);
    let begun = Instant::now();
    let ended = timeout(PATIENCE, fleet.oneshot(request)).await.ok();
    (ended, begun.elapsed(), calls.map(|calls| calls.load(Ordering::SeqCst)))
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_instance_in_doubt_is_made_elsewhere_as_well() {
    let (ended, took, calls) = called(Fleet::builder(), [Does::Hangs, Does::Answers], true).await;
    assert!(ended.is_some_and(|ended| ended.is_ok()));
    assert_eq!((took.as_secs(), calls), (DOUBTED.as_secs(), [1, 1]));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_made_twice_or_nowhere_else_waits() {
    let none = RetryBudget::new(0.0, 0);
    for (builder, does, idempotent) in [
        (Fleet::builder(), vec![Does::Hangs, Does::Answers], false),
        (Fleet::builder().retry(None), vec![Does::Hangs, Does::Answers], true),
        (Fleet::builder().retry(RetryPolicy::new().budget(none)), vec![Does::Hangs, Does::Answers], true),
        (Fleet::builder().retry(RetryPolicy::new().attempts(1)), vec![Does::Hangs, Does::Answers], true),
        (Fleet::builder(), vec![Does::Hangs], true),
    ] {
        let (ended, calls) = match *does {
            [only] => {
                let (ended, _, calls) = called(builder, [only], idempotent).await;
                (ended, calls.to_vec())
            }
            [first, second] => {
                let (ended, _, calls) = called(builder, [first, second], idempotent).await;
                (ended, calls.to_vec())
            }
            _ => panic!("one or two"),
        };
        assert!(ended.is_none(), "nobody has answered");
        assert_eq!(calls.iter().sum::<usize>(), 1, "{idempotent}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_try_goes_on_and_may_still_answer() {
    fn gone() -> Status {
        Status::unavailable("gone")
    }
    fn unknown() -> Status {
        Status::not_found("user 7")
    }
    let (ended, took, calls) = called(Fleet::builder(), [Does::Wakes(4), Does::Hangs], true).await;
    assert!(ended.is_some_and(|ended| ended.is_ok()));
    assert_eq!((took.as_secs(), calls), (4, [1, 1]), "it was the first to answer");

    let (ended, took, calls) = called(Fleet::builder(), [Does::Wakes(4), Does::Fails(gone)], true).await;
    assert!(ended.is_some_and(|ended| ended.is_ok()));
    assert_eq!((took.as_secs(), calls), (4, [1, 1]), "what failed was no answer");

    let (ended, took, _) = called(Fleet::builder(), [Does::Wakes(4), Does::Fails(unknown)], true).await;
    let status = ended.expect("it has ended").expect_err("the other one knows");
    assert_eq!((status.code(), took.as_secs()), (Code::NotFound, 1));
}

#[tokio::test(start_paused = true)]
async fn who_hedges_hedges() {
    let builder = Fleet::builder().hedge(HedgePolicy::after(Duration::from_millis(100)));
    let (ended, took, calls) = called(builder, [Does::Hangs, Does::Answers], true).await;
    assert!(ended.is_some_and(|ended| ended.is_ok()));
    assert_eq!((took.as_millis() / 10, calls), (10, [1, 1]));
}
