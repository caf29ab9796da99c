//! Calls over a carrier of your own: a queue, a WebSocket, a test.
//!
//! What carries frames is a [`tower::Service`](https://docs.rs/tower) of
//! [`Frame`]s that answers with one (or, where it brings the later results of
//! deferred calls, with an [`Answer`]). [`PackLayer`] makes of it a service that
//! generated clients stand on; [`UnpackLayer`] makes a service of frames of a
//! server.
//!
//! ```
//! use dora::carry::{GuidCheckLayer, PackLayer, UnpackLayer};
//! use dora::{DynamicClient, Packer, Request, Server, Value, value};
//! use tower::Layer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder()
//!     .dynamic(|request: Request<Value>| async move { Ok(request.into_body()) })
//!     .into_service()?;
//! // The server's end of a carrier, which here is nothing at all ...
//! let frames = UnpackLayer::new("nothing").layer(server);
//! // ... and the client's.
//! let client = DynamicClient::new(PackLayer::new(Packer::Json).layer(GuidCheckLayer::new().layer(frames)));
//! assert_eq!(client.call("/echo", value!({ "id" => 7 })).await?, value!({ "id" => 7 }));
//! # Ok(())
//! # }
//! ```
//!
//! The example `own-carrier` of the repository has a queue between the two.

pub use dora_core::carry::frame::{Answer, Frame};
pub use dora_core::carry::guid_check::{GuidCheck, GuidCheckFuture, GuidCheckLayer};
pub use dora_core::carry::pack::{Pack, PackFuture, PackLayer};
pub use dora_core::carry::unpack::{Unpack, UnpackLayer};
