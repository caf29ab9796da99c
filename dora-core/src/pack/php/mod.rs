//! PHP `serialize`: what every PHP Dora-RPC peer speaks.
//!
//! - [`scan`] walks over serialized bytes without building anything: for
//!   envelopes, whose parameters are handed on unread.
//! - [`encode()`] and [`decode()`] turn a [`Value`](super::value::Value) into
//!   bytes and back.
//! - [`to_vec`] and [`from_slice`] do so for anything that serde knows.
//! - [`mod@write`] has the single writers, for a body that is put together by hand.
//! - [`normalize()`] copies PHP references out of a body that has them.
//!
//! Accepted is what PHP's `unserialize` accepts, except: integers beyond 64 bits
//! (PHP clamps them), and what [`Limits`] forbids. More is accepted where PHP
//! wants more than bytes: `r:` to a plain value, where it wants an object, and
//! `E:` and `C:` of classes, where it must know them. Objects are data: the name
//! of a class and properties; nothing is instantiated.
//!
//! [`Limits`]: super::limits::Limits

pub mod error;
pub mod scan;
pub mod write;

mod budget;
mod de;
mod decode;
mod encode;
mod float;
mod levels;
mod measure;
mod normalize;
mod path;
pub(in crate::pack) mod raw_object;
mod ser;
mod shape;
mod token;

pub use budget::Budget;
pub use de::{Deserializer, from_slice};
pub use decode::decode;
pub use encode::encode;
pub use error::{PhpError, PhpErrorKind};
pub use measure::measure;
pub use normalize::normalize;
pub use ser::{Compound, Serializer, to_vec, to_writer};
