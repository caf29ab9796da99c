//! What a handler computes beside echoing: nothing, unless the server was told.

use std::{
    hint,
    sync::OnceLock,
    time::{Duration, Instant},
};

static EACH: OnceLock<Duration> = OnceLock::new();

/// Has every handler of this process compute for so long; to be said once.
pub(crate) fn set(each: Duration) {
    EACH.get_or_init(|| each);
}

/// Computes as long as was said.
pub(crate) fn burn() {
    let Some(each) = EACH.get() else { return };
    let start = Instant::now();
    while start.elapsed() < *each {
        hint::spin_loop();
    }
}
