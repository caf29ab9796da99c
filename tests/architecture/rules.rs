//! The rules as functions from sources to complaints: `file:line: fault; mend`.

use std::collections::{BTreeMap, BTreeSet};

use super::scanner::{PathUse, Source};

/// Who may import whom: a folder or file below a crate's root, and what it may
/// name there beside itself.
pub(crate) type Arrows = [(&'static str, &'static [&'static str])];

/// Imports that run against the arrows, and places that have none.
pub(crate) fn against_arrows(sources: &[&Source], arrows: &Arrows) -> Vec<String> {
    let arrows: BTreeMap<_, _> = arrows.iter().copied().collect();
    let macros = exported_macros(sources);
    let mut faults = Vec::new();
    for source in sources {
        let from = source.top_module();
        if from.is_empty() {
            continue;
        }
        let Some(allowed) = arrows.get(&*from) else {
            faults.push(format!(
                "{}:1: `{from}` has no arrows; give it a line in ARROWS and in the design",
                source.file
            ));
            continue;
        };
        for path in &source.paths {
            let Some(to) = place(path, &macros) else {
                continue;
            };
            if to != from && !allowed.contains(&to) {
                faults.push(format!(
                    "{}:{}: `{from}` must not import `{}`; it may use {allowed:?}: move the \
                     shared part down, or let the code above hand it in",
                    source.file,
                    path.line,
                    path.segments.join("::")
                ));
            }
        }
    }
    faults
}

/// Circles in the imports that there are, whatever the arrows say.
pub(crate) fn circles(sources: &[&Source]) -> Vec<String> {
    let macros = exported_macros(sources);
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let from = source.top_module();
        let to = source.paths.iter().filter_map(|path| place(path, &macros));
        let to: BTreeSet<_> = to.filter(|to| *to != from).map(str::to_owned).collect();
        graph.entry(from).or_default().extend(to);
    }
    let reachable = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(place) = next.pop() {
            for to in graph.get(place).into_iter().flatten() {
                if seen.insert(to) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let in_circle = graph.keys().filter(|place| reachable(place).contains(place));
    let in_circle: Vec<_> = in_circle.map(String::as_str).collect();
    if in_circle.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "`{}` import each other in a circle; move what they share below them",
        in_circle.join("`, `")
    )]
}

/// Imports of re-exports from the crate's root, instead of where a thing lives.
pub(crate) fn root_imports(sources: &[&Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        for path in &source.paths {
            if below_crate(path).is_some_and(is_root_export) {
                faults.push(format!(
                    "{}:{}: `{}` goes through the root of the crate; import from the file that \
                     defines it",
                    source.file,
                    path.line,
                    path.segments.join("::")
                ));
            }
        }
    }
    faults
}

/// Paths that begin with one of `forbidden`.
pub(crate) fn forbidden_paths(sources: &[&Source], forbidden: &[&str], mend: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        for path in &source.paths {
            let path_text = path.segments.join("::");
            let hit = |prefix: &&&str| {
                let rest = path_text.strip_prefix(**prefix);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            if forbidden.iter().any(|prefix| hit(&prefix)) {
                faults.push(format!(
                    "{}:{}: `{path_text}` does not belong here; {mend}",
                    source.file, path.line
                ));
            }
        }
    }
    faults
}

/// Expressions that can panic, but for those in tests.
pub(crate) fn panics(sources: &[&Source]) -> Vec<String> {
    let tests = sources.iter().flat_map(|source| &source.test_modules);
    let tests: Vec<_> = tests.collect();
    let is_test = |file: &str| {
        let rest = |test: &&String| file.strip_prefix(test.as_str());
        let mut rests = tests.iter().filter_map(rest);
        rests.any(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| !is_test(&source.file)) {
        for panic in &source.panics {
            faults.push(format!(
                "{}:{}: `{}` can panic on a peer's bytes; use get, split_at_checked, let-else \
                 or an error",
                source.file, panic.line, panic.what
            ));
        }
    }
    faults
}

/// Files and functions that are too long.
pub(crate) fn too_long(sources: &[&Source], file_max: usize, function_max: usize) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        if source.lines > file_max {
            faults.push(format!(
                "{}:1: {} lines, over {file_max}; split the file by what it is about",
                source.file, source.lines
            ));
        }
        for function in &source.functions {
            if function.length > function_max {
                faults.push(format!(
                    "{}:{}: `{}` has {} lines, over {function_max}; name its parts",
                    source.file, function.line, function.name, function.length
                ));
            }
        }
    }
    faults
}

/// The folder or file below the root that a path leads into; macros and
/// re-exports at the root itself are none.
fn place<'a>(path: &'a PathUse, macros: &BTreeSet<&str>) -> Option<&'a str> {
    let name = below_crate(path)?;
    let is_macro = path.segments.len() == 2 && macros.contains(name);
    (!is_macro && name != "*" && !is_root_export(name)).then_some(name)
}

