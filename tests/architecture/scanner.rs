//! What a Rust source file says, as far as the rules need it.
//!
//! It reads tokens, not syntax: comments and strings are out of the way, lines
//! are known, and the insides of macros are seen like everything else.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::tokens::{
    attribute, ends_expression, ends_path, ident, indexes_nothing, inline_module, is_cfg_test, is_colons,
    is_macro_export, is_punct, is_text, line, macro_name, module_file, path_in, trees,
};

/// The facts of one source file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The path below the workspace, with `/`.
    pub(crate) file: String,
    /// How many lines it has.
    pub(crate) lines: usize,
    /// Paths with at least two segments; `use` trees are flattened, and
    /// `self::` and `super::` are resolved to `crate::`.
    pub(crate) paths: Vec<PathUse>,
    /// Functions that have a body.
    pub(crate) functions: Vec<Function>,
    /// Expressions outside `#[cfg(test)]` that can panic.
    pub(crate) panics: Vec<Panic>,
    /// Where the `#[cfg(test)] mod name;` live, without `.rs` or `/mod.rs`.
    pub(crate) test_modules: Vec<String>,
    /// Macros that live at the crate's root, wherever they are written.
    pub(crate) exported_macros: Vec<String>,
}

/// A path like `crate::wire::frame::Frame`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of `fn`.
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) length: usize,
}

/// An `unwrap`, an index and the like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) what: String,
    pub(crate) line: usize,
}

const PANICKING_METHODS: [&str; 4] = ["unwrap", "expect", "unwrap_err", "expect_err"];
const PANICKING_MACROS: [&str; 4] = ["panic", "unreachable", "todo", "unimplemented"];

impl Source {
    /// Reads `text`, the contents of `file`.
    ///
    /// # Panics
    ///
    /// When it is no Rust.
    pub(crate) fn read(file: &str, text: &str) -> Self {
        let tokens: TokenStream = match text.parse() {
            Ok(tokens) => tokens,
            Err(error) => panic!("{file}: {error}"),
        };
        let mut source = Self { file: file.to_owned(), lines: text.lines().count(), ..Self::default() };
        let mut walk = Walk { module: module_of(file), source: &mut source };
        walk.tokens(&trees(tokens), false);
        source
    }

    /// The first segment below the crate's root: `wire` for all of
    /// `dora-core/src/wire/` as for `dora-core/src/wire.rs`; empty for `lib.rs`.
    pub(crate) fn top_module(&self) -> String {
        module_of(&self.file).into_iter().next().unwrap_or_default()
    }
}

/// The module path of `<crate>/src/a/b.rs`: `a`, `b`.
fn module_of(file: &str) -> Vec<String> {
    let inside = match file.split_once("src/") {
        Some((_, inside)) => inside,
        None => file,
    };
    let path = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    let root = ["lib", "main", "mod"];
    path.split('/').filter(|segment| !root.contains(segment)).map(str::to_owned).collect()
}

struct Walk<'a> {
    module: Vec<String>,
    source: &'a mut Source,
}

