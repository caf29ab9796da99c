//! When a call is given up.

use std::time::Duration;

use tokio::time::Instant;

/// The moment after which nobody waits for a call any more.
///
/// It crosses the wire as the milliseconds that remain, so the clocks of two
/// machines are never compared.
/// ```
/// use std::time::Duration;
///
/// use dora::{Channel, Deadline, Request, Status, Value};
///
/// /// A handler that calls another service: that call ends with its own caller's.
/// async fn get(orders: &Channel, request: Request<Value>) -> Result<Value, Status> {
///     let deadline = request.deadline().unwrap_or_else(|| Deadline::after(Duration::from_secs(1)));
///     orders.dynamic().call("/order/list", request.into_body()).deadline(deadline).await
/// }
/// # let _ = get;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `timeout` from now. A timeout past what the clock can count
    /// is a year.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self::from_instant(Instant::now(), timeout)
    }

    /// The deadline `timeout` after `start`.
    #[inline]
    #[must_use]
    pub fn from_instant(start: Instant, timeout: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Self(start + timeout.min(YEAR))
    }

    /// The moment itself.
    #[inline]
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left at `now`; zero when it has passed.
    #[inline]
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed at `now`.
    #[inline]
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }
}
