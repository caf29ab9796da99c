//! Comments of a `.proto`, made harmless for rustdoc.
//!
//! Nobody writes a `.proto` for rustdoc, which takes indented lines for Rust to
//! run, `[x]` for a link to an item and `<T>` for html. The text is read with
//! rustdoc's own parser and mended until nothing is left to mend.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// Languages that a code block may name. rustdoc runs what it does not know,
/// such as `no_run` or `edition2024`, as Rust.
const LANGUAGES: [&str; 13] =
    ["bash", "console", "http", "js", "json", "php", "proto", "protobuf", "sh", "sql", "text", "xml", "yaml"];

/// After this many rounds of mending a comment is shown as it stands.
const ROUNDS: usize = 8;

/// A comment, fit to be a doc comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Markdown {
    pub(super) text: String,
    /// Whether it has lists or quotes, whose layout clippy is strict about.
    pub(super) has_blocks: bool,
}

impl Markdown {
    /// Reads a comment as protox cuts it out.
    pub(super) fn new(comment: &str) -> Self {
        let mut text = tidy(comment);
        for _ in 0..ROUNDS {
            let mut reading = Reading::new(&text);
            reading.read();
            let (edits, has_blocks) = (reading.edits, reading.has_blocks);
            if edits.is_empty() {
                return Self { text, has_blocks };
            }
            apply(&mut text, edits);
        }
        Self { text: verbatim(&text), has_blocks: false }
    }
}

