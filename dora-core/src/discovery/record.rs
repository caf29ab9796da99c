//! What a server says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The group of those who name none.
pub const DEFAULT_GROUP: &str = "default";

/// The longest name (address, group, service, zone, key) in bytes.
pub const MAX_NAME: usize = 255;
/// The most groups of an instance.
pub const MAX_GROUPS: usize = 64;
/// The most services of an instance, and the most things that it can.
pub const MAX_SERVICES: usize = 1024;
/// The most entries of metadata of an instance.
pub const MAX_METADATA: usize = 64;
/// The longest value of metadata in bytes.
pub const MAX_VALUE: usize = 1024;

/// One run of a server, as registries keep it and clients read it.
///
/// It is told from other servers by its [`address`](Self::address), and from earlier and
/// later ones at the same address by when it started and its random
/// [`generation`](Self::generation).
///
/// ```
/// use dora::discovery::InstanceRecord;
///
/// let record = InstanceRecord::new("10.0.2.15:9567")
///     .with_group("shop")
///     .with_weight(2)
///     .with_zone("eu-1a")
///     .with_metadata("build", "1f3c");
/// assert!(record.check().is_ok());
/// assert!(InstanceRecord::new("").check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceRecord {
    /// Where it is reached: `host:port`, `[::1]:9567`, `unix:/run/x.sock`.
    pub address: String,
    /// Random, drawn when it started: tells it from other runs at the same address. 0 of
    /// one that does not say, such as a PHP server.
    pub generation: u64,
    /// When it started by its own clock, in milliseconds since 1970; 0 if it does not say.
    pub started: u64,
    /// The groups that it belongs to.
    pub groups: BTreeSet<String>,
    /// Its services by full name, and their versions. Empty if it does not say.
    pub services: BTreeMap<String, String>,
    /// How many times the calls of an instance of weight 1 it wants; at least 1.
    pub weight: u32,
    /// Where it stands, where that matters.
    pub zone: Option<String>,
    /// What it can: the words in [`can`]. Others are kept as they are.
    pub can: BTreeSet<String>,
    /// Whatever else its operators want to know.
    pub metadata: BTreeMap<String, String>,
}

