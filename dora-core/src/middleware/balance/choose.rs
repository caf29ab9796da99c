//! How an instance is chosen.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use crate::call::request::Request;

use super::node::Node;

/// How a fleet chooses the instance for a call. Instances that are not ready, that
/// their breaker holds back, or where the call has failed already, are passed over
/// in any case.
///
/// Weights are respected by all: an instance of weight 2 gets twice the calls of one
/// of weight 1.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Balance {
    /// The cheaper one of two drawn at random: by the time that its answers take of
    /// late (peak EWMA) times the calls that it has in flight. Finds slow instances
    /// out, and does not herd. The default.
    #[default]
    PowerOfTwo,
    /// One after the other.
    RoundRobin,
    /// At random.
    Random,
    /// Calls of the same key go to the same instance, and few keys move when one
    /// comes or goes (rendezvous hashing). The function gives the key; calls without
    /// one are made as with [`PowerOfTwo`](Self::PowerOfTwo). It costs some 20 ns for
    /// each instance of the fleet and call.
    Hash(HashKey),
}

/// What gives a call's key, by which it is always sent to the same instance.
pub type HashKey = Arc<dyn Fn(&Request) -> Option<u64> + Send + Sync>;

impl Balance {
    /// Calls with the same value of this metadata go to the same instance.
    ///
    /// ```
    /// use dora::{Balance, Fleet};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fleet = Fleet::builder()
    ///     .balance(Balance::by_metadata("tenant"))
    ///     .connect_lazy(["10.0.2.15:9567", "10.0.2.16:9567"])?;
    /// # let _ = fleet;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by_metadata(key: impl Into<String>) -> Self {
        let key = key.into();
        Self::Hash(Arc::new(move |request| request.metadata().get(&key).map(|value| hash(value.as_bytes()))))
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOfTwo => "PowerOfTwo",
            Self::RoundRobin => "RoundRobin",
            Self::Random => "Random",
            Self::Hash(_) => "Hash",
        })
    }
}

/// FNV-1a, mixed: the same in all processes and versions, so that all callers send a
/// key to the same instance.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed(folded)
}

/// Spreads all bits over all bits (the end of splitmix64).
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Chooses, with what must be remembered between calls.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    balance: Balance,
    turn: AtomicUsize,
}

impl Chooser {
    pub(super) fn new(balance: Balance) -> Self {
        Self { balance, turn: AtomicUsize::new(0) }
    }

    /// The first choice, of at least one instance.
    pub(super) fn first<S>(&self, nodes: &[Arc<Node<S>>], request: &Request, now: Instant) -> usize {
        if nodes.len() == 1 {
            return 0;
        }
        match &self.balance {
            Balance::PowerOfTwo => power_of_two(nodes, now),
            Balance::RoundRobin => self.in_turn(nodes, now),
            Balance::Random => weighted(nodes, now, fastrand::f64()),
            Balance::Hash(key) => match key(request) {
                Some(key) => {
                    let scores = nodes.iter().map(|node| score(node, key, now));
                    let best = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
                    best.map_or(0, |(index, _)| index)
                }
                None => power_of_two(nodes, now),
            },
        }
    }

    /// All instances in the order in which they are asked when the first choice is not
    /// to be had.
    pub(super) fn order<S>(&self, nodes: &[Arc<Node<S>>], request: &Request, now: Instant) -> Vec<usize> {
        if let Balance::Hash(key) = &self.balance
            && let Some(key) = key(request)
        {
            let scores: Vec<f64> = nodes.iter().map(|node| score(node, key, now)).collect();
            let mut order: Vec<usize> = (0..nodes.len()).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            return order;
        }
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        // At random first: costs are often equal, and not all callers should begin
        // with the same one.
        fastrand::shuffle(&mut order);
        if matches!(self.balance, Balance::PowerOfTwo) {
            let costs: Vec<f64> = nodes.iter().map(|node| node.cost(now)).collect();
            order.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]));
        }
        order
    }

    /// Each in its turn, as often as its weight says.
    fn in_turn<S>(&self, nodes: &[Arc<Node<S>>], now: Instant) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if nodes.iter().all(|node| node.weight == 1) {
            return turn % nodes.len();
        }
        // The golden ratio spreads turns evenly over the weights, so that a heavy one
        // does not get its calls in a row.
        weighted(nodes, now, (turn as f64 * 0.618_033_988_749_894_9).fract())
    }
}

/// The cheaper of two, of at least two.
fn power_of_two<S>(nodes: &[Arc<Node<S>>], now: Instant) -> usize {
    let first = fastrand::usize(..nodes.len());
    let other = fastrand::usize(..nodes.len() - 1);
    let second = if other >= first { other + 1 } else { other };
    match nodes[second].cost(now) < nodes[first].cost(now) {
        true => second,
        false => first,
    }
}

/// The instance at this share of all weights.
fn weighted<S>(nodes: &[Arc<Node<S>>], now: Instant, at: f64) -> usize {
    let total: f64 = nodes.iter().map(|node| node.share(now)).sum();
    let mut left = at * total;
    for (index, node) in nodes.iter().enumerate() {
        left -= node.share(now);
        if left < 0.0 {
            return index;
        }
    }
    nodes.len() - 1
}

/// Weighted rendezvous: each instance draws its lot for the key, the best one wins.
fn score<S>(node: &Node<S>, key: u64, now: Instant) -> f64 {
    // From over 0 to under 1.
    let lot = ((mixed(node.hash ^ key) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -node.share(now) / lot.ln()
}
