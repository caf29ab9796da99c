//! What a client makes of a far end that says nothing, by a clock that is turned by
//! hand.

use std::future::IntoFuture;

use dora_core::call::code::Code;
use dora_core::middleware::balance::choose::Balance;
use dora_core::middleware::balance::fleet::Fleet;
use dora_core::pack::packet::Calls;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use dora_core::wire::notice::Notice;
use tokio::time::{Instant, sleep, timeout};

use crate::far::{DORA, SECOND, call, channel, next};

/// It may never have been a server: what can be asked of it is not known.
#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_was_ever_heard_is_left() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let start = Instant::now();
    let slow = call(&channel);
    let mut silent = next(&mut far_ends).await;
    let request = silent.request().await;
    let brief = channel.dynamic().call("/far/away", value!(1)).timeout(SECOND);
    assert_eq!(brief.await.expect_err("silence").code(), Code::DeadlineExceeded);
    sleep(11 * SECOND).await;
    let later = call(&channel);
    let mut other = timeout(SECOND, next(&mut far_ends)).await.expect("another connection is made");
    let asked = other.request().await;
    other.answer(&asked, Some(DORA)).await;
    later.await.expect("no panic").expect("answered by another one");
    // What was not given up is awaited all the same.
    silent.answer(&request, None).await;
    slow.await.expect("no panic").expect("answered after all");
    assert!(start.elapsed() < 30 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_a_moment_after_the_last_of_its_calls() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let timed = |timeout| channel.dynamic().call("/far/away", value!(1)).timeout(timeout);
    let batch = |last| channel.batch().call(timed(SECOND)).call(timed(last)).send();
    let start = Instant::now();
    let given_up = tokio::spawn(batch(2 * SECOND));
    let mut far = next(&mut far_ends).await;
    far.request().await;
    let status = given_up.await.expect("no panic").expect_err("silence");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let took = start.elapsed();
    assert!(took >= 2 * SECOND && took < 3 * SECOND, "{took:?}");

    // The server's own word on each call wins, if it comes.
    let answered = tokio::spawn(batch(2 * SECOND));
    let request = far.request().await;
    sleep(2 * SECOND + SECOND / 10).await;
    far.answer(&request, Some(DORA)).await;
    let (first, second) = answered.await.expect("no panic").expect("it came in time");
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_noticed_within_the_time_that_is_set() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let first = call(&channel);
    let mut far = next(&mut far_ends).await;
    let request = far.request().await;
    far.answer(&request, Some(DORA)).await;
    first.await.expect("no panic").expect("answered");

    // It takes long, and says that it is there.
    let long = call(&channel);
    let request = far.request().await;
    for _ in 0..6 {
        let ping = timeout(6 * SECOND, far.frame()).await.expect("it is asked").expect("stands");
        assert_eq!(ping.guid, Notice::Ping.guid());
        far.send(&Notice::Pong.guid(), b"").await;
    }
    far.answer(&request, None).await;
    long.await.expect("no panic").expect("answered after 17 s");

    let start = Instant::now();
    let lost = call(&channel);
    let status = lost.await.expect("no panic").expect_err("silence");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("silent for 10s"), "{status}");
    assert!(start.elapsed() < 11 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_may_be_made_twice_does_not_wait_for_a_server_that_falls_silent() {
    let (silent, mut silents) = channel(|endpoint| endpoint);
    let (other, mut others) = channel(|endpoint| endpoint);
    let mut far_ends = Vec::new();
    for (channel, arrivals) in [(&silent, &mut silents), (&other, &mut others)] {
        let first = call(channel);
        let mut far = next(arrivals).await;
        let request = far.request().await;
        far.answer(&request, Some(DORA)).await;
        first.await.expect("no panic").expect("answered");
        far_ends.push(far);
    }
    let [silent_far, other_far] = &mut far_ends[..] else { panic!("two") };
    let fleet = Fleet::builder()
        .balance(Balance::RoundRobin)
        .instances([("silent", silent.clone()), ("other", other.clone())]);

    let start = Instant::now();
    let twice = fleet.dynamic().call("/far/away", value!(1)).idempotent(true);
    let twice = tokio::spawn(twice.into_future());
    silent_far.request().await;
    let ping = silent_far.frame().await.expect("stands");
    assert_eq!(ping.guid, Notice::Ping.guid());
    let request = other_far.request().await;
    other_far.answer(&request, None).await;
    twice.await.expect("no panic").expect("answered elsewhere");
    assert!(start.elapsed() < 9 * SECOND, "before the connection is lost: {:?}", start.elapsed());

    // A call that may not be made twice waits: the process was only held up.
    silent_far.send(&Notice::Pong.guid(), b"").await;
    let once = tokio::spawn(fleet.dynamic().call("/far/away", value!(1)).into_future());
    let request = silent_far.request().await;
    let elsewhere = timeout(3 * SECOND, other_far.frame()).await;
    assert!(elsewhere.is_err(), "it is made nowhere else: {elsewhere:?}");
    silent_far.answer(&request, None).await;
    once.await.expect("no panic").expect("answered");
}

/// A PHP server closes a connection from which nothing came for 10 s, whatever
/// runs on it.
#[tokio::test(start_paused = true)]
async fn a_php_server_is_kept_from_closing_under_a_long_call() {
    let (channel, mut far_ends) = channel(Endpoint::php);
    let long = call(&channel);
    let mut far = next(&mut far_ends).await;
    let request = far.request().await;
    for _ in 0..5 {
        let kept = timeout(10 * SECOND, far.request()).await.expect("the heartbeat would have closed");
        let packet = kept.packet.as_ref().expect("a request");
        let Calls::One(command) = &packet.calls else { panic!("one command") };
        assert_eq!(command.name.as_str(), "getStat");
        far.answer(&kept, None).await;
    }
    far.answer(&request, None).await;
    long.await.expect("no panic").expect("answered after 25 s");
    assert_eq!(channel.dropped_answers().unknown, 0);
}
