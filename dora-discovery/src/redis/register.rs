//! Announcing at a Redis server.

use std::sync::Arc;
use std::time::Duration;

use dora_core::discovery::record::InstanceRecord;
use dora_core::discovery::register::{Register, Standing};
use redis::{FromRedisValue, Script};
use tower::BoxError;

use super::Settings;
use super::connect::{Connection, Node};
use super::php;
use super::script::{ANNOUNCE, WITHDRAW};
use crate::json;

pub(super) struct RedisRegister {
    node: Arc<Node>,
    settings: Settings,
    connection: Option<Connection>,
    /// What the server has given this run for its place among all runs: of which
    /// generation, and the number.
    term: Option<(u64, i64)>,
    /// What is wrong with PHP's keys, said once.
    complaint: String,
}

impl RedisRegister {
    pub(super) fn new(node: &Arc<Node>, settings: &Settings) -> Self {
        Self {
            node: Arc::clone(node),
            settings: settings.clone(),
            connection: None,
            term: None,
            complaint: String::new(),
        }
    }

    /// Runs a script on a connection, which is given up if that fails.
    async fn run<T: FromRedisValue>(&mut self, script: &Script, arguments: &[&str]) -> Result<T, BoxError> {
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

    fn complain(&mut self, complaint: String) {
        if !complaint.is_empty() && complaint != self.complaint {
            tracing::warn!(
                target: "dora::discovery",
                registry = self.node.name(),
                complaint,
                "PHP's clients do not find this server"
            );
        }
        self.complaint = complaint;
    }
}

impl Register for RedisRegister {
    async fn announce(&mut self, record: &InstanceRecord) -> Result<Standing, BoxError> {
        let member = match self.settings.php {
            true => php::member(record).unwrap_or_default(),
            false => String::new(),
        };
        let (text, lease) = (json::encode(record)?, self.settings.lease.as_millis().to_string());
        let term = self.term.filter(|(generation, _)| *generation == record.generation);
        let (term, most) = (term.map_or(0, |(_, term)| term).to_string(), json::MAX_BYTES.to_string());
        let prefix = self.settings.prefix.clone();
        let arguments = [&prefix, &record.address, &text, &most, &lease, &member, &term].map(String::as_str);
        let (term, complaint): (i64, String) = self.run(&ANNOUNCE, &arguments).await?;
        self.complain(complaint);
        if term == 0 {
            return Ok(Standing::Superseded);
        }
        self.term = Some((record.generation, term));
        Ok(Standing::Announced)
    }

    async fn withdraw(&mut self, record: &InstanceRecord) -> Result<(), BoxError> {
        let (generation, most) = (format!("{:016x}", record.generation), json::MAX_BYTES.to_string());
        let prefix = self.settings.prefix.clone();
        let arguments = [&prefix, &record.address, &generation, &most].map(String::as_str);
        let _: i64 = self.run(&WITHDRAW, &arguments).await?;
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
        // Nothing more is asked on it: the next try is one that can succeed.
        self.connection = None;
    }

    fn name(&self) -> String {
        self.node.name().to_owned()
    }
}
