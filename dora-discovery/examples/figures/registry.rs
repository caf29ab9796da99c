//! A registry on this machine.

#[path = "../../tests/etcd/server.rs"]
#[allow(dead_code, reason = "it is shared with tests that need more of it")]
mod member;

use std::process::Command;

use dora::discovery::{InstanceRecord, Target, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::Redis;
use member::Member;

pub(super) enum Registry {
    Redis(Redis),
    Etcd(Member),
}

impl Registry {
    pub(super) async fn redis() -> Self {
        Self::Redis(Redis::start().await)
    }

    pub(super) async fn etcd() -> Self {
        Self::Etcd(Member::start().await)
    }

    pub(super) fn version(&self) -> String {
        let program = match self {
            Self::Redis(_) => "redis-server",
            Self::Etcd(_) => "etcd",
        };
        let output = Command::new(program).arg("--version").output().expect(program);
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    }

    pub(super) fn target(&self, parameters: &str) -> Target {
        match self {
            Self::Redis(redis) => redis.target(parameters),
            Self::Etcd(member) => {
                Target::new(&format!("etcd://{}?{parameters}", member.address())).expect("a target")
            }
        }
    }

    pub(super) fn kill(&mut self) {
        match self {
            Self::Redis(redis) => redis.kill(),
            Self::Etcd(member) => member.kill(),
        }
    }

    /// Until it answers. Redis comes back empty.
    pub(super) async fn restart(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart().await,
            Self::Etcd(member) => {
                member.run();
                member.up().await;
            }
        }
    }

    /// So many instances of a group, that nobody renews.
    pub(super) async fn fill(&self, group: &str, count: usize) {
        let records: Vec<_> = (0..count)
            .map(|number| {
                let address = format!("10.1.{}.{}:9567", number / 250, number % 250 + 1);
                let record = InstanceRecord::new(&address).with_group(group);
                let record = record.with_service("users.v1.Users", "1.0").with_zone("eu-1a");
                (address, json::encode(&record).expect("a record"))
            })
            .collect();
        match self {
            Self::Redis(redis) => {
                let mut pipe = redis::pipe();
                for (address, record) in &records {
                    pipe.zadd(format!("dora:group:{group}"), address, 1e15).ignore();
                    pipe.set(format!("dora:instance:{address}"), record).ignore();
                    // As PHP's clients find them.
                    let (ip, port) = address.split_once(':').expect("a port");
                    let member = format!(r#"{{"node":{{"ip":"{ip}","port":{port}}},"group":["{group}"]}}"#);
                    pipe.sadd("dora.serverlist", member).ignore();
                }
                pipe.set(format!("dora:revision:{group}"), 1).ignore();
                let () = pipe.query_async(&mut redis.commands().await).await.expect("written");
            }
            Self::Etcd(member) => {
                let mut client = member.client().await;
                for (address, record) in records {
                    let key = format!("dora/instances/{address}");
                    client.put(key, record, None).await.expect("written");
                }
            }
        }
    }

    /// Bytes that it has received, and sent.
    pub(super) async fn traffic(&self) -> (u64, u64) {
        let (text, received, sent) = match self {
            Self::Redis(redis) => {
                let mut info = redis::cmd("INFO");
                let info = info.arg("stats").query_async(&mut redis.commands().await).await;
                (info.expect("it is up"), "total_net_input_bytes:", "total_net_output_bytes:")
            }
            Self::Etcd(member) => {
                let metrics = metrics(member.address()).await;
                let [received, sent] = [
                    "etcd_network_client_grpc_received_bytes_total ",
                    "etcd_network_client_grpc_sent_bytes_total ",
                ];
                (metrics, received, sent)
            }
        };
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim().parse::<f64>().expect("a number") as u64
        };
        (number(received), number(sent))
    }
}

/// What etcd counts.
async fn metrics(address: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it is up");
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("it answers");
    text
}
