//! What a [`Value`](crate::Value) is made of: strings, keys, the properties of
//! objects, iterators. Values themselves are written by [`value!`](macro@crate::value).

pub use dora_core::pack::value::object::{Field, Fields, Visibility};
pub use dora_core::pack::value::{IntoIter, Iter, KeyRef, PhpString, ValueDeserializer, ValueError};