/// Exported macros live at the root and can be named no other way.
fn exported_macros<'a>(sources: &[&'a Source]) -> BTreeSet<&'a str> {
    let macros = sources.iter().flat_map(|source| &source.exported_macros);
    macros.map(String::as_str).collect()
}

/// What a path names directly below its crate's root.
fn below_crate(path: &PathUse) -> Option<&str> {
    match &path.segments[..] {
        [root, name, ..] if root == "crate" => Some(name),
        _ => None,
    }
}

/// Types, traits and constants live in modules; at the root they are re-exports.
fn is_root_export(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARROWS: &Arrows = &[("low", &[]), ("high", &["low"])];

    fn check(rule: impl Fn(&[&Source]) -> Vec<String>, files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(file, text)| Source::read(file, text)).collect();
        rule(&sources.iter().collect::<Vec<_>>())
    }

    #[test]
    fn arrows_point_down_only() {
        let rule = |sources: &[&Source]| against_arrows(sources, ARROWS);
        let good = [
            ("c/src/high/a.rs", "use crate::{low::X, high::b::Y}; use std::fmt::Debug;"),
            ("c/src/low.rs", "mod tests { use super::*; }"),
            ("c/src/lib.rs", "pub use crate::high::a::A;"),
            ("c/src/high/m.rs", "#[macro_export] macro_rules! m { () => {} }"),
            ("c/src/high/n.rs", "use crate::m; fn f() { crate::m!() }"),
        ];
        assert_eq!(check(rule, &good), [""; 0]);
        let bad = check(rule, &[("c/src/low/deep/a.rs", "\nuse super::super::super::high::X;")]);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].starts_with("c/src/low/deep/a.rs:2: `low` must not import"), "{bad:?}");
        let unknown = check(rule, &[("c/src/new/mod.rs", "")]);
        assert!(unknown[0].contains("`new` has no arrows"), "{unknown:?}");
    }

    #[test]
    fn circles_are_found_over_several_steps() {
        let line = [
            ("c/src/a.rs", "use crate::b::X;"),
            ("c/src/b.rs", "use crate::c::X;"),
            ("c/src/d.rs", "use crate::a::X;"),
        ];
        assert_eq!(check(circles, &line), [""; 0]);
        let mut circle = line.to_vec();
        circle.push(("c/src/c/mod.rs", "use crate::a::X;"));
        let found = check(circles, &circle);
        assert!(found[0].starts_with("`a`, `b`, `c` import"), "{found:?}");
    }

    #[test]
    fn re_exports_of_the_root_are_not_imported() {
        let files = [("c/src/a.rs", "use crate::{Guid, guid::Guid as G};")];
        let found = check(root_imports, &files);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`crate::Guid`"), "{found:?}");
    }

    #[test]
    fn forbidden_paths_are_whole_segments() {
        let rule = |sources: &[&Source]| forbidden_paths(sources, &["std::net", "tokio"], "no");
        let files = [("a.rs", "use std::{net::X, network::Y}; fn f() { tokio::spawn(x) }")];
        assert_eq!(check(rule, &files).len(), 2);
    }

    #[test]
    fn only_test_modules_may_panic() {
        let files = [
            ("c/src/a.rs", "#[cfg(test)] mod tests; mod b; fn f() { x.unwrap() }"),
            ("c/src/a/tests.rs", "fn f() { x.unwrap() }"),
            ("c/src/a/tests/more.rs", "fn f() { x[0] }"),
            ("c/src/a/b.rs", "fn f() { x[0] }"),
        ];
        let found = check(panics, &files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("c/src/a.rs:1: `.unwrap()`"), "{found:?}");
        assert!(found[1].starts_with("c/src/a/b.rs:1: `[0]`"), "{found:?}");
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let rule = |sources: &[&Source]| too_long(sources, 4, 3);
        let good = [("a.rs", "fn f() {\n\n}\n")];
        assert_eq!(check(rule, &good), [""; 0]);
        let bad = [("a.rs", "\nfn f() {\n\n\n}\n")];
        assert_eq!(check(rule, &bad).len(), 2);
    }
}
