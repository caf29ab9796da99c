//! Trying again, where that is safe.

pub mod budget;
pub mod policy;
pub mod service;
