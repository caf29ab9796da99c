//! Generates what the tests read and write: the typed reference service, messages
//! of every kind, and the golden files of dora-codegen, to see that they compile.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/reference.proto")?;
    let mocked = || dora_codegen::Config::new().mocks(true);
    mocked().compile(["proto/everything.proto", "proto/names.proto", "proto/odd.proto"])?;
    mocked().compile(goldens())?;
    dora_codegen::Config::new().strict_reading(true).compile("proto/strict.proto")?;
    configured()?;
    dora_codegen::Config::new().file_descriptor_set("nested.bin").compile("proto/nested/nested.proto")
}

/// All that can be chosen, for `tests/configured.rs`.
fn configured() -> Result<(), dora_codegen::Error> {
    let out_dir = env::var_os("OUT_DIR").expect("Cargo sets it");
    dora_codegen::Config::new()
        .out_dir(PathBuf::from(out_dir).join("configured"))
        .runtime("crate::rpc::dora")
        .serde(true)
        .btree_map("Everything.by_name")
        .bytes_as_vec(".configured.Everything.raw")
        .bytes_as_vec("raws")
        .bytes_as_vec("blob")
        .extern_path(".google.protobuf.Timestamp", "crate::Moment")
        .extern_path(".google.protobuf.Empty", "crate::Nothing")
        .type_attribute(".", "#[cfg_attr(any(), of_all)]")
        .message_attribute("Everything", "#[must_use]")
        .enum_attribute("Color", "#[non_exhaustive]")
        .client_attribute("Store", "#[must_use]")
        .client_mod_attribute(".configured", "#[cfg(not(any()))]")
        .server_mod_attribute(".", "#[cfg(not(any()))]")
        .default_stubs(true)
        .mocks(true)
        .mock_mod_attribute(".", "#[cfg(test)]")
        .trait_attribute("configured.Store", "#[allow(clippy::pedantic)]")
        .compile("proto/configured.proto")
}

fn goldens() -> Vec<PathBuf> {
    let files =
        fs::read_dir("../dora-codegen/tests/golden").expect("the golden files lie beside this package");
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect()
}
