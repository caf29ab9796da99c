//! Two ends that are not set alike: each is told at once what is wrong, and what
//! would mend it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::observe::Observer;
use dora_core::call::origin::{Connection, Peer};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::pack::limits::Limits;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::tls::ClientTls;
use dora_core::transport::io::tls::identity::Identity;
use dora_core::transport::io::tls::trust::Trust;
use dora_core::transport::server::tls::ServerTls;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a call may take: nothing here may come near it.
const CALL: Duration = Duration::from_secs(60);
/// "At once", on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What the server's observer heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn handshake_failed(&self, _: &Peer, reason: &dyn fmt::Display) {
        self.0.lock().push(reason.to_string());
    }

    fn frame_refused(&self, _: &Connection, reason: &dyn fmt::Display) {
        self.0.lock().push(reason.to_string());
    }

    fn packet_refused(&self, _: &Connection, status: &Status) {
        self.0.lock().push(status.to_string());
    }
}

impl Heard {
    async fn assert_says(&self, name: &str, words: &[&str]) {
        let start = Instant::now();
        while !self.0.lock().iter().any(|said| words.iter().all(|word| said.contains(word))) {
            assert!(start.elapsed() < AT_ONCE, "{name}: the server says {:?}, not {words:?}", self.0.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn trust(&self) -> Trust {
        Trust::from_pem(self.0.pem()).expect("a trust")
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let chain = params.signed_by(&key, &self.0).expect("signed").pem();
        Identity::from_pem(chain, key.serialize_pem()).expect("an identity")
    }
}

async fn serve(server: Server) -> (SocketAddr, Heard) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let echo = |request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) };
    let server = server.observer(heard.clone()).dynamic(echo);
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    (address, heard)
}

/// What a call comes to, which must be at once.
async fn refused(name: &str, endpoint: Endpoint, param: Value) -> Status {
    let start = Instant::now();
    let channel = endpoint.timeout(CALL).connect_timeout(CALL).connect_lazy().expect("settings");
    let status = channel.dynamic().call("/echo", param).await.expect_err(name);
    assert!(start.elapsed() < AT_ONCE, "{name}: after {:?}: {status}", start.elapsed());
    status
}

fn assert_says(name: &str, status: &Status, code: Code, words: &[&str]) {
    assert_eq!(status.code(), code, "{name}: {status}");
    for word in words {
        assert!(status.message().contains(word), "{name}: no {word:?} in: {status}");
    }
}

/// Two ends that do not agree, and what each says of it: its cause, and its mend.
struct Case {
    name: &'static str,
    server: Server,
    client: fn(Endpoint) -> Endpoint,
    param: Value,
    code: Code,
    client_says: &'static [&'static str],
    server_says: &'static [&'static str],
}

impl Case {
    /// One of settings that no ends may differ in: the client's own fault.
    fn new(name: &'static str, server: Server, client: fn(Endpoint) -> Endpoint) -> Self {
        let (client_says, server_says): (&[&str], &[&str]) = (&[], &[]);
        let code = Code::FailedPrecondition;
        Self { name, server, client, param: Value::from("x"), code, client_says, server_says }
    }

    fn says(self, client_says: &'static [&'static str], server_says: &'static [&'static str]) -> Self {
        Self { client_says, server_says, ..self }
    }

    fn with(self, code: Code) -> Self {
        Self { code, ..self }
    }

    fn sending(self, bytes: usize) -> Self {
        Self { param: Value::from("x".repeat(bytes)), ..self }
    }

    async fn run(self) {
        let Self { name, server, client, param, code, client_says, server_says } = self;
        let (address, heard) = serve(server).await;
        let endpoint = client(Endpoint::new(address).expect("an address"));
        let status = refused(name, endpoint, param).await;
        assert_says(name, &status, code, client_says);
        if !server_says.is_empty() {
            heard.assert_says(name, server_says).await;
        }
    }
}

