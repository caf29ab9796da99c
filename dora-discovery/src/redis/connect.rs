//! Connections to Redis servers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisResult,
};
use tokio::sync::Notify;
use tower::BoxError;

use crate::error::TargetError;
use crate::url::{Host, TargetUrl};

/// How long a server may take to be connected, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A Redis server.
pub(super) struct Node {
    client: Client,
    name: String,
}

/// A connection, and what it hears unasked.
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    changed: Notify,
    lost: Notify,
}

/// The servers of a target: `redis://user:password@a,b/db`, `rediss://`.
pub(super) fn nodes(url: &TargetUrl) -> Result<Vec<Node>, TargetError> {
    let authority = url.authority(6379)?;
    let db = match authority.path.as_str() {
        "" => 0,
        number => number.parse().map_err(|_| {
            TargetError::new(format!("{number:?} is no number of a database; write \"redis://host:6379/0\""))
        })?,
    };
    authority.hosts.iter().map(|host| Node::new(&url.scheme, host, db)).collect()
}

impl Node {
    fn new(scheme: &str, host: &Host, db: i64) -> Result<Self, TargetError> {
        let addr = match scheme {
            "rediss" => ConnectionAddr::TcpTls {
                host: host.host.clone(),
                port: host.port,
                insecure: false,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host.host.clone(), host.port),
        };
        if !addr.is_supported() {
            return Err(TargetError::feature("tls"));
        }
        // RESP3: commands and hints share one connection.
        let mut settings = RedisConnectionInfo::default().set_db(db).set_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &host.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &host.password {
            settings = settings.set_password(password);
        }
        let name = format!("{scheme}://{}", host.address());
        let fault = |error: redis::RedisError| TargetError::new(error.to_string());
        let info: ConnectionInfo = addr.into_connection_info().map_err(fault)?.set_redis_settings(settings);
        Ok(Self { client: Client::open(info).map_err(fault)?, name })
    }

    /// What it is called, without its password.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn connect(&self) -> Result<Connection, BoxError> {
        let heard = Arc::<Heard>::default();
        let hears = Arc::clone(&heard);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(move |push: PushInfo| -> Result<(), redis::aio::SendError> {
                match push.kind {
                    PushKind::Disconnection => hears.lost.notify_one(),
                    PushKind::Message | PushKind::PMessage => hears.changed.notify_one(),
                    _ => {}
                }
                Ok(())
            });
        // The crate's own timeout leaves out the lookup of the name.
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let commands = tokio::time::timeout(PATIENCE * 2, connecting).await;
        let commands = commands.map_err(|_| format!("not connected in {:?}", PATIENCE * 2))??;
        Ok(Connection { commands, heard })
    }
}

impl Connection {
    /// Ends when something has changed, as far as is known.
    pub(super) async fn changed(&self) {
        self.heard.changed.notified().await;
    }

    /// Ends when the connection does.
    pub(super) async fn lost(&self) {
        self.heard.lost.notified().await;
    }

    /// Hears of the changes of a group, or of all.
    pub(super) async fn subscribe(&mut self, prefix: &str, group: Option<&str>) -> RedisResult<()> {
        match group {
            Some(group) => self.commands.subscribe(format!("{prefix}:changes:{group}")).await,
            None => {
                let escaped = prefix.replace(['*', '?', '[', ']', '\\'], "?");
                self.commands.psubscribe(format!("{escaped}:changes:*")).await
            }
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.name).finish()
    }
}
