//! The message as canonical proto3 JSON has it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::EchoMessage;

/// The message in JSON: an int64 as text, bytes as base64.
#[derive(Serialize, Deserialize)]
pub(super) struct Json {
    text: String,
    #[serde(with = "number")]
    number: i64,
    first: String,
    second: String,
    third: String,
    #[serde(with = "payload")]
    payload: Bytes,
}

impl From<EchoMessage> for Json {
    fn from(message: EchoMessage) -> Self {
        let EchoMessage { text, number, first, second, third, payload } = message;
        Self { text, number, first, second, third, payload }
    }
}

impl From<Json> for EchoMessage {
    fn from(json: Json) -> Self {
        let Json { text, number, first, second, third, payload } = json;
        Self { text, number, first, second, third, payload }
    }
}

mod number {
    use super::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<i64, D::Error> {
        // PHP's callers get it as a number.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said<'a> {
            Number(i64),
            Text(&'a str),
        }
        match Said::deserialize(deserializer)? {
            Said::Number(number) => Ok(number),
            Said::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

mod payload {
    use super::{Bytes, Deserialize as _, Deserializer, Engine, STANDARD, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
    }
}
