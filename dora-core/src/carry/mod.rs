//! Calls as the bodies of frames, and back, for whatever carries frames: Dora's
//! own transport, and carriers of the user's own.
//!
//! The conversions themselves are functions that do not know who calls: the
//! transport calls the same ones.

pub(crate) mod answer;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod reply;
