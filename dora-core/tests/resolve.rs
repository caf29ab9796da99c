//! Names move: one is resolved anew for each connection.
#![cfg(target_os = "linux")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(30);
const NAME: &str = "users.dora.test";
/// The file that is mounted over /etc/hosts for the test's own eyes.
const HOSTS: &str = "DORA_TEST_HOSTS";
/// Mounts the first argument there, and becomes the program that the rest is.
const MOUNT: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The ways to a mount of one's own: as root, as any user where the system lets them,
/// and as one who may become root without a word.
const APART: [&[&str]; 3] = [
    &["unshare", "--mount"],
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["sudo", "-n", "unshare", "--mount"],
];

fn say(hosts: &OsStr, address: Ipv4Addr) {
    // In place: it is this file that is mounted.
    fs::write(hosts, format!("127.0.0.1 localhost\n{address} {NAME}\n")).expect("written");
}

#[test]
fn a_name_is_resolved_anew_for_each_connection() {
    if let Some(hosts) = env::var_os(HOSTS) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(follow(&hosts));
    }
    let hosts = env::temp_dir().join(format!("dora-{}-hosts", std::process::id()));
    say(hosts.as_os_str(), Ipv4Addr::LOCALHOST);
    let apart = |way: &[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-c", MOUNT]).arg(&hosts);
        command
    };
    let can = |way: &&&[&str]| apart(way).arg("true").output().is_ok_and(|run| run.status.success());
    let way = APART.iter().find(can).expect("`unshare --mount`, as root, as a user, or by sudo");
    let mut itself = apart(way);
    itself.arg("env").arg(format!("{HOSTS}={}", hosts.display())).arg(env::current_exe().expect("this test"));
    let run =
        itself.args(["--exact", "a_name_is_resolved_anew_for_each_connection"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    fs::remove_file(hosts).expect("there");
}

/// A server that answers with its address.
async fn serve(listener: TcpListener) -> oneshot::Sender<()> {
    let address = listener.local_addr().expect("bound").ip().to_string();
    let server = Server::builder().dynamic(move |_: Request<Value>| {
        let address = address.clone();
        async move { Ok::<_, Status>(Value::from(address)) }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));
    stop
}

async fn follow(hosts: &OsStr) {
    let (old, new) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let first = TcpListener::bind((old, 0)).await.expect("a port");
    let port = first.local_addr().expect("bound").port();
    let second = TcpListener::bind((new, port)).await.expect("nobody has it there");
    let stop = serve(first).await;
    let _second = serve(second).await;

    say(hosts, old);
    let channel = Endpoint::new(format!("{NAME}:{port}")).expect("an address").timeout(PATIENCE);
    let channel = channel.connect().await.expect("it listens");
    let ask = || channel.dynamic().call("/where", value!(1));
    assert_eq!(ask().await.expect("answered"), Value::from("127.0.0.2"));

    say(hosts, new);
    assert_eq!(ask().await.expect("answered"), Value::from("127.0.0.2"), "a connection stays where it is");
    stop.send(()).expect("served");
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) if answer == Value::from("127.0.0.3") => break,
            // By the connection that stands until the server has said that it goes.
            other => assert!(start.elapsed() < PATIENCE, "the name is still where it was: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
