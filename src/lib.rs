//! Dora: typed RPC over the wire of PHP's Dora-RPC.
//!
//! Declare a service in a `.proto`, let `build.rs` call `dora_codegen`, and use
//! what it generates:
//!
//! ```text
//! mod users { dora::include_proto!("users.v1"); }
//!
//! // The server: plain `async fn`s.
//! impl users::users_server::Users for Directory {
//!     async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> { .. }
//! }
//! dora::Server::builder().add_service(UsersServer::new(directory)).serve("0.0.0.0:9567").await?;
//!
//! // The client: one method per rpc.
//! let users = UsersClient::new(dora::Endpoint::new("10.0.2.15:9567")?.connect().await?);
//! let user = users.get_user(GetUserRequest { id: 7 }).await?;
//! ```
//!
//! The [guide] begins here, and goes on to errors, layers, tests, TLS, PHP and
//! performance. The examples of the repository are packages to copy:
//! `quickstart`, `legacy-server` (untyped handlers for PHP callers) and
//! `php-interop`.

#![cfg_attr(docsrs, feature(doc_cfg))]

// Generated code says `::dora`, in this crate as in every other.
#[cfg(feature = "schema")]
extern crate self as dora;

pub mod auth;
pub mod carry;
#[cfg(feature = "connect")]
pub mod connect;
#[cfg(feature = "discovery")]
pub use dora_discovery::config;
pub mod discovery;
pub mod door;
// Its code is compiled in `guide-tests`, beside a generated service.
#[cfg(not(doctest))]
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
mod include;
pub mod limit;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(feature = "swoft")]
pub mod swoft;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;
pub mod value;

/// What generated code uses; not for anyone else.
#[doc(hidden)]
pub use dora_core::codegen;
/// How messages become PHP and JSON values, for types of your own behind
/// `Config::extern_path`.
pub use dora_core::pack::mapped;
pub use dora_core::value;

pub use bytes;
pub use prost_types;

pub use dora_core::call::BoxFuture;
pub use dora_core::call::batch::{BatchEntry, BatchPart, CallKey};
pub use dora_core::call::body::{BatchCall, Body};
pub use dora_core::call::code::Code;
pub use dora_core::call::deadline::Deadline;
pub use dora_core::call::dora_code;
pub use dora_core::call::extensions::Extensions;
pub use dora_core::call::head::RequestHead;
pub use dora_core::call::metadata::Metadata;
pub use dora_core::call::method::{Method, ServiceDescriptor};
pub use dora_core::call::mode::{Mode, PacketKind};
pub use dora_core::call::mount::Mount;
pub use dora_core::call::name::MethodName;
pub use dora_core::call::observe::{Closed, Observer, Traffic};
pub use dora_core::call::or_status::OrStatus;
pub use dora_core::call::origin::{Connection, PacketOrigin, Peer, RequestOrigin};
pub use dora_core::call::packed::{PackError, PackMessage, Packed};
pub use dora_core::call::packer::Packer;
pub use dora_core::call::pushback::Pushback;
pub use dora_core::call::request::{Calls, IntoRequest, Request};
/// A response that comes later, as layers meet it in a [`Reply`]. What a call that
/// is not waited for gives its caller is a [`Pending`].
pub use dora_core::call::response::Deferred as DeferredResponse;
pub use dora_core::call::response::{BatchResults, Reply, Response};
pub use dora_core::call::status::{BoxError, Origin, Status};
pub use dora_core::call::tried_peers::TriedPeers;
pub use dora_core::generation::Generation;
pub use dora_core::guid::Guid;
pub use dora_core::middleware::balance::builder::FleetBuilder;
pub use dora_core::middleware::balance::choose::{Balance, HashKey};
pub use dora_core::middleware::balance::fleet::Fleet;
pub use dora_core::middleware::balance::instance::{Instance, InstanceKey, Pinned};
pub use dora_core::middleware::breaker::circuit::{
    BreakerCause, BreakerChange, BreakerState, CircuitBreaker,
};
pub use dora_core::middleware::breaker::policy::{BreakerOutcome, BreakerPolicy};
pub use dora_core::middleware::breaker::service::{Breaker, BreakerLayer, SharedBreakerLayer};
pub use dora_core::middleware::fallback::{Fallback, FallbackCause, FallbackLayer};
pub use dora_core::middleware::hedge::policy::HedgePolicy;
pub use dora_core::middleware::hedge::service::{Hedge, HedgeLayer};
pub use dora_core::middleware::intercept::{Intercept, InterceptLayer};
pub use dora_core::middleware::retry::budget::RetryBudget;
pub use dora_core::middleware::retry::policy::RetryPolicy;
pub use dora_core::middleware::retry::service::{Retry, RetryLayer};
pub use dora_core::middleware::route::{DuplicateName, Router};
pub use dora_core::middleware::serves::Serves;
pub use dora_core::middleware::stack::Stacked;
pub use dora_core::middleware::when::{When, WhenLayer};
pub use dora_core::pack::limits::Limits;
pub use dora_core::pack::message::Message;
pub use dora_core::pack::value::{Array, Key, Object, Value};
pub use dora_core::server::register::UnknownAddress;
pub use dora_core::server::{ServeError, Server};
pub use dora_core::stub::awaited::{Awaited, Deferred, NoResult, Wait};
pub use dora_core::stub::batch::{Batch, BatchFuture};
pub use dora_core::stub::call::Call;
pub use dora_core::stub::caller::Caller;
pub use dora_core::stub::dynamic::{DynamicClient, Multi, MultiResults};
pub use dora_core::stub::future::CallFuture;
pub use dora_core::stub::handlers::Handlers;
pub use dora_core::stub::in_process::InProcess;
pub use dora_core::stub::joins::Joins;
pub use dora_core::stub::layered::{Layered, Methods};
pub use dora_core::stub::pending::Pending;
pub use dora_core::stub::results::{Append, Results};
pub use dora_core::transport::client::channel::Channel;
pub use dora_core::transport::client::endpoint::Endpoint;
pub use dora_core::transport::client::observed::ChannelStats;
pub use dora_core::transport::client::state::ChannelState;
pub use dora_core::transport::io::address::{Address, AddressError};
pub use dora_core::transport::server::accept::Accept;
pub use dora_core::transport::server::bind::ListenError;
pub use dora_core::transport::server::connections::Connections;
pub use dora_core::transport::server::control::Control;
pub use dora_core::transport::server::cost::Execution;
pub use dora_core::transport::server::incoming::Incoming;
pub use dora_core::transport::server::signal::shutdown_signal;
pub use dora_core::transport::server::stats::{Snapshot, Stats};
