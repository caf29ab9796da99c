//! What whoever accepted a connection knows about it reaches layers and handlers, over
//! whatever the connection goes, in single calls and batches.
#![cfg(all(unix, feature = "tls"))]

use std::io;
use std::sync::Arc;

use dora_core::call::origin::Peer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::middleware::intercept::InterceptLayer;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::batch::Batch;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::tls::ClientTls;
use dora_core::transport::io::tls::identity::Identity;
use dora_core::transport::io::tls::trust::Trust;
use dora_core::transport::server::incoming::Incoming;
use dora_core::transport::server::tls::{ClientIdentity, ServerTls};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What whoever accepts says of a connection.
#[derive(Clone)]
struct Tenant(&'static str);

#[derive(Clone, Copy, Debug)]
enum Over {
    Tcp,
    Unix,
    Memory,
}

/// What a layer or handler finds out about its connection.
fn facts<T>(request: &Request<T>) -> Result<String, Status> {
    let origin = request.origin().ok_or_else(|| Status::internal("a call without an origin"))?;
    let values = origin.connection().values();
    let Tenant(tenant) = values.get().ok_or_else(|| Status::permission_denied("whose is it?"))?;
    let client = values.get::<ClientIdentity>().and_then(|client| client.dns_names().next());
    let peer = match request.peer() {
        Peer::Tcp(address) if address.ip().is_loopback() => "tcp",
        Peer::Unix(_) => "unix",
        Peer::InProcess => "memory",
        _ => "unknown",
    };
    let door = origin.door();
    Ok(format!("{tenant} by {door} over {peer}, {}", client.unwrap_or("not proved")))
}

/// What the layer found.
#[derive(Clone)]
struct Found(String);

/// The client's end of a new connection, and the server's.
async fn pair(over: Over) -> io::Result<(Box<dyn Stream>, Incoming)> {
    Ok(match over {
        Over::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let near = TcpStream::connect(listener.local_addr()?).await?;
            (Box::new(near), Incoming::from(listener.accept().await?.0))
        }
        Over::Unix => {
            let (near, far) = UnixStream::pair()?;
            (Box::new(near), Incoming::from(far))
        }
        Over::Memory => {
            let (near, far) = duplex(64 << 10);
            (Box::new(near), Incoming::new(far))
        }
    })
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn certificate(name: &str) -> (Identity, Trust) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").pem();
    let identity = Identity::from_pem(&certificate, key.serialize_pem()).expect("an identity");
    (identity, Trust::from_pem(&certificate).expect("a trust"))
}

/// A channel whose connections belong to a tenant; with `tls` both ends prove who they are.
fn channel(over: Over, tls: bool) -> Channel {
    let look = InterceptLayer::new(|mut request: Request| async move {
        let found = Found(facts(&request)?);
        request.extensions_mut().insert(found);
        Ok(request)
    });
    let handler = |request: Request<Value>| async move {
        let found = request.extensions().get::<Found>().map(|Found(found)| found.clone());
        assert_eq!(found, Some(facts(&request)?), "a layer knows what its handler knows");
        Ok::<_, Status>(Value::from(facts(&request)?))
    };
    let ((server, trusted), (client, known)) = (certificate("users.internal"), certificate("billing"));
    let mut serving = Server::builder();
    let mut endpoint = Endpoint::new("users.internal:9567").expect("an address");
    if tls {
        serving = serving.tls(ServerTls::new(server).clients(known));
        endpoint = endpoint.tls(ClientTls::new(trusted).identity(client));
    }
    let connections = serving.dynamic(handler).layer(look).connections().expect("no names clash");
    let connections = Arc::new(connections);
    let endpoint = endpoint.connect_with(move |_| {
        let connections = Arc::clone(&connections);
        async move {
            let (near, far) = pair(over).await?;
            tokio::spawn(connections.serve(far.value(Tenant("acme"))));
            Ok(near)
        }
    });
    endpoint.connect_lazy().expect("settings")
}

#[tokio::test]
async fn values_reach_layers_and_handlers_over_everything() {
    for (over, name) in [(Over::Tcp, "tcp"), (Over::Unix, "unix"), (Over::Memory, "memory")] {
        for (tls, client) in [(false, "not proved"), (true, "billing")] {
            let expected = Value::from(format!("acme by dora over {name}, {client}"));
            let channel = channel(over, tls);
            let client = channel.dynamic();
            let answer = client.call("/whoami", 1).await.expect("an answer");
            assert_eq!(answer, expected, "{over:?} {tls}");
            let mut batch = Batch::new(channel.clone()).list();
            batch.extend((0..3).map(|id| client.call("/whoami", id)));
            for answer in batch.send().await.expect("answered") {
                assert_eq!(answer.expect("an answer"), expected, "{over:?} {tls}");
            }
        }
    }
}
