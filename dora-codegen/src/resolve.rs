//! Finds `.proto` files: the user's, ours, then Google's.

use std::path::{Path, PathBuf};

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::options;

/// The directories that imports start at.
#[derive(Clone, Debug)]
pub(crate) struct Includes(Vec<PathBuf>);

impl Includes {
    /// The given directories, and for each of `protos` that is in none of them
    /// the `proto` directory above it, if any, and its own.
    pub(crate) fn new(given: &[PathBuf], protos: &[&Path]) -> Self {
        let mut dirs = given.to_vec();
        for proto in protos {
            if given.iter().any(|dir| proto.starts_with(dir)) {
                continue;
            }
            // The upper one first: a file goes by one name only, and that is
            // the longest.
            let root =
                proto.ancestors().skip(1).find(|dir| dir.file_name().is_some_and(|name| name == "proto"));
            let own = proto.parent().map(|dir| match dir.as_os_str().is_empty() {
                true => Path::new("."),
                false => dir,
            });
            for dir in root.into_iter().chain(own) {
                if !dirs.iter().any(|known| known == dir) {
                    dirs.push(dir.to_owned());
                }
            }
        }
        Self(dirs)
    }

    /// A compiler that imports from these directories, our options and
    /// Google's well-known files.
    pub(crate) fn compiler(&self) -> Compiler {
        let mut resolver = ChainFileResolver::new();
        for dir in &self.0 {
            resolver.add(IncludeFileResolver::new(dir.clone()));
        }
        resolver.add(Embedded);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler
    }

    /// The file that an import of `name` reads, as the user would write it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.0
            .iter()
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
            .and_then(|path| {
                let path = path.strip_prefix(".").unwrap_or(&path);
                path.to_str().map(str::to_owned)
            })
            .unwrap_or_else(|| name.to_owned())
    }
}

/// `dora/options.proto`, from this crate.
struct Embedded;

impl FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            options::PROTO_NAME => File::from_source(name, options::PROTO),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(given: &[&str], proto: &str) -> Vec<PathBuf> {
        let given: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
        Includes::new(&given, &[Path::new(proto)]).0
    }

    #[test]
    fn the_simple_case_needs_no_include() {
        assert_eq!(dirs(&[], "proto/greeter.proto"), [Path::new("proto")]);
        assert_eq!(dirs(&[], "greeter.proto"), [Path::new(".")]);
        assert_eq!(
            dirs(&[], "../proto/shop/v1/users.proto"),
            [Path::new("../proto"), Path::new("../proto/shop/v1")]
        );
    }

    #[test]
    fn given_directories_are_enough() {
        assert_eq!(dirs(&["a"], "a/b/c.proto"), [Path::new("a")]);
    }
}
