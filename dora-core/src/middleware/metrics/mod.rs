//! What calls, connections, retries, breakers and limits do, as metrics of the `metrics`
//! facade, under the names of OpenTelemetry's conventions for RPC where they have one.
//!
//! Labels are bounded: methods are those that a `.proto` declares, all other names are one
//! (`_OTHER`), as the conventions have it.

mod meter;
pub mod observer;
pub mod report;
pub mod service;
