//! What a call is told that is over a limit.

use std::time::Duration;

use crate::call::pushback::Pushback;
use crate::call::status::Status;

/// `Code::ResourceExhausted`, and to come again after a random time around `after`: who
/// was refused together should not come back together.
pub(super) fn refused(message: String, after: Duration) -> Status {
    let after = after.mul_f64(0.5 + fastrand::f64());
    Status::resource_exhausted(message).with_pushback(Pushback::After(after.max(Duration::from_millis(1))))
}