#[tokio::test]
async fn signatures() {
    let unsigned = (
        &["the server signs its frames", "`.signed()`"][..],
        &["does not sign its frames", "give the client `.signed()`"][..],
    );
    let signed = (
        &["does not sign its frames", "take `.signed()`"][..],
        &["the client signs its frames", "give the server `.signed()`"][..],
    );
    let server = Server::builder;
    let cases = [
        Case::new("unsigned, PHP", server().signed(), Endpoint::php).says(unsigned.0, unsigned.1),
        Case::new("unsigned, default", server().signed(), |it| it).says(unsigned.0, unsigned.1),
        Case::new("unsigned, protobuf", server().signed(), Endpoint::protobuf).says(unsigned.0, unsigned.1),
        Case::new("unsigned, JSON", server().salt("own"), |it| it.packer(Packer::Json))
            .says(unsigned.0, unsigned.1),
        Case::new("unsigned, gzip", server().signed(), |it| it.php().gzip()).says(unsigned.0, unsigned.1),
        Case::new("unsigned, without guid", server().signed(), |it| it.generation(Generation::Plain))
            .says(unsigned.0, unsigned.1),
        Case::new("signed, PHP", server(), |it| it.php().signed()).says(signed.0, signed.1),
        Case::new("signed, protobuf", server(), |it| it.protobuf().signed()).says(signed.0, signed.1),
        Case::new("signed, JSON", server(), |it| it.packer(Packer::Json).signed()).says(signed.0, signed.1),
        Case::new("signed, gzip", server(), |it| it.php().gzip().signed()).says(signed.0, signed.1),
        Case::new("signed, without guid", server(), |it| it.generation(Generation::Plain).signed())
            .says(signed.0, signed.1),
        Case::new("another salt", server().signed(), |it| it.salt("own"))
            .with(Code::DataLoss)
            .says(&["another salt", "`.salt(..)`"], &["another salt", "same `.salt(..)` on both ends"]),
        Case::new("another salt, without guid", server().signed(), |it| {
            it.salt("own").generation(Generation::Plain)
        })
        .with(Code::DataLoss)
        .says(&["another salt", "`.salt(..)`"], &["another salt", "same `.salt(..)` on both ends"]),
    ];
    for case in cases {
        case.run().await;
    }
}

#[tokio::test]
async fn packings_and_limits() {
    let server = Server::builder;
    let over = &["over this server's limit of 1000", "`Server::max_packet`"][..];
    let unsaid = &["before it answered anything", "`Server::max_packet`"][..];
    let cases = [
        Case::new("protobuf, where PHP is taken", server().packers([Packer::Php]), Endpoint::protobuf)
            .with(Code::InvalidArgument)
            .says(
                &["/echo: ", "protobuf is not taken here", "only: php", "`Server::packers`"],
                &["protobuf is not taken here"],
            ),
        Case::new("PHP, where others are taken", server().packers([Packer::Json, Packer::Protobuf]), |it| {
            it.php()
        })
        .with(Code::InvalidArgument)
        .says(&["php is not taken here", "only: json, protobuf"], &["php is not taken here"]),
        Case::new("a request over the server's limit", server().max_packet(1000), Endpoint::protobuf)
            .sending(3000)
            .with(Code::InvalidArgument)
            .says(over, over),
        Case::new("the same, signed", server().max_packet(1000).signed(), |it| it.signed().protobuf())
            .sending(3000)
            .with(Code::InvalidArgument)
            .says(over, over),
        Case::new("a request of megabytes", server(), |it| it.protobuf().max_packet(64 << 20))
            .sending(20 << 20)
            .with(Code::InvalidArgument)
            .says(&["`Server::max_packet`"], &["`Server::max_packet`"]),
        // A peer that may be PHP's is not answered, as PHP's servers do not.
        Case::new("the same as PHP packs it", server().max_packet(1000), |it| it)
            .sending(3000)
            .with(Code::Unavailable)
            .says(unsaid, over),
        Case::new("the same without a guid", server().max_packet(1000), |it| {
            it.generation(Generation::Plain)
        })
        .sending(3000)
        .with(Code::Unavailable)
        .says(unsaid, over),
        Case::new("a request over the client's own limit", server(), |it| it.max_packet(1000))
            .sending(3000)
            .with(Code::InvalidArgument)
            .says(&["over this client's limit of 1000", "`Endpoint::max_packet`"], &[]),
    ];
    for case in cases {
        case.run().await;
    }
}

