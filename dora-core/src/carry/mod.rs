//! Calls as the bodies of frames, and back, for whatever carries frames: Dora's
//! own transport, and carriers of the user's own.
//!
//! A carrier is a `tower::Service` of [`Frame`](frame::Frame)s. On the caller's
//! side [`PackLayer`](pack::PackLayer) turns it into a service of requests, on
//! which generated clients stand; on the server's side
//! [`UnpackLayer`](unpack::UnpackLayer) turns a service of requests into one of
//! frames.
//!
//! The conversions themselves are functions that do not know who calls: the
//! transport calls the same ones.

pub(crate) mod answer;
pub mod frame;
pub mod guid_check;
pub(crate) mod incoming;
pub(crate) mod outgoing;
pub mod pack;
pub(crate) mod reply;
pub mod unpack;
