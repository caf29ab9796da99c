//! Who keeps the deadline of a call.
//!
//! A deadline belongs to the call, so the caller's own future keeps it, wherever
//! the service is. A channel keeps deadlines as well, for all its calls with one
//! timer. It says so each time a call of it is polled, and the caller's future
//! then needs no timer of its own.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<bool> = const { Cell::new(false) };
}

/// Says, while a call is polled, that its deadline is kept by whom it waits for.
pub(crate) fn keep() {
    KEPT.set(true);
}

/// Runs `poll`, and whether the deadline was kept in it.
pub(crate) fn watch<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    let outer = KEPT.replace(false);
    let result = poll();
    (result, KEPT.replace(outer))
}
