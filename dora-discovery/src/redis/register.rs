//! Announcing at a Redis server.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dora_core::discovery::record::InstanceRecord;
use dora_core::discovery::register::{Register, Standing};
use redis::Script;
use tower::BoxError;

use super::Settings;
use super::connect::{Connection, Node};
use super::php;
use crate::json;

static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("announce.lua")));
static WITHDRAW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("withdraw.lua")));

pub(super) struct RedisRegister {
    node: Arc<Node>,
    settings: Settings,
    connection: Option<Connection>,
}

impl RedisRegister {
    pub(super) fn new(node: &Arc<Node>, settings: &Settings) -> Self {
        Self { node: Arc::clone(node), settings: settings.clone(), connection: None }
    }

    /// Runs a script on a connection, which is given up if that fails.
    async fn run(&mut self, script: &Script, arguments: &[&str]) -> Result<i64, BoxError> {
        // Not `self.connection` while it runs: who gives up waiting must not leave an answer
        // behind that the next one reads.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.node.connect().await?,
        };
        let mut invocation = script.prepare_invoke();
        for argument in arguments {
            invocation.arg(*argument);
        }
        let answer = invocation.invoke_async(&mut connection.commands).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

impl Register for RedisRegister {
    async fn announce(&mut self, record: &InstanceRecord) -> Result<Standing, BoxError> {
        let member = match self.settings.php {
            true => php::member(record).unwrap_or_default(),
            false => String::new(),
        };
        let (text, lease) = (json::encode(record)?, self.settings.lease.as_millis().to_string());
        let prefix = self.settings.prefix.clone();
        let arguments = [&prefix, &record.address, &text, &lease, &member].map(String::as_str);
        Ok(match self.run(&ANNOUNCE, &arguments).await? {
            0 => Standing::Superseded,
            _ => Standing::Announced,
        })
    }

    async fn withdraw(&mut self, record: &InstanceRecord) -> Result<(), BoxError> {
        let generation = format!("{:016x}", record.generation);
        let prefix = self.settings.prefix.clone();
        self.run(&WITHDRAW, &[&prefix, &record.address, &generation]).await?;
        Ok(())
    }

    fn lease(&self) -> Duration {
        self.settings.lease
    }

    async fn lost(&mut self) {
        match &self.connection {
            Some(connection) => connection.lost().await,
            None => std::future::pending().await,
        }
    }

    fn name(&self) -> String {
        self.node.name().to_owned()
    }
}
