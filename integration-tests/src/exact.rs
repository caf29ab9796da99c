//! PHP values without loss, and the JSON notation they are recorded in.

use std::fmt;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// A PHP value as it is, where JSON would lose the difference of `1` and `1.0`,
/// of list and map, or bytes that are not UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub enum Exact {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// The IEEE 754 bits of a float, so that NAN and -0.0 compare as themselves.
    Float(u64),
    /// A string, which in PHP is bytes.
    Str(Vec<u8>),
    /// Key and value pairs in order; a key is `Int` or `Str`.
    Array(Vec<(Self, Self)>),
    /// An object, of which no class was loaded.
    Object {
        /// Its class; empty where the recorder could not tell.
        class: Vec<u8>,
        /// Names (mangled as PHP does when not public) and values in order.
        properties: Vec<(Self, Self)>,
    },
}

impl Exact {
    /// Reads the `{"t":..,"v":..}` notation.
    ///
    /// # Errors
    ///
    /// When `notation` is not of that form; the message quotes the part.
    pub fn from_notation(notation: &Value) -> anyhow::Result<Self> {
        let text = |field: &str| {
            notation[field].as_str().with_context(|| format!("no text `{field}` in {notation}"))
        };
        Ok(match text("t")? {
            "null" => Self::Null,
            "bool" => Self::Bool(notation["v"].as_bool().context("a bool without `v`")?),
            "int" => Self::Int(text("v")?.parse()?),
            "float" => Self::Float(u64::from_str_radix(text("bits")?, 16)?),
            "str" if notation.get("hex").is_some() => Self::Str(const_hex::decode(text("hex")?)?),
            "str" => Self::Str(text("utf8")?.into()),
            "array" => Self::Array(pairs(&notation["e"])?),
            "object" => Self::Object { class: text("class")?.into(), properties: pairs(&notation["p"])? },
            "?object" => Self::Object { class: Vec::new(), properties: Vec::new() },
            other => bail!("unknown kind of value `{other}`"),
        })
    }

    /// Writes the notation that [`from_notation`](Self::from_notation) reads.
    #[must_use]
    pub fn to_notation(&self) -> Value {
        let pairs = |pairs: &[(Self, Self)]| -> Value {
            let pair = |(key, value): &(Self, Self)| json!([key.to_notation(), value.to_notation()]);
            pairs.iter().map(pair).collect()
        };
        match self {
            Self::Null => json!({"t": "null"}),
            Self::Bool(value) => json!({"t": "bool", "v": value}),
            Self::Int(value) => json!({"t": "int", "v": value.to_string()}),
            Self::Float(bits) => json!({"t": "float", "bits": format!("{bits:016x}")}),
            Self::Str(bytes) => match str::from_utf8(bytes) {
                Ok(text) => json!({"t": "str", "utf8": text}),
                Err(_) => json!({"t": "str", "hex": const_hex::encode(bytes)}),
            },
            Self::Array(entries) => json!({"t": "array", "e": pairs(entries)}),
            Self::Object { class, properties } => json!({
                "t": "object",
                "class": String::from_utf8_lossy(class),
                "p": pairs(properties),
            }),
        }
    }

    /// A PHP list: keys 0, 1, 2, ...
    pub fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Array((0..).map(Self::Int).zip(values).collect())
    }

    /// A PHP array with string keys, in the order given.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entries = entries.into_iter();
        Self::Array(entries.map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value under a string key of an array or object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (Self::Array(entries) | Self::Object { properties: entries, .. }) = self else {
            return None;
        };
        let is_key = |(k, _): &&(Self, Self)| matches!(k, Self::Str(k) if k == key.as_bytes());
        entries.iter().find(is_key).map(|(_, value)| value)
    }

    /// The value at the end of a path of string keys.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }
}

impl From<&str> for Exact {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<&[u8]> for Exact {
    fn from(bytes: &[u8]) -> Self {
        Self::Str(bytes.into())
    }
}

impl From<i64> for Exact {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Exact {
    fn from(value: f64) -> Self {
        Self::Float(value.to_bits())
    }
}

impl From<bool> for Exact {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// As PHP's short array syntax: a failed assertion must be readable.
impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Str(bytes) => match str::from_utf8(bytes) {
                Ok(text) => write!(f, "{text:?}"),
                Err(_) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            },
            Self::Array(entries) => write_pairs(f, entries),
            Self::Object { class, properties } => {
                write!(f, "new {} ", class.escape_ascii())?;
                write_pairs(f, properties)
            }
        }
    }
}

fn write_pairs(f: &mut fmt::Formatter<'_>, pairs: &[(Exact, Exact)]) -> fmt::Result {
    write!(f, "[")?;
    for (at, (key, value)) in pairs.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(f, "{comma}{key:?} => {value:?}")?;
    }
    write!(f, "]")
}

fn pairs(notation: &Value) -> anyhow::Result<Vec<(Exact, Exact)>> {
    let pairs = notation.as_array().context("no list of pairs")?;
    let pair = |pair: &Value| Ok((Exact::from_notation(&pair[0])?, Exact::from_notation(&pair[1])?));
    pairs.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_loses_nothing() {
        let value = Exact::map([
            ("null", Exact::Null),
            ("one", 1.into()),
            ("one point zero", 1.0.into()),
            ("least", i64::MIN.into()),
            ("bytes", Exact::from(&b"\xff\0"[..])),
            ("list", Exact::list([true.into(), "你好".into()])),
        ]);
        let notation = value.to_notation();
        assert_eq!(Exact::from_notation(&notation).expect("it reads"), value);
        assert_eq!(value.at(&["list", "0"]), None, "the key is an int");
        assert_eq!(value.get("least"), Some(&Exact::Int(i64::MIN)));
    }
}
