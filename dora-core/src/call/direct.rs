//! Calls of methods that are known where their packets are read.

use std::fmt;
use std::sync::Arc;
use std::task::Context;

use super::BoxFuture;
use super::method::Method;
use super::origin::Connection;
use super::request::Request;
use super::response::Response;
use super::slot::Show;
use super::status::Status;

/// Finds a server's methods, for whoever reads its packets.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The method of this name, for calls over `connection`.
    fn find(&self, name: &[u8], connection: &Arc<Connection>) -> Option<Found>;
}

/// A method that was found.
pub struct Found {
    /// Which one it is.
    pub method: &'static Method,
    /// How it is called directly; `None` where its calls go through layers of the
    /// user's.
    pub direct: Option<Box<dyn Direct>>,
}

/// A method that is called without a service in between. What a server promises of
/// every call holds here too.
pub trait Direct: Send {
    /// Whether calls may go this way now. If not they go through the server's service.
    fn is_open(&self) -> bool;

    /// Calls, and polls the call once. If it has ended well then, its result was shown.
    fn call(&mut self, request: Request, cx: &mut Context<'_>, show: &mut Show<'_>) -> First;
}

/// What a call came to at its first poll.
pub enum First {
    /// It has ended; its result was shown.
    Shown,
    /// It has failed.
    Failed(Status),
    /// It goes on.
    Pending(BoxFuture<Response>),
}
