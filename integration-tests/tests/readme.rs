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

#[test]
fn the_service_in_three_files_runs_and_the_calls_compile() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    let elsewhere = Elsewhere::new("readme");
    let package = elsewhere.path();
    fs::create_dir(package.join("src")).expect("a folder");
    fs::create_dir(package.join("proto")).expect("a folder");
    let write = |file: &str, text: &str| fs::write(package.join(file), text).expect(file);
    write("proto/users.proto", block(&readme, "`proto/users.proto`:"));
    write("build.rs", block(&readme, "`build.rs`:"));
    let main = block(&readme, "`src/main.rs`:");
    write("src/calls.rs", &around(block(&readme, "A generated method returns a call")));
    let package_section = "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    write("Cargo.toml", &format!("{package_section}{}", block(&readme, "`Cargo.toml`:")));

    // The port that README names may be taken here.
    let port = dora_integration_tests::process::free_port().expect("a free port");
    assert_eq!(main.matches("127.0.0.1:9567").count(), 2);
    write("src/main.rs", &format!("mod calls;\n{}", main.replace("9567", &port.to_string())));

    let output = Command::new(build(package, "readme")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ada\n", "{errors}");
}
