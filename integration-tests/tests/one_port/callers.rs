//! All callers, of all protocols, on the same port.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dora::tls::{ClientTls, Trust};
use dora::{DynamicClient, Endpoint, value};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::host::{Running, certified};

/// PEM in a file, for as long as this stands.
struct Trusted(PathBuf);

impl Trusted {
    fn new(pem: &str, name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("one-port-{name}.pem"));
        std::fs::write(&path, pem).expect("a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Trusted {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it is there");
    }
}

/// What curl is answered, and the version of HTTP that it was answered in.
fn curl(arguments: &[&str]) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
    let output = curl.args(["-w", " %{http_version}"]).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("curl");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}\n{errors}");
    let (body, version) = said.rsplit_once(' ').expect("a version");
    (body.to_owned(), version.to_owned())
}

/// Calls through both doors of HTTP.
fn curl_both(base: &str, how: &[&str], version: &str) {
    let json = ["-H", "Content-Type: application/json", "-d", "{}"];
    let beside = format!("{base}/library.v1.Library/Beside");
    let (said, spoken) = curl(&[how, &json, &[&beside]].concat());
    assert!(said.contains(r#""door":"connect""#), "{how:?}: {said}");
    assert_eq!(spoken, version, "{how:?}");
    let form = ["--data", "guid=1", "--data-urlencode", r#"params={"guid":1,"api":{"a":{"name":"x"}}}"#];
    let sync = format!("{base}/api/multisync");
    let (said, spoken) = curl(&[how, &form, &[&sync]].concat());
    assert!(said.ends_with(r#""data":"http"}}}"#), "{how:?}: {said}");
    assert_eq!(spoken, version, "{how:?}");
    let (said, _) = curl(&[how, &[&format!("{base}/v1/books/7")]].concat());
    assert!(said.contains(r#""bookTitle":"Notes""#), "{how:?}: {said}");
}

fn plain(server: &Running) {
    let base = format!("http://{}", server.address);
    for (how, version) in [("--http1.0", "1"), ("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        curl_both(&base, &[how], version);
    }
}

fn within_tls(server: &Running, certificate: &str) {
    let port = server.address.port();
    let trusted = Trusted::new(certificate, &port.to_string());
    let ca = trusted.path();
    let base = format!("https://localhost:{port}");
    for (how, version) in
        [("--http1.1", "1.1"), ("--http2", "2"), ("--http2-prior-knowledge", "2"), ("--no-alpn", "1.1")]
    {
        curl_both(&base, &["--cacert", ca, how], version);
    }
}

async fn dora(server: &Running, tls: Option<ClientTls>) -> String {
    let endpoint = Endpoint::new(format!("localhost:{}", server.address.port())).expect("an address");
    let endpoint = match tls {
        Some(tls) => endpoint.tls(tls),
        None => endpoint,
    };
    let channel = endpoint.connect().await.expect("it connects");
    let door = DynamicClient::new(channel).call("x", value!([0])).await.expect("called");
    door.as_str().expect("a text").to_owned()
}

/// What a client of Dora's speaks that believes this certificate.
fn trusting(certificate: &str) -> ClientTls {
    ClientTls::new(Trust::from_pem(certificate).expect("a trust"))
}

/// A call of Swoft's within TLS, whose client asks for nothing in particular.
async fn swoft_within_tls(server: &Running, certificate: &str) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("a certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(server.address).await.expect("it accepts");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let mut stream = stream.expect("a handshake");
    stream.write_all(b"{\"method\":\"1.0::I::m\",\"params\":[0]}\r\n\r\n").await.expect("it reads");
    let expected = b"{\"jsonrpc\":\"2.0\",\"result\":\"swoft\"}\r\n\r\n";
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer).await.expect("it answers");
    assert_eq!(answer, expected, "{}", answer.escape_ascii());
}

#[test]
fn each_finds_its_door() {
    let server = Running::start(|server| server);
    plain(&server);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    assert_eq!(runtime.block_on(dora(&server, None)), "dora");
}

#[test]
fn all_of_them_are_within_tls_where_the_server_speaks_it() {
    let (certificate, tls) = certified();
    let server = Running::start(|server| server.tls(tls));
    within_tls(&server, &certificate);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(dora(&server, Some(trusting(&certificate))).await, "dora");
        // Who names nothing is told by what it says.
        let nameless = trusting(&certificate).alpn([""; 0]);
        assert_eq!(dora(&server, Some(nameless)).await, "dora");
        swoft_within_tls(&server, &certificate).await;
    });
    // Who speaks no TLS is no caller here.
    let mut stranger = Command::new("curl");
    stranger.args(["--silent", "--noproxy", "*", "--max-time", "60"]).stdin(Stdio::null());
    let output = stranger.arg(format!("http://{}/v1/books/7", server.address)).output().expect("curl");
    assert!(!output.status.success());
}

#[test]
fn plain_callers_and_those_of_tls_are_served_beside_each_other_where_that_is_asked_for() {
    let (certificate, tls) = certified();
    let server = Running::start(|server| server.tls(tls.beside_plain()));
    within_tls(&server, &certificate);
    plain(&server);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(dora(&server, Some(trusting(&certificate))).await, "dora");
        assert_eq!(dora(&server, None).await, "dora");
        swoft_within_tls(&server, &certificate).await;
    });
}

/// What a client has proved by its certificate is at hand for what it calls, through
/// whichever door.
#[test]
fn who_a_client_has_proved_to_be_is_known_behind_the_doors() {
    let (authority, key) = authority();
    let issuer = Issuer::from_params(&authority, &key);
    let theirs = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["billing.internal".to_owned()]).expect("params");
    let theirs = (params.signed_by(&theirs, &issuer).expect("a certificate").pem(), theirs.serialize_pem());
    let (certificate, tls) = certified();
    let trust = Trust::from_pem(authority.self_signed(&key).expect("a certificate").pem()).expect("a trust");
    let server = Running::start(|server| server.tls(tls.optional_clients(trust)));
    let port = server.address.port();
    let [ca, cert, private] = [(certificate, "ca"), (theirs.0, "cert"), (theirs.1, "key")]
        .map(|(pem, name)| Trusted::new(&pem, &format!("{port}-{name}")));
    let url = format!("https://localhost:{port}/library.v1.Library/Beside");
    let json = ["-H", "Content-Type: application/json", "-d", "{}", "--cacert", ca.path()];
    let shown = [&json[..], &["--cert", cert.path(), "--key", private.path()]].concat();
    for how in ["--http1.1", "--http2"] {
        let (said, _) = curl(&[&shown[..], &[how, &url]].concat());
        assert!(said.contains(r#""its certificate":"billing.internal""#), "{how}: {said}");
        let (said, _) = curl(&[&json[..], &[how, &url]].concat());
        assert!(said.contains("connect") && !said.contains("billing"), "{how}: {said}");
    }
    let params = r#"params={"guid":1,"api":{"a":{"name":"/library.v1.Library/Beside","param":{}}}}"#;
    let form = ["--data", "guid=1", "--data-urlencode", params, "--cacert", ca.path()];
    let sync = format!("https://localhost:{port}/api/multisync");
    let shown = [&form[..], &["--cert", cert.path(), "--key", private.path(), &sync]].concat();
    let (said, _) = curl(&shown);
    assert!(
        said.contains(r#""its certificate":"billing.internal""#) && said.contains(r#""door":"http""#),
        "{said}"
    );
}

/// An authority that signs certificates of clients.
fn authority() -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().expect("a key"))
}
