//! Finds `.proto` files: the user's, ours, then Google's.

use std::path::{Component, Path, PathBuf};
use std::{env, fs, io, str};

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::error::{Position, Problem};
use crate::{embedded, missing};

/// Directories that imports start at, if they are called so.
const ROOTS: [&str; 2] = ["proto", "protos"];

/// So many entries of directories are looked at for a help text.
const SEARCHED: usize = 10_000;

/// The directories that imports start at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Includes(Vec<PathBuf>);

impl Includes {
    /// The given directories, and for each of `protos` that is in none of them
    /// its [`root`]; and the names by which the `protos` are imported.
    pub(crate) fn new(given: &[PathBuf], protos: &[PathBuf]) -> Result<(Self, Vec<String>), Vec<Problem>> {
        let mut includes = Self(given.iter().map(|dir| tidy(dir)).collect());
        let given = includes.0.len();
        let mut names = vec![];
        let mut problems: Vec<Problem> = includes.0.iter().filter_map(|dir| no_directory(dir)).collect();
        for proto in protos {
            let proto = tidy(proto);
            if !proto.is_file() {
                problems.push(missing::file(&proto));
                continue;
            }
            let name = includes.0[..given].iter().find_map(|dir| name_within(dir, &proto));
            let name = name.or_else(|| {
                let root = root(&proto);
                let name = name_within(&root, &proto);
                if !includes.0.contains(&root) {
                    includes.0.push(root);
                }
                name
            });
            match name {
                Some(name) => names.push((name, proto)),
                None => problems.push(Problem::new(format!(
                    "the path {} is no name that an import could have",
                    proto.display()
                ))),
            }
        }
        problems.extend(names.iter().filter_map(|(name, proto)| includes.hidden(name, proto)));
        match problems.is_empty() {
            true => Ok((includes, names.into_iter().map(|(name, _)| name).collect())),
            false => Err(problems),
        }
    }

    /// A compiler that imports from these directories, the files of this crate and
    /// Google's well-known ones.
    pub(crate) fn compiler(&self) -> Compiler {
        let mut resolver = ChainFileResolver::new();
        resolver.add(self.clone());
        resolver.add(Embedded);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler
    }

    /// The file that an import of `name` reads, as the user would write it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        let path = self.find(name).and_then(|path| path.to_str().map(str::to_owned));
        path.unwrap_or_else(|| name.to_owned())
    }

    /// The file that an import of `name` reads, if it is one of the user's.
    ///
    /// As to protoc, `./users.proto` and `a/../users.proto` are no names.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        if import_name(Path::new(name)).as_deref() != Some(name) {
            return None;
        }
        self.0.iter().map(|dir| tidy(&dir.join(name))).find(|path| path.is_file())
    }

    /// What to write in place of `import "name"` in the file `importer`.
    pub(crate) fn instead_of(&self, name: &str, importer: &str) -> Option<String> {
        let name = name.replace('\\', "/");
        let beside = Path::new(importer).parent()?.join(&name);
        let plain = [resolved(&beside), resolved(Path::new(&name))];
        let plain = plain.into_iter().flatten().find(|plain| self.find(plain).is_some());
        plain.or_else(|| {
            let is_name = |part: &Component<'_>| matches!(part, Component::Normal(_));
            let end: PathBuf = Path::new(&name).components().filter(is_name).collect();
            self.0.iter().find_map(|dir| search(dir, &end))
        })
    }

    /// The directories, for people.
    pub(crate) fn describe(&self) -> String {
        let dirs: Vec<String> = self.0.iter().map(|dir| dir.display().to_string()).collect();
        dirs.join(", ")
    }

    /// Whether an import of `name` reads another file than `proto`.
    fn hidden(&self, name: &str, proto: &Path) -> Option<Problem> {
        let found = self.find(name)?;
        if found == proto || fs::canonicalize(&found).ok() == fs::canonicalize(proto).ok() {
            return None;
        }
        let above = found.ancestors().find(|dir| proto.starts_with(dir)).unwrap_or(Path::new(""));
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let (found, proto) = (found.display(), proto.display());
        Some(Problem::new(format!("{found} and {proto} would both be imported as {name:?}")).help(format!(
            "compile each of them in a call of its own; or, if both are of one package, rename one, or \
                 have all imports start above both: Config::include({above:?})"
        )))
    }
}

impl FileResolver for Includes {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let path = self.find(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        let source = read(&path).map_err(|problem| protox::Error::new(problem.to_string()))?;
        // Editors of Windows put a byte order mark there; protoc takes no notice.
        File::from_source(name, source.strip_prefix('\u{feff}').unwrap_or(&source))
    }
}

