//! One typed identity, whatever it is proved by, over real connections.
#![cfg(feature = "tls")]

use std::future::pending;
use std::net::SocketAddr;

use dora_core::call::code::Code;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::middleware::auth::client::TokenLayer;
use dora_core::middleware::auth::credentials::Credentials;
use dora_core::middleware::auth::server::{AuthLayer, AuthorizeLayer};
use dora_core::middleware::signature::key::{Keyring, SigningKey};
use dora_core::middleware::signature::sign::SignLayer;
use dora_core::middleware::signature::verify::{Signer, VerifyLayer};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::batch::Batch;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::tls::ClientTls;
use dora_core::transport::io::tls::identity::Identity;
use dora_core::transport::io::tls::trust::Trust;
use dora_core::transport::server::tls::{ClientIdentity, ServerTls};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tower::Layer;

/// Who calls, to handlers and layers.
struct User(String);

async fn authenticate(shown: Credentials) -> Result<User, Status> {
    if let Some(signer) = shown.proved::<Signer>() {
        return Ok(User(signer.key().to_owned()));
    }
    if let Some(name) = shown.proved::<ClientIdentity>().and_then(|client| client.dns_names().next()) {
        return Ok(User(name.to_owned()));
    }
    match shown.token() {
        Some("of ada") => Ok(User("ada".to_owned())),
        _ => Err(Status::unauthenticated("who calls?")),
    }
}

fn certificate(name: &str) -> (Identity, Trust) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").pem();
    let identity = Identity::from_pem(&certificate, key.serialize_pem()).expect("an identity");
    (identity, Trust::from_pem(&certificate).expect("a trust"))
}

fn signing_key(secret: u8) -> SigningKey {
    SigningKey::new("orders", [secret; 32]).expect("a key")
}

/// Where a server is, what its clients are to trust, and one who is trusted.
async fn serve() -> (SocketAddr, Trust, Identity) {
    let ((server, trust), (client, known)) = (certificate("127.0.0.1"), certificate("billing"));
    let rule =
        AuthorizeLayer::new(|user: &User, call| user.0 == "billing" || !call.method().starts_with("/pay"));
    let server = Server::builder()
        .tls(ServerTls::new(server).optional_clients(known))
        .layer(VerifyLayer::new(Keyring::new([signing_key(7)]).expect("a ring")).optional())
        .layer(AuthLayer::new(authenticate))
        .layer(rule)
        .dynamic(|request: Request<Value>| async move {
            let User(name) = request.identity().ok_or_else(|| Status::internal("nobody was asked"))?;
            Ok(Value::from(name.as_str()))
        });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(server.serve_with_listener(listener, pending()));
    (address, trust, client)
}

/// How a single call and those of a batch end: all alike.
async fn called<S: Caller>(service: &S, method: &str) -> Result<Value, Code> {
    let client = DynamicClient::new(service.clone());
    let single = client.call(method.to_owned(), 1).await.map_err(|status| status.code());
    let mut batch = Batch::new(service.clone()).list();
    batch.extend((0..2).map(|id| client.call(method.to_owned(), id)));
    for result in batch.send().await.expect("answered") {
        assert_eq!(result.map_err(|status| status.code()), single);
    }
    single
}

#[tokio::test]
async fn certificates_tokens_and_signatures_end_in_one_identity() {
    let (address, trust, client) = serve().await;
    let endpoint = |tls: ClientTls| Endpoint::new(address).expect("an address").tls(tls);
    let proved = endpoint(ClientTls::new(trust.clone()).identity(client)).connect_lazy().expect("settings");
    assert_eq!(called(&proved, "/me").await, Ok(Value::from("billing")));
    assert_eq!(called(&proved, "/pay").await, Ok(Value::from("billing")));

    let unsigned = endpoint(ClientTls::new(trust));
    let unproved = unsigned.clone().connect_lazy().expect("settings");
    assert_eq!(called(&unproved, "/me").await, Err(Code::Unauthenticated));
    let protobuf = unsigned.protobuf().connect_lazy().expect("settings");
    let signs = SignLayer::new(signing_key(7)).layer(protobuf.clone());
    assert_eq!(called(&signs, "/me").await, Ok(Value::from("orders")));
    assert_eq!(called(&signs, "/pay").await, Err(Code::PermissionDenied));
    let forges = SignLayer::new(signing_key(8)).layer(protobuf);
    assert_eq!(called(&forges, "/me").await, Err(Code::Unauthenticated));

    let ada = TokenLayer::new("of ada").layer(unproved.clone());
    assert_eq!(called(&ada, "/me").await, Ok(Value::from("ada")));
    assert_eq!(called(&ada, "/pay").await, Err(Code::PermissionDenied));
    let mallory = TokenLayer::new("of mallory").layer(unproved);
    assert_eq!(called(&mallory, "/me").await, Err(Code::Unauthenticated));
}
