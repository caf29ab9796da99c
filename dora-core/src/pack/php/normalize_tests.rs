use super::super::{PhpErrorKind, decode};
use super::normalize;
use crate::pack::limits::Limits;
use crate::value;

fn plain(input: &str) -> String {
    String::from_utf8(normalize(input.as_bytes(), &Limits::default()).unwrap()).unwrap()
}

fn refused(input: &str) -> PhpErrorKind {
    normalize(input.as_bytes(), &Limits::default()).unwrap_err().kind()
}

#[test]
fn values_are_numbered_as_php_numbers_them() {
    // `res-reference-h` of the recorded PHP traffic.
    let recorded = concat!(
        r#"a:4:{s:4:"guid";s:2:"d7";s:4:"code";i:0;s:3:"msg";s:2:"OK";s:4:"data";"#,
        r#"a:4:{s:4:"guid";s:2:"d7";s:4:"code";i:0;s:3:"msg";s:2:"OK";s:4:"data";"#,
        r#"a:2:{s:1:"a";i:5;s:1:"b";R:10;}}}"#
    );
    assert_eq!(plain(recorded), recorded.replace("R:10;", "i:5;"));
    assert_eq!(plain("a:4:{i:0;i:7;i:1;R:2;i:2;i:8;i:3;R:3;}"), "a:4:{i:0;i:7;i:1;i:7;i:2;i:8;i:3;i:8;}");
    assert_eq!(plain("a:3:{i:0;i:7;i:1;r:2;i:2;R:3;}"), "a:3:{i:0;i:7;i:1;i:7;i:2;i:7;}");
}

#[test]
fn whole_arrays_are_copied_and_bytes_after_the_value_are_left_out() {
    assert_eq!(plain("a:2:{i:0;a:1:{i:0;N;}i:1;R:2;}rest"), "a:2:{i:0;a:1:{i:0;N;}i:1;a:1:{i:0;N;}}");
}

#[test]
fn a_key_that_comes_again_takes_its_references_along() {
    let bytes = plain("a:3:{i:0;i:1;i:0;i:2;i:1;R:2;}");
    let value = decode(bytes.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(value, value!([2, 2]));
}

#[test]
fn references_to_nothing_or_outwards_are_refused() {
    for input in [
        "R:1;",
        "r:1;",
        "R:0;",
        "a:1:{i:0;R:1;}",
        "a:1:{i:0;a:1:{i:0;R:2;}}",
        "a:1:{i:0;R:2;}",
        "a:2:{i:0;R:3;i:1;i:1;}",
        "a:2:{i:0;i:1;i:0;R:2;}",
    ] {
        assert_eq!(refused(input), PhpErrorKind::DanglingReference, "{input}");
    }
}

#[test]
fn references_cannot_multiply_past_the_limits() {
    use std::fmt::Write;
    // Each element is an array of ten references to the one before it.
    let mut bomb = String::from("a:12:{i:0;s:8:\"xxxxxxxx\";");
    for (slot, level) in (2..).zip(1..12) {
        let _ = write!(bomb, "i:{level};a:10:{{");
        for at in 0..10 {
            let _ = write!(bomb, "i:{at};R:{slot};");
        }
        bomb.push('}');
    }
    bomb.push('}');
    assert_eq!(refused(&bomb), PhpErrorKind::Bytes);

    let limits = Limits { nodes: 4, ..Limits::default() };
    let error = normalize(b"a:2:{i:0;a:1:{i:0;N;}i:1;R:2;}", &limits).unwrap_err();
    assert_eq!(error.kind(), PhpErrorKind::Nodes);
}
