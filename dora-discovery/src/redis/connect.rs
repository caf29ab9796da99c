//! Connections to Redis servers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisConnectionInfo,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::BoxError;

use super::sentinel::Sentinels;
use super::tls::Tls;
use crate::error::TargetError;
use crate::url::{Host, TargetUrl};

/// How long a server may take to be connected, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long what has changed may go on changing before it is asked for: a hundred servers
/// that start together are a few lists, and not a hundred.
const SETTLE: Duration = Duration::from_millis(20);

/// A Redis server, or whichever is the master of those that Sentinels watch.
pub(super) struct Node {
    place: Place,
    access: Access,
    name: String,
}

/// Where it is.
enum Place {
    Server { host: String, port: u16 },
    Master(Arc<Sentinels>),
}

/// How it is spoken to.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) tls: Option<Tls>,
    pub(super) settings: RedisConnectionInfo,
}

/// A connection, and what it hears unasked.
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    heard: Arc<Heard>,
    _watched: Option<Watched>,
}

#[derive(Default)]
struct Heard {
    changed: Notify,
    lost: Notify,
}

/// A task that ends with this.
struct Watched(JoinHandle<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The servers of a target: `redis://user:password@a,b/db`, `rediss://`,
/// `redis+sentinel://a,b/master/db`, `rediss+sentinel://`.
pub(super) fn nodes(url: &mut TargetUrl) -> Result<Vec<Node>, TargetError> {
    let tls = match url.scheme.starts_with("rediss") {
        true => Some(Tls::take(url)?),
        false => None,
    };
    if url.scheme.ends_with("+sentinel") {
        return masters(url, tls);
    }
    let authority = url.authority(6379)?;
    let db = database(&authority.path)?;
    let node = |host: &Host| {
        let access = Access { tls: tls.clone(), settings: settings(host, db) };
        let name = format!("{}://{}", url.scheme, host.address());
        Node { place: Place::Server { host: host.host.clone(), port: host.port }, access, name }
    };
    Ok(authority.hosts.iter().map(node).collect())
}

/// Each name stands for a server; who is asked for it is the same for all.
fn masters(url: &mut TargetUrl, tls: Option<Tls>) -> Result<Vec<Node>, TargetError> {
    let authority = url.authority(26379)?;
    let (names, db) = authority.path.split_once('/').unwrap_or((&authority.path, ""));
    let db = database(db)?;
    let mut known = RedisConnectionInfo::default();
    if let Some(user) = url.take("sentinel_user")? {
        known = known.set_username(user);
    }
    if let Some(password) = url.take("sentinel_password")? {
        known = known.set_password(password);
    }
    let access = Access { tls: tls.clone(), settings: known };
    let first = authority.hosts.first();
    let settings = first.map(|host| settings(host, db)).unwrap_or_default();
    let addresses: Vec<_> = authority.hosts.iter().map(|host| (host.host.clone(), host.port)).collect();
    let shown: Vec<_> = authority.hosts.iter().map(Host::address).collect();
    let masters = names.split(',').map(|name| {
        if name.is_empty() {
            let mend = format!("write \"{}://{}/mymaster\"", url.scheme, shown.join(","));
            return Err(TargetError::new(format!("it does not say which master; {mend}")));
        }
        let sentinels = Sentinels::new(name, addresses.clone(), access.clone());
        let place = Place::Master(Arc::new(sentinels));
        let access = Access { tls: tls.clone(), settings: settings.clone() };
        Ok(Node { place, access, name: format!("{}://{}/{name}", url.scheme, shown.join(",")) })
    });
    masters.collect()
}

fn database(number: &str) -> Result<i64, TargetError> {
    match number {
        "" => Ok(0),
        number => number.parse().map_err(|_| {
            TargetError::new(format!("{number:?} is no number of a database; write \"redis://host:6379/0\""))
        }),
    }
}

fn settings(host: &Host, db: i64) -> RedisConnectionInfo {
    // RESP3: commands and hints share one connection.
    let mut settings = RedisConnectionInfo::default().set_db(db).set_protocol(ProtocolVersion::RESP3);
    if let Some(user) = &host.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &host.password {
        settings = settings.set_password(password);
    }
    settings
}

impl Node {
    /// What it is called, without its password.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn db(&self) -> i64 {
        self.access.settings.db()
    }

    pub(super) async fn connect(&self) -> Result<Connection, BoxError> {
        let sentinels = match &self.place {
            Place::Server { host, port } => return self.access.connect(host, *port).await,
            Place::Master(sentinels) => sentinels,
        };
        let master = sentinels.master().await?;
        let mut connection = self.access.connect(&master.0, master.1).await?;
        sentinels.confirm(&mut connection.commands, &master).await?;
        let (sentinels, heard) = (Arc::clone(sentinels), Arc::clone(&connection.heard));
        connection._watched = Some(Watched(tokio::spawn(async move {
            sentinels.replaced(&master).await;
            heard.lost.notify_one();
        })));
        Ok(connection)
    }
}

impl Access {
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<Connection, BoxError> {
        let client = match &self.tls {
            Some(tls) => tls.client(host, port, &self.settings)?,
            None => {
                let addr = ConnectionAddr::Tcp(host.to_owned(), port);
                let info: ConnectionInfo =
                    addr.into_connection_info()?.set_redis_settings(self.settings.clone());
                redis::Client::open(info)?
            }
        };
        let heard = Arc::<Heard>::default();
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        if self.settings.protocol() == ProtocolVersion::RESP3 {
            let hears = Arc::clone(&heard);
            config = config.set_push_sender(move |push: PushInfo| -> Result<(), redis::aio::SendError> {
                match push.kind {
                    PushKind::Disconnection => hears.lost.notify_one(),
                    PushKind::Message | PushKind::PMessage => hears.changed.notify_one(),
                    _ => {}
                }
                Ok(())
            });
        }
        // The crate's own timeout leaves out the lookup of the name.
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let commands = timeout(PATIENCE * 2, connecting).await;
        let commands = commands.map_err(|_| format!("not connected in {:?}", PATIENCE * 2))??;
        Ok(Connection { commands, heard, _watched: None })
    }
}

impl Connection {
    /// Waits until there may be something new: for a hint, and for so long at most.
    ///
    /// # Errors
    /// It was closed, or leads to a server that is no master any more.
    pub(super) async fn wait(&self, most: Duration) -> Result<(), BoxError> {
        tokio::select! {
            () = self.heard.changed.notified() => sleep(SETTLE).await,
            () = sleep(most) => {}
            () = self.lost() => return Err("the connection was closed".into()),
        }
        Ok(())
    }

    /// Ends when the connection does, or when its server is a master no more.
    pub(super) async fn lost(&self) {
        self.heard.lost.notified().await;
    }
}

/// What `PSUBSCRIBE` takes as these letters and no others; those that it cannot take so
/// stand for any letter.
pub(super) fn literal(name: &str) -> String {
    name.replace(['*', '?', '[', ']', '\\'], "?")
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.name).finish()
    }
}
