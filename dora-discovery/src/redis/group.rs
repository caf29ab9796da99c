//! What is known of a group at a Redis server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dora_core::discovery::record::InstanceRecord;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::script::{LIST, RECORDS};
use crate::json;

/// About how many bytes of records are sent in an answer: far below those at which Redis
/// closes a connection that hears of changes (32 MB, or 8 MB for a minute).
const PAGE: usize = 1 << 20;

/// The most addresses that are asked for at once.
const ADDRESSES: usize = 1000;

/// A group, as it was listed last.
#[derive(Default)]
pub(super) struct Group {
    fingerprint: String,
    /// Whether it ever had one.
    had_revision: bool,
    /// By what is written, so that what did not change is not read again. `None`: it is not
    /// understood.
    records: HashMap<Vec<u8>, Option<Arc<InstanceRecord>>>,
}

/// What came of asking.
pub(super) struct Asked {
    /// Whether it is another list than before.
    pub(super) changed: bool,
    /// Whether what was known is lost.
    pub(super) recovering: bool,
    /// Until the first lease ends.
    pub(super) next_end: Option<Duration>,
}

/// What the script says.
type Listed = (bool, String, i64, Vec<Vec<u8>>, Vec<Vec<u8>>);

impl Group {
    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<InstanceRecord>> {
        self.records.values().flatten()
    }

    /// Records that were not understood.
    pub(super) fn skipped(&self) -> usize {
        self.records.values().filter(|record| record.is_none()).count()
    }

    /// Asks whether something has changed, and if so for all of it.
    pub(super) async fn ask(
        &mut self,
        connection: &mut MultiplexedConnection,
        prefix: &str,
        name: &str,
    ) -> RedisResult<Asked> {
        let mut script = LIST.prepare_invoke();
        script.arg(prefix).arg(name).arg(&self.fingerprint).arg(json::MAX_BYTES).arg(PAGE);
        let (is_new, fingerprint, end, mut records, others): Listed = script.invoke_async(connection).await?;
        // What changes between two answers has another fingerprint than this.
        let mut others = &*others;
        while !others.is_empty() {
            let mut script = RECORDS.prepare_invoke();
            script.arg(prefix).arg(json::MAX_BYTES).arg(PAGE);
            for address in others.iter().take(ADDRESSES) {
                script.arg(address);
            }
            let more: Vec<Vec<u8>> = script.invoke_async(connection).await?;
            // At least one, of whatever size.
            others = &others[more.len().clamp(1, others.len())..];
            records.extend(more);
        }
        // Who withdraws leaves a revision: if there is none any more, all was lost.
        let recovering = fingerprint.is_empty() && self.had_revision;
        self.had_revision |= !fingerprint.is_empty();
        self.fingerprint = fingerprint;
        let next_end = u64::try_from(end).ok().map(|end| Duration::from_millis(end.saturating_add(1)));
        Ok(Asked { changed: is_new && self.update(records), recovering, next_end })
    }

    /// Whether it is another list than before.
    fn update(&mut self, records: Vec<Vec<u8>>) -> bool {
        let mut before = std::mem::take(&mut self.records);
        let mut changed = false;
        // An address without a record has just left.
        for raw in records.into_iter().filter(|raw| !raw.is_empty()) {
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
        changed || !before.is_empty()
    }
}
