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
fn imports_start_at_the_proto_directory() {
    let dir = scratch("imports");
    write(&dir, "proto/common/v1/money.proto", "package common.v1; message Money {}");
    write(&dir, "proto/shop/v1/item.proto", "package shop.v1; message Item {}");
    let orders = |imports: &str| {
        let body = "package shop.v1; message Order { common.v1.Money total = 1; Item item = 2; }";
        write(&dir, "proto/shop/v1/orders.proto", &format!("{imports} {body}"))
    };
    let path = orders(r#"import "common/v1/money.proto"; import "shop/v1/item.proto";"#);
    Config::new().out_dir(&dir).compile(&path).unwrap();
    let shop = fs::read_to_string(dir.join("shop.v1.rs")).unwrap();
    assert!(shop.contains("super::super::common::v1::Money"));
    assert!(shop.contains("pub struct Item"));
    assert!(dir.join("common.v1.rs").exists());

    // protoc would not find these either; the mend is the line to write.
    for (import, mend) in [
        ("item.proto", "shop/v1/item.proto"),
        ("./item.proto", "shop/v1/item.proto"),
        ("../v1/item.proto", "shop/v1/item.proto"),
        ("./shop/v1/item.proto", "shop/v1/item.proto"),
        ("shop//v1/item.proto", "shop/v1/item.proto"),
        ("shop\\v1\\item.proto", "shop/v1/item.proto"),
        ("v1/money.proto", "common/v1/money.proto"),
        ("../../../elsewhere/money.proto", ""),
        ("../dora/options.proto", "dora/options.proto"),
    ] {
        let path = orders(&format!("import {import:?};"));
        let error = Config::new().out_dir(&dir).compile(&path).unwrap_err().to_string();
        assert!(error.contains("orders.proto:2:"), "{error}");
        assert!(error.contains(&format!(": import '{import}' ")), "{error}");
        match mend {
            "" => assert!(!error.contains("write `import"), "{error}"),
            mend => assert!(error.contains(&format!("write `import {mend:?};`")), "{error}"),
        }
    }
}

#[test]
fn files_of_one_name_need_a_root_above_both() {
    let dir = scratch("same_name");
    let a = write(&dir, "a/api.proto", "package a; message A {}");
    let b = write(&dir, "b/api.proto", "package b; message B {}");
    let error = Config::new().out_dir(&dir).compile([&a, &b]).unwrap_err().to_string();
    assert!(
        error.contains("a/api.proto and") && error.contains("b/api.proto would both be imported"),
        "{error}"
    );
    assert!(error.contains(&format!("Config::include({dir:?})")), "{error}");
    Config::new().include(&dir).out_dir(&dir).compile([&a, &b]).unwrap();
    assert!(dir.join("a.rs").exists() && dir.join("b.rs").exists());
}

#[test]
fn two_roots_are_compiled_in_two_calls() {
    let dir = scratch("two_roots");
    let protos = ["users", "orders"].map(|name| {
        write(&dir, &format!("{name}/proto/id.proto"), &format!("package {name}.ids; message Id {{}}"));
        let body = format!("package {name}; import \"id.proto\"; message Main {{ {name}.ids.Id id = 1; }}");
        write(&dir, &format!("{name}/proto/api.proto"), &body)
    });
    let config = || Config::new().out_dir(dir.join("out"));
    let error = config().compile(&protos).unwrap_err().to_string();
    for part in ["users/proto/api.proto and", "imported as \"api.proto\"", "in a call of its own"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    for proto in &protos {
        config().compile(proto).unwrap();
    }
    // Each has the file beside it, and the tree has both.
    let tree = fs::read_to_string(dir.join("out/dora-protos.rs")).unwrap();
    for package in ["users.rs", "users.ids.rs", "orders.rs", "orders.ids.rs"] {
        assert!(tree.contains(package), "{package}: {tree}");
    }
}

#[test]
fn what_one_call_wrote_the_next_does_not_replace() {
    let dir = scratch("twice");
    let users = write(&dir, "proto/users.proto", "package shop.v1; message User {}");
    let orders = write(&dir, "proto/orders.proto", "package shop.v1; message Order {}");
    let common = write(&dir, "proto/common.proto", "package common; import \"users.proto\"; message C {}");
    Config::new().out_dir(&dir).compile(&users).unwrap();
    // The same text once more.
    Config::new().out_dir(&dir).compile(&common).unwrap();
    let error = Config::new().out_dir(&dir).compile(&orders).unwrap_err().to_string();
    for part in ["shop.v1.rs", "proto/users.proto", "proto/orders.proto", "one call"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let other = dir.join("other");
    Config::new().out_dir(&other).compile(vec![users, orders]).unwrap();
    let shop = fs::read_to_string(other.join("shop.v1.rs")).unwrap();
    assert!(shop.contains("pub struct User") && shop.contains("pub struct Order"));
}

#[test]
fn a_byte_order_mark_is_skipped_and_latin1_refused() {
    let dir = scratch("encoding");
    let path = dir.join("a.proto");
    fs::write(&path, "\u{feff}syntax = \"proto3\"; package a; message A {}").unwrap();
    Config::new().out_dir(&dir).compile(&path).unwrap();
    fs::write(&path, b"syntax = \"proto3\";\n// caf\xe9\npackage a;").unwrap();
    let error = Config::new().out_dir(&dir).compile(&path).unwrap_err().to_string();
    assert!(error.contains("a.proto:2:7: this is not UTF-8"), "{error}");
}

#[test]
fn files_are_called_as_their_packages() {
    let dir = scratch("keywords");
    let path = write(&dir, "a.proto", "package shop.type.V1; message A {}");
    let bare = write(&dir, "b.proto", "message B {}");
    Config::new().out_dir(&dir).compile([path, bare]).unwrap();
    assert!(dir.join("shop.type.V1.rs").exists());
    let tree = fs::read_to_string(dir.join("dora-protos.rs")).unwrap();
    for line in
        ["include!(\"_.rs\");", "pub mod r#type {", "        pub mod v1 {", "include!(\"shop.type.V1.rs\");"]
    {
        assert!(tree.contains(line), "{line}: {tree}");
    }
}

#[test]
fn packages_that_are_one_module_are_refused() {
    let dir = scratch("packages");
    let a = write(&dir, "a.proto", "package Shop; message A {}");
    let b = write(&dir, "b.proto", "package shop; message B {}");
    let error = Config::new().out_dir(&dir).compile([a, b]).unwrap_err().to_string();
    assert!(
        error.contains("package `shop` would have the module `shop`, and so would package `Shop`"),
        "{error}"
    );
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
    Config::new().out_dir(&dir).extern_path(".common.v1", "::common::v1").compile(&orders).unwrap();
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
        .compile(&proto)
        .unwrap();
    let greeter = fs::read_to_string(dir.join("out/_.rs")).unwrap();
    assert!(greeter.contains("#[non_exhaustive]"));
    assert!(greeter.contains("#[doc(hidden)]"));
    assert!(greeter.contains("pub mod greeter_server"));
    assert!(!greeter.contains("pub mod greeter_client"));
    assert!(greeter.contains("\"/Greeter/Hello\""));
    assert!(!fs::read(dir.join("out/greeter.bin")).unwrap().is_empty());
}

#[test]
fn a_second_run_leaves_files_alone() {
    let dir = scratch("again");
    let proto = write(&dir, "a.proto", "package a; message A {}");
    let modified = |name: &str| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
    Config::new().out_dir(&dir).compile(&proto).unwrap();
    let first = modified("a.rs");
    Config::new().out_dir(&dir).compile(&proto).unwrap();
    assert_eq!(modified("a.rs"), first);
}

#[test]
fn a_missing_file_is_named() {
    let error = dora_codegen::compile("proto/nowhere.proto").unwrap_err().to_string();
    assert!(error.contains("OUT_DIR"), "{error}");
    for (path, parts) in [
        (
            "proto/nowhere.proto",
            ["there is no file proto/nowhere.proto", "paths start where Cargo.toml lies"],
        ),
        (
            "proto/dora",
            [
                "there is no file proto/dora",
                "directory: give the files in it: [\"proto/dora/options.proto\"]",
            ],
        ),
        (
            "proto/dora/option.proto",
            ["no file proto/dora/option.proto", "did you mean \"proto/dora/options.proto\"?"],
        ),
        ("src", ["there is no file src", "a directory: give the files in it"]),
    ] {
        let error = Config::new().out_dir(scratch("missing")).compile(path).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    let config = Config::new().out_dir(scratch("missing")).include("prto");
    let error = config.compile("proto/dora/options.proto").unwrap_err().to_string();
    assert!(error.contains("Config::include(\"prto\") is no directory"), "{error}");
    let error = Config::new().out_dir(scratch("missing")).compile([""; 0]).unwrap_err();
    assert!(error.to_string().contains("no file"), "{error}");
}

#[test]
fn a_choice_that_makes_no_sense_is_refused() {
    let dir = scratch("choices");
    let proto = write(&dir, "a.proto", "package a; message A {}");
    let config = || Config::new().out_dir(&dir);
    for (config, part) in [
        (config().type_attribute(".", "derive(Eq)"), "\"derive(Eq)\" is no attribute"),
        (config().trait_attribute("B", "#[x"), "\"#[x\" is no attribute"),
        (config().runtime("my dora"), "the runtime \"my dora\" is no path"),
        (config().extern_path("common.v1", "::common"), "write \".common.v1\""),
    ] {
        let error = config.compile(&proto).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_path_that_nothing_has_is_refused() {
    let dir = scratch("paths");
    let proto = write(
        &dir,
        "users.proto",
        "package users.v1; import \"google/protobuf/timestamp.proto\";
        message User { int64 id = 1; map<string, bytes> keys = 2; google.protobuf.Timestamp at = 3;
            oneof way { string mail = 4; bytes pigeon = 5; } }
        enum Color { RED = 0; } service Users { rpc Get(User) returns (User); }",
    );
    let config = || Config::new().out_dir(&dir);
    let on = "#[doc(hidden)]";
    for (config, parts) in [
        (
            config().type_attribute(".users.v1.Usr", on),
            ["type_attribute(\".users.v1.Usr\")", "did you mean \".users.v1.User\"?"],
        ),
        (config().message_attribute("Color", on), ["is for no message", "that is the enum `users.v1.Color`"]),
        (config().enum_attribute("color", on), ["is for no enum or oneof", "\"users.v1.Color\""]),
        (config().field_attribute("User.idd", on), ["field_attribute", "\"users.v1.User.id\""]),
        (
            config().field_attribute(".users.v1.User.mail", on),
            ["is for no field", "\".users.v1.User.way.mail\""],
        ),
        (config().client_attribute("User", on), ["client_attribute(\"User\")", "\"users.v1.Users\""]),
        (config().client_mod_attribute("Usres", on), ["client_mod_attribute", "is for no service"]),
        (config().server_mod_attribute("Usres", on), ["server_mod_attribute", "is for no service"]),
        (config().trait_attribute("Usres", on), ["trait_attribute", "did you mean \"users.v1.Users\"?"]),
        (config().mock_mod_attribute("Orders", on), ["mock_mod_attribute", "nothing that is generated has"]),
        (
            config().btree_map("User.id"),
            ["Config::btree_map(\"User.id\") is for no map", "that is the field"],
        ),
        (config().btree_map("User.kyes"), ["is for no map", "\"users.v1.User.keys\""]),
        (config().bytes_as_vec("User.pigoen"), ["is for no bytes field", "\"users.v1.User.pigeon\""]),
        (config().extern_path(".users.v2", "::u"), ["extern_path(\".users.v2\", ..)", "\".users.v1\""]),
        (
            config().extern_path(".google.protobuf.Timestmp", "::T"),
            ["Timestmp", "\".google.protobuf.Timestamp\""],
        ),
    ] {
        let error = config.compile(&proto).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    // Every form that there is, right.
    let mut config = config().btree_map("keys").bytes_as_vec(".users.v1.User").bytes_as_vec("pigeon");
    for path in [".", ".users", "User", "way"] {
        config = config.type_attribute(path, on);
    }
    for path in ["User.id", "way.mail", "User.way", "Color.RED", ".users.v1"] {
        config = config.field_attribute(path, "#[cfg(not(any()))]");
    }
    config.client_attribute("Users", on).compile(&proto).unwrap();
    let text = fs::read_to_string(dir.join("users.v1.rs")).unwrap();
    assert_eq!(text.matches("cfg(not(any()))").count(), 5 + 6, "{text}");
}

#[test]
fn messages_with_btree_maps_need_no_crate_prost() {
    let dir = scratch("btree");
    let proto = write(
        &dir,
        "a.proto",
        "package a; message A { map<string, A> a = 1; oneof o { B b = 2; } \
         message B { map<string, A> a = 1; oneof o { int32 c = 2; } enum E { X = 0; } } }",
    );
    Config::new().out_dir(&dir).btree_map(".").compile(proto).unwrap();
    let text = fs::read_to_string(dir.join("a.rs")).unwrap();
    // Two messages and two oneofs, and the enum within, which has no prost to skip it.
    assert_eq!(text.matches("#[prost(skip_debug)]").count(), 4, "{text}");
    assert_eq!(text.matches("#[derive(Debug)]").count(), 5, "{text}");
}
