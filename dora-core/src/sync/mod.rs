//! What callers and the tasks of connections share: locks, flags, and how a task is
//! begun.
//!
//! In the unit tests of this crate the same names are types whose every step a model
//! checker can put in any order (`modelled.rs`), so that what is checked is the code that
//! runs and not a copy of it.

#[cfg(test)]
pub(crate) mod explore;
#[cfg(test)]
mod modelled;

#[cfg(test)]
pub(crate) use modelled::{AtomicBool, AtomicU8, Mutex, MutexGuard, RwLock, spawn};
#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8};
#[cfg(not(test))]
pub(crate) use tokio::spawn;
