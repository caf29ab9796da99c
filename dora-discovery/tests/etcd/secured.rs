//! TLS on both ends, and users with passwords.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dora::discovery::{Discover, Etcd, Register, Standing, Target};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::certificates::certificates;
use crate::record;
use crate::server::{Member, PATIENCE};

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn members_and_clients_show_certificates() {
    let mut folder = None;
    let member = Member::start_with("https", |own| {
        certificates(own);
        folder = Some(own.to_owned());
        let arguments =
            [("cert-file", "server.pem"), ("key-file", "server.key"), ("trusted-ca-file", "ca.pem")];
        let arguments = arguments.map(|(key, name)| format!("--{key}={}", file(own, name)));
        [Vec::from(arguments), vec!["--client-cert-auth".to_owned()]].concat()
    });
    let folder = folder.expect("it was asked for");
    let read = |name: &str| fs::read(folder.join(name)).expect("it was written");
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read("ca.pem")))
        .identity(Identity::from_pem(read("client.pem"), read("client.key")));
    let options = ConnectOptions::new().with_tls(tls);
    let url = format!("https://{}", member.address());
    let mut client = Client::connect([url], Some(options)).await.expect("a client");
    let begin = Instant::now();
    while let Err(error) = client.get("up", None).await {
        assert!(begin.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(50)).await;
    }

    let (ca, cert, key) = (file(&folder, "ca.pem"), file(&folder, "client.pem"), file(&folder, "client.key"));
    let etcd = Etcd::new([member.address()]).ca(&ca).identity(&cert, &key);
    assert_eq!(etcd.register().announce(&record("a:1")).await.expect("it is there"), Standing::Announced);
    let target = format!("etcd://{}?ca={ca}&cert={cert}&cert_key={key}&group=shop", member.address());
    let mut watch = dora::discovery::Directory::from(Target::new(&target).expect("a target")).watch();
    let list = timeout(PATIENCE, watch.changed()).await.expect("it is there");
    assert_eq!(list[0].address, "a:1");

    let stranger = Etcd::new([member.address()]).ca(&ca);
    timeout(PATIENCE, stranger.discover().next()).await.expect("it ends").expect_err("it shows none");
    let missing = file(&folder, "none.pem");
    let error = Target::new(&format!("etcd://a?ca={missing}")).expect_err("there is no such file");
    assert!(error.to_string().contains("cannot read") && error.to_string().contains("none.pem"), "{error}");
    let error = Target::new(&format!("etcd://a?cert={cert}&cert_key={key}")).expect_err("no ca");
    assert!(error.to_string().contains("with ca"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn users_have_passwords() {
    let member = Member::start().await;
    let mut client = member.client().await;
    client.user_add("root", "over", None).await.expect("a user");
    client.role_add("root").await.expect("a role");
    client.user_grant_role("root", "root").await.expect("its role");
    client.auth_enable().await.expect("it is there");

    let etcd = |password: &str| Etcd::new([member.address()]).user("root", password);
    assert_eq!(etcd("over").register().announce(&record("a:1")).await.expect("there"), Standing::Announced);
    let target = format!("etcd://root:over@{}", member.address());
    let target = Target::new(&target).expect("a target");
    let mut watch = target.all_groups().watch();
    let list = timeout(PATIENCE, watch.changed()).await.expect("it is there");
    assert_eq!(list[0].address, "a:1");

    let error = etcd("under").discover().next().await.expect_err("a wrong password").to_string();
    assert!(error.contains("invalid user ID or password") && !error.contains("under"), "{error}");
    let error = Etcd::new([member.address()]).discover().next().await.expect_err("no user").to_string();
    assert!(error.contains("user name is empty"), "{error}");
}
