//! What a server takes on: how many calls at once, how many in a time, how large.
//!
//! Layers for a server, for one service or, within a [`WhenLayer`](crate::WhenLayer), for
//! some methods. A call over a limit is refused at once and told when to come again; the
//! guide's chapter [`guide::limits`](crate::guide::limits) says which of them to take.
//!
//! ```
//! use std::time::Duration;
//!
//! use dora::Server;
//! use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer, Priority, RateLimitLayer};
//!
//! let server = Server::builder()
//!     .layer(ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new()).priority(Priority::of))
//!     .layer(RateLimitLayer::new(100, Duration::from_secs(1)).per_key(|call| call.peer().ip()));
//! # drop(server);
//! ```

pub use dora_core::call::priority::{Priority, UnknownPriority};
pub use dora_core::middleware::limit::concurrency::{
    ConcurrencyLimit, ConcurrencyLimitFuture, ConcurrencyLimitLayer,
};
pub use dora_core::middleware::limit::policy::AdaptivePolicy;
pub use dora_core::middleware::limit::rate::{RateLimit, RateLimitLayer};
pub use dora_core::middleware::limit::size::{SizeLimit, SizeLimitFuture, SizeLimitLayer};
