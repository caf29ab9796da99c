//! The rules of the house that a compiler does not hold.
//!
//! A rule that hurts is changed here and in the design, in one commit that says
//! why; it is not worked around.

mod architecture {
    pub(crate) mod rules;
    pub(crate) mod scanner;
    pub(crate) mod tokens;
    pub(crate) mod workspace;
}

use std::sync::LazyLock;

use architecture::rules::{self, Arrows};
use architecture::scanner::Source;
use architecture::workspace;

/// The folders and files of dora-core, and what each may import.
const ARROWS: &Arrows = &[
    ("guid", &[]),
    ("generation", &[]),
    ("sync", &[]),
    ("call", &["guid", "generation"]),
    ("wire", &["guid", "generation"]),
    ("pack", &["call", "guid", "generation"]),
    ("discovery", &[]),
    ("carry", &["pack", "call", "guid", "generation"]),
    ("transport", &["wire", "carry", "pack", "call", "guid", "generation", "sync"]),
    ("middleware", &["call", "pack", "discovery", "guid", "sync"]),
    ("stub", &["call", "pack", "middleware", "transport", "guid"]),
    ("client", EVERYTHING),
    ("server", EVERYTHING),
    ("codegen", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "guid",
    "call",
    "wire",
    "pack",
    "carry",
    "discovery",
    "transport",
    "middleware",
    "stub",
    "client",
    "server",
];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 80;

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(workspace::sources);

fn below(folder: &str) -> Vec<&'static Source> {
    let sources = SOURCES.iter();
    sources.filter(|s| s.file.starts_with(folder)).collect()
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n\n{}\n", faults.join("\n"));
}

#[test]
fn imports_run_along_the_arrows() {
    none(&rules::against_arrows(&below("dora-core/src/"), ARROWS));
}

#[test]
fn there_is_no_circle_of_imports() {
    for folder in ["dora-core/src/", "dora-codegen/src/"] {
        let sources = below(folder).into_iter();
        let sources: Vec<_> = sources.filter(|s| !s.top_module().is_empty()).collect();
        none(&rules::circles(&sources));
    }
}

#[test]
fn nothing_imports_from_a_lib_rs() {
    let sources = SOURCES.iter();
    let sources: Vec<_> = sources.filter(|s| s.file.contains("src/")).collect();
    none(&rules::root_imports(&sources));
}

#[test]
fn the_wire_knows_no_runtime_socket_clock_or_call() {
    none(&rules::forbidden_paths(
        &below("dora-core/src/wire/"),
        &["tokio", "std::net", "std::time", "crate::call"],
        "the wire takes bytes and gives frames: hand times in, leave sockets to transport/",
    ));
}

#[test]
fn the_packers_know_no_runtime_or_socket() {
    none(&rules::forbidden_paths(
        &below("dora-core/src/pack/"),
        &["tokio", "std::net"],
        "a packer takes bytes and gives values: leave sockets to transport/",
    ));
}

#[test]
fn what_carriers_use_knows_no_socket_or_header() {
    none(&rules::forbidden_paths(
        &below("dora-core/src/carry/"),
        &["tokio::net", "tokio::io", "std::net", "crate::wire"],
        "calls go over any carrier as over ours: leave sockets and headers to transport/",
    ));
}

#[test]
fn a_peers_bytes_cannot_panic_wire_or_packers() {
    none(&rules::panics(&below("dora-core/src/wire/")));
    none(&rules::panics(&below("dora-core/src/pack/")));
}

#[test]
fn files_and_functions_are_short() {
    let sources: Vec<_> = SOURCES.iter().collect();
    none(&rules::too_long(&sources, MAX_FILE_LINES, MAX_FUNCTION_LINES));
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let manifests = workspace::manifests();
    let (root, members) = manifests.split_first().expect("the workspace's own");
    assert!(
        root.says("workspace.lints.rust", "unsafe_code = \"forbid\""),
        "Cargo.toml: [workspace.lints.rust] must say unsafe_code = \"forbid\""
    );
    assert!(!members.is_empty(), "Cargo.toml: no members were found");
    for manifest in &manifests {
        // Examples are copied away from the workspace: theirs stand in the file itself.
        let own = manifest.is_example() && manifest.says("lints.rust", "unsafe_code = \"forbid\"");
        assert!(
            own || manifest.says("lints", "workspace = true"),
            "{}: add [lints] workspace = true, or the lints of the workspace do not hold \
             (in an example: [lints.rust] unsafe_code = \"forbid\")",
            manifest.file
        );
    }
}