impl Walk<'_> {
    /// `tested`: within something that is compiled for tests only.
    fn tokens(&mut self, tokens: &[TokenTree], tested: bool) {
        let mut tested_item = false;
        let mut path_attribute = None;
        let mut exported = false;
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            let mut step = 1;
            if let Some(attribute) = attribute(rest) {
                tested_item |= is_cfg_test(attribute);
                path_attribute = path_attribute.or(path_in(attribute));
                exported |= is_macro_export(attribute);
            } else if let Some(name) = exported.then(|| macro_name(rest)).flatten() {
                self.source.exported_macros.push(name);
                exported = false;
            } else if let Some(name) = tested_item.then(|| module_file(rest)).flatten() {
                let test_module = self.file_of(&name, path_attribute.take());
                self.source.test_modules.push(test_module);
            } else if let Some((name, body)) = inline_module(rest) {
                self.module.push(name);
                self.tokens(&trees(body.stream()), tested || tested_item);
                self.module.pop();
                tested_item = false;
                step = 3;
            } else if let Some(length) = self.path(tokens, at) {
                step = length;
            } else if is_punct(rest, 0, ';') {
                tested_item = false;
            }
            self.function(rest);
            if !tested && !tested_item {
                self.panic(tokens, at);
            }
            for token in &rest[..step] {
                if let TokenTree::Group(group) = token
                    && step == 1
                {
                    self.tokens(&trees(group.stream()), tested || tested_item);
                    tested_item &= group.delimiter() != Delimiter::Brace;
                }
            }
            at += step;
        }
    }

    /// Records the path that starts at `at`, and returns its length in tokens.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> Option<usize> {
        let rest = &tokens[at..];
        ident(rest, 0)?;
        let continues = at >= 3 && is_colons(tokens, at - 2) && ends_path(&tokens[at - 3]);
        if continues || !is_colons(rest, 1) {
            return None;
        }
        let mut found = Vec::new();
        let length = use_tree(rest, &[], &mut found);
        for path in found {
            let segments = self.resolve(path.segments);
            self.source.paths.push(PathUse { segments, ..path });
        }
        Some(length)
    }

    fn resolve(&self, segments: Vec<String>) -> Vec<String> {
        let supers = segments.iter().take_while(|word| *word == "super").count();
        let skipped = if supers == 0 && segments[0] == "self" { 1 } else { supers };
        if skipped == 0 {
            return segments;
        }
        let kept = self.module.len().saturating_sub(supers);
        let mut resolved = vec!["crate".to_owned()];
        resolved.extend_from_slice(&self.module[..kept]);
        resolved.extend(segments.into_iter().skip(skipped));
        resolved
    }

    /// The file of the module `name` below this one, without `.rs`.
    fn file_of(&self, name: &str, path_attribute: Option<String>) -> String {
        let file = &self.source.file;
        if let Some(path) = path_attribute {
            let folder = file.rfind('/').map_or("", |at| &file[..=at]);
            return format!("{folder}{}", path.trim_end_matches(".rs"));
        }
        let source_folder = file.find("src/").map_or(0, |at| at + "src/".len());
        let inside = [&self.module[..], &[name.to_owned()]].concat().join("/");
        format!("{}{inside}", &file[..source_folder])
    }

    fn function(&mut self, rest: &[TokenTree]) {
        let (Some("fn"), Some(name)) = (ident(rest, 0).as_deref(), ident(rest, 1)) else {
            return;
        };
        for token in rest {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ';' => return,
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                    let line = line(&rest[0]);
                    let length = body.span_close().end().line - line + 1;
                    self.source.functions.push(Function { name, line, length });
                    return;
                }
                _ => {}
            }
        }
    }

    fn panic(&mut self, tokens: &[TokenTree], at: usize) {
        let rest = &tokens[at..];
        let mut found = |what: String| {
            let line = line(&rest[0]);
            self.source.panics.push(Panic { what, line });
        };
        if is_punct(rest, 0, '.')
            && let Some(method) = ident(rest, 1)
            && PANICKING_METHODS.contains(&method.as_str())
            && let Some(TokenTree::Group(arguments)) = rest.get(2)
            && (!is_punct(rest, 3, '?') || is_text(arguments))
        {
            found(format!(".{method}()"));
        }
        if let Some(name) = ident(rest, 0)
            && PANICKING_MACROS.contains(&name.as_str())
            && is_punct(rest, 1, '!')
        {
            found(format!("{name}!"));
        }
        if let TokenTree::Group(group) = &rest[0]
            && group.delimiter() == Delimiter::Bracket
            && !indexes_nothing(group)
            && ends_expression(&tokens[..at])
        {
            found(format!("[{}]", group.stream()));
        }
    }
}

