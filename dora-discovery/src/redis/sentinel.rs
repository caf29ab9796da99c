//! Which server is the master, as Sentinels see it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ProtocolVersion, Value};
use tokio::time::sleep;
use tower::BoxError;

use super::connect::{Access, Connection};

/// How often the Sentinels are asked whether a master is one still, when they do not say
/// otherwise. One that is told closes its connections, but it is told late, or never.
const PERIOD: Duration = Duration::from_secs(10);

/// The Sentinels that watch a master, by its name.
pub(super) struct Sentinels {
    master: String,
    addresses: Vec<(String, u16)>,
    access: Access,
    /// Which of them has answered last.
    at: AtomicUsize,
}

impl Sentinels {
    pub(super) fn new(master: &str, addresses: Vec<(String, u16)>, access: Access) -> Self {
        let at = AtomicUsize::new(fastrand::usize(..addresses.len().max(1)));
        Self { master: master.to_owned(), addresses, access, at }
    }

    /// Where the master is, as the first Sentinel says that knows.
    pub(super) async fn master(&self) -> Result<(String, u16), BoxError> {
        let mut failures = Vec::new();
        for _ in 0..self.addresses.len() {
            let at = self.at.load(Ordering::Relaxed) % self.addresses.len();
            let (host, port) = &self.addresses[at];
            match self.ask(host, *port).await {
                Ok(Some(master)) => return Ok(master),
                Ok(None) => failures.push(format!("{host}:{port} knows no master {:?}", self.master)),
                Err(error) => failures.push(format!("{host}:{port}: {error}")),
            }
            self.at.store(at + 1, Ordering::Relaxed);
        }
        Err(format!("no Sentinel says where {:?} is: {}", self.master, failures.join("; ")).into())
    }

    async fn ask(&self, host: &str, port: u16) -> Result<Option<(String, u16)>, BoxError> {
        let mut connection = self.access.connect(host, port).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        Ok(question.query_async(&mut connection.commands).await?)
    }

    /// Whether the server at the other end says the same of itself: a Sentinel may know it
    /// later.
    pub(super) async fn confirm(
        &self,
        connection: &mut MultiplexedConnection,
        (host, port): &(String, u16),
    ) -> Result<(), BoxError> {
        let role: Vec<Value> = redis::cmd("ROLE").query_async(connection).await?;
        let role: String = redis::from_redis_value(role.into_iter().next().unwrap_or_default())?;
        match &*role {
            "master" => Ok(()),
            role => Err(format!("{host}:{port} is a {role}, and not the master {:?}", self.master).into()),
        }
    }

    /// Ends when another server is the master.
    pub(super) async fn replaced(&self, master: &(String, u16)) {
        loop {
            let hears = self.hear().await;
            loop {
                // Who cannot be asked says nothing.
                if self.master().await.is_ok_and(|now| now != *master) {
                    return;
                }
                match &hears {
                    Ok(connection) if connection.wait(PERIOD).await.is_ok() => {}
                    _ => break,
                }
            }
            sleep(PERIOD).await;
        }
    }

    /// A connection that hears of new masters.
    async fn hear(&self) -> Result<Connection, BoxError> {
        let at = self.at.load(Ordering::Relaxed) % self.addresses.len();
        let (host, port) = &self.addresses[at];
        let mut access = self.access.clone();
        access.settings = access.settings.set_protocol(ProtocolVersion::RESP3);
        let mut connection = access.connect(host, *port).await?;
        connection.commands.subscribe("+switch-master").await?;
        Ok(connection)
    }
}
