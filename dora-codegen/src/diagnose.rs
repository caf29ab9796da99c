//! What the compiler of `.proto` files says, in our words.

use std::fs;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::error::{Error, Position, Problem};
use crate::options;
use crate::resolve::Includes;

/// Google's files that `.proto` files import, and the types in each.
const GOOGLE: [(&str, &[&str]); 8] = [
    ("any", &["Any"]),
    ("descriptor", &["FileDescriptorSet", "FileDescriptorProto", "MethodOptions", "ServiceOptions"]),
    ("duration", &["Duration"]),
    ("empty", &["Empty"]),
    ("field_mask", &["FieldMask"]),
    ("struct", &["Struct", "Value", "ListValue", "NullValue"]),
    ("timestamp", &["Timestamp"]),
    (
        "wrappers",
        &[
            "BoolValue",
            "BytesValue",
            "DoubleValue",
            "FloatValue",
            "Int32Value",
            "Int64Value",
            "StringValue",
            "UInt32Value",
            "UInt64Value",
        ],
    ),
];

/// All that is wrong, with lines and remedies.
pub(crate) fn protox(error: &protox::Error, includes: &Includes) -> Error {
    let file = error.file().map(|name| (name, includes.path_of(name)));
    let mut problems = vec![];
    for found in std::iter::once(error as &dyn Diagnostic).chain(error.related().into_iter().flatten()) {
        let Some((name, path)) = &file else {
            // It says itself where it is.
            problems.push(Problem::new(found.to_string()));
            continue;
        };
        let at = found.labels().and_then(|mut labels| labels.next()).and_then(|label| {
            let source = found.source_code().or(error.source_code())?;
            position(source, &label, path)
        });
        let at = at.or_else(|| in_map(&found.to_string(), &includes.find(name)?, path));
        let at = at.unwrap_or_else(|| Position { file: path.clone(), line: 0, column: 0 });
        problems.push(problem(found, name, at, error.source_code(), includes));
    }
    Error::new(problems)
}

fn problem(
    found: &dyn Diagnostic,
    file: &str,
    at: Position,
    source: Option<&dyn SourceCode>,
    includes: &Includes,
) -> Problem {
    // What is wrong within `{ .. }`.
    if let Some(inner) = found.diagnostic_source() {
        let at = source.and_then(|source| within(source, &at, inner)).unwrap_or(at);
        return helped(Problem::new(format!("{found}: {inner}")).at(&at), options::help(&found.to_string()));
    }
    let message = found.to_string();
    if found.help().is_some_and(|help| help.to_string().starts_with("imports may not contain"))
        && let Some(import) = source.and_then(|source| literal(source, found))
    {
        let help = import_help(&import, file, includes);
        return Problem::new(format!(
            "import '{import}' is no plain path from a directory that imports start at"
        ))
        .at(&at)
        .help(help);
    }
    if let Some(import) = quoted(&message, "import '", "' not found") {
        let help = import_help(import, file, includes);
        return Problem::new(message.clone()).at(&at).help(help);
    }
    if let Some(problem) = shadowed(&message) {
        return problem.at(&at);
    }
    let unknown =
        quoted(&message, "name '", "' is not defined").or_else(|| quoted(&message, "'", "' resolves to"));
    if let Some(name) = unknown
        && let Some(import) = google_file(name)
    {
        let help = format!("write `import \"google/protobuf/{import}.proto\";`");
        return Problem::new(format!("`{name}` is not imported")).at(&at).help(help);
    }
    if message.ends_with("but found 'edition'") {
        return Problem::new("editions are not understood: the compiler knows proto2 and proto3")
            .at(&at)
            .help(
                "write `syntax = \"proto3\";` instead, and `optional` before each field of which it matters \
             whether it is set; options `features.*` go",
            );
    }
    let help = syntax_help(&message).map(str::to_owned);
    let help = help.or_else(|| options::help(&message));
    let help = help.or_else(|| found.help().map(|help| help.to_string()));
    helped(Problem::new(message).at(&at), help)
}

/// A name that something nearer than the one that is meant has the start of.
fn shadowed(message: &str) -> Option<Problem> {
    let (name, rest) = message.strip_prefix('\'')?.split_once("' resolves to '")?;
    let (nearer, _) = rest.split_once('\'')?;
    let scope = nearer.strip_suffix(name)?.strip_suffix('.')?;
    let start = name.split('.').next().unwrap_or(name);
    Some(
        Problem::new(format!("`{name}` is looked for in `{scope}.{start}`, which has no such name"))
            .help(format!("write `.{name}`, which starts at no package")),
    )
}

