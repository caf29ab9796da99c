//! Swoft RPC: what was recorded of it, and PHP with its own JSON at the other end.

mod drain;
mod host;
mod php;
mod recorded;
mod refusals;
mod typed;
