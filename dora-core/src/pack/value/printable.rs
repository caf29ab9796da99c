//! Showing what a peer sent.

/// The longest message that is told, in characters: it may quote the peer.
pub(in crate::pack) const LONGEST_MESSAGE: usize = 256;

/// Appends `text`, cut after `most` characters, with control characters escaped:
/// neither forges log lines nor floods them.
pub(in crate::pack) fn push(out: &mut String, text: &str, most: usize) {
    for char in text.chars().take(most) {
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    if text.chars().nth(most).is_some() {
        out.push_str("...");
    }
}

/// A message that is safe to log.
pub(in crate::pack) fn message(text: &str) -> String {
    let mut out = String::new();
    push(&mut out, text, LONGEST_MESSAGE);
    out
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn control_characters_are_escaped_and_length_is_capped() {
        assert_eq!(message("a\r\n\x1b[0mé"), "a\\r\\n\\u{1b}[0mé");
        assert_eq!(message(&"x".repeat(5000)).len(), 259);
    }
}
