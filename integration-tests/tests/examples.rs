//! The examples are packages to copy: each is copied out of the workspace, and
//! built and run there as a newcomer would.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder outside of the workspace, gone when dropped.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("dora-copied-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("nothing else has this name");
        Self(path)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn repository() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("it is there")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("a file");
        }
    }
}

/// `example`, copied to `elsewhere` and given a name of its own there: the build
/// shares the target folder, where two programs of one name would be one file.
/// The versions are those that are built already.
fn copied(example: &str, elsewhere: &Elsewhere) -> (PathBuf, String) {
    let package = elsewhere.0.join(example);
    copy(&repository().join("examples").join(example), &package);
    fs::copy(repository().join("Cargo.lock"), package.join("Cargo.lock")).expect("a lock file");
    let manifest = package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let name = format!("copy-of-{example}");
    let renamed = text.replacen(&format!("name = \"{example}\""), &format!("name = \"{name}\""), 1);
    assert_ne!(renamed, text, "a package is called like its folder");
    fs::write(manifest, renamed).expect("it can be written");
    (package, name)
}

/// What README tells those to add who have the repository, and no registry that
/// has the packages; of those that the package depends on.
fn patches(package: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
    let mut patches = Vec::new();
    for (name, folder) in [("dora-rpc", "."), ("dora-rpc-codegen", "dora-codegen")] {
        if manifest.contains(&format!("\n{name} = ")) {
            let path = repository().join(folder);
            patches.push("--config".to_owned());
            patches.push(format!("patch.crates-io.{name}.path='{}'", path.display()));
        }
    }
    patches
}

/// Builds the package, and returns its program.
fn build(package: &Path, name: &str) -> PathBuf {
    // This test runs as <target>/<profile>/deps/<name>.
    let test = env::current_exe().expect("this test");
    let target = test.ancestors().nth(3).expect("a target folder");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
        .args(["build", "--offline", "--target-dir"])
        .arg(target)
        .args(patches(package))
        .current_dir(package)
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}", package.display());
    assert!(!said.contains("warning"), "{}:\n{said}", package.display());
    target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

#[test]
fn each_example_builds_where_it_is_copied_to() {
    let mut built = 0;
    for entry in fs::read_dir(repository().join("examples")).expect("examples") {
        let entry = entry.expect("an entry");
        if !entry.path().join("Cargo.toml").is_file() {
            continue;
        }
        let example = entry.file_name().into_string().expect("a plain name");
        let elsewhere = Elsewhere::new(&example);
        let (package, name) = copied(&example, &elsewhere);
        let program = build(&package, &name);
        assert!(program.is_file(), "{}", program.display());
        built += 1;
    }
    assert!(built >= 3, "{built} examples");
}

#[test]
fn the_copied_quickstart_does_what_it_says() {
    let elsewhere = Elsewhere::new("run");
    let (package, name) = copied("quickstart", &elsewhere);
    let output = Command::new(build(&package, &name)).current_dir(package).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for line in ["wait:      user 7 is Ada", "batch:     Ada ordered engine and punch cards", "drained"] {
        assert!(said.lines().any(|there| there == line), "{line:?} is missing in:\n{said}");
    }
}

#[test]
fn an_example_names_nothing_outside_of_itself() {
    for entry in fs::read_dir(repository().join("examples")).expect("examples") {
        let manifest = entry.expect("an entry").path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        for (number, line) in text.lines().enumerate() {
            let inherits = line.contains("workspace") || line.contains("path =");
            assert!(!inherits, "{}:{}: {line:?} breaks a copy", manifest.display(), number + 1);
        }
    }
}
