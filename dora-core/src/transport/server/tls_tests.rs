use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::*;
use crate::transport::io::tls::testing::Authority;

/// A client's configuration: whom it believes, what it shows and offers.
fn client(trust: &Trust, identity: Option<&Identity>, alpn: &str) -> TlsConnector {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trust.current());
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.current())))
        }
    };
    config.alpn_protocols = vec![alpn.into()];
    TlsConnector::from(Arc::new(config))
}

/// A port that no doors share.
fn own() -> Port {
    Port::own(&[])
}

/// Both ends of a handshake, and a word from the server to the client.
async fn shake(upgrade: &Upgrade, client: &TlsConnector) -> Result<Option<ClientIdentity>, String> {
    let (near, far): (DuplexStream, _) = duplex(64 << 10);
    let name = ServerName::try_from("users.internal").expect("a name");
    // The client is done first, and hears only then whether it is believed.
    let (server, client) =
        tokio::join!(upgrade.upgrade(Incoming::new(far), own()), client.connect(name, near));
    let server = server.map_err(|error| error.to_string())?;
    client.map_err(|error| error.to_string())?;
    Ok(server.values.get().cloned())
}

#[tokio::test]
async fn only_clients_that_are_believed_come_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let clients = Trust::clone(&theirs.trust());
    let tls = ServerTls::new(ours.issue("users.internal"));
    let open = tls.clone().upgrade();
    let closed = tls.clone().clients(clients.clone()).upgrade();
    let optional = tls.optional_clients(clients.clone()).upgrade();
    let nobody = client(&ours.trust(), None, "dora/1");
    let somebody = client(&ours.trust(), Some(&ours.issue("client")), "dora/1");
    assert_eq!(shake(&open, &nobody).await, Ok(None));
    assert!(shake(&closed, &nobody).await.is_err(), "a certificate is asked for");
    assert!(shake(&closed, &somebody).await.is_err(), "of an authority that is believed");
    assert_eq!(shake(&optional, &nobody).await, Ok(None));
    assert!(shake(&optional, &somebody).await.is_err(), "a bad one is worse than none");
    clients.reload(&ours.trust());
    let somebody = shake(&closed, &somebody).await.expect("believed without a restart").expect("proved");
    assert_eq!(somebody.dns_names().collect::<Vec<_>>(), ["client"]);
    assert_eq!((somebody.certificates().count(), somebody.uri_names().count()), (1, 0));
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let ours = Authority::new();
    let upgrade = ServerTls::new(ours.issue("users.internal")).upgrade();
    let error = shake(&upgrade, &client(&ours.trust(), None, "h2")).await.expect_err("HTTP/2");
    assert!(error.contains("known protocol"), "{error}");
    let both = ServerTls::new(ours.issue("users.internal")).alpn(["h2", "dora/1"]).upgrade();
    assert_eq!(shake(&both, &client(&ours.trust(), None, "h2")).await, Ok(None));
}

#[tokio::test]
async fn a_certificate_is_replaced_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let identity = old.issue("users.internal");
    let upgrade = ServerTls::new(identity.clone()).upgrade();
    assert_eq!(shake(&upgrade, &client(&old.trust(), None, "dora/1")).await, Ok(None));
    identity.reload(&new.issue("users.internal"));
    assert_eq!(shake(&upgrade, &client(&new.trust(), None, "dora/1")).await, Ok(None));
    assert!(shake(&upgrade, &client(&old.trust(), None, "dora/1")).await.is_err());
}

#[tokio::test]
async fn who_does_not_speak_tls_is_called_so_and_what_was_read_is_said_again() {
    let ours = Authority::new();
    let upgrade = ServerTls::new(ours.issue("users.internal")).upgrade();
    let (mut near, far) = duplex(1024);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("room");
    let error = upgrade.upgrade(Incoming::new(far), own()).await.expect_err("no TLS").to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
    let (_near, far) = duplex(1024);
    let again = upgrade.upgrade(Incoming::new(far).first("GET / HTTP/1.1\r\n\r\n"), own()).await;
    assert!(again.expect_err("no TLS").to_string().contains("does not speak TLS"));
}