/// Once it has said that it is no PHP peer, a client is told whatever it packs.
#[tokio::test]
async fn a_client_that_is_known_is_told_of_the_limit() {
    let (address, _) = serve(Server::builder().max_packet(1000)).await;
    let endpoint = Endpoint::new(address).expect("an address").timeout(CALL);
    let channel = endpoint.connect().await.expect("it listens");
    channel.dynamic().call("/echo", Value::Null).await.expect("small");
    let status = channel.dynamic().call("/echo", "x".repeat(3000)).await.expect_err("large");
    assert_says("known", &status, Code::InvalidArgument, &["over this server's limit of 1000"]);
    channel.dynamic().call("/echo", Value::Null).await.expect("on the next connection");
}

/// The connection ends behind a request over the limit: whoever understands notices
/// hears so before the refusal, and sends its next calls elsewhere.
#[tokio::test]
async fn a_client_over_the_limit_is_told_to_leave_first() {
    let (address, _) = serve(Server::builder().max_packet(1000)).await;
    let mut peer = TcpStream::connect(address).await.expect("it listens");
    let guid = [b'7'; 32];
    // One call of "/x", of a peer that can all there is; then the beginning of 3000 bytes.
    let first = [&[0, 0, 0, 42][..], &guid, &[8, 1, 0x12, 4, 0x0a, 2, b'/', b'x', 0x28, 7]].concat();
    let second = [&[0, 0, 0x0b, 0xb8][..], &guid, &[8; 100]].concat();
    peer.write_all(&first).await.expect("sent");
    assert_eq!(read_frame(&mut peer).await.0, guid, "the answer");
    peer.write_all(&second).await.expect("sent");
    assert_eq!(&read_frame(&mut peer).await.0, b"dora:drain----------------------");
    let (answered, body) = read_frame(&mut peer).await;
    assert_eq!(answered, guid, "the refusal");
    assert!(String::from_utf8_lossy(&body).contains("over this server's limit of 1000"));
}

async fn read_frame(peer: &mut TcpStream) -> ([u8; 32], Vec<u8>) {
    let len = tokio::time::timeout(AT_ONCE, peer.read_u32()).await.expect("at once").expect("a frame");
    let (mut guid, mut body) = ([0; 32], vec![0; len as usize - 32]);
    peer.read_exact(&mut guid).await.expect("a guid");
    peer.read_exact(&mut body).await.expect("a body");
    (guid, body)
}

#[tokio::test]
async fn an_answer_over_a_limit_says_whose() {
    let large = |_: Request<Value>| async { Ok::<_, Status>(Value::from("x".repeat(3000))) };
    for (server_max, client_max, words) in [
        (1000, 1 << 20, ["over this server's limit of 1000", "`Server::max_packet`"]),
        (1 << 20, 1000, ["over this client's limit of 1000", "`Endpoint::max_packet`"]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = Server::builder().max_packet(server_max).dynamic(large);
        tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
        let endpoint = Endpoint::new(address).expect("an address").max_packet(client_max);
        let status = refused("a large answer", endpoint, Value::Null).await;
        assert_says("a large answer", &status, Code::ResourceExhausted, &words);
    }
}

#[tokio::test]
async fn a_batch_over_the_limit_says_the_limit() {
    let limits = Limits::default().with_calls(3);
    for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
        let (address, heard) = serve(Server::builder().limits(limits)).await;
        let endpoint = Endpoint::new(address).expect("an address").packer(packer).timeout(CALL);
        let channel = endpoint.connect_lazy().expect("settings");
        let typed = |index: i64| (index, "/echo", Value::from(index));
        let multi = channel.dynamic().multi();
        let multi = (0..4).map(typed).fold(multi, |multi, (key, name, param)| multi.call(key, name, param));
        let status = multi.send().await.expect_err("one too many");
        assert_says("batch", &status, Code::ResourceExhausted, &["more than 3 calls", "`Limits::calls`"]);
        heard.assert_says("batch", &["more than 3 calls"]).await;
    }
}

