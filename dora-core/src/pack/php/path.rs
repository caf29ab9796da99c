//! Saying under which keys something is wrong.

use std::fmt::Write;

use super::error::{Fault, PhpError};
use super::token::Cursor;
use crate::pack::value::{KeyRef, printable};

/// The longest path that is told, and the longest key in it, in characters.
const LONGEST_PATH: usize = 256;
const LONGEST_KEY: usize = 48;

/// The error that `fault` is, with its path.
pub(super) fn located(fault: Fault, input: &[u8]) -> PhpError {
    PhpError::new(fault.kind, fault.offset, locate(input, fault.offset))
}

/// The keys that lead to `offset` of `input`.
///
/// Walks again what was walked before: readers that succeed pay nothing.
pub(super) fn locate(input: &[u8], offset: usize) -> String {
    let mut cursor = Cursor::new(input);
    let mut open: Vec<(usize, Option<KeyRef<'_>>)> = Vec::new();
    'values: while cursor.offset() < offset {
        let Ok(token) = cursor.token() else { break };
        open.extend(token.pairs().map(|count| (count, None)));
        while let Some((left, key)) = open.last_mut() {
            *key = None;
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                match cursor.key() {
                    Ok(next) => *key = Some(next),
                    Err(_) => break 'values,
                }
                continue 'values;
            }
            if cursor.close().is_err() {
                break 'values;
            }
            open.pop();
        }
        break;
    }
    describe(open.iter().filter_map(|(_, key)| key.as_ref()))
}

fn describe<'a>(keys: impl Iterator<Item = &'a KeyRef<'a>>) -> String {
    let mut path = String::new();
    for key in keys {
        if path.len() > LONGEST_PATH {
            path.push_str("...");
            break;
        }
        match key {
            KeyRef::Int(int) => {
                let _ = write!(path, "[{int}]");
            }
            KeyRef::Str(bytes) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let text = String::from_utf8_lossy(bytes);
                printable::push(&mut path, &text, LONGEST_KEY);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::locate;

    fn at(input: &str, needle: &str) -> String {
        locate(input.as_bytes(), input.find(needle).unwrap())
    }

    #[test]
    fn names_the_keys_around_a_position() {
        let input =
            r#"a:2:{s:1:"a";i:1;s:3:"api";a:1:{s:3:"one";a:1:{s:5:"param";a:2:{i:0;i:7;i:3;O:1:"X":0:{}}}}}"#;
        assert_eq!(at(input, "O:"), "api.one.param[3]");
        assert_eq!(at(input, "i:7"), "api.one.param[0]");
        assert_eq!(at(input, "i:1"), "a");
        assert_eq!(locate(input.as_bytes(), 0), "");
    }

    #[test]
    fn keys_cannot_forge_log_lines_or_flood_them() {
        let input = "a:1:{s:3:\"a\n\x1b\";X";
        assert_eq!(at(input, "X"), "a\\n\\u{1b}");
        let key = "k".repeat(1000);
        let input = format!("a:1:{{s:1000:\"{key}\";X");
        assert_eq!(at(&input, "X").len(), 51);
    }
}
