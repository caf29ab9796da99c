//! Generates what the tests read and write: the typed reference service, messages
//! of every kind, and the golden files of dora-codegen, to see that they compile.

use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::compile("proto/reference.proto")?;
    dora_codegen::Config::new().compile(&["proto/everything.proto", "proto/names.proto"])?;
    for golden in goldens() {
        dora_codegen::compile(golden)?;
    }
    Ok(())
}

fn goldens() -> Vec<PathBuf> {
    let files =
        fs::read_dir("../dora-codegen/tests/golden").expect("the golden files lie beside this package");
    files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect()
}
