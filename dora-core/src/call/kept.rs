//! Who keeps the deadline of a call.
//!
//! A deadline belongs to the call, so the caller's own future keeps it, wherever
//! the service is. A channel keeps deadlines as well, for all its calls with one
//! timer. It says so each time a call of it is polled, and the caller's future
//! then needs no timer of its own.
//!
//! Where neither a call nor its method says how long it may take, its channel does,
//! counted from when the call was made: what it waited for in other layers, and what
//! earlier tries took, is of that time. The channel is told when that was; and the
//! caller, while its service is not ready, what the channel within it says. So does a
//! fleet, for calls that wait for an instance.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How long calls may take where nobody said anything.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

thread_local! {
    static KEPT: Cell<Kept> = const { Cell::new(Kept::NotSaid) };
    static MADE: Cell<Made> = const { Cell::new(Made::Elsewhere) };
    static DEFAULT: Cell<Inquiry> = const { Cell::new(Inquiry::NotAsked) };
}

/// Whether whom a call waits for keeps its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nobody said.
    NotSaid,
    /// It does.
    Here,
    /// It does, but on another runtime, which may be blocked or gone: the caller keeps it
    /// as well. A call that does not say how long it may take may take so long.
    Elsewhere(Duration),
}

/// When the call that is polled was made.
#[derive(Clone, Copy)]
enum Made {
    /// No caller's future is polled.
    Elsewhere,
    /// Now, as far as anybody has looked at the clock.
    Now,
    At(Instant),
}

/// What channels are asked: how long calls may take that do not say.
#[derive(Clone, Copy)]
enum Inquiry {
    NotAsked,
    Asked,
    Said(Duration),
}

/// Says, while a call is polled, how its deadline is kept by whom it waits for.
#[inline]
pub(crate) fn say(kept: Kept) {
    KEPT.set(kept);
}

/// When the call that is polled was made: `now`, if nobody knows better.
#[inline]
pub(crate) fn made(now: Instant) -> Instant {
    match MADE.get() {
        Made::At(made) => made,
        Made::Now => {
            MADE.set(Made::At(now));
            now
        }
        Made::Elsewhere => now,
    }
}

/// Runs `poll` of a call that was made at `made`, as soon as anybody looked at the
/// clock; and how the deadline was kept in it.
pub(crate) fn watch<T>(made: &mut Option<Instant>, poll: impl FnOnce() -> T) -> (T, Kept) {
    let kept = KEPT.replace(Kept::NotSaid);
    let outer = MADE.replace(made.map_or(Made::Now, Made::At));
    let result = poll();
    if let Made::At(at) = MADE.replace(outer) {
        *made = Some(at);
    }
    (result, KEPT.replace(kept))
}

/// Says, where a clone of a service is made to ask, where a service is not ready, and where
/// a call is made, how long its calls may take that do not say. Of several channels in a service the most patient one counts.
#[inline]
pub(crate) fn say_default(timeout: Duration) {
    match DEFAULT.get() {
        Inquiry::NotAsked => {}
        Inquiry::Asked => DEFAULT.set(Inquiry::Said(timeout)),
        Inquiry::Said(other) => DEFAULT.set(Inquiry::Said(timeout.max(other))),
    }
}

/// How long calls of `service` may take that do not say, if a channel is in it.
pub(crate) fn ask_default<S: Clone>(service: &S) -> Option<Duration> {
    asking(|| drop(service.clone())).1
}

/// Runs `look`, and how long calls may take by what the channels say that it comes upon:
/// to whoever asks further out as well.
pub(crate) fn asking<T>(look: impl FnOnce() -> T) -> (T, Option<Duration>) {
    let outer = DEFAULT.replace(Inquiry::Asked);
    let result = look();
    match DEFAULT.replace(outer) {
        Inquiry::Said(timeout) => {
            say_default(timeout);
            (result, Some(timeout))
        }
        Inquiry::NotAsked | Inquiry::Asked => (result, None),
    }
}