/// Flattens the tree at the start of `tokens`; returns how many it is made of.
fn use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = 0;
    while let Some(segment) = ident(tokens, at) {
        segments.push(segment);
        at += 1;
        if !is_colons(tokens, at) {
            break;
        }
        if is_punct(tokens, at + 2, '*') {
            segments.push("*".to_owned());
            at += 3;
            break;
        }
        if let Some(TokenTree::Group(group)) = tokens.get(at + 2) {
            let inner = trees(group.stream());
            for branch in inner.split(|token| is_punct(std::slice::from_ref(token), 0, ',')) {
                use_tree(branch, &segments, found);
            }
            return at + 3;
        }
        if ident(tokens, at + 2).is_none() {
            break;
        }
        at += 2;
    }
    if let Some(last) = at.checked_sub(1)
        && segments.len() > 1
    {
        let line = line(&tokens[last]);
        found.push(PathUse { segments, line });
    }
    at.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(file: &str, text: &str) -> Vec<String> {
        let paths = Source::read(file, text).paths.into_iter();
        paths.map(|path| path.segments.join("::")).collect()
    }

    fn panics(text: &str) -> Vec<String> {
        let panics = Source::read("src/a.rs", text).panics.into_iter();
        panics.map(|panic| panic.what).collect()
    }

    #[test]
    fn use_trees_are_flattened() {
        let text = "use crate::{wire::{frame::Frame, error::*}, guid, call as c};
                    pub(crate) use std::{net, time::Duration};";
        assert_eq!(
            paths("src/a.rs", text),
            [
                "crate::wire::frame::Frame",
                "crate::wire::error::*",
                "crate::guid",
                "crate::call",
                "std::net",
                "std::time::Duration",
            ]
        );
    }

    #[test]
    fn inline_paths_are_seen_in_bodies_macros_types_and_generics() {
        let text = "fn f(a: crate::call::Code) -> Vec<crate::pack::Value> {
                        debug!(x = crate::wire::MAX);
                        <crate::guid::Guid as Into<u8>>::into(Vec::<tokio::X>::new())
                    }";
        assert_eq!(
            paths("src/a.rs", text),
            ["crate::call::Code", "crate::pack::Value", "crate::wire::MAX", "crate::guid::Guid", "tokio::X",]
        );
    }

    #[test]
    fn comments_strings_and_doc_links_are_not_paths() {
        let text = "/// See [`crate::wire`].
                    // use crate::call::X;
                    const A: &str = \"crate::pack::x\";";
        assert_eq!(paths("src/a.rs", text), [""; 0]);
    }

    #[test]
    fn self_and_super_are_resolved() {
        let text = "use super::value::V; use self::x::Y; use super::super::wire::F;
                    mod tests { use super::*; }";
        assert_eq!(
            paths("dora-core/src/pack/php.rs", text),
            ["crate::pack::value::V", "crate::pack::php::x::Y", "crate::wire::F", "crate::pack::php::*"]
        );
        assert_eq!(paths("src/pack/mod.rs", "use super::wire::F;"), ["crate::wire::F"]);
        assert_eq!(paths("src/lib.rs", "use self::wire::F;"), ["crate::wire::F"]);
    }

    #[test]
    fn lines_are_those_of_the_leaf() {
        let source = Source::read("src/a.rs", "\nuse crate::{\n  a,\n  b::C,\n};");
        let lines: Vec<_> = source.paths.iter().map(|path| path.line).collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T { fn without_body(&self); }
                    pub async fn long(
                        a: fn(u8) -> u8,
                    ) {
                        if a { b }
                    }";
        let functions = Source::read("src/a.rs", text).functions;
        let [function] = &functions[..] else {
            panic!("{functions:?}");
        };
        assert_eq!((function.name.as_str(), function.line, function.length), ("long", 2, 5));
    }

    #[test]
    fn what_can_panic_is_found() {
        let text = "fn f() {
                        a.unwrap(); b.expect(\"x\"); panic!(); unreachable!();
                        c[0]; d()[1..2]; e?[3]; self.f[i][j]; b\"x\"[0]; g(h[k]);
                    }";
        assert_eq!(
            panics(text),
            [
                ".unwrap()",
                ".expect()",
                "panic!",
                "unreachable!",
                "[0]",
                "[1 .. 2]",
                "[3]",
                "[i]",
                "[j]",
                "[0]",
                "[k]",
            ]
        );
    }

    #[test]
    fn what_cannot_panic_is_not() {
        let text = "#[derive(X)] struct S<'a>(pub(crate) [u8; 4], &'a [u8], pub [u8; 2]);
                    impl From<[u8; 4]> for [u8; 2] { }
                    fn f(a: &mut [u8]) -> [u8; 4] {
                        let [x, y] = [1, 2]; for z in [3] { vec![1]; } &b[..];
                        c.unwrap_or(1); d.unwrap_or_default(); e.get(0)
                    }";
        assert_eq!(panics(text), [""; 0]);
    }

    #[test]
    fn tests_may_panic_but_what_follows_them_may_not() {
        let text = "#[cfg(test)] mod tests { fn f() { a.unwrap(); } }
                    #[cfg(test)] use crate::{a, b};
                    #[cfg(test)] #[derive(X)] fn g() { b[0]; }
                    #[cfg(not(test))] fn h() { c.unwrap(); }";
        let source = Source::read("src/a.rs", text);
        let lines: Vec<_> = source.panics.iter().map(|panic| panic.line).collect();
        assert_eq!(lines, [4]);
        assert_eq!(source.paths.len(), 2, "tests obey the arrows too");
    }

    #[test]
    fn files_of_test_modules_are_known() {
        let text = "#[cfg(test)] mod tests; #[cfg(all(test, x))] mod more; mod code;
                    #[cfg(test)] #[path = \"php_tests.rs\"] mod other;";
        let source = Source::read("c/src/pack/php.rs", text);
        assert_eq!(
            source.test_modules,
            ["c/src/pack/php/tests", "c/src/pack/php/more", "c/src/pack/php_tests"]
        );
    }

    #[test]
    fn exported_macros_are_known_and_macro_patterns_let_be() {
        let text = "#[macro_export] macro_rules! m { ($x:ident [$($y:tt)*]) => { $x } }
                    macro_rules! n { () => {} }";
        assert_eq!(Source::read("src/a.rs", text).exported_macros, ["m"]);
        assert_eq!(panics(text), [""; 0]);
    }

    #[test]
    fn a_parsers_own_expect_is_told_from_that_of_results() {
        let text = "fn f() { self.expect(b'x')?; a.expect(b'x'); b.expect(\"text\")?; }";
        assert_eq!(panics(text), [".expect()", ".expect()"]);
    }
}
