//! Two servers and a client that find each other in etcd. While calls run, one server joins
//! and one leaves; no call fails. Start `etcd`, or say where there is one:
//! `cargo run -p discovery-etcd -- 'etcd://127.0.0.1:2379/example?group=greeters'`.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, bail};
use dora::discovery::Target;
use dora::{Channel, Fleet, Request, Response, Server, Status};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

mod greet {
    dora::include_proto!("greet.v1");
}
use greet::greeter_client::GreeterClient;
use greet::greeter_server::{Greeter, GreeterServer};
use greet::{GreetRequest, Greeting};

/// Where servers are announced, and the client looks for them: nothing else here would
/// change if it were another registry.
const TARGET: &str = "etcd://127.0.0.1:2379/example?group=greeters";

/// For what must happen; a second would do on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let line = std::env::args().nth(1).unwrap_or_else(|| TARGET.to_owned());
    let target = Target::new(&line)?;

    let one = Running::start("one", target.clone()).await?;
    let mut calls = Calls::new(Channel::to(target.clone()));
    calls.until_found().await?;
    calls.until_answered_by(&["one"]).await?;

    let two = Running::start("two", target).await?;
    calls.until_answered_by(&["one", "two"]).await?;

    one.stop().await?;
    calls.until_answered_by(&["two"]).await?;

    two.stop().await?;
    println!("{} calls, none failed", calls.made);
    Ok(())
}

struct Named(&'static str);

impl Greeter for Named {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        let text = format!("Good day, {}!", request.body().name);
        Ok(Greeting { text, from: self.0.to_owned() }.into())
    }
}

/// A server in a task.
struct Running {
    name: &'static str,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), dora::ServeError>>,
}

impl Running {
    async fn start(name: &'static str, target: Target) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{name} joins, on {}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder().add_service(GreeterServer::new(Named(name))).register(target);
        let serving = tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));
        Ok(Self { name, stop, serving })
    }

    /// It is withdrawn, answers what has come, and ends.
    async fn stop(self) -> anyhow::Result<()> {
        println!("{} leaves", self.name);
        drop(self.stop);
        Ok(self.serving.await??)
    }
}

/// One call after another.
struct Calls {
    greeter: GreeterClient<Fleet<Channel>>,
    made: usize,
    /// Who answered of late.
    lately: VecDeque<String>,
}

impl Calls {
    const WINDOW: usize = 100;

    fn new(fleet: Fleet<Channel>) -> Self {
        Self { greeter: GreeterClient::new(fleet), made: 0, lately: VecDeque::new() }
    }

    /// Until somebody is announced, a call says who is missing.
    async fn until_found(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while let Err(status) = self.greeter.greet(GreetRequest { name: "Ada".into() }).await {
            if begin.elapsed() > PATIENCE {
                return Err(status).context("nobody was found");
            }
            println!("not yet: {}", status.message());
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Calls until these servers, and no others, have answered the last calls.
    async fn until_answered_by(&mut self, expected: &[&str]) -> anyhow::Result<()> {
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        let begin = Instant::now();
        loop {
            let greeting = self.greeter.greet(GreetRequest { name: "Ada".into() }).await?;
            self.made += 1;
            self.lately.push_back(greeting.from);
            if self.lately.len() > Self::WINDOW {
                self.lately.pop_front();
                let names: BTreeSet<_> = self.lately.iter().map(String::as_str).collect();
                if names == expected {
                    println!("answered by {}", Vec::from_iter(names).join(" and "));
                    return Ok(());
                }
                if begin.elapsed() > PATIENCE {
                    bail!("answered by {names:?}, and not by {expected:?}");
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}
