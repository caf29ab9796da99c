use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{advance, sleep};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::{BatchCall, Body};
use crate::call::response::Reply;

/// Answers with the value that came under `authorization`, or refuses it.
fn echo(
    refused: &'static str,
) -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + Send + 'static {
    service_fn(move |request: Request| async move {
        let value = request.metadata().get(KEY).unwrap_or("nothing").to_owned();
        match value == refused {
            true => Err(Status::unauthenticated("not this one")),
            false => Ok(Response::new(Reply::message(value))),
        }
    })
}

fn request() -> Request {
    Request::new(Body::message(0_i64))
}

async fn said(layer: &TokenLayer, request: Request) -> Result<String, Status> {
    let response = layer.layer(echo("Bearer bad")).oneshot(request).await?;
    let body = response.into_body().into_result()?;
    crate::pack::message::open(body)
}

/// A source whose tokens are `t1`, `t2` and so on, good for 100 s, and how often it was asked.
fn source() -> (TokenLayer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let layer = TokenLayer::refreshing(move || {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            sleep(Duration::from_secs(1)).await;
            Ok(Token::new(format!("t{number}")).expires_after(Duration::from_secs(100)))
        }
    });
    (layer, asked)
}

#[tokio::test]
async fn a_call_says_the_token_unless_it_says_one_itself() {
    let layer = TokenLayer::new("sesame");
    assert_eq!(said(&layer, request()).await.expect("passes"), "Bearer sesame");
    let mut own = request();
    own.metadata_mut().insert(KEY, "Basic x");
    assert_eq!(said(&layer, own).await.expect("passes"), "Basic x");
}

#[tokio::test]
async fn a_call_of_a_batch_says_its_own_token_and_the_others_the_layers() {
    let call = |key: i64, own: Option<&str>| {
        let (mut head, body) = request().into_parts();
        own.into_iter().for_each(|own| head.metadata_mut().insert(KEY, own));
        BatchCall::new(key.into(), head, body)
    };
    // As on a server: a batch's pairs come first.
    let told = |batch: Request| {
        let calls = with(batch, &Token::new("sesame")).take_apart().expect("a batch");
        calls.iter().map(|(_, call)| call.metadata().get(KEY).map(str::to_owned)).collect::<Vec<_>>()
    };
    let said = |text: &str| Some(text.to_owned());
    let mixed = || Request::batch_of(vec![call(0, Some("Bearer mine")), call(1, None)]);
    assert_eq!(told(mixed()), [said("Bearer mine"), said("Bearer sesame")]);
    assert!(!all_say_who(&mixed()));
    assert!(all_say_who(&Request::batch_of(vec![call(0, Some("Basic x"))])));
    let plain = || Request::batch_of(vec![call(0, None), call(1, None)]);
    assert_eq!(told(plain()), [said("Bearer sesame"), said("Bearer sesame")]);
    let once = with(plain(), &Token::new("sesame"));
    assert!(once.calls().all(|call| call.metadata().is_empty()), "once for all");
}

