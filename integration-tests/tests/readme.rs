//! What README shows is built as it stands there.

use std::fs;
use std::process::Command;

use dora_integration_tests::elsewhere::{Elsewhere, build, repository};

/// The fenced block that follows the line `before`.
fn block<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("README has no {before:?}"));
    let (_, rest) = rest.split_once("```").expect("a block");
    let (_, rest) = rest.split_once('\n').expect("a line");
    rest.split_once("```").expect("the end of the block").0
}

/// Where the lines on calls stand: in a function that has what they name.
fn around(calls: &str) -> String {
    let calls: Vec<_> = calls.lines().map(|line| format!("    {line}")).collect();
    format!(
        "use std::time::Duration;\n\
         use crate::users::GetUserRequest;\n\
         use crate::users::users_client::UsersClient;\n\n\
         #[allow(unused_variables, dead_code)]\n\
         pub async fn show(channel: dora::Channel) -> Result<(), dora::Status> {{\n\
         let users = UsersClient::new(channel.clone());\n\
         let (ada, bob) = (GetUserRequest {{ id: 7 }}, GetUserRequest {{ id: 7 }});\n\
         {}\n\
         Ok(())\n}}\n",
        calls.join("\n")
    )
}

/// Where the lines on a mock stand.
fn around_mock(lines: &str) -> String {
    format!(
        "use dora::Status;\n\
         use crate::users::{{GetUserRequest, User, users_mock}};\n\
         use crate::users::users_client::UsersClient;\n\
         use crate::users::users_server::UsersServer;\n\n\
         #[allow(dead_code)]\n\
         pub async fn show() -> Result<(), Status> {{\n{lines}\nOk(())\n}}\n"
    )
}

/// Where the lines on layers stand.
fn around_layers(lines: &str) -> String {
    format!(
        "use std::time::Duration;\n\
         use dora::{{Request, Server, Status}};\n\
         use tower::limit::ConcurrencyLimitLayer;\n\
         use tower::timeout::TimeoutLayer;\n\
         use crate::Directory;\n\
         use crate::users::users_descriptor;\n\
         use crate::users::users_server::UsersServer;\n\n\
         #[derive(Clone)]\n\
         #[allow(dead_code)]\n\
         struct Tenant(u64);\n\n\
         #[allow(dead_code)]\n\
         pub async fn show() -> Result<(), dora::ServeError> {{\n{lines}\n\
         server.serve(\"127.0.0.1:9\").await\n}}\n"
    )
}

#[test]
fn the_service_in_three_files_runs_and_the_calls_compile() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let elsewhere = Elsewhere::new("readme");
    let package = elsewhere.path();
    fs::create_dir(package.join("src")).expect("a folder");
    fs::create_dir(package.join("proto")).expect("a folder");
    let write = |file: &str, text: &str| fs::write(package.join(file), text).expect(file);
    write("proto/users.proto", block(&readme, "`proto/users.proto`:"));
    // The mock is of the generator's making, and asked for.
    let compile = "dora_codegen::Config::new().mocks(true).compile([\"proto/users.proto\"])";
    let script = block(&readme, "`build.rs`:");
    assert!(script.contains("dora_codegen::compile(\"proto/users.proto\")"));
    write("build.rs", &script.replace("dora_codegen::compile(\"proto/users.proto\")", compile));
    let main = block(&readme, "`src/main.rs`:");
    write("src/mocked.rs", &around_mock(block(&readme, "and answers them, for tests:")));
    write("src/layers.rs", &around_layers(block(&readme, "options of its `.proto`.")));
    write("src/calls.rs", &around(block(&readme, "A generated method returns a call")));
    let package_section = "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    let dependencies = block(&readme, "`Cargo.toml`:");
    let tower = "tower = { version = \"0.5\", features = [\"filter\", \"limit\", \"timeout\"] }\ntokio = ";
    write("Cargo.toml", &format!("{package_section}{}", dependencies.replacen("tokio = ", tower, 1)));

    // The port that README names may be taken here.
    let port = dora_integration_tests::process::free_port().expect("a free port");
    assert_eq!(main.matches("127.0.0.1:9567").count(), 2);
    write(
        "src/main.rs",
        &format!("mod calls;\nmod layers;\nmod mocked;\n{}", main.replace("9567", &port.to_string())),
    );

    let output = Command::new(build(package, "readme")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ada\n", "{errors}");
}