#[test]
fn the_minimum_rust_version_is_stated_and_linted_everywhere() {
    let manifests = workspace::manifests();
    assert!(
        manifests[0].says("workspace.lints.clippy", "incompatible_msrv = \"warn\""),
        "Cargo.toml: [workspace.lints.clippy] must say incompatible_msrv = \"warn\""
    );
    let version = manifests[0].value("workspace.package", "rust-version").expect("it is stated");
    for manifest in &manifests {
        let own = manifest.is_example() && manifest.value("package", "rust-version") == Some(version);
        assert!(
            own || manifest.says("package", "rust-version.workspace = true"),
            "{}: add rust-version.workspace = true, or clippy checks no version \
             (in an example: rust-version = {version})",
            manifest.file
        );
    }
}

#[test]
fn the_code_generator_stands_alone() {
    for manifest in workspace::manifests() {
        if manifest.file == "dora-codegen/Cargo.toml" {
            let ours = manifest.dependencies().into_iter();
            let ours: Vec<_> = ours.filter(|name| name.starts_with("dora")).collect();
            assert!(
                ours.is_empty(),
                "dora-codegen/Cargo.toml: remove {ours:?}; build scripts compile the generator, \
                 and must not compile the framework with it"
            );
        }
    }
}

/// Folders of dora-core that the facade does not show.
const UNSHOWN: &[&str] = &["dora_core::pack::php"];

#[test]
fn examples_in_the_docs_import_the_facade() {
    let mut faults = Vec::new();
    for (file, text) in workspace::texts("dora-core/src/").into_iter().chain(workspace::texts("src/")) {
        for (line, text) in text.lines().enumerate() {
            let doc = text.trim_start().strip_prefix("//").and_then(|rest| rest.strip_prefix(['/', '!']));
            // A line that begins with `#` is not shown.
            let shown =
                doc.is_some_and(|doc| doc.contains("dora_core::") && !doc.trim_start().starts_with('#'));
            if shown && !UNSHOWN.iter().any(|path| text.contains(path)) {
                faults.push(format!(
                    "{file}:{}: say `dora::`: readers paste this, and depend on the facade alone",
                    line + 1
                ));
            }
        }
    }
    none(&faults);
}

/// What a newcomer looks up first.
const MAIN_ITEMS: &[&str] = &[
    "Server",
    "Endpoint",
    "Channel",
    "Fleet",
    "Call",
    "Batch",
    "Request",
    "Response",
    "Status",
    "Metadata",
    "Limits",
    "InterceptLayer",
    "WhenLayer",
    "BreakerLayer",
    "RetryLayer",
    "HedgeLayer",
    "FallbackLayer",
    "SigningKey",
    "SignLayer",
    "MetricsLayer",
    "MetricsObserver",
    "TraceContext",
    "TraceContextLayer",
    "AuthLayer",
    "AuthorizeLayer",
    "TokenLayer",
    "ConcurrencyLimitLayer",
    "AdaptivePolicy",
    "RateLimitLayer",
    "SizeLimitLayer",
];

/// Whether an example is among these docs: what a fence opens that says nothing else
/// is compiled and run.
fn runs<'a>(docs: impl Iterator<Item = &'a &'a str>) -> bool {
    let mut open = false;
    docs.filter(|line| line.starts_with("/// ```")).any(|line| {
        open = !open;
        open && *line == "/// ```"
    })
}

#[test]
fn main_items_have_examples_that_run() {
    assert!(runs(["/// ```", "/// f();", "/// ```"].iter()));
    assert!(!runs(["/// ```text", "/// f();", "/// ```"].iter()), "it is not run");
    let texts = workspace::texts("dora-core/src/");
    let faults = MAIN_ITEMS.iter().filter_map(|item| {
        let is_item = |line: &str| {
            line.strip_prefix(&format!("pub struct {item}"))
                .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()))
        };
        let docs = texts.iter().find_map(|(_, text)| {
            let lines: Vec<&str> = text.lines().collect();
            let at = lines.iter().position(|line| is_item(line))?;
            let above = lines[..at].iter().rev();
            // Of attributes the last lines may stand further in.
            let belongs = |line: &&&str| line.starts_with("///") || line.starts_with(['#', ' ', ')']);
            Some(above.take_while(belongs).copied().collect::<Vec<_>>())
        });
        match docs {
            None => Some(format!("there is no `pub struct {item}`")),
            Some(docs) if runs(docs.iter().rev()) => None,
            Some(_) => Some(format!("the docs of `{item}` have no example that runs")),
        }
    });
    none(&faults.collect::<Vec<_>>());
}