fn tls(identity: Identity) -> Server {
    Server::builder().tls(ServerTls::new(identity))
}

async fn assert_disagree(
    name: &str,
    server: Server,
    client: Option<ClientTls>,
    code: Code,
    client_says: &[&str],
    server_says: &[&str],
) {
    let (address, heard) = serve(server).await;
    let endpoint = Endpoint::new(address).expect("an address");
    let endpoint = client.map_or(endpoint.clone(), |tls| endpoint.tls(tls));
    let status = refused(name, endpoint, Value::from("x")).await;
    assert_says(name, &status, code, client_says);
    heard.assert_says(name, server_says).await;
}

#[tokio::test]
async fn tls_on_one_end_alone() {
    let ours = Authority::new();
    let client = Some(ClientTls::new(ours.trust()));
    let says = ["may not speak TLS on this port", "take `.tls(..)` off the endpoint"];
    let plain = Server::builder();
    assert_disagree(
        "TLS at a plain port",
        plain,
        client,
        Code::Unavailable,
        &says,
        &["a TLS client", "`.tls(..)`"],
    )
    .await;
    let says = ["this is a TLS server", "give the endpoint `.tls(..)`"];
    let heard = ["the client does not speak TLS", "give its endpoint `.tls(..)`"];
    let server = tls(ours.issue("127.0.0.1"));
    assert_disagree("plain at a TLS port", server, None, Code::FailedPrecondition, &says, &heard).await;
}

#[tokio::test]
async fn certificates_and_protocols() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = |identity: &Identity| tls(identity.clone());
    let identity = ours.issue("127.0.0.1");
    let client = || ClientTls::new(ours.trust());
    let mutual = || Server::builder().tls(ServerTls::new(identity.clone()).clients(ours.trust()));
    let unavailable = Code::Unavailable;

    let says = ["CertificateRequired", "give `ClientTls` an `.identity(..)`"];
    let heard = ["clients must show a certificate here", "`.identity(..)`"];
    assert_disagree("no certificate", mutual(), Some(client()), unavailable, &says, &heard).await;

    let says = ["does not believe this client's certificate", "`ServerTls::clients`"];
    let heard = ["no authority of `ServerTls::clients` has signed"];
    let stranger = client().identity(theirs.issue("client"));
    assert_disagree("a strange client", mutual(), Some(stranger.clone()), unavailable, &says, &heard).await;
    // Who has said why does not have another reason guessed. The request may or may not be
    // on its way when that is heard.
    for _ in 0..8 {
        let (address, _) = serve(mutual()).await;
        let endpoint = Endpoint::new(address).expect("an address").tls(stranger.clone());
        let status = refused("a strange client", endpoint, Value::from("x")).await;
        assert!(!status.message().contains("that large"), "{status}");
    }

    // What `openssl req -x509` makes, put to both uses.
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let both = params.self_signed(&key).expect("a certificate").pem();
    let trust = Trust::from_pem(both.clone()).expect("a trust");
    let both = Identity::from_pem(both, key.serialize_pem()).expect("an identity");
    let says = ["a certificate that is for signing others", "CA:FALSE"];
    let believing = ClientTls::new(trust);
    assert_disagree("an authority as a server", tls(both), Some(believing), unavailable, &says, &[]).await;

    let says = ["no authority of the endpoint's `Trust`"];
    let heard = ["the client does not believe this server's certificate", "`Trust`"];
    let other = ClientTls::new(theirs.trust());
    assert_disagree("a strange server", server(&identity), Some(other), unavailable, &says, &heard).await;

    let says = ["127.0.0.1", "users.internal", "`ClientTls::server_name`"];
    let named = server(&ours.issue("users.internal"));
    assert_disagree("another name", named, Some(client()), unavailable, &says, &heard).await;

    let says = ["none of the protocols that were offered", "`ClientTls::alpn`"];
    let heard = ["offers none of this port's protocols", "`ServerTls::alpn`"];
    let other = client().alpn(["h2"]);
    assert_disagree("another protocol", server(&identity), Some(other), unavailable, &says, &heard).await;
}

