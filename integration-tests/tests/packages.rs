//! What would be uploaded to the registry, and what its pages are made from.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn repository() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("it is there")
}

fn cargo(args: &[&str]) -> (String, String) {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(args)
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo {args:?}:\n{errors}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), errors)
}

/// The packages that are for the registry.
fn packages() -> Vec<Value> {
    let (metadata, _) = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").clone();
    let packages: Vec<_> = packages.into_iter().filter(|package| package["publish"].is_null()).collect();
    let names: BTreeSet<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let wanted = ["dora-rpc", "dora-rpc-core", "dora-rpc-codegen", "dora-rpc-discovery", "dora-rpc-gateway"];
    for name in wanted {
        assert!(names.contains(name), "{name} is not to be published; {names:?} are");
    }
    packages
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    let value = package[key].as_str().unwrap_or_default();
    assert!(!value.is_empty(), "{}: say its {key} in Cargo.toml", package["name"]);
    value
}

#[test]
fn each_says_what_the_registry_shows() {
    for package in packages() {
        let name = text(&package, "name");
        assert_eq!(text(&package, "license"), "MIT OR Apache-2.0", "{name}");
        assert_eq!(text(&package, "readme"), "README.md", "{name}");
        assert_eq!(text(&package, "documentation"), format!("https://docs.rs/{name}"));
        assert!(text(&package, "description").len() < 120, "{name}: the description is one line");
        text(&package, "rust_version");
        for (key, most) in [("keywords", 5), ("categories", 5)] {
            let words = package[key].as_array().map_or(0, Vec::len);
            assert!((1..=most).contains(&words), "{name}: {words} {key}");
        }
        // docs.rs builds the default features unless it is told to build all.
        let features = package["features"].as_object().map_or(0, serde_json::Map::len);
        let all = &package["metadata"]["docs"]["rs"]["all-features"];
        assert!(features == 0 || all == &Value::Bool(true), "{name}: [package.metadata.docs.rs]");
    }
}

/// There is no public address yet, and an invented one would lead to strangers.
#[test]
fn they_agree_on_where_they_come_from() {
    let packages = packages();
    let known = &packages[0]["repository"];
    for package in &packages {
        assert_eq!(&package["repository"], known, "{}", package["name"]);
    }
    let public = known.as_str().is_none_or(|address| !address.contains("github.com/dora-rpc/"));
    assert!(public, "{known} is nobody's");
}

#[test]
fn each_has_readme_and_licences_and_nothing_of_the_workshop() {
    for package in packages() {
        let name = text(&package, "name");
        let (files, _) = cargo(&["package", "--list", "--allow-dirty", "--offline", "--package", name]);
        let files: BTreeSet<_> = files.lines().map(|file| file.replace('\\', "/")).collect();
        for file in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(files.contains(file), "{name} has no {file}");
        }
        let code = ["src/lib.rs", "src/main.rs"];
        assert!(code.iter().any(|file| files.contains(*file)), "{name} has none of {code:?}");
        let ours = ["src/", "proto/", "docs/"];
        for file in files.iter().filter(|file| file.contains('/')) {
            assert!(ours.iter().any(|folder| file.starts_with(folder)), "{name} has {file}");
        }
    }
}

/// Cargo says of each test that it is left out, which is what `include` is for.
const LEFT_OUT: &str = "is not included in the published package";

#[test]
fn packing_them_raises_no_warning() {
    let target = env!("CARGO_TARGET_TMPDIR");
    let mut args = vec!["package", "--no-verify", "--allow-dirty", "--offline", "--target-dir", target];
    let packages = packages();
    for package in &packages {
        args.extend(["--package", text(package, "name")]);
    }
    let (_, said) = cargo(&args);
    let warnings = said.lines().filter(|line| line.contains("warning") && !line.contains(LEFT_OUT));
    let warnings: Vec<_> = warnings.collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    let packed = said.lines().filter(|line| line.contains("Packaged")).count();
    assert_eq!(packed, packages.len(), "{said}");
}

#[test]
fn every_package_has_the_licences_of_the_repository() {
    for package in packages() {
        let manifest = Path::new(text(&package, "manifest_path"));
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let copy = manifest.with_file_name(licence);
            let same = fs::read(&copy).ok() == fs::read(repository().join(licence)).ok();
            assert!(same, "{}: copy {licence} of the root", copy.display());
        }
    }
}
