//! How servers announce themselves, and how clients find them: without a word about any
//! registry. Those stand in `dora-discovery`, and in what users write.

pub mod directory;
pub mod discover;
mod erased;
pub(crate) mod lease;
pub mod list;
pub mod record;
pub mod register;
mod view;
pub mod watch;
