//! HTTP with JSON or protobuf.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use dora_core::call::method::ServiceDescriptor;
use dora_core::call::status::BoxError;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use dora_core::transport::server::door::{Door, DoorFuture, Recognized};
use hyper::Request;
use hyper::body::Incoming;

use super::access::Origins;
use super::answer::{Desk, answer};
use super::openapi;
use super::schema::{Schema, SchemaError};
use crate::web::site::{ALPN, Answering, Answers, Site, Sites, recognizes};

/// What calls that come through it say.
const NAME: &str = "connect";

/// Generated services over HTTP/1.1 and HTTP/2, for whoever has no Dora: curl, browsers,
/// every HTTP library, and the clients of [Connect](https://connectrpc.com).
///
/// ```
/// use dora::connect::Connect;
/// use dora::Server;
///
/// let server = Server::builder()
///     // .add_service(UsersServer::new(Directory))
///     .door("127.0.0.1:8080", Connect::new());
/// # drop(server);
/// ```
///
/// ```console
/// $ curl http://127.0.0.1:8080/users.v1.Users/GetUser --json '{"id": 7}'
/// {"id":"7","name":"Ada"}
/// ```
///
/// # What it answers
///
/// - `POST /package.Service/Method`, its body a message in `application/json`
///   ([canonical proto3 JSON](https://protobuf.dev/programming-guides/json)) or
///   `application/proto`, as [Connect's unary
///   protocol](https://connectrpc.com/docs/protocol) has it. Members that the message
///   does not know are passed.
/// - `GET /package.Service/Method?encoding=json&message=..` where the `.proto` says
///   `option idempotency_level = NO_SIDE_EFFECTS;`.
/// - The verbs and paths of `google.api.http`, in JSON.
/// - `GET /openapi.json`: all of it as OpenAPI 3.1, with the comments of the `.proto`
///   ([`without_openapi`](Self::without_openapi)).
///
/// Headers are metadata, both ways; those that are HTTP's own are not. `Connect-Timeout-Ms`
/// is the deadline; without it the method's `timeout_ms` is, and the server's
/// `call_timeout` holds for all. `Prefer: respond-async` (RFC 7240) asks for no result,
/// as the mode `NO_RESULT` of a method does: `202 Accepted`, and nothing else. A failure
/// has the status of HTTP that Connect has for its code, and says `code`, `message` and,
/// where the service has a code of its own, `doraCode`.
///
/// # What it refuses
///
/// No page of another site can call: bodies must have a type that forms cannot send,
/// browsers say whose page it is, and CORS is not answered but for
/// [`allow_origin`](Self::allow_origin). The limits are the server's: `max_packet` for a
/// body, [`Limits::bytes`](dora_core::pack::limits::Limits::bytes) for an inflated one,
/// `frame_timeout` for a head or body that began, `idle_timeout` for a connection that
/// asks nothing, `stall_timeout` for one that takes nothing. A head has at most 64 KiB, a
/// connection of HTTP/2 200 requests at a time, JSON 127 levels.
///
/// On one port with `dora::http::Forms`, that one has its three paths, and this one all
/// others.
#[derive(Debug, Default)]
pub struct Connect {
    settings: Settings,
    shared: OnceLock<Arc<Shared>>,
}

impl Connect {
    /// The door with its defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pages of `origin` (`https://app.example.com`) call from a browser, and
    /// answers CORS for them; `"*"` is every page. No cookies are allowed. May be said
    /// more than once. Default: pages of this host alone.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.settings.origins.push(origin.into());
        self
    }

    /// Tells nobody what there is to call. Default: `GET /openapi.json` does.
    #[must_use]
    pub const fn without_openapi(mut self) -> Self {
        self.settings.without_openapi = true;
        self
    }

    fn sites(&self) -> Sites {
        let shared = || Arc::new(Shared { settings: self.settings.clone(), desk: OnceLock::new() });
        Sites::of(self.shared.get_or_init(shared).clone())
    }
}

/// How a door is set.
#[derive(Clone, Debug, Default)]
struct Settings {
    origins: Vec<String>,
    without_openapi: bool,
}

/// What the connections of a door share: the schema is read once.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    desk: OnceLock<Result<Arc<Desk>, Arc<SchemaError>>>,
}

impl Shared {
    fn desk(&self, services: &[&'static ServiceDescriptor]) -> Result<Arc<Desk>, Arc<SchemaError>> {
        let made = self.desk.get_or_init(|| {
            let schema = Schema::new(services).map_err(Arc::new)?;
            let Settings { origins, without_openapi } = self.settings.clone();
            let openapi = (!without_openapi).then(|| openapi::document(&schema).to_string().into());
            Ok(Arc::new(Desk { schema, origins: Origins(origins), openapi }))
        });
        made.clone()
    }
}

impl Door for Connect {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The verbs of HTTP/1, and the preface of HTTP/2.
    fn recognizes(&self, first: &[u8]) -> Recognized {
        recognizes(first)
    }

    fn alpn(&self) -> &'static [&'static [u8]] {
        ALPN
    }

    fn join(&self, other: &dyn Door) -> Option<Arc<dyn Door>> {
        self.sites().join(other)
    }

    fn part(&self) -> Option<Box<dyn Any>> {
        self.sites().part()
    }

    /// # Errors
    /// [`SchemaError`]: what `google.api.http` says cannot be meant, or descriptors are
    /// broken.
    fn open(&self, services: &[&'static ServiceDescriptor]) -> Result<(), BoxError> {
        self.sites().open(services).map(drop)
    }

    fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
        self.sites().serve(stream, calls)
    }
}

impl Site for Shared {
    fn name(&self) -> &'static str {
        NAME
    }

    /// All that no other door of the port has.
    fn has(&self, _: &str) -> bool {
        true
    }

    fn open(self: Arc<Self>, services: &[&'static ServiceDescriptor]) -> Result<Arc<dyn Answers>, BoxError> {
        Ok(self.desk(services)?)
    }
}

impl Answers for Desk {
    fn answer<'a>(&'a self, request: Request<Incoming>, calls: &'a DoorCalls) -> Answering<'a> {
        Box::pin(answer(request, calls, self))
    }
}
