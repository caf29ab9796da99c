//! Field masks: "id,address.zip", and read from a list too.

use std::str;

use prost_types::FieldMask;
use serde::de::{self, Deserializer, SeqAccess};
use serde::ser::Serializer;

use crate::pack::mapped::adapter::Seed;
use crate::pack::mapped::input::{self, Input, Reader};
use crate::pack::mapped::{Mapped, Plain, Reading};

impl Mapped for FieldMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.paths.join(","))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        FieldMaskReader { reading }.read(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        FieldMaskReader { reading }.read(deserializer, reading)
    }
}

struct FieldMaskReader {
    reading: Reading,
}

impl<'de> Reader<'de> for FieldMaskReader {
    type Value = FieldMask;

    fn expected(&self) -> String {
        "a field mask".to_owned()
    }

    /// An empty string is a mask without paths.
    fn is_nothing(&self, input: Input<'_>) -> bool {
        input.is_false()
    }

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<FieldMask, E> {
        let text = match input {
            Input::Text(text) => str::from_utf8(text).ok(),
            _ => None,
        };
        let text = text.ok_or_else(|| input::mismatch(&self.expected(), input))?;
        let paths = text.split(',').map(str::trim);
        Ok(FieldMask { paths: paths.filter(|path| !path.is_empty()).map(str::to_owned).collect() })
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldMask, A::Error> {
        let mut paths = vec![];
        while let Some(path) = list.next_element_seed(Seed::<String, Plain>::new(self.reading))? {
            paths.push(path);
        }
        Ok(FieldMask { paths })
    }
}
