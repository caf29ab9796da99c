//! The guide: from the first service to a fleet that has left PHP.
//!
//! | chapter | on |
//! | --- | --- |
//! | [`first_service`] | a `.proto`, a server, a client |
//! | [`errors`] | one `Status` for whatever fails, and what to do about it |
//! | [`deadlines`] | how long a call may take, and who ends it |
//! | [`batches`] | several calls in one packet; calls without a result, or with a later one |
//! | [`layers`] | what holds for all calls, for one service, for one method |
//! | [`auth`] | who calls, and whether they may |
//! | [`limits`] | what a server takes on, and what it refuses under overload |
//! | [`resilience`] | many instances as one; trying again, circuit breakers, fallbacks |
//! | [`discovery`] | servers that come and go; Redis, files, PHP's fleet |
//! | [`monitor`] | files of servers for PHP-FPM and others that ask no registry |
//! | [`configuration`] | values that change while a fleet runs |
//! | [`testing`] | without a port: in process, with mocks |
//! | [`shutdown`] | leaving without losing a call |
//! | [`logging`] | logs and spans, what is counted |
//! | [`tls`] | encryption, and who the other end is |
//! | [`php`] | the same service for PHP callers; PHP servers for Rust callers |
//! | [`doors`] | HTTP and Swoft beside Dora's own wire; other protocols of your own |
//! | [`connect`] | HTTP with JSON, for callers without Dora |
//! | [`performance`] | what runs where; handlers that block or compute |
//! | [`carry`] | over a queue or a WebSocket in place of TCP |
//! | [`from_tonic`] | for those who know tonic |
//! | [`from_php`] | one API at a time |
//!
//! The code is compiled and run by the tests of the repository. It uses the
//! service of the [first chapter](first_service).

#[doc = include_str!("first_service.md")]
pub mod first_service {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("deadlines.md")]
pub mod deadlines {}

#[doc = include_str!("batches.md")]
pub mod batches {}

#[doc = include_str!("layers.md")]
pub mod layers {}

#[doc = include_str!("auth.md")]
pub mod auth {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("resilience.md")]
pub mod resilience {}

#[doc = include_str!("discovery.md")]
pub mod discovery {}

#[doc = include_str!("monitor.md")]
pub mod monitor {}

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("logging.md")]
pub mod logging {}

#[doc = include_str!("tls.md")]
pub mod tls {}

#[doc = include_str!("php.md")]
pub mod php {}

#[doc = include_str!("doors.md")]
pub mod doors {}

#[doc = include_str!("connect.md")]
pub mod connect {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("carry.md")]
pub mod carry {}

#[doc = include_str!("from_tonic.md")]
pub mod from_tonic {}

#[doc = include_str!("from_php.md")]
pub mod from_php {}
