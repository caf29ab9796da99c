//! HTTP.

mod access;
mod fields;
pub mod forms;
pub mod packet;
mod site;
