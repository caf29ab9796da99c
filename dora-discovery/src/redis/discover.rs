//! Finding instances at a Redis server.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dora_core::discovery::discover::{Discover, Listing};
use dora_core::discovery::record::InstanceRecord;
use redis::Script;
use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::Settings;
use super::connect::{Connection, Node};
use super::php::PhpServers;
use crate::json;

static LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("list.lua")));

/// How often a list is asked for that nobody says has changed.
const PERIOD: Duration = Duration::from_secs(2);

/// How long what has changed may go on changing before the list is asked for: a hundred
/// servers that start together are a few lists, and not a hundred.
const SETTLE: Duration = Duration::from_millis(20);

/// How often PHP's servers are looked for, who write every 10 s and give no hint.
const PHP_PERIOD: Duration = Duration::from_secs(5);

pub(super) struct RedisDiscover {
    node: Arc<Node>,
    settings: Settings,
    /// `None`: all.
    group: Option<String>,
    connection: Option<Connection>,
    groups: BTreeMap<String, Group>,
    php: PhpServers,
    php_asked: Option<Instant>,
    /// Of the last list: until the first lease ends.
    next_end: Duration,
    last: Option<Listing>,
}

/// What is known of a group.
#[derive(Default)]
struct Group {
    fingerprint: String,
    /// Whether it ever had one.
    had_revision: bool,
    /// By what is written, so that what did not change is not read again.
    records: HashMap<Vec<u8>, Option<Arc<InstanceRecord>>>,
}

/// What the script says.
type Listed = (i64, String, i64, Vec<Vec<u8>>);

impl RedisDiscover {
    pub(super) fn new(node: &Arc<Node>, settings: &Settings, group: Option<String>) -> Self {
        Self {
            node: Arc::clone(node),
            settings: settings.clone(),
            group,
            connection: None,
            groups: BTreeMap::new(),
            php: PhpServers::default(),
            php_asked: None,
            next_end: PERIOD,
            last: None,
        }
    }

    /// Waits until there may be something new.
    async fn wait(&self, connection: &Connection) -> Result<(), BoxError> {
        tokio::select! {
            () = connection.changed() => sleep(SETTLE).await,
            () = sleep(PERIOD.min(self.next_end)) => {}
            () = connection.lost() => return Err("the connection was closed".into()),
        }
        Ok(())
    }

    /// Asks for everything.
    async fn list(&mut self, connection: &mut Connection) -> Result<Listing, BoxError> {
        let prefix = self.settings.prefix.clone();
        let names = match &self.group {
            Some(group) => vec![group.clone()],
            None => all_groups(connection, &prefix).await?,
        };
        for name in names {
            self.groups.entry(name).or_default();
        }
        self.next_end = PERIOD;
        let (mut changed, mut recovering) = (false, false);
        for (name, group) in &mut self.groups {
            let mut script = LIST.prepare_invoke();
            script.arg(&prefix).arg(name).arg(&group.fingerprint).arg(json::MAX_BYTES);
            let (is_new, fingerprint, end, records): Listed =
                script.invoke_async(&mut connection.commands).await?;
            if let Ok(end) = u64::try_from(end) {
                self.next_end = self.next_end.min(Duration::from_millis(end + 1));
            }
            // Who withdraws leaves a revision: if there is none any more, all was lost.
            recovering |= fingerprint.is_empty() && group.had_revision;
            group.had_revision |= !fingerprint.is_empty();
            if is_new != 0 {
                changed |= group.update(records);
            }
            group.fingerprint = fingerprint;
        }
        if self.settings.php && self.php_asked.is_none_or(|asked| asked.elapsed() >= PHP_PERIOD) {
            let group = self.group.as_deref();
            changed |= self.php.ask(&mut connection.commands, &prefix, group).await?;
            self.php_asked = Some(Instant::now());
        }
        match &self.last {
            Some(last) if !changed && last.recovering == recovering => Ok(last.clone()),
            _ => Ok(self.together().with_recovering(recovering)),
        }
    }

    /// The instances of all groups, and PHP's servers.
    fn together(&self) -> Listing {
        let records = || self.groups.values().flat_map(|group| group.records.values());
        let mut known: BTreeMap<&str, &Arc<InstanceRecord>> = BTreeMap::new();
        for record in records().flatten().chain(self.php.servers()) {
            let place = known.entry(&record.address).or_insert(record);
            if record.supersedes(place) {
                *place = record;
            }
        }
        let skipped = records().filter(|record| record.is_none()).count() + self.php.skipped();
        known.into_values().cloned().collect::<Listing>().with_skipped(skipped)
    }
}

impl Group {
    /// Whether it is another list than before.
    fn update(&mut self, records: Vec<Vec<u8>>) -> bool {
        let mut before = std::mem::take(&mut self.records);
        let mut changed = before.len() != records.len();
        for raw in records {
            let record = before.remove(&raw).unwrap_or_else(|| {
                changed = true;
                match json::decode(&raw) {
                    Ok(record) => Some(Arc::new(record)),
                    Err(error) => {
                        tracing::debug!(target: "dora::discovery", %error, "a record was passed over");
                        None
                    }
                }
            });
            self.records.insert(raw, record);
        }
        changed
    }
}

/// The names of all groups, also of those whose last server has left.
async fn all_groups(connection: &mut Connection, prefix: &str) -> Result<Vec<String>, BoxError> {
    let escaped = prefix.replace(['*', '?', '[', ']', '\\'], "?");
    let start = format!("{prefix}:revision:");
    let mut names = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{escaped}:revision:*"))
            .arg("COUNT")
            .arg(1000)
            .query_async(&mut connection.commands)
            .await?;
        names.extend(keys.iter().filter_map(|key| key.strip_prefix(&start)).map(str::to_owned));
        if next == 0 {
            names.sort_unstable();
            names.dedup();
            return Ok(names);
        }
        cursor = next;
    }
}

impl Discover for RedisDiscover {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        // Who fails or is dropped on the way leaves no connection behind.
        let mut connection = match self.connection.take() {
            Some(connection) => {
                self.wait(&connection).await?;
                connection
            }
            None => {
                let mut connection = self.node.connect().await?;
                // First, so that nothing is missed between list and hints.
                connection.subscribe(&self.settings.prefix, self.group.as_deref()).await?;
                self.php_asked = None;
                connection
            }
        };
        let listing = self.list(&mut connection).await?;
        self.connection = Some(connection);
        self.last = Some(listing.clone());
        Ok(listing)
    }

    fn name(&self) -> String {
        self.node.name().to_owned()
    }
}
