//! Circuit breaking: a service that fails is left alone for a while.

pub mod circuit;
pub(super) mod cover;
mod machine;
pub mod policy;
pub mod service;
mod window;
