//! Real members of etcd, on ports of their own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use tokio::time::{Instant, sleep, timeout};

/// For whatever must happen, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ends when its input does: also when the test is killed. Says the id of the member.
const KEEPER: &str = r#""$@" >>"$LOG" 2>&1 & echo $!; read -r _; kill -9 $! 2>/dev/null"#;

/// A member of etcd with a folder of its own, gone with this.
pub(crate) struct Member {
    folder: PathBuf,
    arguments: Vec<String>,
    address: String,
    running: Option<(Child, u32)>,
}

impl Member {
    /// One that is a cluster by itself.
    pub(crate) async fn start() -> Self {
        let member = Self::begin(&[], |_| Vec::new());
        member.up().await;
        member
    }

    /// As [`start`](Self::start), with further arguments, made for its folder. It is not
    /// waited for.
    pub(crate) fn start_with(scheme: &str, arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        Self::begin(&[scheme], arguments)
    }

    /// Three that are one cluster.
    pub(crate) async fn three() -> [Self; 3] {
        let ports: [u16; 3] = std::array::from_fn(|_| free_port());
        let cluster: Vec<_> = ports.iter().map(|port| format!("m{port}=http://127.0.0.1:{port}")).collect();
        let members = ports.map(|port| {
            let cluster = cluster.join(",");
            Self::new("http", port, &cluster, |_| Vec::new())
        });
        for member in &members {
            member.up().await;
        }
        members
    }

    fn begin(scheme: &[&str], arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let port = free_port();
        let cluster = format!("m{port}=http://127.0.0.1:{port}");
        Self::new(scheme.first().unwrap_or(&"http"), port, &cluster, arguments)
    }

    fn new(scheme: &str, peer: u16, cluster: &str, more: impl FnOnce(&Path) -> Vec<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("etcd-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("dora-{name}"));
        fs::create_dir_all(&folder).expect("a folder");
        let address = format!("127.0.0.1:{}", free_port());
        let (clients, peers) = (format!("{scheme}://{address}"), format!("http://127.0.0.1:{peer}"));
        let data = folder.join("data").display().to_string();
        let arguments = [
            ("--name", format!("m{peer}")),
            ("--data-dir", data),
            ("--listen-client-urls", clients.clone()),
            ("--advertise-client-urls", clients),
            ("--listen-peer-urls", peers.clone()),
            ("--initial-advertise-peer-urls", peers),
            ("--initial-cluster", cluster.to_owned()),
            // Leaders are not changed because a busy machine took a while.
            ("--heartbeat-interval", "500".to_owned()),
            ("--election-timeout", "2500".to_owned()),
        ];
        let mut arguments: Vec<_> =
            arguments.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect();
        arguments.extend(more(&folder));
        let mut member = Self { folder, arguments, address, running: None };
        member.run();
        member
    }

    /// Starts it again, with what it knew.
    pub(crate) fn run(&mut self) {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "etcd"])
            .args(&self.arguments)
            .env("LOG", self.folder.join("log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut said = String::new();
        let out = keeper.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut said).expect("a line");
        self.running = Some((keeper, said.trim().parse().expect("the id of a process")));
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        let (mut keeper, _) = self.running.take().expect("it runs");
        drop(keeper.stdin.take());
        keeper.wait().expect("it ends");
    }

    /// Sends it the signal of this name, without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let (_, id) = self.running.as_ref().expect("it runs");
        let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// A client of it, past all that is tested.
    pub(crate) async fn client(&self) -> Client {
        let options = ConnectOptions::new().with_connect_timeout(PATIENCE);
        Client::connect([self.address()], Some(options)).await.expect("a client")
    }

    /// Waits until it answers.
    pub(crate) async fn up(&self) {
        let mut client = self.client().await;
        let begin = Instant::now();
        while !matches!(timeout(PATIENCE, client.get("up", None)).await, Ok(Ok(_))) {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "etcd does not answer:\n{}", log());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
