//! Lines that others cause, so few that a log survives whoever causes a million.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A line that comes again within this time is left out, but for the tenth, the
/// hundredth, the thousandth..: so a log says how many there were even if no more
/// come later.
const WINDOW: Duration = Duration::from_secs(10);

/// Peers that are told apart at a time.
const PEERS: usize = 32;

/// How often one line is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LineLimit {
    /// When the first one of this window came.
    since: Option<Instant>,
    /// Those of this window.
    count: u64,
    /// The number in the window of the next one to write.
    next: u64,
    /// Those that were left out since the last one that was written.
    left_out: u64,
}

impl LineLimit {
    /// One more has come at `now`. If it is to be written: how many were left out
    /// since the last one that was.
    pub(super) fn write(&mut self, now: Instant) -> Option<u64> {
        if self.is_over(now) {
            *self = Self { since: Some(now), count: 0, next: 1, left_out: self.left_out };
        }
        self.count += 1;
        if self.count < self.next {
            self.left_out += 1;
            return None;
        }
        self.next = self.next.saturating_mul(10);
        Some(std::mem::take(&mut self.left_out))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW)
    }
}

/// How often one line is written about each of many peers, so that a loud one
/// does not hide another. Memory is bounded: beyond so many peers the others are
/// counted as one.
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    peers: Mutex<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    known: Vec<(Option<IpAddr>, LineLimit)>,
    others: LineLimit,
}

impl LogLimit {
    /// One more about `peer` has come at `now`. If it is to be written: how many
    /// were left out since the last one that was.
    pub(super) fn write(&self, peer: Option<IpAddr>, now: Instant) -> Option<u64> {
        self.peers.lock().of(peer, now).write(now)
    }
}

impl Peers {
    fn of(&mut self, peer: Option<IpAddr>, now: Instant) -> &mut LineLimit {
        if let Some(place) = self.known.iter().position(|(known, _)| *known == peer) {
            return &mut self.known[place].1;
        }
        if self.known.len() < PEERS {
            let place = self.known.len();
            self.known.push((peer, LineLimit::default()));
            return &mut self.known[place].1;
        }
        let Some(place) = self.known.iter().position(|(_, line)| line.is_over(now)) else {
            return &mut self.others;
        };
        // What was left out of one that makes room is told with the next one.
        let (known, line) = &mut self.known[place];
        *known = peer;
        line.since = None;
        line
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    fn peer(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(number).into())
    }

    /// What is written of `count` lines at once: the numbers that were left out.
    fn written(limit: &LogLimit, peer: Option<IpAddr>, count: usize) -> Vec<u64> {
        (0..count).filter_map(|_| limit.write(peer, Instant::now())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_handful_of_lines_that_say_how_many_there_were() {
        let limit = LogLimit::default();
        assert_eq!(written(&limit, peer(1), 1000), [0, 8, 89, 899]);
        assert_eq!(written(&limit, peer(1), 500), [0; 0]);
        advance(WINDOW - Duration::from_millis(1)).await;
        assert_eq!(written(&limit, peer(1), 1), [0; 0]);
        advance(Duration::from_millis(1)).await;
        assert_eq!(written(&limit, peer(1), 1), [501], "what came meanwhile is not forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_now_and_then_is_always_written() {
        let mut line = LineLimit::default();
        for _ in 0..100 {
            assert_eq!(line.write(Instant::now()), Some(0));
            advance(WINDOW).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loud_peer_hides_no_other_and_many_take_no_more_memory() {
        let limit = LogLimit::default();
        assert_eq!(written(&limit, peer(0), 50).len(), 2);
        assert_eq!(written(&limit, peer(1), 1), [0]);
        assert_eq!(written(&limit, None, 1), [0], "a peer without an address");
        let all: Vec<u64> = (0..10_000).filter_map(|n| limit.write(peer(n + 2), Instant::now())).collect();
        assert_eq!(
            all.len(),
            PEERS - 3 + 4,
            "those that are told apart, and the 1st to 1000th of the others"
        );
        assert!(limit.peers.lock().known.len() <= PEERS);
        // Later there is room again, and nothing was forgotten.
        advance(WINDOW).await;
        assert_eq!(written(&limit, peer(77_777), 1), [40], "in the place of the loud one");
        assert_eq!(limit.peers.lock().known.len(), PEERS);
    }
}
