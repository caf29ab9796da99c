//! Values through serde: as JSON and in other formats.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::object::Visibility;
use super::{Array, Key, KeyRef, Object, PhpString, Value};
use crate::pack::php::raw_object::{self, OBJECT};

/// In text formats such as JSON, strings must be UTF-8 and floats finite.
/// Arrays that are lists are sequences, the empty one included (PHP's
/// `json_encode` writes `[]`), all others are maps. An object is the map of its
/// public properties, as `json_encode` has it, and the case of an enum its name;
/// what only its class can read (`C:`) has no text form.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() || !serializer.is_human_readable() => {
                serializer.serialize_f64(*value)
            }
            Self::Float(value) => Err(S::Error::custom(format_args!("float that has no text form: {value}"))),
            Self::Str(value) => value.serialize(serializer),
            Self::Array(value) => value.serialize(serializer),
            Self::Object(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return raw_object::serialize(self, serializer);
        }
        if let Some(case) = self.case() {
            return case.serialize(serializer);
        }
        if self.properties().is_none() {
            let class = self.class().escape_ascii();
            return Err(S::Error::custom(format_args!(
                "object that only its class, {class}, has a text form of"
            )));
        }
        let public = || self.fields().filter(|field| field.visibility == Visibility::Public);
        let mut map = serializer.serialize_map(Some(public().count()))?;
        for field in public() {
            map.serialize_entry(&field.name, field.value)?;
        }
        map.end()
    }
}

impl Serialize for Array {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_list() {
            let mut list = serializer.serialize_seq(Some(self.len()))?;
            for value in self.values() {
                list.serialize_element(value)?;
            }
            return list.end();
        }
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(&key, value)?;
        }
        map.end()
    }
}

impl Serialize for PhpString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(self, serializer)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

impl Serialize for KeyRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(int) if serializer.is_human_readable() => serializer.serialize_str(&int.to_string()),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Str(bytes) => serialize_bytes(bytes, serializer),
        }
    }
}

fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) if !serializer.is_human_readable() => serializer.serialize_bytes(bytes),
        Err(_) => Err(S::Error::custom(format_args!(
            "string that is not UTF-8 has no text form: b\"{}\"",
            bytes.get(..bytes.len().min(32)).unwrap_or_default().escape_ascii()
        ))),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(OBJECT, AnyValue)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(object) => Ok(object),
            other => Err(de::Error::custom(format_args!(
                "invalid type: {}, expected an object",
                other.type_name()
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Array {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Array(array) => Ok(array),
            other => {
                Err(de::Error::custom(format_args!("invalid type: {}, expected an array", other.type_name())))
            }
        }
    }
}

impl<'de> Deserialize<'de> for PhpString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Text)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKey)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        raw_object::deserialize(data).map(Value::Object)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut array = Array::new();
        while let Some(value) = seq.next_element::<Value>()? {
            array.push(value);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut array = Array::new();
        while let Some(key) = map.next_key_seed(AnyKey)? {
            array.insert(key, map.next_value::<Value>()?);
        }
        Ok(array.into())
    }
}

struct AnyKey;

impl<'de> DeserializeSeed<'de> for AnyKey {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyKey {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer or a string")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Key, E> {
        Ok(Key::Int(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Key, E> {
        Ok(Key::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Key, E> {
        Ok(i64::try_from(value).map_or_else(|_| Key::from(value.to_string()), Key::Int))
    }

    fn visit_str<E>(self, value: &str) -> Result<Key, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Key, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Key, E> {
        Ok(value.into())
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Key, E> {
        Ok(value.into())
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = PhpString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, value: &str) -> Result<PhpString, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<PhpString, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<PhpString, E> {
        Ok(value.into())
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<PhpString, E> {
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::pack::value::{Array, Value};
    use crate::value;

    fn json(value: &Value) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn json_is_what_json_encode_writes() {
        let value = value!({ "a" => [1, 2.5, null, true, "x"], "e" => {}, 7 => { 1 => "y" } });
        let text = r#"{"a":[1,2.5,null,true,"x"],"e":[],"7":{"1":"y"}}"#;
        assert_eq!(json(&value), text);
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
    }

    #[test]
    fn json_keys_follow_php() {
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(r#"{"0":"a","1":"b"}"#), value!(["a", "b"]));
        assert_eq!(read("{}"), Value::from(Array::new()));
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#), value!({ "a" => 3, "b" => 2 }));
        assert_eq!(read("18446744073709551615"), value!(u64::MAX));
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        for value in [Value::from(vec![0xff_u8]), value!({ "a" => [f64::NAN] })] {
            let error = serde_json::to_string(&value).unwrap_err().to_string();
            assert!(error.contains("no text form"), "{error}");
        }
    }
}
