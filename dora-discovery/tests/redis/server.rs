//! Real Redis servers, and servers of Dora, of a test's own.

use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dora::discovery::{InstanceRecord, Target};
use dora::{Channel, Fleet, Request, Response, Server, Status, Value};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The bound of every wait: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A redis-server on a free port, which ends with this. In its arguments `PORT` stands for
/// the port.
pub(crate) struct Redis {
    process: Child,
    pub(crate) port: u16,
    arguments: Vec<String>,
    /// Its own: a replica writes what it is sent into the folder in which it runs.
    folder: PathBuf,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        for _ in 0..5 {
            let port = free_port();
            let folder = std::env::temp_dir().join(format!("dora-redis-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder");
            let process = spawn(port, &arguments, &folder);
            let mut redis = Self { process, port, arguments: arguments.clone(), folder };
            // Somebody else may have taken the port meanwhile.
            if redis.is_up().await {
                return redis;
            }
        }
        panic!("redis-server does not start; Debian and Ubuntu have it as redis-server");
    }

    async fn is_up(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.process.try_wait().expect("it can be asked").is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it has ended");
    }

    /// Starts it again, on the same port, empty.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.port, &self.arguments, &self.folder);
        assert!(self.is_up().await, "it starts again on port {}", self.port);
    }

    /// `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(kill.expect("kill runs").success());
    }

    pub(crate) fn target(&self, parameters: &str) -> Target {
        let line = format!("redis://127.0.0.1:{}?{parameters}", self.port);
        Target::new(&line).expect("a target")
    }

    pub(crate) async fn commands(&self) -> redis::aio::MultiplexedConnection {
        connect(&format!("redis://127.0.0.1:{}", self.port)).await.expect("it is up")
    }
}

/// Past all that is tested; with patience.
pub(crate) async fn connect(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    let patient = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has one").port()
}

fn spawn(port: u16, arguments: &[String], folder: &Path) -> Child {
    let port = port.to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("PORT", &port));
    let fixed = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let mut command = Command::new("redis-server");
    command.args(fixed).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.current_dir(folder);
    command.spawn().expect("redis-server runs; Debian and Ubuntu have it as redis-server")
}

/// A server that answers with its name.
pub(crate) struct Named {
    pub(crate) address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Named {
    pub(crate) async fn start(name: &'static str, target: Target) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::start_on(listener, name, target)
    }

    /// Says something else of itself than it would.
    pub(crate) async fn start_as(
        name: &'static str,
        target: Target,
        says: impl FnOnce(InstanceRecord) -> InstanceRecord + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, server(name).register(target).instance(says))
    }

    pub(crate) fn start_on(listener: tokio::net::TcpListener, name: &'static str, target: Target) -> Self {
        Self::serve(listener, server(name).register(target))
    }

    fn serve(listener: tokio::net::TcpListener, server: Server) -> Self {
        let address = listener.local_addr().expect("it has one").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            server.serve_with_listener(listener, async { drop(stopped.await) }).await.expect("it serves");
        });
        Self { address, stop, serving }
    }

    /// Ends as it should.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.serving.await.expect("it ends");
    }

    /// Ends without a word.
    pub(crate) async fn kill(self) {
        self.serving.abort();
        assert!(self.serving.await.is_err(), "it was aborted");
    }
}

pub(crate) fn server(name: &'static str) -> Server {
    Server::builder()
        .dynamic(move |_: Request<Value>| async move { Ok::<_, Status>(Response::new(Value::from(name))) })
}

pub(crate) fn addresses(fleet: &Fleet<Channel>) -> Vec<String> {
    let mut names: Vec<_> = fleet.instances().iter().map(|instance| instance.name.to_string()).collect();
    names.sort();
    names
}

/// Waits until the fleet has these, in whatever order.
#[track_caller]
pub(crate) fn until<'a>(fleet: &'a Fleet<Channel>, wanted: &[&str]) -> impl Future<Output = Duration> + 'a {
    let mut wanted: Vec<String> = wanted.iter().map(|&address| address.to_owned()).collect();
    wanted.sort();
    let what = format!("the fleet is {wanted:?}");
    let status = || fleet.directory().map(|status| status.to_string()).unwrap_or_default();
    eventually_or(what, status, async move || addresses(fleet) == wanted)
}

/// Waits until something holds; how long that took.
pub(crate) async fn eventually(what: impl std::fmt::Display, holds: impl AsyncFn() -> bool) -> Duration {
    eventually_or(what, String::new, holds).await
}

/// As [`eventually`]; if it does not come, this says more.
async fn eventually_or(
    what: impl std::fmt::Display,
    status: impl Fn() -> String,
    holds: impl AsyncFn() -> bool,
) -> Duration {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; {}", status());
        sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// The name of the server that answers.
pub(crate) async fn call(fleet: &Fleet<Channel>) -> Result<String, Status> {
    let name = fleet.dynamic().call("/name", Value::Null).await?;
    Ok(name.as_str().expect("a name").to_owned())
}
