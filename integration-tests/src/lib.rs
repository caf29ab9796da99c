//! What the tests against real peers share.
//!
//! Nothing here uses Dora but [`over`], which carries bytes and reads none: frames are cut and bodies are read by code of its
//! own, so that a fault of the framework cannot hide in the tests' helpers.

pub mod comments;
pub mod elsewhere;
pub mod exact;
pub mod over;
pub mod php;
pub mod process;
pub mod random;
pub mod raw;
pub mod serialized;
pub mod vectors;
