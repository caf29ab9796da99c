//! Packages outside of the workspace, built there as a user would.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder outside of the workspace, gone when dropped.
#[derive(Debug)]
pub struct Elsewhere(PathBuf);

impl Elsewhere {
    /// A new folder for the test `name`.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("dora-copied-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("nothing else has this name");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The root of the workspace.
///
/// # Panics
///
/// When the workspace is not where it was when this was built.
#[must_use]
pub fn repository() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("it is there")
}

/// Copies a folder with all that is in it.
///
/// # Panics
///
/// When it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
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

/// Gives `package` the versions of the workspace, which are there and built
/// already, and a name of its own: the build shares the target folder, where two
/// programs of one name would be one file. Builds it, without a warning, and
/// returns its program.
///
/// # Panics
///
/// When it does not build as it should.
#[must_use]
pub fn build(package: &Path, name: &str) -> PathBuf {
    fs::copy(repository().join("Cargo.lock"), package.join("Cargo.lock")).expect("a lock file");
    let manifest = package.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let renamed = text.replacen(&format!("name = \"{name}\""), &format!("name = \"copy-of-{name}\""), 1);
    assert_ne!(renamed, text, "the package is not called {name}");
    fs::write(manifest, renamed).expect("it can be written");
    let output = cargo_build(package).output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}", package.display());
    assert!(!said.contains("warning"), "{}:\n{said}", package.display());
    target().join("debug").join(format!("copy-of-{name}{}", env::consts::EXE_SUFFIX))
}

/// Builds `package`, of which much is not expected to compile, with the versions of
/// the workspace, and returns the errors, as the compiler shows them, by the name of
/// the library or program.
///
/// # Panics
///
/// When the package cannot be read at all.
#[must_use]
pub fn errors(package: &Path) -> BTreeMap<String, Vec<String>> {
    fs::copy(repository().join("Cargo.lock"), package.join("Cargo.lock")).expect("a lock file");
    let output =
        cargo_build(package).args(["--keep-going", "--message-format=json"]).output().expect("cargo runs");
    let mut errors = BTreeMap::<String, Vec<String>>::new();
    let mut read = 0;
    for line in output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).expect("a line of Cargo's");
        read += 1;
        let (name, message) = (&line["target"]["name"], &line["message"]);
        if let (Some(name), "error") = (name.as_str(), message["level"].as_str().unwrap_or_default()) {
            let text = message["rendered"].as_str().unwrap_or_default();
            errors.entry(name.to_owned()).or_default().push(text.to_owned());
        }
    }
    assert!(read > 0, "{}", String::from_utf8_lossy(&output.stderr));
    errors
}

/// Where the workspace is built to: this test runs as
/// `<target>/<profile>/deps/<name>`.
fn target() -> PathBuf {
    let test = env::current_exe().expect("this test");
    test.ancestors().nth(3).expect("a target folder").to_owned()
}

/// Cargo about to build `package`, which need not be of the workspace.
fn cargo_build(package: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.args(["build", "--offline", "--target-dir"]).arg(target());
    cargo.args(patches(package)).current_dir(package);
    cargo
}
