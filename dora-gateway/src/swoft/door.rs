//! Swoft RPC, served.

use bytes::Bytes;
use dora_core::transport::server::door::calls::DoorCalls;
use dora_core::transport::server::door::stream::DoorStream;
use dora_core::transport::server::door::{Door, DoorFuture, Recognized};

use super::dialect::{Dialect, Version};
use super::serve::serve;

/// Swoft RPC for callers in PHP: JSON in frames that an end mark ends.
///
/// ```
/// use dora::swoft::Swoft;
/// use dora::{Request, Server, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let swoft = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = swoft.local_addr()?;
/// let server = Server::builder()
///     // A generated service is called by the `interface` and `version` of its `.proto`:
///     // `.add_service(UsersServer::new(Directory))`. What none declares comes here.
///     .dynamic(|request: Request<Value>| async move {
///         match request.method().as_str() {
///             r"1.0::App\Users::double" => {
///                 let number = request.body().get(0).and_then(Value::as_int);
///                 Ok(Value::from(number.unwrap_or_default() * 2))
///             }
///             name => Err(Status::not_found(format!("no {name}"))),
///         }
///     })
///     // Or `.door("0.0.0.0:18307", Swoft::v2())`.
///     .door_with_listener(swoft, Swoft::v2());
/// tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
///
/// let asked = r#"{"jsonrpc":"2.0","method":"1.0::App\\Users::double","params":[21]}"#;
/// let answered = r#"{"jsonrpc":"2.0","result":42}"#;
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # let mut peer = tokio::net::TcpStream::connect(address).await?;
/// # peer.write_all(format!("{asked}\r\n\r\n").as_bytes()).await?;
/// # let mut answer = vec![0; answered.len()];
/// # peer.read_exact(&mut answer).await?;
/// # assert_eq!(String::from_utf8(answer)?, answered);
/// # Ok(())
/// # }
/// ```
///
/// A call names interface, version and method: a service has them by the options
/// `interface` (the PHP class) and `version`; methods are named in any case, as in PHP.
/// Its positional parameters are the fields of the request in the order of their numbers;
/// those beyond the last are left out, and a single object whose keys are fields is the
/// request itself. A handler of [`dynamic`](dora_core::server::Server::dynamic) is
/// called for all that no service declares, by `version::interface::method`, with the
/// list. What came beside the call, such as `ext`, is metadata where it is text or a
/// number.
///
/// | a handler's `Status` | 2.x | 1.x |
/// | --- | --- | --- |
/// | `Status::raw(1231, "m")` | `code` 1231, `message` | `status` 1231, `msg` |
/// | `Code::InvalidArgument` | -32602 | 0 |
/// | `Code::Internal`, a panic | -32603 | 500 |
/// | another canonical code | 100200 + its gRPC number | the same |
///
/// | what is wrong with the call | 2.x | 1.x |
/// | --- | --- | --- |
/// | no JSON, not UTF-8, an empty frame | -32700 | 0 |
/// | no object; no method, or no interface | -32600 | 0 |
/// | interface or version unknown | -32600 | 0 |
/// | method unknown | -32601 | 0 |
/// | `params` neither list, object nor null | -32602 | 0 |
/// | a result that JSON cannot hold | -32603 | 0 |
///
/// A connection has one call at a time, answered in order; PHP's clients have several
/// connections for several calls. A frame over
/// [`max_packet`](dora_core::server::Server::max_packet) is answered and the connection
/// closed.
#[derive(Clone, Debug)]
pub struct Swoft {
    dialect: Dialect,
}

impl Swoft {
    /// Swoft 2.x: JSON-RPC, frames end in `\r\n\r\n`.
    #[must_use]
    pub const fn v2() -> Self {
        Self { dialect: Dialect::V2 }
    }

    /// Swoft 1.x: frames end in `\r\n`.
    #[must_use]
    pub const fn v1() -> Self {
        Self { dialect: Dialect::V1 }
    }

    /// Frames end in `end`: what Swoft calls `package_eof`. A result that has these
    /// bytes within is an error of its call.
    ///
    /// # Panics
    /// `end` is empty.
    #[must_use]
    pub fn package_eof(mut self, end: impl Into<Bytes>) -> Self {
        self.dialect = self.dialect.ended(end.into());
        self
    }
}

impl Door for Swoft {
    /// `swoft`, or `swoft-v1`.
    fn name(&self) -> &'static str {
        match self.dialect.version {
            Version::V1 => "swoft-v1",
            Version::V2 => "swoft",
        }
    }

    /// An object of JSON, and white space before it.
    fn recognizes(&self, first: &[u8]) -> Recognized {
        match first.trim_ascii_start().first() {
            Some(b'{') => Recognized::Yes,
            Some(_) => Recognized::No,
            None => Recognized::Unclear,
        }
    }

    fn serve(&self, stream: DoorStream, calls: DoorCalls) -> DoorFuture {
        Box::pin(serve(stream, calls, self.dialect.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_recognized_and_white_space_before_it_says_nothing() {
        for (first, expected) in [
            (&b"{"[..], Recognized::Yes),
            (b" \t\r\n{\"jsonrpc\"", Recognized::Yes),
            (b" ", Recognized::Unclear),
            (b"\r\n\r\n", Recognized::Unclear),
            (b"[", Recognized::No),
            (b" POST", Recognized::No),
            (b"\0\0\0{", Recognized::No),
        ] {
            for door in [Swoft::v1(), Swoft::v2()] {
                assert_eq!(door.recognizes(first), expected, "{}", first.escape_ascii());
            }
        }
    }
}
