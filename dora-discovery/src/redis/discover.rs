//! Finding instances at a Redis server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dora_core::discovery::discover::{Discover, Listing};
use dora_core::discovery::record::InstanceRecord;
use tokio::time::Instant;
use tower::BoxError;

use super::Settings;
use super::connect::{Connection, Node, literal};
use super::group::Group;
use super::php::PhpServers;

/// How often a list is asked for that nobody says has changed.
const PERIOD: Duration = Duration::from_secs(2);

/// How often PHP's servers are looked for, who write every 10 s and give no hint.
const PHP_PERIOD: Duration = Duration::from_secs(5);

pub(super) struct RedisDiscover {
    node: Arc<Node>,
    settings: Settings,
    /// `None`: all.
    group: Option<String>,
    connection: Option<Connection>,
    groups: BTreeMap<String, Group>,
    /// Groups whose names are no text.
    odd_groups: usize,
    php: PhpServers,
    php_asked: Option<Instant>,
    /// Of the last list: until the first lease ends.
    next_end: Duration,
    last: Option<Listing>,
}

impl RedisDiscover {
    pub(super) fn new(node: &Arc<Node>, settings: &Settings, group: Option<String>) -> Self {
        Self {
            node: Arc::clone(node),
            settings: settings.clone(),
            group,
            connection: None,
            groups: BTreeMap::new(),
            odd_groups: 0,
            php: PhpServers::default(),
            php_asked: None,
            next_end: PERIOD,
            last: None,
        }
    }

    async fn connect(&self) -> Result<Connection, BoxError> {
        let mut connection = self.node.connect().await?;
        // First, so that nothing is missed between list and hints.
        let prefix = &self.settings.prefix;
        match &self.group {
            Some(group) => connection.commands.subscribe(format!("{prefix}:changes:{group}")).await?,
            None => connection.commands.psubscribe(format!("{}:changes:*", literal(prefix))).await?,
        }
        Ok(connection)
    }

    /// Asks for everything.
    async fn list(&mut self, connection: &mut Connection) -> Result<Listing, BoxError> {
        let prefix = self.settings.prefix.clone();
        match &self.group {
            Some(group) => drop(self.groups.entry(group.clone()).or_default()),
            None => self.odd_groups = all_groups(connection, &prefix, &mut self.groups).await?,
        }
        self.next_end = PERIOD;
        let (mut changed, mut recovering) = (false, false);
        for (name, group) in &mut self.groups {
            let asked = group.ask(&mut connection.commands, &prefix, name).await?;
            changed |= asked.changed;
            recovering |= asked.recovering;
            self.next_end = self.next_end.min(asked.next_end.unwrap_or(PERIOD));
        }
        if self.settings.php && self.php_asked.is_none_or(|asked| asked.elapsed() >= PHP_PERIOD) {
            let group = self.group.as_deref();
            let ours = self.groups.values().flat_map(Group::records).map(|record| &*record.address).collect();
            changed |= self.php.ask(&mut connection.commands, &prefix, group, &ours).await?;
            self.php_asked = Some(Instant::now());
        }
        match &self.last {
            Some(last) if !changed && last.recovering == recovering => Ok(last.clone()),
            _ => Ok(self.together().with_recovering(recovering)),
        }
    }

    /// The instances of all groups, and PHP's servers.
    fn together(&self) -> Listing {
        let records = self.groups.values().flat_map(Group::records);
        let mut known: BTreeMap<&str, &Arc<InstanceRecord>> = BTreeMap::new();
        for record in records.chain(self.php.servers()) {
            let place = known.entry(&record.address).or_insert(record);
            if record.supersedes(place) {
                *place = record;
            }
        }
        let skipped = self.groups.values().map(Group::skipped).sum::<usize>();
        let skipped = skipped + self.php.skipped() + self.odd_groups;
        known.into_values().cloned().collect::<Listing>().with_skipped(skipped)
    }
}

/// Adds the names of all groups, also of those whose last server has left. How many have
/// none that is text.
async fn all_groups(
    connection: &mut Connection,
    prefix: &str,
    groups: &mut BTreeMap<String, Group>,
) -> Result<usize, BoxError> {
    let start = format!("{prefix}:revision:");
    let mut odd = 0;
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}*", literal(&start))).arg("COUNT").arg(1000);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection.commands).await?;
        for key in keys.iter().filter_map(|key| key.strip_prefix(start.as_bytes())) {
            match str::from_utf8(key) {
                Ok(name) => drop(groups.entry(name.to_owned()).or_default()),
                Err(_) => odd += 1,
            }
        }
        if next == 0 {
            return Ok(odd);
        }
        cursor = next;
    }
}

impl Discover for RedisDiscover {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        // Who fails or is dropped on the way leaves no connection behind.
        let mut connection = match self.connection.take() {
            Some(connection) => {
                connection.wait(PERIOD.min(self.next_end)).await?;
                connection
            }
            None => {
                self.php_asked = None;
                self.connect().await?
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
