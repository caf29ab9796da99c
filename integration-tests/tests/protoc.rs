//! What compiles here compiles with `protoc -I`, into the same descriptors: the
//! teams that share a `.proto` do not all use Dora.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dora_integration_tests::elsewhere::repository;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::file::{FileResolver, GoogleFileResolver};

#[path = "../../dora-codegen/tests/random/protos.rs"]
mod random_protos;

/// Google's files. Debian has them in a package of their own.
const GOOGLE: [&str; 8] =
    ["any", "descriptor", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"];

/// An empty folder for the test `name`, with Google's files in `google.bin`.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("protoc").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder");
    let file = |name: &str| {
        let file = GoogleFileResolver::new().open_file(&format!("google/protobuf/{name}.proto"));
        file.expect("it is well-known").file_descriptor_proto().clone()
    };
    let set = FileDescriptorSet { file: GOOGLE.into_iter().map(file).collect() };
    fs::write(dir.join("google.bin"), set.encode_to_vec()).expect("a file");
    dir
}

/// Compiles `names`, which start at `root`, with `protoc` and nothing beside its
/// files but Google's and ours.
fn protoc(root: &Path, names: &[String], scratch: &Path) -> Result<Vec<u8>, String> {
    let set = scratch.join("protoc.bin");
    let mut command = Command::new("protoc");
    for dir in [root, &repository().join("dora-codegen/proto")] {
        command.arg("-I").arg(dir);
    }
    command.arg(format!("--descriptor_set_in={}", scratch.join("google.bin").display()));
    command.arg("--include_imports").arg(format!("--descriptor_set_out={}", set.display())).args(names);
    let output = command.output().expect("protoc: cargo xtask test installs it");
    match output.status.success() {
        true => Ok(fs::read(set).expect("what it wrote")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The `.proto` files below `dir`, as imports name them.
fn protos(dir: &Path) -> Vec<String> {
    let mut dirs = vec![dir.to_owned()];
    let mut names = vec![];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                let name = path.strip_prefix(dir).expect("it lies in it").to_str().expect("a plain name");
                names.push(name.replace('\\', "/"));
            }
        }
    }
    names.sort();
    names
}

/// The files of a set by their names, without comments and places. Custom options
/// are no part of what is read.
fn files(set: &[u8]) -> BTreeMap<String, FileDescriptorProto> {
    let set = FileDescriptorSet::decode(set).expect("a set");
    let bare = |file| FileDescriptorProto { source_code_info: None, ..file };
    set.file.into_iter().map(|file| (file.name().to_owned(), bare(file))).collect()
}

#[test]
fn every_file_of_the_repository_is_the_same_to_protoc() {
    let roots = [
        "dora-codegen/proto",
        "dora-codegen/tests/golden",
        "examples/own-carrier/proto",
        "examples/php-interop/proto",
        "examples/quickstart/proto",
        "guide-tests/proto",
        "integration-tests/proto",
        "proto",
    ];
    let scratch = scratch("same");
    let mut compared = 0;
    for root in roots.map(|root| repository().join(root)) {
        let names = protos(&root);
        assert!(!names.is_empty(), "{}", root.display());
        let theirs = protoc(&root, &names, &scratch).unwrap_or_else(|said| panic!("{said}"));
        let theirs = files(&theirs);
        let paths: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
        for (name, path) in names.iter().zip(&paths) {
            // It says nothing about roots: the generator finds what protoc was told.
            let out = scratch.join(format!("out{compared}"));
            let config = dora_codegen::Config::new().out_dir(&out).file_descriptor_set("ours.bin");
            config.compile(path).unwrap_or_else(|error| panic!("{error}"));
            let set = out.join("ours.bin");
            let ours = files(&fs::read(&set).expect("what it wrote"));
            assert_eq!(ours.get(name), theirs.get(name), "{}", path.display());
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared} files");
}

#[test]
fn what_protoc_does_not_find_is_not_found_here() {
    let scratch = scratch("missing");
    let root = scratch.join("proto");
    fs::create_dir_all(root.join("shop/v1")).expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(root.join(name), format!("syntax = \"proto3\";\n{text}")).expect("a file");
    };
    write("shop/v1/item.proto", "package shop.v1; message Item {}");
    for (import, is_found) in [
        ("shop/v1/item.proto", true),
        ("item.proto", false),
        ("./shop/v1/item.proto", false),
        ("shop//v1/item.proto", false),
        ("shop/../shop/v1/item.proto", false),
        ("Shop/v1/item.proto", false),
    ] {
        write(
            "shop/v1/list.proto",
            &format!("package shop.v1; import {import:?}; message L {{ Item i = 1; }}"),
        );
        let theirs = protoc(&root, &["shop/v1/list.proto".to_owned()], &scratch);
        let config = dora_codegen::Config::new().out_dir(scratch.join("out"));
        let ours = config.compile(root.join("shop/v1/list.proto"));
        assert_eq!((theirs.is_ok(), ours.is_ok()), (is_found, is_found), "{import}: {theirs:?} {ours:?}");
    }
}

#[test]
fn files_at_random_that_compile_here_compile_with_protoc() {
    let scratch = scratch("random");
    let root = scratch.join("proto");
    fs::create_dir(&root).expect("a folder");
    let mut names = vec![];
    for seed in 0..120 {
        let name = format!("p{seed}.proto");
        let path = root.join(&name);
        fs::write(&path, random_protos::proto(seed, &format!("random.p{seed}"))).expect("a file");
        if dora_codegen::Config::new().out_dir(scratch.join("out")).compile(&path).is_ok() {
            names.push(name);
        }
    }
    assert!(names.len() > 40, "{} files", names.len());
    protoc(&root, &names, &scratch).unwrap_or_else(|said| panic!("{said}"));
}
