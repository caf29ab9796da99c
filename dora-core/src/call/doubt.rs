//! Whether it is in doubt that a call will be answered.
//!
//! A channel whose peer owes answers, was asked whether it is there and does not say so, has
//! the futures of its calls polled, and says it each time that one of them is. Whoever
//! looks after the call hears it there, and may try it elsewhere beside; the call itself
//! goes on.

use std::cell::Cell;

thread_local! {
    static SAID: Cell<bool> = const { Cell::new(false) };
}

/// Says, while a call is polled, that its peer gives no sign of life.
#[inline]
pub(crate) fn say() {
    SAID.set(true);
}

/// Runs `poll` of a call, and whether it was said in it.
#[inline]
pub(crate) fn hear<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    let outer = SAID.replace(false);
    let polled = poll();
    // Who stands further out hears it as well.
    let said = SAID.get();
    SAID.set(outer || said);
    (polled, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_listen_hear_of_their_own_calls_alone() {
        let ((inner, other), outer) = hear(|| (hear(say).1, hear(|| ()).1));
        assert_eq!((inner, other, outer), (true, false, true));
        assert!(!hear(|| ()).1, "it is over");
    }
}
