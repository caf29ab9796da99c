use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use super::*;
use crate::transport::client::dial::Connector;
use crate::transport::io::tls::testing::Authority;

/// A server that echoes one byte of each connection, and says what the client
/// offered: its protocol, and whether it has shown a certificate.
async fn server(identity: Identity, clients: Option<Trust>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").into();
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(trust) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(trust.current(), provider()).build().expect("roots"),
        ),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.current())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let proto = stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec();
            // A client that is refused has gone.
            let _ = stream.write_all(&proto).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn connector(tls: ClientTls) -> Connector {
    Endpoint::new("127.0.0.1:1").expect("an address").tls(tls).connector
}

/// What the server says, or why there is no connection.
async fn call(connector: &Connector, address: &Address) -> Result<String, String> {
    let mut stream = connector
        .connect(address, std::time::Duration::from_secs(10))
        .await
        .map_err(|error| error.to_string())?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.map_err(|error| error.to_string())?;
    Ok(said)
}

#[tokio::test]
async fn a_server_is_believed_when_its_authority_is() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let address = server(ours.issue("127.0.0.1"), None).await;
    let trust = theirs.trust();
    let connector = connector(ClientTls::new(trust.clone()));
    let error = call(&connector, &address).await.expect_err("not believed");
    assert!(error.contains("invalid peer certificate"), "{error}");

    trust.reload(&ours.trust());
    assert_eq!(call(&connector, &address).await.as_deref(), Ok("dora/1"), "believed without a restart");
    trust.reload(&theirs.trust());
    assert!(call(&connector, &address).await.is_err(), "and no session outlives the trust");
}

#[tokio::test]
async fn a_server_must_have_the_name_that_is_asked_for() {
    let authority = Authority::new();
    let address = server(authority.issue("users.internal"), None).await;
    let tls = ClientTls::new(authority.trust());
    let error = call(&connector(tls.clone()), &address).await.expect_err("another name");
    assert!(error.contains("not valid for name"), "{error}");
    let named = tls.clone().server_name("users.internal").expect("a name");
    assert_eq!(call(&connector(named), &address).await.as_deref(), Ok("dora/1"));
    assert!(tls.server_name("a b").expect_err("no name").to_string().contains("host name"));
}

#[tokio::test]
async fn a_client_shows_the_certificate_that_was_loaded_last() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let address = server(ours.issue("127.0.0.1"), Some(ours.trust())).await;
    let tls = ClientTls::new(ours.trust());
    assert!(call(&connector(tls.clone()), &address).await.is_err(), "a certificate is asked for");
    let identity = theirs.issue("client");
    let connector = connector(tls.identity(identity.clone()));
    assert!(call(&connector, &address).await.is_err(), "of an authority that the server believes");
    identity.reload(&ours.issue("client"));
    assert_eq!(call(&connector, &address).await.as_deref(), Ok("dora/1"));
}

#[tokio::test]
async fn a_server_without_tls_is_called_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let connector = connector(ClientTls::new(Authority::new().trust()));
    let error = call(&connector, &address).await.expect_err("no TLS");
    assert!(error.contains("does not speak TLS"), "{error}");
}

/// The library's own text is for who programs with it.
#[tokio::test]
async fn a_connection_that_is_cut_short_is_called_so() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(authority.issue("127.0.0.1").current())));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("connected");
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.expect("believed");
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.expect("a request") > 0);
        drop(stream.into_inner());
    });
    let endpoint =
        Endpoint::new(address.to_string()).expect("an address").tls(ClientTls::new(authority.trust()));
    let channel = endpoint.connect().await.expect("connected");
    let mut request = crate::call::request::Request::new(crate::call::body::Body::message(crate::value!(1)));
    request.head_mut().set_method("/far/away");
    let status = tower::ServiceExt::oneshot(channel, request).await.expect_err("cut short");
    assert!(status.message().contains("cut short"), "{status}");
    assert!(!status.message().contains("http"), "{status}");
}