/// Files that this crate has.
struct Embedded;

impl FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = embedded::text(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

/// Where the imports of `proto` start: the nearest directory above it that is
/// called `proto` or `protos`, else its own.
///
/// What lies above the package is none of its business.
fn root(proto: &Path) -> PathBuf {
    let package = env::current_dir().unwrap_or_default();
    let above = if proto.starts_with(&package) { package.components().count() } else { 0 };
    let is_root = |dir: &&Path| {
        dir.components().count() > above
            && dir.file_name().is_some_and(|name| ROOTS.iter().any(|root| name == *root))
    };
    let own = proto.parent().unwrap_or(proto);
    own.ancestors().find(is_root).unwrap_or(own).to_owned()
}

/// `path` without the components that say nothing.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The name by which `proto` is imported from `dir`, if it is within.
fn name_within(dir: &Path, proto: &Path) -> Option<String> {
    let absolute =
        |path: &Path| std::path::absolute(if path.as_os_str().is_empty() { Path::new(".") } else { path });
    match proto.strip_prefix(dir) {
        Ok(rest) => import_name(rest),
        Err(_) => import_name(absolute(proto).ok()?.strip_prefix(absolute(dir).ok()?).ok()?),
    }
}

/// `path` as an import statement has it.
fn import_name(path: &Path) -> Option<String> {
    let parts = path.components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// `path` as an import statement has it, its `.` and `..` resolved.
fn resolved(path: &Path) -> Option<String> {
    let mut parts = vec![];
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    import_name(&parts.iter().collect::<PathBuf>())
}

/// The import name of the only file in `dir` whose path ends with `name`.
fn search(dir: &Path, name: &Path) -> Option<String> {
    let mut dirs = vec![dir.to_owned()];
    let mut found = vec![];
    let mut left = SEARCHED;
    while let Some(next) = dirs.pop() {
        let next = if next.as_os_str().is_empty() { PathBuf::from(".") } else { next };
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            let path = tidy(&entry.path());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(path),
                Ok(_) if path.ends_with(name) => found.push(path),
                _ => {}
            }
        }
    }
    match &*found {
        [path] => name_within(dir, path),
        _ => None,
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let text = str::from_utf8(before).unwrap_or_default();
        let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let line = text.matches('\n').count() + 1;
        Problem::new("this is not UTF-8")
            .at(&Position { file: path.display().to_string(), line, column })
            .help("save the file as UTF-8")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("cannot read {}: {error}", path.display()))
}

fn no_directory(dir: &Path) -> Option<Problem> {
    let is_here = dir.as_os_str().is_empty();
    (!is_here && !dir.is_dir()).then(|| {
        Problem::new(format!("Config::include({dir:?}) is no directory")).help(missing::relative_to(dir))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_start_at_one_directory() {
        let above = env::current_dir().unwrap().join("proto");
        for (proto, dir) in [
            ("proto/greeter.proto", "proto"),
            ("greeter.proto", ""),
            ("api/v1/greeter.proto", "api/v1"),
            ("../proto/shop/v1/users.proto", "../proto"),
            ("proto/a/protos/b/users.proto", "proto/a/protos"),
        ] {
            assert_eq!(root(Path::new(proto)), Path::new(dir), "{proto}");
        }
        assert_eq!(root(&above.join("a/b.proto")), above);
        let parent = above.parent().unwrap();
        assert_eq!(root(&parent.join("a/b.proto")), parent.join("a"));
    }

    #[test]
    fn import_names_are_plain() {
        for (path, name) in [
            ("./b.proto", Some("b.proto")),
            ("shop/v1/../v2/./b.proto", Some("shop/v2/b.proto")),
            ("shop//b.proto", Some("shop/b.proto")),
            ("../b.proto", None),
            ("/b.proto", None),
        ] {
            assert_eq!(resolved(Path::new(path)).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn names_start_at_a_directory() {
        let here = env::current_dir().unwrap();
        for (dir, proto, name) in [
            ("", "a/b.proto", Some("a/b.proto")),
            ("a", "a/b/c.proto", Some("b/c.proto")),
            ("a", "ab/c.proto", None),
            ("../p", "../p/c.proto", Some("c.proto")),
        ] {
            assert_eq!(name_within(Path::new(dir), Path::new(proto)).as_deref(), name);
        }
        assert_eq!(name_within(Path::new("a"), &here.join("a/b.proto")).as_deref(), Some("b.proto"));
        assert_eq!(name_within(&here, Path::new("a/b.proto")).as_deref(), Some("a/b.proto"));
    }
}
