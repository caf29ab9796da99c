//! What the compiler says to who uses the wrong thing: each case is a program that
//! does not compile, and the lines `//~` at its top are what the errors must say.
//!
//! They are words of ours, and not the compiler's, which change with it. The case
//! `mended` does what the hints advise, and compiles.

use std::collections::BTreeMap;
use std::fs;

use dora_integration_tests::elsewhere::{Elsewhere, copy, errors, repository};

const MANIFEST: &str = r#"[package]
name = "compile-hints"
version = "0.1.0"
edition = "2024"

[dependencies]
dora-rpc = "0.1"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
tower = { version = "0.5", features = ["buffer", "limit"] }

[build-dependencies]
dora-rpc-codegen = "0.1"
"#;

const SCRIPT: &str = r#"fn main() -> Result<(), dora_codegen::Error> {
    dora_codegen::Config::new().mocks(true).compile(["proto/users.proto"])
}
"#;

/// What all cases use: the service of the guide.
const LIBRARY: &str = r#"
dora::include_proto!("users.v1");

pub use users_client::UsersClient;
pub use users_server::{Users, UsersServer};

pub struct Directory;

impl Users for Directory {
    async fn get_user(&self, _: dora::Request<GetUserRequest>) -> Result<dora::Response<User>, dora::Status> {
        Err(dora::Status::not_found("nobody"))
    }

    async fn send_mail(&self, _: dora::Request<SendMailRequest>) -> Result<dora::Response<SentMail>, dora::Status> {
        Err(dora::Status::not_found("nobody"))
    }
}
"#;

#[test]
fn errors_tell_the_mend() {
    let elsewhere = Elsewhere::new("hints");
    let package = elsewhere.path();
    let cases = repository().join("integration-tests/tests/compile_hints/cases");
    copy(&cases, &package.join("src/bin"));
    copy(&repository().join("guide-tests/proto"), &package.join("proto"));
    let write = |file: &str, text: &str| fs::write(package.join(file), text).expect(file);
    write("Cargo.toml", MANIFEST);
    write("build.rs", SCRIPT);
    write("src/lib.rs", LIBRARY);

    let said = errors(package);
    let mut faults = String::new();
    let cases = wanted(&package.join("src/bin"));
    assert!(cases.len() > 10, "{:?}", cases.keys());
    for (case, wanted) in &cases {
        let said = said.get(case).map(|errors| errors.join("\n")).unwrap_or_default();
        if wanted.is_empty() && !said.is_empty() {
            faults.push_str(&format!("{case} does not compile:\n{said}\n"));
        }
        for line in wanted.iter().filter(|line| !squeezed(&said).contains(&squeezed(line))) {
            faults.push_str(&format!("{case}: {line:?} is not said in:\n{said}\n"));
        }
    }
    let others: Vec<_> = said.keys().filter(|name| !cases.contains_key(*name)).collect();
    assert!(faults.is_empty() && others.is_empty(), "{faults}{others:?}: {said:?}");
}

/// The lines that the errors of each case must have.
fn wanted(folder: &std::path::Path) -> BTreeMap<String, Vec<String>> {
    let files = fs::read_dir(folder).expect("cases").map(|file| file.expect("a case").path());
    let of = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("//~ "));
        lines.map(str::to_owned).collect()
    };
    files
        .map(|file| {
            let name = file.file_stem().expect("a name").to_str().expect("plain").to_owned();
            (name, of(&fs::read_to_string(&file).expect("a case")))
        })
        .collect()
}

/// Where the compiler breaks lines, and how deep it indents them, is its own affair.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
