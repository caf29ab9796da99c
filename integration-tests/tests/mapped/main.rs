//! Generated messages as PHP arrays and JSON values.

mod leniency;
mod properties;
mod values;

#[allow(dead_code, reason = "not every message is used")]
mod everything {
    dora::include_proto!("everything");

    pub mod names {
        dora::include_proto!("everything.names");
    }
}

mod strict {
    dora::include_proto!("strict");
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
