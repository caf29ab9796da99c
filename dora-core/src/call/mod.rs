//! What a call is: method, body, metadata, deadline, and the status it ends with.

#[cfg(feature = "anyhow")]
mod anyhow;
pub mod batch;
pub(crate) mod batch_budget;
pub mod body;
pub mod capabilities;
pub mod code;
pub mod deadline;
pub mod direct;
pub mod dora_code;
pub(crate) mod doubt;
pub mod extensions;
pub mod head;
pub mod identity;
pub(crate) mod kept;
pub mod metadata;
pub mod method;
pub mod mode;
pub mod mount;
pub mod name;
pub(crate) mod nearest;
pub mod observe;
pub mod or_status;
pub mod origin;
pub mod packed;
pub mod packer;
pub mod priority;
pub mod pushback;
pub mod request;
pub mod response;
pub mod slot;
pub mod status;
pub mod trace;
pub mod trace_context;
pub mod tried_peers;
pub(crate) mod tries;

use std::future::Future;
use std::pin::Pin;

use status::Status;

/// The future of a handler: boxed once, where types must be forgotten.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;
