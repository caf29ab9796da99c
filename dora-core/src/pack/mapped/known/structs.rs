//! `Struct`, `Value` and `ListValue`: whatever PHP and JSON have.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde::ser::{SerializeMap, Serializer};

use crate::pack::mapped::adapter::{Seed, ToSerde};
use crate::pack::mapped::input::{self, Input, Reader, Scalar};
use crate::pack::mapped::key::Key;
use crate::pack::mapped::number;
use crate::pack::mapped::{Mapped, Plain, Reading};

/// 2^53: up to here a double is exact about ints.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Mapped for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::NumberValue(n)) if n.fract() == 0.0 && n.abs() <= EXACT => {
                serializer.serialize_i64(*n as i64)
            }
            Some(Kind::NumberValue(n)) => number::write_f64(serializer, *n),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::BoolValue(b)) => serializer.serialize_bool(*b),
            Some(Kind::StructValue(fields)) => fields.serialize(serializer),
            Some(Kind::ListValue(list)) => list.serialize(serializer),
        }
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        ValueReader::new(&deserializer, reading).read(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        ValueReader::new(&deserializer, reading).read(deserializer, reading)
    }
}

impl Mapped for ListValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        let values = Mapped::<Plain>::deserialize(deserializer, reading)?;
        Ok(Self { values })
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        let values: Option<Vec<Value>> = Mapped::<Plain>::deserialize_optional(deserializer, reading)?;
        Ok(values.map(|values| Self { values }))
    }
}

impl Mapped for Struct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, value) in &self.fields {
            map.serialize_entry(key, &ToSerde::new(value))?;
        }
        map.end()
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        StructReader(reading).read_array(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        StructReader(reading).read_array(deserializer, reading)
    }
}

struct StructReader(Reading);

impl<'de> Reader<'de> for StructReader {
    type Value = Struct;

    fn expected(&self) -> String {
        "an array by name".to_owned()
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Struct, A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(Struct::default()),
            Some(_) => Err(input::mismatch(&self.expected(), "a list")),
        }
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Struct, A::Error> {
        let mut fields = Struct::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let value = map.next_value_seed(Seed::new(self.0))?;
            fields.fields.insert(key.into_string(), value);
        }
        Ok(fields)
    }
}

struct ValueReader {
    human_readable: bool,
    reading: Reading,
}

impl ValueReader {
    fn new<'de, D: Deserializer<'de>>(deserializer: &D, reading: Reading) -> Self {
        Self { human_readable: deserializer.is_human_readable(), reading }
    }
}

impl<'de> Reader<'de> for ValueReader {
    type Value = Value;

    fn expected(&self) -> String {
        "a value".to_owned()
    }

    fn is_nothing(&self, _: Input<'_>) -> bool {
        false
    }

    fn null(self) -> Value {
        value(Kind::NullValue(0))
    }

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<Value, E> {
        let kind = match input {
            Input::Bool(b) => Some(Kind::BoolValue(b)),
            Input::Text(_) => String::from_input(input, self.human_readable).map(Kind::StringValue),
            input => number::float(input).map(Kind::NumberValue),
        };
        kind.map(value).ok_or_else(|| input::mismatch("a UTF-8 string", input))
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = vec![];
        while let Some(value) = list.next_element_seed(Seed::<Value, Plain>::new(self.reading))? {
            values.push(value);
        }
        Ok(value(Kind::ListValue(ListValue { values })))
    }

    /// A PHP array that is a list comes as one; what comes here has names, or is
    /// an object.
    fn map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        StructReader(self.reading).map(map).map(|fields| value(Kind::StructValue(fields)))
    }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}