fn syntax_help(message: &str) -> Option<&'static str> {
    message
        .contains("must have a label with proto2 syntax")
        .then_some("begin the file with `syntax = \"proto3\";`, whose fields need no label")
}

fn helped(problem: Problem, help: Option<String>) -> Problem {
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn import_help(import: &str, file: &str, includes: &Includes) -> String {
    if import == "dora/options" || import.ends_with("/options.proto") && import.contains("dora") {
        return format!("write `import {:?};`, which ships with the generator", options::PROTO_NAME);
    }
    if import.starts_with("google/protobuf/") {
        let files: Vec<&str> = GOOGLE.iter().map(|(file, _)| *file).collect();
        return format!("google/protobuf has {}", files.join(", "));
    }
    let start = format!("imports start at {}", includes.describe());
    match includes.instead_of(import, file) {
        Some(name) => format!("write `import {name:?};`: {start}"),
        None => format!("{start}; Config::include gives another directory"),
    }
}

fn google_file(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches('.').strip_prefix("google.protobuf.")?;
    GOOGLE.iter().find(|(_, types)| types.contains(&name)).map(|(file, _)| *file)
}

/// What stands in `text` between `before` and `after`.
fn quoted<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.split_once(after).map(|(found, _)| found)
}

fn position(source: &dyn SourceCode, label: &LabeledSpan, path: &str) -> Option<Position> {
    let found = source.read_span(label.inner(), 0, 0).ok()?;
    Some(Position { file: path.to_owned(), line: found.line() + 1, column: found.column() + 1 })
}

/// Where the type that `message` says is not defined stands as the value of a
/// map, of which the compiler keeps no place.
fn in_map(message: &str, path: &Path, shown: &str) -> Option<Position> {
    let name = quoted(message, "name '", "'").or_else(|| quoted(message, "'", "' resolves to"))?;
    let text = fs::read_to_string(path).ok()?;
    let words: Vec<(usize, &str)> = words(&text).collect();
    let is_value = |window: &&[(usize, &str)]| matches!(window, [(_, "map"), (_, "<"), _, (_, ","), (_, value)] if *value == name);
    let (at, _) = words.windows(5).find(is_value)?.last()?;
    Some(place(&text[..*at], shown))
}

/// The string literal that `found` is about, as the file that it names.
fn literal(source: &dyn SourceCode, found: &dyn Diagnostic) -> Option<String> {
    let label = found.labels()?.next()?;
    let text = source.read_span(label.inner(), 0, 0).ok()?;
    let text = String::from_utf8_lossy(text.data()).into_owned();
    Some(text.trim().trim_matches(['"', '\'']).replace("\\\\", "\\"))
}

/// Where `inner` stands in the option that begins at `option`.
///
/// The compiler took the words of the option and joined them with blanks; so
/// the same word is looked for in the source.
fn within(source: &dyn SourceCode, option: &Position, inner: &dyn Diagnostic) -> Option<Position> {
    let label = inner.labels()?.next()?;
    let joined = inner.source_code()?.read_span(label.inner(), usize::MAX, usize::MAX).ok()?;
    let joined = String::from_utf8_lossy(joined.data()).into_owned();
    let index = words(&joined).position(|(at, _)| at >= label.offset())?;

    let whole = source.read_span(&(0, 0).into(), 0, usize::MAX).ok()?;
    let whole = String::from_utf8_lossy(whole.data()).into_owned();
    let start: usize = whole.split_inclusive('\n').take(option.line - 1).map(str::len).sum();
    let mut words = words(&whole[start..]).skip_while(|(_, word)| *word != "{").skip(1);
    let (at, _) = words.nth(index)?;
    Some(place(&whole[..start + at], &option.file))
}

/// The place in `file` that `before` ends at.
fn place(before: &str, file: &str) -> Position {
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { file: file.to_owned(), line: before.matches('\n').count() + 1, column }
}

/// The words, marks and strings of an option, with their offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            let rest = &text[at..];
            let comment = match rest {
                _ if rest.starts_with("//") || rest.starts_with('#') => rest.find('\n').unwrap_or(rest.len()),
                _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                _ => 0,
            };
            if comment == 0 {
                let length = word_length(rest);
                let word = (at, &rest[..length]);
                at += length;
                return (length > 0).then_some(word);
            }
            at += comment;
        }
    })
}

fn word_length(rest: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        }
        Some(first) if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(mark) => mark.len_utf8(),
    }
}
