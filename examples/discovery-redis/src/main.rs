//! Two servers and a client that find each other in Redis. While calls run, one server joins
//! and one leaves; a line every quarter of a second says who is in the client's list, who has
//! answered since the line before, and how many calls failed: none. Start `redis-server`, or
//! say where there is one: `cargo run -p discovery-redis -- 'redis://127.0.0.1:6379?group=greeters'`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dora::discovery::Target;
use dora::{Channel, Fleet, Request, Response, Server, Status};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

mod greet {
    dora::include_proto!("greet.v1");
}
use greet::greeter_client::GreeterClient;
use greet::greeter_server::{Greeter, GreeterServer};
use greet::{GreetRequest, Greeting};

/// Where servers are announced, and the client looks for them. Of several servers
/// (`redis://10.0.0.1,10.0.0.2`) each is enough; `redis+sentinel://10.0.0.1,10.0.0.2/mymaster`
/// asks Sentinels which one it is.
const TARGET: &str = "redis://127.0.0.1:6379?group=greeters";

/// For what must happen; a second would do on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let line = std::env::args().nth(1).unwrap_or_else(|| TARGET.to_owned());
    let target = Target::new(&line)?;
    let mut live = Live::new(Channel::to(target.clone()));

    let one = Running::start("one", target.clone());
    live.show_until(&["one"]).await?;

    let two = Running::start("two", target);
    live.show_until(&["one", "two"]).await?;

    one.stop().await?;
    live.show_until(&["two"]).await?;

    live.calling.abort();
    two.stop().await?;
    let Tally { calls, failed, .. } = *live.tally();
    println!("{calls} calls, {failed} failed");
    ensure!(failed == 0, "calls failed while servers came and went");
    Ok(())
}

/// A server in a task, which answers with its name.
struct Running {
    name: &'static str,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), dora::ServeError>>,
}

struct Named(&'static str);

impl Greeter for Named {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        let text = format!("Good day, {}!", request.body().name);
        Ok(Greeting { text, from: self.0.to_owned() }.into())
    }
}

impl Running {
    /// Announced as soon as it listens.
    fn start(name: &'static str, target: Target) -> Self {
        println!("-- {name} joins");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder().add_service(GreeterServer::new(Named(name))).register(target);
        let stopped = async { drop(stopped.await) };
        Self { name, stop, serving: tokio::spawn(server.serve_with_shutdown("127.0.0.1:0", stopped)) }
    }

    /// It is withdrawn, answers what has come, and ends.
    async fn stop(self) -> anyhow::Result<()> {
        println!("-- {} leaves", self.name);
        drop(self.stop);
        Ok(self.serving.await??)
    }
}

/// A client that makes one call after another, and says what becomes of them.
struct Live {
    fleet: Fleet<Channel>,
    tally: Arc<Mutex<Tally>>,
    calling: JoinHandle<()>,
    begin: Instant,
}

#[derive(Default)]
struct Tally {
    calls: usize,
    failed: usize,
    /// Who has answered since the last line, and how often.
    lately: BTreeMap<String, usize>,
}

impl Live {
    fn new(fleet: Fleet<Channel>) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let calling = tokio::spawn(call(fleet.clone(), Arc::clone(&tally)));
        Self { fleet, tally, calling, begin: Instant::now() }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines, until these servers and no others are listed, and have answered in the last four.
    async fn show_until(&mut self, expected: &[&str]) -> anyhow::Result<()> {
        let (begin, mut shown) = (Instant::now(), VecDeque::new());
        loop {
            sleep(Duration::from_millis(250)).await;
            let listed = self.fleet.instances().len();
            let (lately, failed) = {
                let mut tally = self.tally();
                (std::mem::take(&mut tally.lately), tally.failed)
            };
            let answers: Vec<_> = lately.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let time = self.begin.elapsed().as_secs_f32();
            println!("{time:5.2} s  listed: {listed}  answers: {:<16} failed: {failed}", answers.join(", "));
            shown.push_back(lately);
            if shown.len() > 4 {
                shown.pop_front();
            }
            let names: BTreeSet<_> = shown.iter().flat_map(BTreeMap::keys).collect();
            if shown.len() == 4 && listed == expected.len() && names.into_iter().eq(expected) {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                let status = self.fleet.directory().context("it looks in a registry")?;
                bail!("{expected:?} do not answer: {status}");
            }
        }
    }
}

/// Calls from when there is somebody to call.
async fn call(fleet: Fleet<Channel>, tally: Arc<Mutex<Tally>>) {
    while fleet.instances().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    let greeter = GreeterClient::new(fleet);
    loop {
        let answer = greeter.greet(GreetRequest { name: "Ada".into() }).await;
        {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.calls += 1;
            match answer {
                Ok(greeting) => *tally.lately.entry(greeting.from).or_default() += 1,
                Err(_) => tally.failed += 1,
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
}
