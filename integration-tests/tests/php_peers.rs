//! The PHP peers.
