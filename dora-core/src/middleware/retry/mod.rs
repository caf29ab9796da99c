//! Trying again, where that is safe.

pub mod budget;
pub mod policy;
pub(in crate::middleware) mod series;
pub mod service;
