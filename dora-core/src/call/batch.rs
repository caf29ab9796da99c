//! Several calls in one packet.

use super::BoxFuture;
use super::body::Body;
use super::deadline::Deadline;
use super::metadata::Metadata;
use super::mode::Mode;
use super::request::Request;
use super::response::Response;
use super::status::Status;

/// Calls that travel in one packet and run concurrently. Mode, deadline and
/// metadata are the packet's; those of its calls are not looked at.
#[derive(Debug, Default)]
pub struct BatchRequest {
    /// The calls.
    pub calls: Vec<Request>,
    /// What the caller waits for.
    pub mode: Mode,
    /// When the caller gives up.
    pub deadline: Option<Deadline>,
    /// Pairs that travel with every call.
    pub metadata: Metadata,
}

/// What came of a [`BatchRequest`].
pub enum BatchResponse {
    /// How each call ended, in the order of the calls.
    Results(BatchResults),
    /// The calls were accepted and their results are not wanted.
    Accepted,
    /// The calls were accepted; their results come later.
    Deferred(BoxFuture<BatchResults>),
}

/// How each call of a batch ended, in the order of the calls.
pub type BatchResults = Vec<Result<Response<Body>, Status>>;
