//! Generates what the tests read and write: the typed reference service, messages
//! of every kind, and the golden files of dora-codegen, to see that they compile.

use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/reference.proto")?;
    dora_codegen::compile(["proto/everything.proto", "proto/names.proto"])?;
    dora_codegen::compile(goldens())?;
    dora_codegen::Config::new().strict_reading(true).compile("proto/strict.proto")?;
    dora_codegen::Config::new().file_descriptor_set("nested.bin").compile("proto/nested/nested.proto")
}

fn goldens() -> Vec<PathBuf> {
    let files =
        fs::read_dir("../dora-codegen/tests/golden").expect("the golden files lie beside this package");
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect()
}
