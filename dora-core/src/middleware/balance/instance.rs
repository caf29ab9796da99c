//! The instances of a fleet, as its users name and see them.

use std::sync::Arc;
use std::time::Duration;

use crate::middleware::breaker::circuit::BreakerState;

/// An instance of a fleet as it is at a moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Instance {
    /// Its name: of a fleet of channels the address, as it was given.
    pub name: Arc<str>,
    /// Its weight.
    pub weight: u32,
    /// Calls on their way.
    pub in_flight: usize,
    /// What its answers take of late, the slow ones counting most; zero before the
    /// first one.
    pub latency: Duration,
    /// The state of its circuit breaker, where there is one.
    pub breaker: Option<BreakerState>,
}

/// The name of an instance, and what share of the calls it gets. Names tell instances
/// apart, weights do not.
#[derive(Clone, Debug)]
pub struct InstanceKey {
    pub(super) name: Arc<str>,
    pub(super) weight: u32,
}

impl InstanceKey {
    /// Gets so many times the calls of an instance of weight 1. Default: 1.
    ///
    /// # Panics
    /// `weight` is 0: an instance that shall get no calls is none of the fleet.
    #[must_use]
    pub fn with_weight(self, weight: u32) -> Self {
        assert!(weight > 0, "instance {}: a weight is at least 1", self.name);
        Self { weight, ..self }
    }
}

impl<N: Into<Arc<str>>> From<N> for InstanceKey {
    fn from(name: N) -> Self {
        Self { name: name.into(), weight: 1 }
    }
}

impl PartialEq for InstanceKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for InstanceKey {}

/// For one call, in its extensions: the instance of this name and no other (what mode 2
/// of PHP's client does). The call fails if the fleet has none of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned(pub Arc<str>);
