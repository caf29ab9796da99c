//! A configuration under a key of Redis.

use std::time::Duration;

use dora_core::call::status::BoxError;

use super::connect::{Connection, Node};
use super::script::VALUE;
use crate::config::MAX_VALUE;
use crate::config::source::Source;

/// How often a value is asked for that nobody says has changed.
const PERIOD: Duration = Duration::from_secs(2);

/// A string under a key. Asked for again and again, and at once after a hint: from Redis, if
/// it notifies of changes to keys, or on the channel `dora:config:<key>`.
pub(super) struct RedisKey {
    node: Node,
    key: String,
    connection: Option<Connection>,
}

impl RedisKey {
    pub(super) fn new(node: Node, key: String) -> Self {
        Self { node, key, connection: None }
    }

    async fn connect(&self) -> Result<Connection, BoxError> {
        let mut connection = self.node.connect().await?;
        let (key, db) = (&self.key, self.node.db());
        let channels = [format!("dora:config:{key}"), format!("__keyspace@{db}__:{key}")];
        // First, so that nothing is missed between value and hints.
        connection.commands.subscribe(&channels).await?;
        Ok(connection)
    }
}

impl Source for RedisKey {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        // Who fails or is dropped on the way leaves no connection behind.
        let mut connection = match self.connection.take() {
            Some(connection) => {
                connection.wait(PERIOD).await?;
                connection
            }
            None => self.connect().await?,
        };
        // One byte more than there may be tells that it is too long.
        let mut script = VALUE.key(&self.key);
        script.arg(MAX_VALUE);
        let (kind, value): (String, Vec<u8>) = script.invoke_async(&mut connection.commands).await?;
        self.connection = Some(connection);
        match &*kind {
            "none" => Ok(None),
            "string" => Ok(Some(value)),
            other => Err(format!("{:?} is a {other}, and no string", self.key).into()),
        }
    }

    fn name(&self) -> String {
        format!("{}?key={}", self.node.name(), self.key)
    }
}
