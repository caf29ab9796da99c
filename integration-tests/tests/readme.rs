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

/// Where the lines of a section stand: in a function of a module which has the
/// names of `src/main.rs`, and no others.
fn around(lines: &str) -> String {
    format!(
        "use crate::*;\n\n\
         #[allow(dead_code, unused_variables, unused_mut)]\n\
         pub async fn show() -> Result<(), Box<dyn std::error::Error>> {{\n{lines}\nOk(())\n}}\n"
    )
}

/// What stands in backticks behind `before`.
fn inline<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("README has no {before:?}"));
    rest.split('`').nth(1).expect("backticks")
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
    let compile = "dora_codegen::compile(\"proto/users.proto\")";
    let script = block(&readme, "`build.rs`:");
    assert!(script.contains(compile), "{script}");
    // The mock is of the generator's making, and asked for.
    write("build.rs", &script.replace(compile, inline(&readme, "If `build.rs` says")));
    let main = block(&readme, "`src/main.rs`:");
    write("src/calls.rs", &around(block(&readme, "A generated method returns a call")));
    write("src/mocked.rs", &around(block(&readme, "answers them, for tests:")));
    write("src/fleet.rs", &around(block(&readme, "under clients, layers and batches.")));
    write("src/discovered.rs", &around(block(&readme, "nothing else changes when")));
    write("src/layers.rs", &around(block(&readme, "options of its `.proto`.")));
    let package_section = "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    let dependencies = block(&readme, "`Cargo.toml`:");
    let plain = "dora-rpc = \"0.1\" ";
    assert!(dependencies.contains(plain), "{dependencies}");
    let dependencies =
        dependencies.replace(plain, "dora-rpc = { version = \"0.1\", features = [\"redis\"] } ");
    let others =
        format!("{}\n{}", inline(&readme, "Those below need"), inline(&readme, "In the program, with"));
    let others = format!("{others}\ntokio = ");
    write("Cargo.toml", &format!("{package_section}{}", dependencies.replacen("tokio = ", &others, 1)));
    let logs = block(&readme, "In the program, with");
    // Shown to be compiled: the program takes a subscriber of its own.
    write("src/logs.rs", &format!("#[allow(dead_code)]\npub fn show() {{\n{logs}}}\n"));

    // The port that README names may be taken here.
    let port = dora_integration_tests::process::free_port().expect("a free port");
    assert_eq!(main.matches("127.0.0.1:9567").count(), 2);
    write(
        "src/main.rs",
        &format!(
            "mod calls;\nmod discovered;\nmod fleet;\nmod layers;\nmod logs;\nmod mocked;\n{}",
            main.replace("9567", &port.to_string())
        ),
    );

    let output = Command::new(build(package, "readme")).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ada\n", "{errors}");
}
