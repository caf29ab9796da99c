//! What PHP's Dora-RPC keeps in Redis (commit f4f62af): a server adds
//! `{"node":{"ip":"10.0.2.15","port":9567},"group":["group1"]}` to the set `dora.serverlist`
//! and writes its time, in seconds, to `dora.servertime.10.0.2.15.9567.time`, again and again
//! every 10 s. Who reads passes over members that are no JSON, whose group is no array, and
//! whose time is over 20 s old.
//!
//! Departures, each for a fault of the original: times are compared with Redis's clock, and
//! not with the reader's; members that a Rust server wrote are removed when it ends; a member
//! of an address that a Rust server has is not believed, for it may be of a predecessor.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use dora_core::discovery::record::{InstanceRecord, can};
use dora_core::transport::io::address::Address;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, pipe};
use serde_json::Value;

use super::script::MEMBERS;

/// Who was silent for longer is gone.
const MAX_AGE: i64 = 20;

/// The most members that are read. The set is never cleaned by PHP.
const MAX_MEMBERS: usize = 20_000;

/// The longest member in bytes.
const MAX_BYTES: usize = 16 << 10;

/// About how many are asked for at once.
const PAGE: usize = 250;

/// The longest time in bytes.
const MAX_TIME: usize = 32;

/// The member that a Rust server writes: `None` if no PHP client could call it.
pub(super) fn member(record: &InstanceRecord) -> Option<String> {
    let speaks_php = record.can.is_empty() || record.can.contains(can::PHP);
    if !speaks_php || record.can.contains(can::TLS) {
        return None;
    }
    let Ok(Address::Tcp { host, port }) = record.address.parse() else { return None };
    // PHP's client connects to IPv4.
    if host.contains(':') {
        return None;
    }
    let groups: Vec<_> = record.groups.iter().map(|group| quoted(group)).collect();
    Some(format!(r#"{{"node":{{"ip":{},"port":{port}}},"group":[{}]}}"#, quoted(&host), groups.join(",")))
}

/// A string as PHP's `json_encode` writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' | '/' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

/// PHP's servers, as far as they are alive.
#[derive(Default)]
pub(super) struct PhpServers {
    /// What members say, by what is written; `None`: nothing that is understood.
    read: HashMap<Vec<u8>, Option<Member>>,
    alive: Vec<Arc<InstanceRecord>>,
    /// Whether the key of the set is something else.
    is_no_set: bool,
    /// Members whose key of the time is something else.
    without_time: usize,
}

#[derive(Clone)]
struct Member {
    time_key: String,
    record: Arc<InstanceRecord>,
}

impl PhpServers {
    pub(super) fn servers(&self) -> impl Iterator<Item = &Arc<InstanceRecord>> {
        self.alive.iter()
    }

    /// Members that were not understood; a key that is no set is one.
    pub(super) fn skipped(&self) -> usize {
        let bad = self.read.values().filter(|member| member.is_none()).count();
        bad + usize::from(self.is_no_set) + self.without_time
    }

    /// Asks for all of them, in `group` or in all, whose addresses are none of `ours`;
    /// whether there are others than before.
    pub(super) async fn ask(
        &mut self,
        connection: &mut MultiplexedConnection,
        prefix: &str,
        group: Option<&str>,
        ours: &HashSet<&str>,
    ) -> RedisResult<bool> {
        let members = match self.members(connection).await {
            // Whatever others made of their key, ours are found.
            Err(error) if error.code() == Some("WRONGTYPE") => None,
            members => Some(members?),
        };
        let skipped = self.skipped();
        self.is_no_set = members.is_none();
        self.read = members.unwrap_or_default();
        let wanted = |member: &&Member| {
            let record = &member.record;
            !ours.contains(&*record.address) && group.is_none_or(|group| record.groups.contains(group))
        };
        let members: Vec<&Member> = self.read.values().flatten().filter(wanted).collect();
        let (mut alive, mut without_time) = (Vec::new(), 0);
        for members in members.chunks(500) {
            let mut ask = pipe();
            ask.cmd("TIME");
            for member in members {
                ask.cmd("GETRANGE").arg(&member.time_key).arg(0).arg(MAX_TIME);
                ask.cmd("EXISTS").arg(format!("{prefix}:instance:{}", member.record.address));
            }
            let answers: Vec<Answer> = ask.ignore_errors().query_async(connection).await?;
            without_time += alive_of(members, answers, &mut alive)?;
        }
        self.without_time = without_time;
        alive.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        let changed = alive.len() != self.alive.len()
            || skipped != self.skipped()
            || alive.iter().zip(&self.alive).any(|(new, old)| !Arc::ptr_eq(new, old) && new != old);
        self.alive = alive;
        Ok(changed)
    }

    /// The members of the set, a page at a time; those that did not change are not read again.
    async fn members(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<HashMap<Vec<u8>, Option<Member>>> {
        let mut members = HashMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut script = MEMBERS.prepare_invoke();
            script.arg(&cursor).arg(PAGE).arg(MAX_BYTES);
            let (next, page): (String, Vec<Vec<u8>>) = script.invoke_async(connection).await?;
            for raw in page {
                let member = self.read.get(&raw).cloned().unwrap_or_else(|| read(&raw));
                members.insert(raw, member);
            }
            if next == "0" || members.len() >= MAX_MEMBERS {
                return Ok(members);
            }
            cursor = next;
        }
    }
}

/// What a command of several was answered: another one's failure is not its own.
type Answer = RedisResult<redis::Value>;

/// Adds those of `members` that are alive, and no Rust servers. How many have a time that
/// cannot be read.
fn alive_of(
    members: &[&Member],
    answers: Vec<Answer>,
    alive: &mut Vec<Arc<InstanceRecord>>,
) -> RedisResult<usize> {
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Ok(redis::Value::Nil));
    let (now, _): (i64, i64) = redis::from_redis_value(next()?)?;
    let mut without_time = 0;
    for member in members {
        let (time, ours) = (next(), next());
        let ours: bool = redis::from_redis_value(ours?)?;
        let Ok(time) = time else {
            without_time += 1;
            continue;
        };
        let time: Vec<u8> = redis::from_redis_value(time)?;
        let time = String::from_utf8(time).ok().and_then(|time| time.trim().parse::<i64>().ok());
        if !ours && time.is_some_and(|time| now.saturating_sub(time) <= MAX_AGE) {
            alive.push(Arc::clone(&member.record));
        }
    }
    Ok(without_time)
}

/// What a member says. Numbers may be strings, and an array may have keys, as PHP reads both.
fn read(raw: &[u8]) -> Option<Member> {
    let member: Value = serde_json::from_slice(raw).ok()?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let node = member.get("node")?;
    let (ip, port) = (text(node.get("ip")?)?, text(node.get("port")?)?);
    let groups: Vec<&Value> = match member.get("group")? {
        Value::Array(groups) => groups.iter().collect(),
        Value::Object(groups) => groups.values().collect(),
        _ => return None,
    };
    let address: Address = format!("{ip}:{port}").parse().ok()?;
    let record = InstanceRecord::unknown(address.to_string()).with_ability(can::PHP);
    let record = groups.into_iter().filter_map(text).fold(record, InstanceRecord::with_group);
    record.check().ok().filter(|()| !record.groups.is_empty())?;
    Some(Member { time_key: format!("dora.servertime.{ip}.{port}.time"), record: Arc::new(record) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_what_phps_server_would_write() {
        let record = |address| InstanceRecord::new(address).with_group("group1").with_group("group2");
        assert_eq!(
            member(&record("127.0.0.1:19867")).as_deref(),
            Some(r#"{"node":{"ip":"127.0.0.1","port":19867},"group":["group1","group2"]}"#)
        );
        let odd = InstanceRecord::new("a:1").with_group("a/b \"\u{e9}\u{1f600}\n");
        assert_eq!(
            member(&odd).as_deref(),
            Some(r#"{"node":{"ip":"a","port":1},"group":["a\/b \"\u00e9\ud83d\ude00\u000a"]}"#)
        );
        for unreachable in [
            record("unix:/run/x.sock"),
            record("[::1]:9567"),
            record("a:1").with_ability(can::PHP).with_ability(can::TLS),
            record("a:1").with_ability(can::PROTOBUF),
        ] {
            assert_eq!(member(&unreachable), None, "{unreachable:?}");
        }
    }

    #[test]
    fn members_are_read_as_php_reads_them() {
        let address = |text: &str| read(text.as_bytes()).map(|member| member.record.address.clone());
        assert_eq!(
            address(r#"{"node":{"ip":"10.4.4.4","port":"9568"},"group":["a"]}"#),
            Some("10.4.4.4:9568".to_owned())
        );
        assert_eq!(address(r#"{"node":{"ip":"a","port":1},"group":{"x":"a"}}"#), Some("a:1".to_owned()));
        for bad in [
            "not json",
            "[]",
            r#"{"node":{"ip":"10.4.4.4","port":9568},"group":"group1"}"#,
            r#"{"node":{"ip":"a b","port":9568},"group":["a"]}"#,
            r#"{"node":{"ip":"a","port":123456},"group":["a"]}"#,
            r#"{"node":{"ip":"a"},"group":["a"]}"#,
            r#"{"node":{"ip":"a","port":1},"group":[]}"#,
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
