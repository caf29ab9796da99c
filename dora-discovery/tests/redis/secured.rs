//! TLS on both ends, and users with passwords.

use std::path::PathBuf;

use dora::Channel;
use dora::discovery::Target;

use crate::certificates::certificates;
use crate::server::{Named, Redis, eventually, until};

#[tokio::test]
async fn passwords_and_users_are_used_and_never_shown() {
    let user = ["--user", "shop", "on", ">pa:ss", "~*", "&*", "+@all"];
    let redis = Redis::start_with(&[&["--requirepass", "s3cret&@"], &user[..]].concat()).await;
    let line = |user: &str| format!("redis://{user}127.0.0.1:{}?group=shop", redis.port);
    let target = |user: &str| Target::new(&line(user)).expect("a target");
    let server = Named::start("a", target(":s3cret%26%40@")).await;
    let fleet = Channel::to(target("shop:pa%3Ass@"));
    until(&fleet, &[&server.address]).await;

    let refused = Channel::to(target("shop:wrong-one@"));
    eventually("the password is refused", async || {
        let status = refused.directory().expect("it has one");
        status.registries[0].failure.is_some()
    })
    .await;
    let status = refused.directory().expect("it has one").to_string();
    assert!(
        !status.contains("wrong-one") && status.contains(&format!("127.0.0.1:{}", redis.port)),
        "{status}"
    );
    server.stop().await;
}

/// A folder with certificates, gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        certificates(&path);
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    async fn redis(&self, more: &[&str]) -> Redis {
        let (cert, key, ca) = (self.file("server.pem"), self.file("server.key"), self.file("ca.pem"));
        let tls = ["--port", "0", "--tls-port", "PORT", "--tls-cert-file", &cert, "--tls-key-file", &key];
        Redis::start_with(&[&tls[..], &["--tls-ca-cert-file", &ca], more].concat()).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn servers_and_clients_show_certificates() {
    let folder = Folder::new("redis-tls");
    let redis = folder.redis(&["--requirepass", "s3cret"]).await;
    let ca = folder.file("ca.pem");
    let shown = format!(
        "?group=shop&ca={ca}&cert={}&cert_key={}",
        folder.file("client.pem"),
        folder.file("client.key")
    );
    let line = |parameters: &str| format!("rediss://:s3cret@127.0.0.1:{}{parameters}", redis.port);
    let target = Target::new(&line(&shown)).expect("a target");
    let server = Named::start("a", target.clone()).await;
    let fleet = Channel::to(target);
    until(&fleet, &[&server.address]).await;

    // Who shows none, and who trusts nobody whom it could trust.
    for refused in [format!("?group=shop&ca={ca}"), "?group=shop".to_owned()] {
        let stranger = Channel::to(Target::new(&line(&refused)).expect("a target"));
        eventually("it is refused", async || {
            stranger.directory().expect("it has one").registries[0].failure.is_some()
        })
        .await;
        let status = stranger.directory().expect("it has one");
        assert!(status.age.is_none() && !status.to_string().contains("s3cret"), "{status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_missing_for_tls_is_named() {
    let folder = Folder::new("redis-tls-files");
    let (missing, cert) = (folder.file("none.pem"), folder.file("client.pem"));
    for (line, word) in [
        (format!("rediss://a?ca={missing}"), "none.pem"),
        (format!("rediss://a?cert={cert}"), "cert and cert_key go together"),
        (format!("redis://a?ca={cert}"), "\"ca\" is unknown to redis://"),
    ] {
        let error = Target::new(&line).expect_err(&line).to_string();
        assert!(error.contains(word), "{line}: {error}");
    }
}
