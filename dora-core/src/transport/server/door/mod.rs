//! Other protocols into the same server.

pub mod calls;
pub mod held;
pub(crate) mod porch;
pub mod sort;
pub mod stream;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::call::method::ServiceDescriptor;
use crate::call::observe::Closed;
use crate::call::status::BoxError;

use self::calls::DoorCalls;
use self::stream::DoorStream;

/// Another protocol into the same server: it reads what a peer says and makes
/// [`Request`](crate::call::request::Request)s of it, which pass all that calls of
/// Dora's own wire pass.
///
/// ```
/// use dora::door::{Door, DoorCalls, DoorFuture, DoorStream};
/// use dora::{Body, Closed, Request, Server, Value, value};
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
///
/// /// The name of a method on a line, its result on the next.
/// struct Lines;
///
/// impl Door for Lines {
///     fn name(&self) -> &'static str {
///         "lines"
///     }
///
///     fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
///         Box::pin(async move {
///             let (mut stream, mut name) = (BufStream::new(stream), String::new());
///             while stream.read_line(&mut name).await.is_ok_and(|bytes| bytes > 0) {
///                 let mut request = Request::new(Body::message(Value::Null));
///                 request.head_mut().set_origin(calls.origin());
///                 request.head_mut().set_method(name.trim().to_owned());
///                 let answer = match calls.call(request).await {
///                     Ok(_) => "well".to_owned(),
///                     Err(status) => status.to_string(),
///                 };
///                 let sent = async {
///                     stream.write_all(format!("{answer}\n").as_bytes()).await?;
///                     stream.flush().await
///                 };
///                 if let Err(error) = sent.await {
///                     return Closed::from(&error);
///                 }
///                 name.clear();
///             }
///             Closed::ByPeer
///         })
///     }
/// }
///
/// let server = Server::builder()
///     .dynamic(|_: Request<Value>| async { Ok(value!("hello")) })
///     // Beside the port of Dora's own wire that `serve` opens.
///     .door("127.0.0.1:9001", Lines);
/// # drop(server);
/// ```
pub trait Door: Send + Sync + 'static {
    /// What calls that come through it say where they came from
    /// ([`RequestOrigin::door`](crate::call::origin::RequestOrigin::door)): `http`, ...
    fn name(&self) -> &'static str;

    /// Whether a connection that begins so is for this door: asked where several share a
    /// port ([`Server::same_port`](crate::server::Server::same_port)), with at least one
    /// byte. Dora's own frames begin with their length, whose first byte is under `0x20`
    /// as long as packets are under 512 MiB. Default: it is not.
    fn recognizes(&self, _first: &[u8]) -> Recognized {
        Recognized::No
    }

    /// What its clients may ask for within TLS (ALPN), the best first: offered by a server
    /// that [speaks TLS](crate::server::Server::tls) and does not say otherwise. A client
    /// that asks for none of them is refused, one that asks for nothing is not.
    /// Default: nothing, and whatever is asked for will do.
    fn alpn(&self) -> &'static [&'static [u8]] {
        &[]
    }

    /// One door in place of this one and `other`, which is added to its port
    /// ([`Server::same_port`](crate::server::Server::same_port)): for two that the first
    /// bytes do not tell apart, as two of HTTP, and more does. Default: there is none, and
    /// this one has what both recognize.
    fn join(&self, other: &dyn Door) -> Option<Arc<dyn Door>> {
        let _ = other;
        None
    }

    /// What a door that is to [join](Self::join) with this one takes of it. Default:
    /// nothing.
    fn part(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// Told which services the server has, before it listens: a door that cannot
    /// serve them says so here, and the server does not begin. Not told where
    /// connections are handed over one by one; [`DoorCalls::services`] knows them too.
    /// Default: nothing is done.
    ///
    /// # Errors
    /// They cannot be served through this door.
    fn open(&self, services: &[&'static ServiceDescriptor]) -> Result<(), BoxError> {
        let _ = services;
        Ok(())
    }

    /// Serves one connection to its end, and says why it ended. Dropped, it is to
    /// let go of all that it runs.
    ///
    /// It is to end soon after [`DoorCalls::draining`] does: when what it was asked
    /// is answered.
    fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture;
}

/// Whether a connection is for a door, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognized {
    /// It is.
    Yes,
    /// It is not, whatever follows.
    No,
    /// What follows will tell.
    Unclear,
}

/// What serves one connection.
pub type DoorFuture = Pin<Box<dyn Future<Output = Closed> + Send>>;