#[tokio::test(start_paused = true)]
async fn the_source_is_asked_once_for_all_who_wait() {
    let (layer, asked) = source();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { said(&layer, request()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("passes"), "Bearer t1");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_before_its_end_and_nobody_waits() {
    let (layer, asked) = source();
    said(&layer, request()).await.expect("passes");
    advance(Duration::from_secs(91)).await;
    let before = Instant::now();
    for _ in 0..3 {
        assert_eq!(said(&layer, request()).await.expect("passes"), "Bearer t1");
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waited");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(said(&layer, request()).await.expect("passes"), "Bearer t2");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    advance(Duration::from_secs(200)).await;
    assert_eq!(said(&layer, request()).await.expect("waits"), "Bearer t3");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_server_refuses_is_replaced() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let layer = TokenLayer::refreshing(move || {
        let token = if count.fetch_add(1, Ordering::SeqCst) == 0 { "bad" } else { "good" };
        async move { Ok(Token::new(token)) }
    });
    assert_eq!(said(&layer, request()).await.expect_err("refused").code(), Code::Unauthenticated);
    assert_eq!(said(&layer, request()).await.expect("another one"), "Bearer good");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn where_there_is_no_token_the_call_is_not_sent() {
    let layer = TokenLayer::refreshing(|| async { Err::<Token, _>(Status::unavailable("no issuer")) });
    let status = said(&layer, request()).await.expect_err("none");
    assert!(status.is_unsent(), "{status}");
    assert_eq!(status.message(), "no issuer");
}

/// A source that answers what `answer` does, and how often it was asked.
fn source_of<Fut>(answer: impl Fn(usize) -> Fut + Send + Sync + 'static) -> (TokenLayer, Arc<AtomicUsize>)
where
    Fut: Future<Output = Result<Token, Status>> + Send + 'static,
{
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    (TokenLayer::refreshing(move || answer(count.fetch_add(1, Ordering::SeqCst) + 1)), asked)
}

#[tokio::test(start_paused = true)]
async fn a_source_that_takes_longer_than_calls_wait_is_heard_by_later_ones() {
    let (layer, asked) = source();
    for _ in 0..4 {
        let given_up = timeout(Duration::from_millis(240), said(&layer, request())).await;
        assert!(given_up.is_err(), "the source takes a second");
    }
    let late =
        timeout(Duration::from_millis(240), said(&layer, request())).await.expect("it is there by now");
    assert_eq!(late.expect("passes"), "Bearer t1");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_source_that_fails_hear_of_it_at_once() {
    let (layer, asked) = source_of(|_| async {
        sleep(Duration::from_secs(1)).await;
        Err(Status::unavailable("no issuer"))
    });
    let begun = Instant::now();
    let all = futures_util::future::join_all((0..10).map(|_| said(&layer, request()))).await;
    for result in all {
        let status = result.expect_err("no token");
        assert!(status.is_unsent() && status.message() == "no issuer", "{status}");
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    sleep(FIRST_PAUSE).await;
    said(&layer, request()).await.expect_err("still no issuer");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "after the pause it is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_left_alone_for_longer_and_longer() {
    let (layer, asked) = source_of(|time| async move {
        match time {
            ..=20 => Err(Status::unavailable("no issuer")),
            _ => Ok(Token::new("t").expires_after(Duration::from_secs(60))),
        }
    });
    let begun = Instant::now();
    let mut calls = 0;
    while said(&layer, request()).await.is_err_and(|status| status.message() == "no issuer") {
        assert_eq!(
            said(&layer, request()).await.is_err(),
            asked.load(Ordering::SeqCst) <= 20,
            "no call waits"
        );
        sleep(Duration::from_millis(10)).await;
        calls += 2;
    }
    // 0.1, 0.2, 0.4, .. 3.2 s, and then 5 s each, all of them by half at least.
    let took = begun.elapsed().as_secs();
    assert!((38..=78).contains(&took), "{took} s for {calls} calls");
    assert_eq!(asked.load(Ordering::SeqCst), 21);
    // A token makes up for it: the next failures begin with short pauses again.
    advance(Duration::from_secs(61)).await;
    assert!(said(&layer, request()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_good_token_outlives_a_source_that_fails() {
    let (layer, asked) = source_of(|time| async move {
        match time {
            1 => Ok(Token::new("t1").expires_after(Duration::from_secs(100))),
            _ => Err(Status::unavailable("no issuer")),
        }
    });
    assert_eq!(said(&layer, request()).await.expect("passes"), "Bearer t1");
    advance(Duration::from_secs(91)).await;
    for _ in 0..50 {
        assert_eq!(said(&layer, request()).await.expect("still good"), "Bearer t1");
        sleep(Duration::from_millis(1)).await;
    }
    assert!(asked.load(Ordering::SeqCst) <= 3, "{} times in 50 ms", asked.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_or_panics_is_asked_again() {
    let (layer, _) = source_of(|time| async move {
        match time {
            1 => std::future::pending().await,
            2 => panic!("the source's own"),
            _ => Ok(Token::new("t")),
        }
    });
    let hung = said(&layer, request()).await.expect_err("no token");
    assert_eq!(hung.code(), Code::DeadlineExceeded, "{hung}");
    sleep(FIRST_PAUSE).await;
    let panicked = said(&layer, request()).await.expect_err("no token");
    assert_eq!(panicked.code(), Code::Internal, "{panicked}");
    sleep(2 * FIRST_PAUSE).await;
    assert_eq!(said(&layer, request()).await.expect("passes"), "Bearer t");
}
