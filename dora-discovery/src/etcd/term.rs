//! Which of two runs at an address is the later one.
//!
//! A run has a term: the revision of the cluster when it was first announced. It stands in
//! the value beside the record, is no part of it, and is kept by the run for as long as it
//! lives: so who was away, and is announced again, is still the earlier one. No clock of a
//! machine is asked.

use std::borrow::Cow;

use dora_core::discovery::record::InstanceRecord;
use serde::Deserialize;

/// The record that this text is, with its term.
pub(super) fn with_term(text: &str, term: i64) -> String {
    format!("{},\"term\":{term}}}", text.strip_suffix('}').unwrap_or(text))
}

/// A run, as a value says it.
#[derive(Default, Deserialize)]
struct Run<'a> {
    #[serde(borrow)]
    generation: Cow<'a, str>,
    #[serde(default)]
    term: i64,
}

/// The term in a value; 0 if there is none.
pub(super) fn of(value: &[u8]) -> i64 {
    read(value).term
}

/// The term of the run whose record this is; 0 if it is none, or that of `run` itself.
pub(super) fn of_another(value: &[u8], run: &InstanceRecord) -> i64 {
    let known = read(value);
    if known.generation == format!("{:016x}", run.generation) { 0 } else { known.term }
}

fn read(value: &[u8]) -> Run<'_> {
    serde_json::from_slice(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[test]
    fn a_term_is_no_part_of_a_record() {
        let run = InstanceRecord::new("a:1");
        let text = with_term(&json::encode(&run).expect("good"), 7);
        assert_eq!(json::decode(text.as_bytes()).expect("good"), run);
        assert_eq!(of_another(text.as_bytes(), &InstanceRecord::new("a:1")), 7);
        assert_eq!(of_another(text.as_bytes(), &run), 0);
        assert_eq!((of(text.as_bytes()), of(b"junk")), (7, 0));
        assert_eq!(of_another(b"junk", &run), 0);
    }
}
