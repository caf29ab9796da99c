//! Generated messages as PHP arrays and JSON values.

mod leniency;
mod properties;
mod values;

/// What generated code reaches as `::dora::codegen`, as far as messages go.
pub mod codegen {
    pub use dora_core::pack::mapped::{Enumeration, Fields, ReadField, WriteFields};
    pub use {prost, prost_types};
}

extern crate self as dora;

#[allow(dead_code, unreachable_pub)]
mod everything {
    include!(concat!(env!("OUT_DIR"), "/everything.rs"));

    pub mod names {
        include!(concat!(env!("OUT_DIR"), "/everything.names.rs"));
    }
}

use dora_core::pack::limits::Limits;
use dora_core::pack::mapped::{self, Mapped};

fn from_php<T: Mapped>(php: impl AsRef<[u8]>) -> Result<T, String> {
    mapped::from_php(php.as_ref(), &Limits::default()).map_err(|error| error.to_string())
}

fn from_json<T: Mapped>(json: impl AsRef<[u8]>) -> Result<T, String> {
    mapped::from_json(json.as_ref()).map_err(|error| error.to_string())
}

fn to_php<T: Mapped>(value: &T) -> String {
    String::from_utf8_lossy(&mapped::to_php(value).unwrap()).into_owned()
}

fn to_json<T: Mapped>(value: &T) -> String {
    String::from_utf8(mapped::to_json(value).unwrap()).unwrap()
}
