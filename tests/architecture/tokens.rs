//! Questions to ask of a few tokens in a row.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Words that can stand before an array, a slice type or a slice pattern.
const KEYWORDS: [&str; 32] = [
    "as", "async", "box", "break", "const", "continue", "dyn", "else", "enum", "extern", "fn", "for", "if",
    "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct",
    "trait", "type", "unsafe", "use", "where", "while",
];

pub(crate) fn trees(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

pub(crate) fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

pub(crate) fn ident(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at) {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

pub(crate) fn is_punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

pub(crate) fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')
}

/// Whether `::` after `token` goes on with a path, as in `Vec::<u8>::new`.
pub(crate) fn ends_path(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == '>',
        _ => false,
    }
}

/// The brackets of `#[..]`.
pub(crate) fn attribute(tokens: &[TokenTree]) -> Option<&Group> {
    match (is_punct(tokens, 0, '#'), tokens.get(1)) {
        (true, Some(TokenTree::Group(group))) => Some(group),
        _ => None,
    }
}

/// `cfg(test)` or `cfg(all(test, ..))`
pub(crate) fn is_cfg_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// The file named by `path = ".."`.
pub(crate) fn path_in(attribute: &Group) -> Option<String> {
    let tokens = trees(attribute.stream());
    match (ident(&tokens, 0)?.as_str(), tokens.get(2)) {
        ("path", Some(TokenTree::Literal(path))) => Some(path.to_string().trim_matches('"').to_owned()),
        _ => None,
    }
}

pub(crate) fn is_macro_export(attribute: &Group) -> bool {
    let tokens = trees(attribute.stream());
    ident(&tokens, 0).as_deref() == Some("macro_export")
}

/// The name in `macro_rules! name`.
pub(crate) fn macro_name(tokens: &[TokenTree]) -> Option<String> {
    let name = ident(tokens, 2)?;
    (ident(tokens, 0)? == "macro_rules").then_some(name)
}

/// Whether arguments begin with a string, as the message of `expect` does.
pub(crate) fn is_text(arguments: &Group) -> bool {
    arguments.stream().to_string().starts_with('"')
}

/// Whether brackets after an expression cannot be an index that panics: the
/// full range, and repetitions in macro patterns.
pub(crate) fn indexes_nothing(brackets: &Group) -> bool {
    let text = brackets.stream().to_string();
    text == ".." || text.starts_with("$ (") || text.starts_with("$(")
}

pub(crate) fn module_file(tokens: &[TokenTree]) -> Option<String> {
    let name = ident(tokens, 1)?;
    (ident(tokens, 0)? == "mod" && is_punct(tokens, 2, ';')).then_some(name)
}

pub(crate) fn inline_module(tokens: &[TokenTree]) -> Option<(String, &Group)> {
    match (ident(tokens, 0)?.as_str(), ident(tokens, 1), tokens.get(2)) {
        ("mod", Some(name), Some(TokenTree::Group(body))) => Some((name, body)),
        _ => None,
    }
}

/// Whether brackets after `tokens` are an index.
pub(crate) fn ends_expression(tokens: &[TokenTree]) -> bool {
    let Some((last, before)) = tokens.split_last() else {
        return false;
    };
    let preceded_by = |mark: char| {
        let last = before.len().saturating_sub(1);
        is_punct(before, last, mark)
    };
    match last {
        TokenTree::Ident(word) => {
            let lifetime = preceded_by('\'');
            !lifetime && !KEYWORDS.contains(&word.to_string().as_str())
        }
        TokenTree::Punct(punct) => punct.as_char() == '?',
        TokenTree::Literal(_) => true,
        TokenTree::Group(group) => match group.delimiter() {
            // `pub(crate) [u8; 4]` is a field.
            Delimiter::Parenthesis => ident(before, before.len().wrapping_sub(1)).as_deref() != Some("pub"),
            Delimiter::Bracket => !preceded_by('#'),
            Delimiter::Brace | Delimiter::None => false,
        },
    }
}
