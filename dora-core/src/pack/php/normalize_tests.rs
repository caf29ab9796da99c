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
fn references_to_nothing_or_outwards_lead_nowhere() {
    for (input, output) in [
        ("R:1;", "R:0;"),
        ("r:1;", "R:0;"),
        ("R:0;", "R:0;"),
        ("a:1:{i:0;R:1;}", "a:1:{i:0;R:0;}"),
        ("a:1:{i:0;a:1:{i:0;R:2;}}", "a:1:{i:0;a:1:{i:0;R:0;}}"),
        ("a:1:{i:0;R:2;}", "a:1:{i:0;R:0;}"),
        ("a:2:{i:0;R:3;i:1;i:1;}", "a:2:{i:0;R:0;i:1;i:1;}"),
        ("a:2:{i:0;i:1;i:0;R:2;}", "a:2:{i:0;i:1;i:0;R:0;}"),
        // What holds such a reference is copied with it.
        ("a:2:{i:0;a:1:{i:0;R:1;}i:1;R:2;}", "a:2:{i:0;a:1:{i:0;R:0;}i:1;a:1:{i:0;R:0;}}"),
    ] {
        assert_eq!(plain(input), output, "{input}");
    }
}

#[test]
fn objects_and_their_properties_are_numbered_as_php_numbers_them() {
    // serialize([$o, Suit::Up, $o, Suit::Up, $o->list]) of a `stdClass` with a reference in it.
    assert_eq!(
        plain(
            r#"a:5:{i:0;O:8:"stdClass":2:{s:1:"a";i:1;s:1:"b";R:3;}i:1;E:7:"Suit:Up";i:2;r:2;i:3;r:4;i:4;R:3;}"#
        ),
        r#"a:5:{i:0;O:8:"stdClass":2:{s:1:"a";i:1;s:1:"b";i:1;}i:1;E:7:"Suit:Up";i:2;O:8:"stdClass":2:{s:1:"a";i:1;s:1:"b";i:1;}i:3;E:7:"Suit:Up";i:4;i:1;}"#
    );
    // An object that holds itself.
    assert_eq!(plain(r#"O:1:"X":2:{s:1:"a";i:7;s:1:"x";r:1;}"#), r#"O:1:"X":2:{s:1:"a";i:7;s:1:"x";R:0;}"#);
}

/// The payload of a `C:` may have numbered values of its own.
#[test]
fn past_an_opaque_object_no_number_is_sure() {
    assert_eq!(
        plain(r#"a:5:{i:0;i:7;i:1;C:1:"X":2:{i:}i:2;R:2;i:3;r:3;i:4;R:4;}"#),
        r#"a:5:{i:0;i:7;i:1;C:1:"X":2:{i:}i:2;i:7;i:3;C:1:"X":2:{i:}i:4;R:0;}"#
    );
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
