//! Sequences, maps and structs.

use serde::ser::{self, Serialize};

use super::{KeySerializer, Result, Serializer};
use crate::pack::php::error::PhpError;
use crate::pack::php::write;

/// An array that is being written.
#[derive(Debug)]
pub struct Compound<'a> {
    out: &'a mut Vec<u8>,
    /// Where the head stands, and where what it counts begins.
    head: usize,
    body: usize,
    claimed: Option<usize>,
    count: usize,
    in_variant: bool,
}

impl<'a> Compound<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, claimed: Option<usize>) -> Self {
        let head = out.len();
        if let Some(count) = claimed {
            write::array(out, count);
        }
        Self { head, body: out.len(), out, claimed, count: 0, in_variant: false }
    }

    pub(super) fn in_variant(self) -> Self {
        Self { in_variant: true, ..self }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let at = i64::try_from(self.count).unwrap_or(i64::MAX);
        write::int(self.out, at);
        self.value(value)
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.count = self.count.saturating_add(1);
        value.serialize(&mut Serializer::new(self.out))
    }

    /// The count stands before the pairs: when it was not known, or was wrong,
    /// the head is put in now.
    fn finish(self) -> Result<()> {
        if self.claimed != Some(self.count) {
            let mut head = Vec::new();
            write::array(&mut head, self.count);
            self.out.splice(self.head..self.body, head);
        }
        write::end(self.out);
        if self.in_variant {
            write::end(self.out);
        }
        Ok(())
    }
}

macro_rules! lists {
    ($($name:ident: $method:ident),*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = PhpError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.item(value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}

macro_rules! structs {
    ($($name:ident),*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = PhpError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                write::key(self.out, key);
                self.value(value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}

lists!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);
structs!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = PhpError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        key.serialize(KeySerializer { out: self.out })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}
