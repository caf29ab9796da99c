//! The files of the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::scanner::Source;

/// Folders whose contents nobody wrote by hand.
const NOT_OURS: [&str; 4] = ["target", "golden", "goldens", "generated"];

/// Every Rust file that was written by hand.
pub(crate) fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    files.sort();
    let read = |path: &PathBuf| Source::read(&below_root(path), &text(path));
    files.iter().map(read).collect()
}

/// The Rust files below `folder`, as they are, with their paths.
pub(crate) fn texts(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.iter().map(|path| (below_root(path), text(path))).collect()
}

/// The manifests of the workspace: its own first, then those of the members.
pub(crate) fn manifests() -> Vec<Manifest> {
    let mut manifests = vec![Manifest::read("Cargo.toml")];
    for member in manifests[0].members() {
        manifests.extend(match member.strip_suffix("/*") {
            Some(folder) => below(folder),
            None if member == "." => Vec::new(),
            None => vec![Manifest::read(&format!("{member}/Cargo.toml"))],
        });
    }
    manifests
}

/// A `Cargo.toml`, read as far as the rules need it.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The path below the workspace.
    pub(crate) file: String,
    sections: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    fn read(file: &str) -> Self {
        Self::parse(file, &text(&root().join(file)))
    }

    /// Splits `text` into its sections.
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if !line.is_empty() && !line.starts_with('#') {
                sections.entry(section.clone()).or_default().push(line.to_owned());
            }
        }
        Self { file: file.to_owned(), sections }
    }

    /// Whether the section has exactly this line, spaces aside.
    pub(crate) fn says(&self, section: &str, line: &str) -> bool {
        let squeeze = |text: &str| text.replace(' ', "");
        let mut lines = self.sections.get(section).into_iter().flatten();
        lines.any(|there| squeeze(there) == squeeze(line))
    }

    /// What stands behind `key =` in the section, as it is written.
    pub(crate) fn value(&self, section: &str, key: &str) -> Option<&str> {
        let mut lines = self.sections.get(section).into_iter().flatten();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim()))
    }

    /// Whether it is a package that people copy out of the workspace.
    pub(crate) fn is_example(&self) -> bool {
        self.file.starts_with("examples/")
    }

    /// The names of all dependencies: normal, build, development, per target.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (section, lines) in &self.sections {
            if let Some((_, name)) = section.split_once("dependencies.") {
                names.push(name.to_owned());
            } else if section.ends_with("dependencies") && !section.starts_with("workspace") {
                let name = |line: &String| line.split(['=', '.', ' ']).next().map(str::to_owned);
                names.extend(lines.iter().filter_map(name));
            }
        }
        names
    }

    fn members(&self) -> Vec<String> {
        let lines = self.sections.get("workspace").into_iter().flatten();
        lines
            .skip_while(|line| !line.starts_with("members"))
            .skip(1)
            .take_while(|line| !line.starts_with(']'))
            .map(|line| line.trim_matches(['"', ',']).to_owned())
            .collect()
    }
}

/// The manifests one level below `folder`.
fn below(folder: &str) -> Vec<Manifest> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .map(|path| path.join("Cargo.toml"))
        .filter(|path| path.is_file())
        .map(|path| Manifest::read(&below_root(&path)))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn below_root(path: &Path) -> String {
    let below = path.strip_prefix(root()).expect("it is in the workspace");
    below.to_string_lossy().replace('\\', "/")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
                collect(&path, files);
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_dependencies_and_members_are_read() {
        let manifest = Manifest::parse(
            "Cargo.toml",
            "[workspace]\nmembers = [\n    \".\",\n    \"a\",\n]\n\
             [lints]\nworkspace=true\n\
             [dependencies]\n# no\nbytes = \"1\"\ndora.workspace = true\n\
             [target.'cfg(unix)'.dev-dependencies]\nx = { version = \"1\" }\n\
             [build-dependencies.dora-core]\npath = \"..\"\n\
             [workspace.dependencies]\nserde = \"1\"\n",
        );
        assert!(manifest.says("lints", "workspace = true"));
        assert!(!manifest.says("lints", "workspace = false"));
        assert_eq!(manifest.members(), [".", "a"]);
        assert_eq!(manifest.value("workspace.dependencies", "serde"), Some("\"1\""));
        assert_eq!(manifest.value("workspace.dependencies", "ser"), None);
        assert_eq!(manifest.dependencies(), ["dora-core", "bytes", "dora", "x"]);
    }
}
