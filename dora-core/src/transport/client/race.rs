//! Several addresses of one name, tried side by side (RFC 8305): one that does
//! not answer hides none that does.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

/// How long an attempt has before the next one is begun beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// The order in which addresses are tried: as the system gives them, the two
/// families in turn.
pub(super) fn in_turn(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    let Some(first) = addresses.first().copied() else { return addresses };
    let (mut ours, mut others): (Vec<_>, Vec<_>) =
        addresses.into_iter().rev().partition(|address| address.is_ipv6() == first.is_ipv6());
    let mut ordered = Vec::new();
    while !(ours.is_empty() && others.is_empty()) {
        ordered.extend(ours.pop());
        ordered.extend(others.pop());
    }
    ordered
}

/// Connects to whichever address answers first. An attempt that fails lets the
/// next one begin at once.
///
/// # Errors
/// That of the first address, which is the one that the system prefers; there is
/// none.
pub(super) async fn connect<T, F, Fut>(addresses: Vec<SocketAddr>, attempt: F) -> io::Result<T>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut failed: Option<(usize, io::Error)> = None;
    let mut next_at = Instant::now();
    loop {
        let may_begin = waiting.len() > 0;
        tokio::select! {
            biased;
            Some((place, result)) = running.next(), if !running.is_empty() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    if failed.as_ref().is_none_or(|(before, _)| place < *before) {
                        failed = Some((place, error));
                    }
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if may_begin => {
                if let Some((place, address)) = waiting.next() {
                    let attempt = attempt(address);
                    running.push(async move { (place, attempt.await) });
                }
                next_at = Instant::now() + HEAD_START;
            }
            else => break,
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    Err(failed.map_or_else(none, |(_, error)| error))
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn three() -> Vec<SocketAddr> {
        ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(address).to_vec()
    }

    #[test]
    fn families_take_turns() {
        let given = ["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(address);
        let ordered = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "10.0.0.3:1"].map(address);
        assert_eq!(in_turn(given), ordered);
        assert_eq!(in_turn([]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_hides_none_that_does() {
        let start = Instant::now();
        let found = connect(three(), |address| async move {
            match address == three()[1] {
                true => Ok(address),
                false => pending().await,
            }
        });
        assert_eq!(found.await.expect("the second one answers"), three()[1]);
        assert_eq!(start.elapsed(), HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_costs_no_time_and_the_first_ones_error_counts() {
        let start = Instant::now();
        let tried = Mutex::new(Vec::new());
        let error = connect::<(), _, _>(three(), |address| {
            tried.lock().expect("alone").push(address);
            async move { Err(io::Error::other(address.to_string())) }
        });
        assert_eq!(error.await.expect_err("all refuse").to_string(), "10.0.0.1:1");
        assert_eq!((start.elapsed(), tried.lock().expect("alone").len()), (Duration::ZERO, 3));
        let none = connect::<(), _, _>(Vec::new(), |_| async { Ok(()) });
        assert_eq!(none.await.expect_err("no address").kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_address_keeps_its_head_start() {
        let found = connect(three(), |address| async move {
            tokio::time::sleep(if address == three()[0] { HEAD_START * 2 } else { HEAD_START * 9 }).await;
            Ok::<_, io::Error>(address)
        });
        assert_eq!(found.await.expect("answers"), three()[0]);
    }
}
