//! What is generated, file by file.
//!
//! Each `golden/x.proto` has its `golden/x.rs` and each `errors/x.proto` its
//! `errors/x.txt`. `UPDATE_GOLDEN=1 cargo test -p dora-rpc-codegen` rewrites
//! them.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn generated_code_is_as_expected() {
    let out_dir = scratch("golden");
    for proto in protos("golden") {
        let name = proto.file_stem().unwrap().to_str().unwrap();
        dora_codegen::Config::new()
            .out_dir(&out_dir)
            .build_client(!["server", "mock"].contains(&name))
            .build_server(!["client", "comments", "options"].contains(&name))
            .strict_reading(name == "strict")
            .default_stubs(name == "mock")
            .mocks(name == "mock")
            .compile(&proto)
            .unwrap();
        let generated = fs::read_to_string(out_dir.join(format!("golden.{name}.rs"))).unwrap();
        compare(&proto.with_extension("rs"), &generated);
    }
}

#[test]
fn errors_are_as_expected() {
    for proto in protos("errors") {
        let error = dora_codegen::Config::new().out_dir(scratch("errors")).compile(&proto).unwrap_err();
        assert_eq!(format!("{error:?}"), format!("\n{error}"));
        compare(&proto.with_extension("txt"), &format!("{error}\n"));
    }
}

fn compare(expected: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(expected, actual).unwrap();
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    assert!(text == actual, "{} differs; UPDATE_GOLDEN=1 rewrites it:\n{actual}", expected.display());
}

/// The `.proto` files of `tests/{folder}`, at least one.
fn protos(folder: &str) -> Vec<PathBuf> {
    let mut protos: Vec<PathBuf> = fs::read_dir(Path::new("tests").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    protos.sort();
    assert!(!protos.is_empty());
    protos
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
