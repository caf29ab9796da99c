//! Who answers a request, of the doors that share a port.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use dora_core::call::method::ServiceDescriptor;
use dora_core::call::status::BoxError;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use dora_core::transport::server::door::{Door, DoorFuture, Recognized};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::serve::serve;

/// What answers requests of HTTP.
pub(crate) trait Site: Send + Sync + 'static {
    /// What calls that come this way say which door they came through.
    fn name(&self) -> &'static str;

    /// Whether a path is one of its own, whatever else is on the port.
    fn has(&self, path: &str) -> bool;

    /// What answers, for these services: asked before the server listens, and for each
    /// connection.
    ///
    /// # Errors
    /// It cannot serve them.
    fn open(self: Arc<Self>, services: &[&'static ServiceDescriptor]) -> Result<Arc<dyn Answers>, BoxError>;
}

/// A site that is open.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Answers one request.
    fn answer<'a>(&'a self, request: Request<Incoming>, calls: &'a DoorCalls) -> Answering<'a>;
}

/// An answer that comes.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send + 'a>>;

/// What a client of HTTP may ask for within TLS.
pub(crate) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Whether a connection is HTTP that begins so: with a verb, or the preface of HTTP/2.
pub(crate) fn recognizes(first: &[u8]) -> Recognized {
    const BEGINNINGS: [&[u8]; 10] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"CONNECT ",
        b"TRACE ",
        b"PRI * HTTP/2.0\r\n",
    ];
    if BEGINNINGS.iter().any(|beginning| first.starts_with(beginning)) {
        Recognized::Yes
    } else if BEGINNINGS.iter().any(|beginning| beginning.starts_with(first)) {
        Recognized::Unclear
    } else {
        Recognized::No
    }
}

/// Sites of one port: each request is for the first one that has its path, or for the last.
#[derive(Clone)]
pub(crate) struct Sites(Vec<Arc<dyn Site>>);

impl Sites {
    pub(crate) fn of(site: Arc<dyn Site>) -> Self {
        Self(vec![site])
    }

    /// What answers for each of them, in their order.
    ///
    /// # Errors
    /// One of them cannot serve the services.
    pub(crate) fn open(&self, services: &[&'static ServiceDescriptor]) -> Result<Vec<Opened>, BoxError> {
        let opened = |site: &Arc<dyn Site>| {
            Ok(Opened { site: Arc::clone(site), answers: Arc::clone(site).open(services)? })
        };
        self.0.iter().map(opened).collect()
    }

    /// What is joined with other doors of HTTP.
    pub(crate) fn part(self) -> Option<Box<dyn Any>> {
        Some(Box::new(self))
    }

    /// A door for these and the sites of another one, where it has some.
    pub(crate) fn join(mut self, other: &dyn Door) -> Option<Arc<dyn Door>> {
        let Self(others) = *other.part()?.downcast().ok()?;
        self.0.extend(others);
        // Who takes whatever comes is asked last.
        self.0.sort_by_key(|site| site.has("/"));
        Some(Arc::new(self))
    }

    /// Serves a connection.
    pub(crate) fn serve(self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
        Box::pin(serve(stream, calls, self))
    }
}

/// A site, and what answers for it.
pub(crate) struct Opened {
    pub(super) site: Arc<dyn Site>,
    pub(super) answers: Arc<dyn Answers>,
}

/// Several doors of HTTP on one port.
impl Door for Sites {
    fn name(&self) -> &'static str {
        self.0.first().map_or("http", |site| site.name())
    }

    fn recognizes(&self, first: &[u8]) -> Recognized {
        recognizes(first)
    }

    fn alpn(&self) -> &'static [&'static [u8]] {
        ALPN
    }

    fn join(&self, other: &dyn Door) -> Option<Arc<dyn Door>> {
        self.clone().join(other)
    }

    fn part(&self) -> Option<Box<dyn Any>> {
        self.clone().part()
    }

    fn open(&self, services: &[&'static ServiceDescriptor]) -> Result<(), BoxError> {
        Sites::open(self, services).map(drop)
    }

    fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
        self.clone().serve(stream, calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_told_by_its_first_bytes_and_nothing_else_is() {
        for whole in
            ["GET / HTTP/1.1", "POST /x", "PATCH /", "TRACE /", "CONNECT x", "PRI * HTTP/2.0\r\n\r\n"]
        {
            assert_eq!(recognizes(whole.as_bytes()), Recognized::Yes, "{whole}");
        }
        for begun in ["G", "GET", "P", "PO", "PRI * HTTP/2.0\r", "OPTIONS", "H"] {
            assert_eq!(recognizes(begun.as_bytes()), Recognized::Unclear, "{begun}");
        }
        for other in [
            "get / ",
            "GETS /",
            "{",
            "\r\n",
            "PRI * HTTP/1",
            "SSH-2.0",
            "\0\0\0\x28",
            "\x16\x03\x01",
            "POSTS ",
        ] {
            assert_eq!(recognizes(other.as_bytes()), Recognized::No, "{other}");
        }
    }
}
