//! What can be configured.

use std::fs;
use std::path::{Path, PathBuf};

use dora_codegen::Config;

/// A directory of its own for each test, empty.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn write(dir: &Path, name: &str, body: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("syntax = \"proto3\";\n{body}")).unwrap();
    path
}

#[test]
fn the_options_at_the_root_are_those_of_this_package() {
    let root = Path::new("../proto/dora/options.proto");
    // Packaged alone, there is no root.
    if root.parent().is_some_and(Path::exists) {
        let ours = fs::read_to_string("proto/dora/options.proto").unwrap();
        assert_eq!(fs::read_to_string(root).unwrap(), ours);
    }
}

#[test]
fn imports_start_at_the_proto_directory_and_at_the_own_one() {
    let dir = scratch("imports");
    write(&dir, "proto/common/v1/money.proto", "package common.v1; message Money {}");
    write(&dir, "proto/shop/v1/item.proto", "package shop.v1; message Item {}");
    let orders = write(
        &dir,
        "proto/shop/v1/orders.proto",
        r#"package shop.v1;
        import "common/v1/money.proto";
        import "item.proto";
        message Order { common.v1.Money total = 1; Item item = 2; }"#,
    );
    Config::new().out_dir(&dir).compile(&[orders]).unwrap();
    let shop = fs::read_to_string(dir.join("shop.v1.rs")).unwrap();
    assert!(shop.contains("super::super::common::v1::Money"));
    assert!(shop.contains("pub struct Item"));
    assert!(dir.join("common.v1.rs").exists());
}

#[test]
fn a_type_behind_an_extern_path_is_not_generated() {
    let dir = scratch("extern");
    write(
        &dir,
        "money.proto",
        "package common.v1; message Money {} service Bank { rpc Count(Money) returns (Money); }",
    );
    let orders = write(
        &dir,
        "orders.proto",
        r#"package shop.v1; import "money.proto";
        service Orders { rpc Pay(common.v1.Money) returns (common.v1.Money); }"#,
    );
    Config::new().out_dir(&dir).extern_path(".common.v1", "::common::v1").compile(&[orders]).unwrap();
    assert!(!dir.join("common.v1.rs").exists());
    let shop = fs::read_to_string(dir.join("shop.v1.rs")).unwrap();
    assert!(shop.contains("codegen::IntoRequest<::common::v1::Money>"));
}

#[test]
fn descriptors_attributes_and_halves() {
    let dir = scratch("config");
    let proto = write(
        &dir,
        "greeter.proto",
        "message Name { string name = 1; } service Greeter { rpc Hello(Name) returns (Name); }",
    );
    Config::new()
        .include(&dir)
        .out_dir(dir.join("out"))
        .file_descriptor_set("greeter.bin")
        .type_attribute("Name", "#[non_exhaustive]")
        .field_attribute(".Name.name", "#[doc(hidden)]")
        .build_client(false)
        .compile(&[proto])
        .unwrap();
    let greeter = fs::read_to_string(dir.join("out/_.rs")).unwrap();
    assert!(greeter.contains("#[non_exhaustive]"));
    assert!(greeter.contains("#[doc(hidden)]"));
    assert!(greeter.contains("pub mod greeter_server"));
    assert!(!greeter.contains("pub mod greeter_client"));
    assert!(greeter.contains(r#"path: "/Greeter/Hello""#));
    assert!(!fs::read(dir.join("out/greeter.bin")).unwrap().is_empty());
}

#[test]
fn a_second_run_leaves_files_alone() {
    let dir = scratch("again");
    let proto = write(&dir, "a.proto", "package a; message A {}");
    let modified = |name: &str| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
    Config::new().out_dir(&dir).compile(&[&proto]).unwrap();
    let first = modified("a.rs");
    Config::new().out_dir(&dir).compile(&[&proto]).unwrap();
    assert_eq!(modified("a.rs"), first);
}

#[test]
fn a_missing_file_is_named() {
    let error = dora_codegen::compile("proto/nowhere.proto").unwrap_err().to_string();
    assert!(error.contains("OUT_DIR"), "{error}");
    let error = Config::new().out_dir(scratch("missing")).compile(&["proto/nowhere.proto"]).unwrap_err();
    assert!(error.to_string().contains("nowhere.proto"), "{error}");
}
