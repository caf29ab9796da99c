//! Traces that span processes.
//!
//! [`TraceContextLayer`] carries W3C's trace context in the metadata of calls, on both ends
//! and without any other library. Where OpenTelemetry's SDK makes the ids, its own context
//! is carried by a [`Propagator`]. The guide's chapter is
//! [`guide::logging`](crate::guide::logging).

pub use dora_core::call::trace::{Propagator, PropagatorSet, set_propagator};
pub use dora_core::call::trace_context::{Scope, TraceContext};
pub use dora_core::middleware::trace_context::{InTrace, TraceContextLayer};