/// What an instance can, as its record says it.
pub mod can {
    /// Takes PHP's `serialize`.
    pub const PHP: &str = "php";
    /// Takes JSON.
    pub const JSON: &str = "json";
    /// Takes protobuf.
    pub const PROTOBUF: &str = "protobuf";
    /// Takes signed frames, and no others.
    pub const SIGNED: &str = "signed";
    /// Takes TLS, and nothing else.
    pub const TLS: &str = "tls";
    /// Takes calls whose messages are streams.
    pub const STREAMING: &str = "streaming";
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of {address:?}: {fault}")]
pub struct RecordError {
    address: String,
    fault: String,
}

impl InstanceRecord {
    /// A run that starts now, at this address.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            generation: fastrand::u64(1..),
            started: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            ..Self::unknown(address)
        }
    }

    /// An instance of which nothing is known but its address.
    #[must_use]
    pub fn unknown(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            generation: 0,
            started: 0,
            groups: BTreeSet::new(),
            services: BTreeMap::new(),
            weight: 1,
            zone: None,
            can: BTreeSet::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Belongs to this group, too.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.groups.insert(group.into());
        self
    }

    /// Has this service, too.
    #[must_use]
    pub fn with_service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.services.insert(name.into(), version.into());
        self
    }

    /// Wants so many times the calls of an instance of weight 1. Default: 1.
    #[must_use]
    pub fn with_weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// Stands there.
    #[must_use]
    pub fn with_zone(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// Can this, too: see [`can`].
    #[must_use]
    pub fn with_ability(mut self, word: impl Into<String>) -> Self {
        self.can.insert(word.into());
        self
    }

    /// Says this, too.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Address and generation: this run and no other.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}#{:016x}", self.address, self.generation)
    }

    /// Whether, of two runs at one address, this is the later one by what they say of
    /// themselves: by the clocks of their machines. For those to whom no registry tells
    /// it, such as clients that ask several; the registries of `dora::discovery` order
    /// runs by clocks and revisions of their own.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        (self.started, self.generation) > (other.started, other.generation)
    }

    /// Whether it may be announced, and believed: it has an address and a weight, and
    /// nothing is larger than the bounds of this module.
    ///
    /// # Errors
    /// Which of its parts is not as it must be.
    pub fn check(&self) -> Result<(), RecordError> {
        self.fault().map_or(Ok(()), |fault| {
            let address = self.address.chars().take(MAX_NAME).collect();
            Err(RecordError { address, fault })
        })
    }

    fn fault(&self) -> Option<String> {
        if self.weight == 0 {
            return Some("its weight is 0: a weight is at least 1".to_owned());
        }
        let counts = [
            ("groups", self.groups.len(), MAX_GROUPS),
            ("services", self.services.len(), MAX_SERVICES),
            ("abilities", self.can.len(), MAX_SERVICES),
            ("entries of metadata", self.metadata.len(), MAX_METADATA),
        ];
        if let Some((what, count, most)) = counts.into_iter().find(|(_, count, most)| count > most) {
            return Some(format!("it has {count} {what}, of which there may be {most}"));
        }
        let names = [("address", &self.address)].into_iter();
        let names = names
            .chain(self.groups.iter().map(|name| ("group", name)))
            .chain(self.services.keys().map(|name| ("service", name)))
            .chain(self.services.values().map(|name| ("version", name)))
            .chain(self.zone.iter().map(|name| ("zone", name)))
            .chain(self.can.iter().map(|name| ("ability", name)))
            .chain(self.metadata.keys().map(|name| ("key of metadata", name)));
        let odd = |name: &str| name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control);
        for (what, name) in names {
            if odd(name) {
                let mend = format!("from 1 to {MAX_NAME} bytes, without control characters");
                let start: String = name.chars().take(40).collect();
                return Some(format!("{what} {start:?} must be {mend}"));
            }
        }
        let long = self.metadata.iter().find(|(_, value)| value.len() > MAX_VALUE);
        long.map(|(key, value)| {
            format!("metadata {key:?} has {} bytes, of which there may be {MAX_VALUE}", value.len())
        })
    }
}

impl fmt::Display for InstanceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_kept_and_named() {
        let good = || InstanceRecord::new("10.0.2.15:9567").with_group("shop");
        assert_eq!(good().check(), Ok(()));
        let long = "x".repeat(MAX_NAME + 1);
        let many = |count: usize| (0..count).map(|n| n.to_string());
        let bad = [
            (InstanceRecord::new(""), "address \"\""),
            (InstanceRecord::new("a\n:1"), "address"),
            (good().with_weight(0), "weight"),
            (good().with_group(&long), "group"),
            (good().with_group(""), "group \"\""),
            (good().with_service(&long, "1"), "service"),
            (good().with_service("a", ""), "version"),
            (good().with_zone(&long), "zone"),
            (good().with_ability(&long), "ability"),
            (good().with_metadata(&long, ""), "key of metadata"),
            (good().with_metadata("k", "v".repeat(MAX_VALUE + 1)), "metadata \"k\" has 1025 bytes"),
            (many(MAX_GROUPS).fold(good(), InstanceRecord::with_group), "65 groups"),
            (many(MAX_METADATA + 1).fold(good(), |r, n| r.with_metadata(n, "")), "65 entries of metadata"),
            (many(MAX_SERVICES + 1).fold(good(), |r, n| r.with_service(n, "1")), "1025 services"),
        ];
        for (record, word) in bad {
            let error = record.check().expect_err(word).to_string();
            assert!(error.contains(word), "{word} in {error}");
            assert!(error.len() < 1000, "{} bytes", error.len());
        }
    }

    #[test]
    fn the_later_run_at_an_address_is_the_one_that_is_there() {
        let mut first = InstanceRecord::new("a:1");
        let mut second = InstanceRecord::new("a:1");
        first.started = 1000;
        second.started = 1001;
        assert!(second.supersedes(&first) && !first.supersedes(&second));
        second.started = 1000;
        assert_ne!(second.supersedes(&first), first.supersedes(&second), "generations decide");
        assert!(!first.supersedes(&first));
        assert!(first.supersedes(&InstanceRecord::unknown("a:1")), "who says more is believed");
    }
}
