//! Generates what the tests read and write: the typed reference service, messages
//! of every kind, and the golden files of dora-codegen, to see that they compile.

use std::path::PathBuf;
use std::{env, fs};

#[path = "../dora-codegen/tests/random/protos.rs"]
mod random_protos;

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile(["proto/reference.proto", "proto/swoft.proto"])?;
    dora_codegen::compile("proto/library.proto")?;
    let mocked = || dora_codegen::Config::new().mocks(true);
    mocked().compile(["proto/everything.proto", "proto/names.proto", "proto/odd.proto"])?;
    mocked().compile(goldens())?;
    dora_codegen::Config::new().strict_reading(true).compile("proto/strict.proto")?;
    configured()?;
    random();
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

/// So many of the files at random are compiled as Rust, too.
const RANDOM: usize = 24;

/// For `src/random.rs`: of the files at random those that are not refused.
fn random() {
    let dir = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it")).join("random");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder");
    let file = dir.join("random.proto");
    let seeds = 0..10 * RANDOM as u64;
    let compiled = seeds.filter(|seed| {
        fs::write(&file, random_protos::proto(*seed, &format!("p{seed}"))).expect("a file");
        let config = dora_codegen::Config::new().out_dir(&dir).serde(true).mocks(true);
        config
            .btree_map(".")
            .strict_reading(seed % 3 == 0)
            .default_stubs(seed % 2 == 0)
            .compile(&file)
            .is_ok()
    });
    assert_eq!(compiled.take(RANDOM).count(), RANDOM, "the generator refuses nearly all");
}

fn goldens() -> Vec<PathBuf> {
    let files =
        fs::read_dir("../dora-codegen/tests/golden").expect("the golden files lie beside this package");
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect()
}
