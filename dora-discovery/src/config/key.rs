//! Where a configuration stands, as a line.

use std::fmt;
use std::str::FromStr;

use dora_core::call::status::BoxError;

use crate::error::TargetError;
use crate::url::TargetUrl;
use crate::{etcd, redis};

use super::source::{BoxSource, Source};

/// A key of a registry that a configuration is read from, as a line: the same as a target
/// of discovery, with `key`.
///
/// | line | what |
/// | --- | --- |
/// | `etcd://10.0.0.1,10.0.0.2?key=shop/limits` | watched (feature `etcd`) |
/// | `redis://10.0.0.1/2?key=shop/limits`, also `rediss://` and `redis+sentinel://` | a string of one server (feature `redis`), asked for every 2 s, and at once after a hint: a message on the channel `dora:config:shop/limits`, or a notification of Redis, if `notify-keyspace-events` has `K` and `A` |
///
/// Users, passwords and TLS are as in targets.
///
/// ```
/// use dora::config::ConfigKey;
///
/// let error = ConfigKey::new("etcd://10.0.0.1:2379").expect_err("it names no key");
/// assert!(error.to_string().contains("key=shop/limits"));
/// ```
pub struct ConfigKey {
    shown: String,
    source: BoxSource,
}

impl ConfigKey {
    /// What this line says.
    ///
    /// # Errors
    /// It is none; what to write in its place.
    pub fn new(text: &str) -> Result<Self, TargetError> {
        let shown = TargetUrl::redacted(text);
        let source = open(text).map_err(|error| error.of(shown.clone()))?;
        Ok(Self { shown, source })
    }
}

fn open(text: &str) -> Result<BoxSource, TargetError> {
    let mut url = TargetUrl::parse(text)?;
    let key = url.take("key")?.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| TargetError::new("it names no key; write \"?key=shop/limits\", say"))?;
    let source = match &*url.scheme {
        "etcd" => etcd::key(&mut url, key),
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" => redis::key(&mut url, key),
        other => Err(TargetError::new(format!(
            "no configuration is read from {other:?}; write etcd:// or redis://"
        ))),
    }?;
    url.finish()?;
    Ok(source)
}

impl FromStr for ConfigKey {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::new(text)
    }
}

impl Source for ConfigKey {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        self.source.next().await
    }

    fn name(&self) -> String {
        self.shown.clone()
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigKey").field(&self.shown).finish()
    }
}
