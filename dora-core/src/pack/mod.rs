//! How packets and messages become bytes.
//!
//! A body is packed in one of three ways
//! ([`Packer`](crate::call::packer::Packer)), told apart per frame by its first
//! bytes. Nothing here knows a socket or a frame.

pub mod compress;
pub mod detect;
pub mod envelope;
pub mod limits;
pub mod mapped;
pub mod message;
pub mod packet;
pub mod php;
pub(crate) mod text;
mod unreadable;
pub mod value;
