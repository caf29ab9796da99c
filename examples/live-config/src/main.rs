//! A server with a limit that an operator changes while it runs. Start `etcd`, then this
//! (`cargo run -p live-config`), and in another terminal
//!
//! ```console
//! etcdctl put example/limits '{"longest_name": 5}'
//! etcdctl put example/limits '{"longest_name": 0}'     # refused: the last good value is kept
//! etcdctl del example/limits                           # the default holds again
//! ```
//!
//! With Redis: `cargo run -p live-config -- 'redis://127.0.0.1:6379?key=example/limits'`, and
//! `redis-cli set example/limits '{"longest_name": 5}'`.

use std::future::pending;
use std::time::Duration;

use dora::config::{ConfigKey, Watched};
use dora::{Endpoint, Request, Response, Server, Status};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

mod greet {
    dora::include_proto!("greet.v1");
}
use greet::greeter_client::GreeterClient;
use greet::greeter_server::{Greeter, GreeterServer};
use greet::{GreetRequest, Greeting};

/// Where the configuration stands: another registry is another line.
const KEY: &str = "etcd://127.0.0.1:2379?key=example/limits";

/// It ends after the third change, and after this at the latest.
const CHANGES: usize = 3;
const MOST: Duration = Duration::from_secs(600);

/// What stands under the key, as JSON.
#[derive(Debug, Deserialize)]
struct Limits {
    longest_name: usize,
}

impl Limits {
    /// What can be decoded, and must not hold.
    fn check(&self) -> Result<(), &'static str> {
        if self.longest_name > 0 { Ok(()) } else { Err("a name has at least one byte") }
    }
}

struct Polite(Watched<Limits>);

impl Greeter for Polite {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        let name = &request.body().name;
        let most = self.0.get().longest_name;
        if name.len() > most {
            return Err(Status::invalid_argument(format!("a name has at most {most} bytes")));
        }
        Ok(Greeting { text: format!("Good day, {name}!") }.into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let line = std::env::args().nth(1).unwrap_or_else(|| KEY.to_owned());
    let limits =
        Watched::builder().check(Limits::check).start(ConfigKey::new(&line)?, Limits { longest_name: 20 });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().add_service(GreeterServer::new(Polite(limits.clone())));
    tokio::spawn(server.serve_with_listener(listener, pending()));

    let greeter = GreeterClient::new(Endpoint::new(address.to_string())?.connect().await?);
    let (begin, mut shown) = (Instant::now(), Vec::new());
    while shown.len() <= CHANGES && begin.elapsed() < MOST {
        let said = match greeter.greet(GreetRequest { name: "Ada Lovelace".into() }).await {
            Ok(greeting) => greeting.text,
            Err(status) => format!("refused: {}", status.message()),
        };
        let now = match limits.status().failure {
            Some(failure) => format!("{said} ({failure})"),
            None => said,
        };
        if shown.last() != Some(&now) {
            println!("{now}");
            shown.push(now);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
