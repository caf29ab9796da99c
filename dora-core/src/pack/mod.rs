//! How packets and messages become bytes.
//!
//! A body is packed in one of three ways ([`packer::Packer`]), told apart per
//! frame by its first bytes. Nothing here knows a socket or a frame.

pub mod limits;
pub mod mapped;
pub mod packer;
pub mod php;
pub mod value;
