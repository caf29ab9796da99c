//! Other protocols into the same server: what the doors of the features `http` and
//! `swoft` are made with, for a door of your own.

pub use dora_core::transport::server::door::calls::DoorCalls;
pub use dora_core::transport::server::door::held::Held;
pub use dora_core::transport::server::door::stream::DoorStream;
pub use dora_core::transport::server::door::{Door, DoorFuture, Recognized};
