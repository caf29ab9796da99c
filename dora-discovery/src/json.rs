//! Records as registries keep them: JSON, with a version.
//!
//! ```
//! use dora::discovery::{InstanceRecord, json};
//!
//! let record = InstanceRecord::new("10.0.2.15:9567").with_group("shop");
//! let text = json::encode(&record)?;
//! assert!(text.starts_with(r#"{"v":1,"address":"10.0.2.15:9567","generation":""#));
//! assert_eq!(json::decode(text.as_bytes())?, record);
//! # Ok::<(), json::RecordJsonError>(())
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use dora_core::discovery::record::{InstanceRecord, RecordError};
use serde::{Deserialize, Serialize};

/// The version that is written. A later one may have more keys, which are passed over;
/// this number changes when older readers would be misled.
pub const VERSION: u32 = 1;

/// The most bytes of a record, with what its registry adds: its term, say.
pub const MAX_BYTES: usize = 64 << 10;

/// The most bytes that a registry adds.
const ADDED: usize = 32;

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordJsonError {
    /// It has more than [`MAX_BYTES`].
    #[error("a record of {0} bytes, of which there may be {MAX_BYTES}")]
    TooLong(usize),
    /// It is no JSON, or not of this shape.
    #[error("no record: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a later version.
    #[error("a record of version {0}; this program knows version {VERSION}")]
    Version(u32),
    /// Its parts are not as they must be.
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Written<'a> {
    v: u32,
    #[serde(borrow)]
    address: Cow<'a, str>,
    /// Hex: JSON's numbers are not all 64 bits, and scripts compare it.
    #[serde(with = "hex")]
    generation: u64,
    #[serde(default)]
    started: u64,
    #[serde(default)]
    groups: Cow<'a, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    services: Cow<'a, BTreeMap<String, String>>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    can: Cow<'a, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    metadata: Cow<'a, BTreeMap<String, String>>,
}

/// The record as JSON, in one line.
///
/// # Errors
/// It is not as it must be, or over [`MAX_BYTES`].
pub fn encode(record: &InstanceRecord) -> Result<String, RecordJsonError> {
    record.check()?;
    let text = serde_json::to_string(&Written::from(record))?;
    let length = text.len() + ADDED;
    if length > MAX_BYTES {
        return Err(RecordJsonError::TooLong(length));
    }
    Ok(text)
}

/// The record that `json` is. Keys that this version does not know are passed over.
///
/// # Errors
/// It is none, or one that this version does not understand.
pub fn decode(json: &[u8]) -> Result<InstanceRecord, RecordJsonError> {
    if json.len() > MAX_BYTES {
        return Err(RecordJsonError::TooLong(json.len()));
    }
    serde_json::from_slice::<Written<'_>>(json)?.try_into()
}

impl<'a> From<&'a InstanceRecord> for Written<'a> {
    fn from(record: &'a InstanceRecord) -> Self {
        Self {
            v: VERSION,
            address: Cow::Borrowed(&record.address),
            generation: record.generation,
            started: record.started,
            groups: Cow::Borrowed(&record.groups),
            services: Cow::Borrowed(&record.services),
            weight: record.weight,
            zone: record.zone.as_deref().map(Cow::Borrowed),
            can: Cow::Borrowed(&record.can),
            metadata: Cow::Borrowed(&record.metadata),
        }
    }
}

impl TryFrom<Written<'_>> for InstanceRecord {
    type Error = RecordJsonError;

    fn try_from(written: Written<'_>) -> Result<Self, RecordJsonError> {
        if written.v != VERSION {
            return Err(RecordJsonError::Version(written.v));
        }
        let mut record = Self::unknown(written.address);
        record.generation = written.generation;
        record.started = written.started;
        record.groups = written.groups.into_owned();
        record.services = written.services.into_owned();
        record.weight = written.weight;
        record.zone = written.zone.map(Cow::into_owned);
        record.can = written.can.into_owned();
        record.metadata = written.metadata.into_owned();
        record.check()?;
        Ok(record)
    }
}

fn one() -> u32 {
    1
}

fn is_empty(map: &BTreeMap<String, String>) -> bool {
    map.is_empty()
}

mod hex {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(|_| D::Error::custom("a generation is 16 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = InstanceRecord::new("[::1]:9567")
            .with_group("shop")
            .with_group("it's \u{e9}")
            .with_service("users.v1.Users", "1.0")
            .with_weight(3)
            .with_zone("eu-1a")
            .with_ability("protobuf")
            .with_metadata("build", "\"1f3c\"\\");
        assert_eq!(decode(encode(&record).expect("good").as_bytes()).expect("good"), record);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = br#"{"v":1,"address":"a:1","generation":"00ff","later":[{"x":1}]}"#;
        let record = decode(text).expect("a record");
        assert_eq!((record.generation, record.weight, record.groups.len()), (255, 1, 0));
    }

    #[test]
    fn what_is_no_record_is_an_error_that_says_why() {
        let long = format!(r#"{{"v":1,"address":"a:1","generation":"1","x":"{}"}}"#, "y".repeat(MAX_BYTES));
        let cases: [(&[u8], &str); 8] = [
            (b"not json", "expected"),
            (b"[]", "expected"),
            (br#"{"v":2,"address":"a:1","generation":"1"}"#, "version 2"),
            (br#"{"v":1,"generation":"1"}"#, "address"),
            (br#"{"v":1,"address":"a:1","generation":"xyz"}"#, "16 hex digits"),
            (br#"{"v":1,"address":"","generation":"1"}"#, "address \"\""),
            (br#"{"v":1,"address":"a:1","generation":"1","weight":0}"#, "weight is 0"),
            (long.as_bytes(), "65"),
        ];
        for (text, word) in cases {
            let error = decode(text).expect_err(word).to_string();
            assert!(error.contains(word), "{word} in {error}");
        }
        assert!(encode(&InstanceRecord::new("")).is_err());
    }
}