/// A server of another kind: it says this at once, or when it has heard something,
/// and then waits or closes.
async fn strange_server(greeting: &'static [u8], answer: &'static [u8], stays: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 1024];
                stream.write_all(greeting).await?;
                if stream.read(&mut heard).await? == 0 {
                    return Ok(());
                }
                stream.write_all(answer).await?;
                while stays && stream.read(&mut heard).await? > 0 {}
                std::io::Result::Ok(())
            });
        }
    });
    address
}

/// As hyper's servers begin: window and frame sizes, and nothing until the client
/// has said `PRI * HTTP/2.0`.
const SETTINGS: &[u8] = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\xc8\0\x04\0\x10\0\0\0\x05\0\0\x40\0";

#[tokio::test]
async fn servers_of_other_protocols_are_named() {
    type Strange = (&'static str, &'static [u8], &'static [u8], &'static [&'static str]);
    let cases: [Strange; 5] = [
        (
            "HTTP/2",
            SETTINGS,
            b"",
            &["this is an HTTP/2 (gRPC) server", "give the endpoint the port of a Dora"],
        ),
        (
            "HTTP/1",
            b"",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &["this is an HTTP server", "the port of a Dora"],
        ),
        (
            "TLS",
            b"",
            b"\x15\x03\x01\0\x02\x02\x46",
            &["this is a TLS server", "give the endpoint `.tls(..)`"],
        ),
        (
            "SSH",
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"",
            &["begins with \"SSH-2.0", "the address of a Dora server"],
        ),
        (
            "Redis",
            b"",
            b"-ERR unknown command\r\n",
            &["begins with \"-ERR unknown", "the address of a Dora server"],
        ),
    ];
    for (name, greeting, answer, words) in cases {
        for stays in [false, true] {
            let endpoint = Endpoint::new(strange_server(greeting, answer, stays).await).expect("an address");
            let status = refused(name, endpoint, Value::Null).await;
            assert_says(name, &status, Code::FailedPrecondition, words);
        }
    }
}

#[tokio::test]
async fn clients_of_other_protocols_are_named() {
    let cases: [(&[u8], &[&str]); 5] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["an HTTP client", "same_port", "http::Forms"]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["an HTTP/2 (gRPC) client", "another port"]),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc", &["a TLS client", "give the server `.tls(..)`"]),
        (b"*1\r\n$4\r\nPING\r\n", &["over this server's limit", "`Server::max_packet`"]),
        (b"EHLO example\r\n", &["begins with \"EHLO example", "another port"]),
    ];
    for (bytes, words) in cases {
        let (address, heard) = serve(Server::builder()).await;
        let mut peer = TcpStream::connect(address).await.expect("it listens");
        peer.write_all(bytes).await.expect("sent");
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = tokio::time::timeout(AT_ONCE, peer.read_to_end(&mut answer)).await.expect("it closes");
        assert!(answer.is_empty(), "it would not understand");
        heard.assert_says("a strange client", words).await;
    }
}