/// Without the blanks that all lines begin with, tabs, carriage returns, and
/// the characters that turn the direction of text, which rustc refuses.
fn tidy(comment: &str) -> String {
    let is_turn = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // `/** A comment */`, as in Java.
    let comment = match comment.strip_prefix('*') {
        Some(rest) if !rest.starts_with('*') => rest,
        _ => comment,
    };
    let text = comment.replace("\r\n", "\n").replace('\r', " ").replace('\t', "    ").replace(is_turn, "");
    // `/// A comment`, as in Rust.
    let marks = |mark: char| {
        let mut filled = text.lines().filter(|line| !line.is_empty());
        !text.trim().is_empty() && filled.all(|line| line.starts_with(mark))
    };
    let cut = usize::from(marks('/') || marks('!'));
    let text: Vec<&str> = text.lines().map(|line| line.get(cut..).unwrap_or_default()).collect();
    let text = text.join("\n");
    let filled = || text.lines().filter(|line| !line.trim().is_empty());
    let margin = filled().map(indentation).min().unwrap_or(0);
    let lines: Vec<&str> =
        text.lines().map(|line| line.get(margin..).unwrap_or_default().trim_end()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Whether a link leads out of the documentation.
fn leads_out(to: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| to.starts_with(scheme))
}

/// A block of text that nothing within can end.
fn verbatim(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

/// What to put in the place of a range of bytes.
type Edit = (Range<usize>, String);

/// Applies edits, from the last to the first; of two that overlap the later.
fn apply(text: &mut String, mut edits: Vec<Edit>) {
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut end = usize::MAX;
    for (range, new) in edits {
        if range.end <= end {
            end = range.start;
            text.replace_range(range, &new);
        }
    }
}

/// One reading of a text.
struct Reading<'a> {
    text: &'a str,
    edits: Vec<Edit>,
    has_blocks: bool,
    /// How many lists and quotes stand around.
    depth: usize,
    links: usize,
    code: Code,
}

/// The code block that is being read.
enum Code {
    None,
    Fenced,
    /// Within a list or a quote, by its indentation.
    Nested,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, edits: vec![], has_blocks: false, depth: 0, links: 0, code: Code::None }
    }

    fn read(&mut self) {
        // As rustdoc has them.
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_SMART_PUNCTUATION;
        // To rustdoc whatever stands in brackets may be an item.
        let mut item = |_: BrokenLink<'_>| Some((CowStr::from("item"), CowStr::from("")));
        let parser = Parser::new_with_broken_link_callback(self.text, options, Some(&mut item));
        // `[a]: Page`, which rustdoc looks up whether anything refers to it or not.
        let inner =
            parser.reference_definitions().iter().filter(|(_, definition)| !leads_out(&definition.dest));
        let starts: Vec<usize> = inner.map(|(_, definition)| definition.span.start).collect();
        starts.into_iter().for_each(|start| self.insert(start, "\\"));
        for (event, range) in parser.into_offset_iter() {
            self.event(&event, range);
        }
    }

    fn event(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::List(_) | Tag::BlockQuote(_) | Tag::FootnoteDefinition(_)) => {
                self.depth += 1;
                self.has_blocks = true;
            }
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition) => {
                self.depth -= 1;
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => self.fenced(info, range),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => self.indented(range),
            Event::End(TagEnd::CodeBlock) => self.code = Code::None,
            Event::Start(Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. }) => {
                self.links += 1;
                self.link(*link_type, dest_url, range.start);
            }
            Event::End(TagEnd::Link | TagEnd::Image) => self.links -= 1,
            Event::FootnoteReference(_) => self.insert(range.start, "\\"),
            Event::Html(_) | Event::InlineHtml(_) => {
                let tags = self.text[range.clone()].match_indices('<');
                self.edits.extend(tags.map(|(at, _)| (range.start + at..range.start + at, "\\".to_owned())));
            }
            Event::Text(_) => match self.code {
                Code::None if self.links == 0 => {
                    self.footnotes(range.clone());
                    self.urls(range);
                }
                Code::Nested => self.dedent(range.start),
                _ => {}
            },
            _ => {}
        }
    }

    fn insert(&mut self, at: usize, new: &str) {
        self.edits.push((at..at, new.to_owned()));
    }

    /// Says that a block is text, and ends it if its author did not.
    fn fenced(&mut self, info: &str, range: Range<usize>) {
        self.code = Code::Fenced;
        let block = &self.text[range.clone()];
        let first = block.lines().next().unwrap_or_default();
        let mark = if first.starts_with('~') { '~' } else { '`' };
        let fence = first.len() - first.trim_start_matches(mark).len();
        if !LANGUAGES.contains(&info) {
            self.edits.push((range.start + fence..range.start + first.len(), "text".to_owned()));
        }
        let last = block.lines().skip(1).last().unwrap_or_default().trim();
        let is_closed = last.len() >= fence && last.chars().all(|c| c == mark);
        if !is_closed && self.depth == 0 {
            let end = format!("\n{}", first[..fence].to_owned());
            self.edits.push((self.text.len()..self.text.len(), end));
        }
    }

    /// Puts a fence around an indented block.
    fn indented(&mut self, range: Range<usize>) {
        if self.depth > 0 {
            self.code = Code::Nested;
            return;
        }
        self.code = Code::Fenced;
        let start = self.text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = start + self.text[start..range.end].trim_end().len();
        let block = verbatim(&tidy(&self.text[start..end]));
        self.edits.push((start..end, block));
    }

    /// Makes a line of an indented block one of a paragraph.
    fn dedent(&mut self, at: usize) {
        let before = &self.text[..at];
        let blanks = before.len() - before.trim_end_matches(' ').len();
        // What the parser counted to the text.
        let after = indentation(&self.text[at..]);
        if blanks + after > 1 {
            self.edits.push((at - blanks..at + after, " ".to_owned()));
        }
    }

    /// Lets links lead out of the documentation only.
    fn link(&mut self, link_type: LinkType, to: &str, start: usize) {
        let is_mail = link_type == LinkType::Email;
        if is_mail || leads_out(to) {
            return;
        }
        let is_image = self.text[start..].starts_with('!');
        self.insert(start + usize::from(is_image), "\\");
    }

    /// Lets what looks like a footnote be none.
    fn footnotes(&mut self, range: Range<usize>) {
        for (at, _) in self.text[range.clone()].match_indices('[') {
            let at = range.start + at;
            // The parser may have cut behind the bracket.
            if self.text[at..].starts_with("[^") && !self.text[..at].ends_with('\\') {
                self.insert(at, "\\");
            }
        }
    }

    /// Puts bare addresses into angle brackets.
    fn urls(&mut self, range: Range<usize>) {
        let text = &self.text[range.clone()];
        let ends = |c: char| c.is_whitespace() || c.is_control() || "<>()[]{}\"`|\\".contains(c);
        for scheme in ["http://", "https://"] {
            for (at, _) in text.match_indices(scheme) {
                let start = range.start + at;
                // The parser cuts text at marks such as `_`.
                let rest = &self.text[start..];
                let url = rest.split(ends).next().unwrap_or_default();
                let url = url.trim_end_matches(|c: char| ".,;:!?'*_~".contains(c));
                if url.len() > scheme.len() {
                    self.edits.push((start..start + url.len(), format!("<{url}>")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(comment: &str) -> String {
        Markdown::new(comment).text
    }

    #[test]
    fn plain_text_stays() {
        for comment in ["One user by number.", "`a < b`, *see* RFC 1", "# Head\n\n- a\n  b\n- [ ] c\n\n> d"] {
            assert_eq!(text(comment), comment);
        }
        assert_eq!(text(" A\r\n\n\t\tB\u{202e}\r\n "), "A\n\n```text\nB\n```");
        assert_eq!(text("/ A\n/\n/ B"), "A\n\nB");
        assert_eq!(text("*\n A\n\n B "), "A\n\nB");
        assert!(!Markdown::new("a").has_blocks);
        assert!(Markdown::new("- a\nb").has_blocks);
    }

    #[test]
    fn code_blocks_are_text() {
        for (comment, expected) in [
            ("```\nfoo();\n```", "```text\nfoo();\n```"),
            ("```rust\nfoo();\n```", "```text\nfoo();\n```"),
            ("~~~ json,should_panic\nfoo();\n~~~", "~~~text\nfoo();\n~~~"),
            ("```json\n{}\n```", "```json\n{}\n```"),
            ("````no_run\n```\n````", "````text\n```\n````"),
            ("```\nfoo();", "```text\nfoo();\n```"),
            ("A:\n\n    foo();\n      bar();\n\nB", "A:\n\n```text\nfoo();\n  bar();\n```\n\nB"),
            ("A:\n\n    ```\n    foo();", "A:\n\n````text\n```\nfoo();\n````"),
            ("- ```rust\n  foo();\n  ```", "- ```text\n  foo();\n  ```"),
            ("-     foo();", "- foo();"),
            (">     foo();\n>     bar();", "> foo();\n> bar();"),
            ("1. a\n\n       foo();", "1. a\n\n foo();"),
        ] {
            assert_eq!(text(comment), expected, "{comment}");
        }
    }

    #[test]
    fn links_brackets_and_html_warn_nobody() {
        for (comment, expected) in [
            ("a[0], [User], [`Id`], [b][shop.User]", r"a\[0], \[User], \[`Id`], \[b]\[shop.User]"),
            ("[x](User) ![y](pic.png) [z][]", r"\[x](User) !\[y](pic.png) \[z][]"),
            ("[x](https://a.b) <https://a.b>", "[x](https://a.b) <https://a.b>"),
            ("see https://a.b/c_d(e), or http://x.y.", "see <https://a.b/c_d>(e), or <http://x.y>."),
            ("[https://a.b/c]", r"\[<https://a.b/c>]"),
            ("Vec<User>, <br>, a < b", r"Vec\<User>, \<br>, a < b"),
            ("<div>\n<!-- a -->", "\\<div>\n\\<!-- a -->"),
            ("<foo:bar> [^1]", r"\<foo:bar> \[^1]"),
            ("[a]: nowhere", r"\[a]: nowhere"),
            ("[a]: Page\n\n[b]: https://a.b\n\n[a] [b]", "\\[a]: Page\n\n[b]: https://a.b\n\n\\[a] [b]"),
        ] {
            assert_eq!(text(comment), expected, "{comment}");
        }
    }

    #[test]
    fn what_cannot_be_mended_is_shown_as_it_is() {
        assert_eq!(verbatim("a ``` b"), "````text\na ``` b\n````");
    }
}
