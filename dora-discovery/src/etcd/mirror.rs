//! A range of keys, as it is now: listed, then watched from the revision of the list.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_client::{Client, Error, EventType, GetOptions, KeyValue, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::{Cluster, EtcdError};

/// After so much silence the member is asked whether it is there.
const QUIET: Duration = Duration::from_secs(3);

/// Changes of so much time become one: a thousand servers that start together are not a
/// thousand lists.
const GATHER: Duration = Duration::from_millis(20);

/// Keys of one answer to a list.
const PAGE: i64 = 1000;

/// The longest answer in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// The keys of a range and what is read from them.
#[derive(Debug)]
pub(crate) struct Mirror<V> {
    cluster: Cluster,
    range: Range,
    read: fn(&KeyValue) -> V,
    watch: Option<WatchStream>,
    known: Known<V>,
}

type Known<V> = BTreeMap<Vec<u8>, V>;

/// From the one key to before the other.
#[derive(Clone, Debug)]
struct Range {
    start: Vec<u8>,
    end: Vec<u8>,
}

/// What a watch said.
enum Said {
    /// Keys came, went, or have another value.
    Changed,
    /// It is there, and knows of nothing new.
    Nothing,
    /// What happened since the list has been compacted away.
    Compacted,
}

impl<V> Mirror<V> {
    /// All keys below a folder, whose name ends with a slash.
    pub(super) fn folder(cluster: Cluster, folder: String, read: fn(&KeyValue) -> V) -> Self {
        // The first key beyond it ends with what follows a slash.
        let end = format!("{}{}", folder.trim_end_matches('/'), char::from(b'/' + 1));
        Self::new(cluster, Range { start: folder.into_bytes(), end: end.into_bytes() }, read)
    }

    /// One key.
    pub(super) fn key(cluster: Cluster, key: String, read: fn(&KeyValue) -> V) -> Self {
        let end = format!("{key}\0");
        Self::new(cluster, Range { start: key.into_bytes(), end: end.into_bytes() }, read)
    }

    fn new(cluster: Cluster, range: Range, read: fn(&KeyValue) -> V) -> Self {
        Self { cluster, range, read, watch: None, known: BTreeMap::new() }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The keys: as soon as a member tells, then whenever they change, and every few
    /// seconds that a member confirms that they did not.
    ///
    /// After an error it begins anew, with another member. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Result<&Known<V>, EtcdError> {
        if self.watch.is_some() {
            match self.follow().await {
                Ok(Said::Changed | Said::Nothing) => return Ok(&self.known),
                Ok(Said::Compacted) => self.watch = None,
                Err(error) => {
                    self.watch = None;
                    self.cluster.turn();
                    return Err(error);
                }
            }
        }
        let mut tries = self.cluster.members();
        loop {
            match self.list_at_one().await {
                Ok(()) => return Ok(&self.known),
                Err(error) => {
                    self.cluster.turn();
                    tries -= 1;
                    if tries == 0 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Lists, and begins to watch.
    async fn list_at_one(&mut self) -> Result<(), EtcdError> {
        let client = self.cluster.connect().await?;
        let (known, revision) = self.list(&client).await?;
        let mut watches = client.watch_client().max_decoding_message_size(MAX_ANSWER);
        let from = WatchOptions::new().with_range(&*self.range.end).with_start_revision(revision + 1);
        let watch = self.cluster.ask(watches.watch(&*self.range.start, Some(from))).await?;
        self.known = known;
        self.watch = Some(watch);
        Ok(())
    }

    /// All that is there, as of one revision.
    async fn list(&self, client: &Client) -> Result<(Known<V>, i64), EtcdError> {
        let mut kv = client.kv_client().max_decoding_message_size(MAX_ANSWER);
        let mut known = BTreeMap::new();
        let mut revision = 0;
        let mut next = self.range.start.clone();
        loop {
            let page =
                GetOptions::new().with_range(&*self.range.end).with_limit(PAGE).with_revision(revision);
            let mut page = self.cluster.ask(kv.get(&*next, Some(page))).await?;
            if revision == 0 {
                revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            let (more, keys) = (page.more(), page.take_kvs());
            known.extend(keys.iter().map(|key| (key.key().to_vec(), (self.read)(key))));
            match keys.last() {
                Some(last) if more => {
                    next = last.key().to_vec();
                    next.push(0);
                }
                _ => return Ok((known, revision)),
            }
        }
    }

    /// Waits for what the watch says.
    async fn follow(&mut self) -> Result<Said, EtcdError> {
        let Some(watch) = &mut self.watch else { return Ok(Said::Compacted) };
        let first = match timeout(QUIET, watch.message()).await {
            Ok(said) => said.map_err(|error| self.cluster.refused(&error))?,
            Err(_) => {
                let answer = async {
                    watch.request_progress().await?;
                    watch.message().await
                };
                self.cluster.ask(answer).await?
            }
        };
        let mut said = self.take_over(first)?;
        let end = Instant::now() + GATHER;
        while let (Said::Changed, Some(watch)) = (&said, &mut self.watch) {
            match timeout_at(end, watch.message()).await {
                // An error is there again for who asks next: the stream has ended.
                Err(_) | Ok(Err(_) | Ok(None)) => break,
                Ok(Ok(more)) => {
                    if let Said::Compacted = self.take_over(more)? {
                        said = Said::Compacted;
                    }
                }
            }
        }
        Ok(said)
    }

    fn take_over(&mut self, said: Option<WatchResponse>) -> Result<Said, EtcdError> {
        let Some(said) = said else {
            let ended = Error::WatchError("the watch has ended".to_owned());
            return Err(self.cluster.refused(&ended));
        };
        if said.canceled() && said.compact_revision() > 0 {
            return Ok(Said::Compacted);
        }
        if said.canceled() {
            let ended = Error::WatchError(format!("it was ended: {}", said.cancel_reason()));
            return Err(self.cluster.refused(&ended));
        }
        for event in said.events() {
            let Some(key) = event.kv() else { continue };
            match event.event_type() {
                EventType::Put => drop(self.known.insert(key.key().to_vec(), (self.read)(key))),
                EventType::Delete => drop(self.known.remove(key.key())),
            }
        }
        Ok(if said.events().is_empty() { Said::Nothing } else { Said::Changed })
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
