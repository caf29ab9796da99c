//! Files that are not there.

use std::path::Path;
use std::{env, fs};

use crate::error::Problem;
use crate::nearest::nearest;

/// Files that a help text names at most.
const NAMED: usize = 5;

/// Why `proto` cannot be compiled.
pub(crate) fn file(proto: &Path) -> Problem {
    let problem = Problem::new(format!("there is no file {}", proto.display()));
    if proto.is_dir() {
        let mut files = protos(proto);
        let more = if files.len() > NAMED { ", .." } else { "" };
        files.truncate(NAMED);
        let files: Vec<String> = files.iter().map(|file| format!("{:?}", proto.join(file))).collect();
        let files = if files.is_empty() { String::new() } else { format!(": [{}{more}]", files.join(", ")) };
        return problem.help(format!("this is a directory: give the files in it{files}"));
    }
    let name = proto.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let dir = proto.parent().unwrap_or(proto);
    let beside = protos(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let near = nearest(name.trim_end_matches(".proto"), beside.iter().map(|file| stem(file)));
    match &*near {
        [] => problem.help(relative_to(proto)),
        near => {
            let near: Vec<_> =
                near.iter().map(|stem| format!("{:?}", dir.join(stem).with_extension("proto"))).collect();
            problem.help(format!("did you mean {}?", near.join(" or ")))
        }
    }
}

/// Where `path` starts.
pub(crate) fn relative_to(path: &Path) -> String {
    match env::current_dir() {
        Ok(dir) if path.is_relative() => {
            format!("paths start where Cargo.toml lies, in {}", dir.display())
        }
        _ => "give a path that is there".to_owned(),
    }
}

/// The names of the `.proto` files that lie in `dir`.
fn protos(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".proto")).collect();
    names.sort_unstable();
    names
}

fn stem(file: &str) -> &str {
    file.trim_end_matches(".proto")
}
