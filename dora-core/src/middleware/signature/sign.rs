//! Signing calls.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tower::{Layer, Service};

use crate::call::body::Body;
use crate::call::head::RequestHead;
use crate::call::metadata::Metadata;
use crate::call::mode::Mode;
use crate::call::packed::Packed;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::checked::CheckedFuture;

use super::canonical::{KEY, Signature, Signed};
use super::key::SigningKey;

/// Signs each call of a client with a [`SigningKey`]: its method, mode, metadata and
/// parameter, with the time and a nonce. A [`VerifyLayer`](super::verify::VerifyLayer) of a
/// server believes it once.
///
/// So it stands inside of whatever calls again, around each instance's channel, and inside
/// of whatever changes the metadata. Parameters are packed here, as protobuf: the endpoint
/// is to be a `.protobuf()` one.
///
/// Clocks of both ends may differ by the server's window.
///
/// ```
/// use dora::auth::{AuthLayer, Credentials, Keyring, SignLayer, Signer, SigningKey, VerifyLayer};
/// use dora::{Code, DynamicClient, Request, Server, Status, Value};
/// use tower::Layer as _;
///
/// struct Caller(String);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::new("billing", "thirty-two bytes from a generator")?;
/// let who = AuthLayer::new(|shown: Credentials| async move {
///     let signer = shown.proved::<Signer>().ok_or_else(|| Status::unauthenticated("not signed"))?;
///     Ok(Caller(signer.key().to_owned()))
/// });
/// let server = Server::builder()
///     .layer(VerifyLayer::new(Keyring::new([key.clone()])?))
///     .layer(who)
///     .dynamic(|request: Request<Value>| async move {
///         let Caller(name) = request.identity().ok_or_else(|| Status::internal("nobody was asked"))?;
///         Ok(Value::from(name.as_str()))
///     });
/// let service = server.into_service()?;
///
/// let client = DynamicClient::new(SignLayer::new(key).layer(service.clone()));
/// assert_eq!(client.call("/me", 1).await?, Value::from("billing"));
/// let unsigned = DynamicClient::new(service).call("/me", 1).await.expect_err("not signed");
/// assert_eq!(unsigned.code(), Code::Unauthenticated);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SignLayer {
    key: Arc<SigningKey>,
}

impl SignLayer {
    /// Signs with this key.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { key: Arc::new(key) }
    }

    /// Signs all calls of a request, of which this is made now.
    pub(super) fn sign(&self, request: &mut Request, now: u64) -> Result<(), Status> {
        let (mode, of_batch) = (request.mode(), request.metadata().clone());
        if let Body::Batch(calls) = request.body_mut() {
            for call in calls {
                self.sign_one(&mut call.head, &mut call.body, &of_batch, (mode, now))?;
            }
            return Ok(());
        }
        let mut body = std::mem::replace(request.body_mut(), Body::Batch(Vec::new()));
        let signed = self.sign_one(request.head_mut(), &mut body, &Metadata::new(), (mode, now));
        *request.body_mut() = body;
        signed
    }

    fn sign_one(
        &self,
        head: &mut RequestHead,
        body: &mut Body,
        of_batch: &Metadata,
        (mode, now): (Mode, u64),
    ) -> Result<(), Status> {
        let packed = packed(body)?;
        let signed = Signed {
            method: head.method().as_bytes(),
            mode,
            metadata: [of_batch, head.metadata()],
            body: &packed,
        };
        let signature = Signature::make(&self.key, &signed, now).text();
        head.metadata_mut().insert(KEY, signature);
        *body = Body::Packed(packed);
        Ok(())
    }
}

/// The bytes of a parameter.
fn packed(body: &Body) -> Result<Packed, Status> {
    match body {
        Body::Packed(packed) => Ok(packed.clone()),
        Body::Message(message) => {
            let mut bytes = Vec::with_capacity(message.packed_len(Packer::Protobuf));
            message
                .pack(Packer::Protobuf, &mut bytes)
                .map_err(|error| Status::invalid_argument(error.to_string()).with_source(error).unsent())?;
            Ok(Packed { packer: Packer::Protobuf, bytes: Bytes::from(bytes) })
        }
        Body::Batch(_) => Err(Status::internal("a batch within a batch").unsent()),
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl<S> Layer<S> for SignLayer {
    type Service = Sign<S>;

    fn layer(&self, inner: S) -> Sign<S> {
        Sign { inner, layer: self.clone() }
    }
}

/// A service whose calls are signed.
#[derive(Clone)]
pub struct Sign<S> {
    inner: S,
    layer: SignLayer,
}

impl<S: fmt::Debug> fmt::Debug for Sign<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sign").field("inner", &self.inner).field("key", &self.layer.key).finish()
    }
}

impl<S> Service<Request> for Sign<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = CheckedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.layer.sign(&mut request, now()) {
            Ok(()) => CheckedFuture::passed(self.inner.call(request)),
            Err(status) => CheckedFuture::refused(status),
        }
    }
}
