//! HTTP as the original has it.

use std::any::Any;
use std::sync::Arc;

use dora_core::generation::Generation;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use dora_core::transport::server::door::{Door, DoorFuture, Recognized};

use super::access::Commands;
use super::packet::Era;
use super::site::Settings;
use crate::web::site::{ALPN, Sites, recognizes};

/// HTTP as PHP's Dora-RPC has it on its port 9566: forms in, packets as JSON out, so
/// that its callers cannot tell.
///
/// ```
/// use dora::http::Forms;
/// use dora::{Request, Server, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let http = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = http.local_addr()?;
/// let server = Server::builder()
///     .dynamic(|request: Request<Value>| async move { Ok(request.into_body()) })
///     // Or `.door("0.0.0.0:9566", Forms::new())`.
///     .door_with_listener(http, Forms::new());
/// tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
///
/// // curl http://127.0.0.1:9566/api/multisync -d guid=1 \
/// //     --data-urlencode 'params={"guid":"1","api":{"a":{"name":"/echo","param":"hello"}}}'
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # let body = r#"guid=1&params={"guid":"1","api":{"a":{"name":"/echo","param":"hello"}}}"#;
/// # let mut peer = tokio::net::TcpStream::connect(address).await?;
/// # let head = "POST /api/multisync HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded";
/// # peer.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
/// # let mut answer = String::new();
/// # peer.read_to_string(&mut answer).await?;
/// let says = r#"{"guid":"1","code":0,"msg":"OK","data":{"a":{"guid":"1","code":0,"msg":"OK","data":"hello"}}}"#;
/// # assert!(answer.ends_with(says), "{answer}");
/// # Ok(())
/// # }
/// ```
///
/// | path | what it does |
/// | --- | --- |
/// | `api/multisync` | calls all of `api` at once, answers with their results |
/// | `api/multinoresult` | the same, answered at once with 100001 |
/// | `server/cmd` | the control command `api.cmd.name`: see [`control_token`](Self::control_token) |
///
/// The fields of a `POST`, `application/x-www-form-urlencoded` or `multipart/form-data`,
/// are `guid` and `params`, which is JSON: `{"guid":..,"api":{key:{"name":..,"param":..}}}`.
/// A method is called by any of its names. What the server has for its calls holds here
/// too: layers, limits, timeouts, TLS, drain. A body has at most
/// [`max_packet`](dora_core::server::Server::max_packet) bytes (413), headers 64 KiB
/// (431), and a request that began must be whole within the
/// [`frame_timeout`](dora_core::server::Server::frame_timeout) (408); a connection that
/// is silent for as long is closed. HTTP/1 is spoken, and HTTP/2.
///
/// Beside the form, headers that are not HTTP's own are metadata of all its calls
/// (`authorization`, `traceparent`), and `Connect-Timeout-Ms` is how long their caller waits.
/// What a handler says beside its result, or its failure, stands in the packet of that call
/// behind what the original has: `meta` (of equal keys the last), and `details` of a failure.
///
/// On one port with `dora::connect::Connect` the three paths are this door's, and all
/// others that one's.
///
/// # Who may call
///
/// Whoever reaches the port, unless there is a [`token`](Self::token) or a layer says
/// otherwise. A page of another site could have its readers' browsers post a form here;
/// browsers say so (`Sec-Fetch-Site`, `Origin`), and are refused with 403: see
/// [`any_origin`](Self::any_origin). PHP's callers send neither. A browser of before
/// 2020 sends neither too: where such are near, ask for a token.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    settings: Arc<Settings>,
}

impl Forms {
    /// The door as it is described above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks as the door of 0.4.x did, of 2016 ([`Generation::Plain`]): the guid stands
    /// in `params` alone, and in the outermost packet of an answer, last; what is wrong
    /// with `params` is 100003. Default: as of 2017 and later ([`Generation::Guid`]).
    #[must_use]
    pub fn generation(mut self, generation: Generation) -> Self {
        self.set().era = match generation {
            Generation::Guid => Era::Guid,
            _ => Era::Plain,
        };
        self
    }

    /// Takes calls only of those who send `Authorization: Bearer <token>`; others get
    /// 401. Default: no token is asked for, as the original asks for none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.set().access.token = Some(token.into());
        self
    }

    /// Answers control commands, as far as the server's
    /// [`control`](dora_core::server::Server::control) does, to those who send
    /// `Authorization: Bearer <token>`; others get 401. Default: every command is
    /// unknown here, whatever the server's own wire answers.
    #[must_use]
    pub fn control_token(mut self, token: impl Into<String>) -> Self {
        self.set().access.commands = Commands::With(token.into());
        self
    }

    /// Answers control commands to everybody, as the original does: for ports that
    /// nobody reaches who may not.
    #[must_use]
    pub fn open_control(mut self) -> Self {
        self.set().access.commands = Commands::ToAll;
        self
    }

    /// Takes forms that browsers send from pages of other sites, too.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.set().access.any_origin = true;
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    fn sites(&self) -> Sites {
        Sites::of(self.settings.clone())
    }
}

impl Door for Forms {
    fn name(&self) -> &'static str {
        "http"
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

    fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
        self.sites().serve(stream, calls)
    }
}
