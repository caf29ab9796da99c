use super::super::{Budget, PhpErrorKind, scan};
use super::decode;
use crate::pack::limits::Limits;
use crate::pack::value::Value;
use crate::value;

fn good(input: &str) -> Value {
    decode(input.as_bytes(), &Limits::default()).unwrap()
}

fn refused(input: &str) -> PhpErrorKind {
    let limits = Limits::default();
    let error = decode(input.as_bytes(), &limits).unwrap_err();
    let skipped = scan::skip_value(input.as_bytes(), &mut Budget::new(&limits));
    assert_eq!(skipped.unwrap_err(), error);
    error.kind()
}

#[test]
fn accepts_what_php_accepts() {
    assert_eq!(good("i:+7;"), value!(7));
    assert_eq!(good("i:-0;"), value!(0));
    assert_eq!(good("i:0000000000000000000000007;"), value!(7));
    assert_eq!(good("d:.5;"), value!(0.5));
    assert_eq!(good("d:1E3;"), value!(1000.0));
    assert_eq!(good("d:INF;"), value!(f64::INFINITY));
    assert_eq!(good("d:NAN;"), value!(f64::NAN));
    assert_eq!(good("d:3;"), value!(3.0));
    assert_eq!(good("d:0.10000000000000001;"), value!(0.1));
    assert_eq!(good(r#"S:3:"\61\62c";"#), value!("abc"));
    assert_eq!(good("N;rest"), value!(null));
    assert_eq!(good("i:-9223372036854775808;"), value!(i64::MIN));
    assert_eq!(good("a:01:{i:0;b:1;}"), value!([true]));
}

#[test]
fn keys_follow_php() {
    assert_eq!(
        good(r#"a:4:{s:1:"5";i:1;i:5;i:2;s:2:"05";i:3;S:1:"\61";i:4;}"#),
        value!({ 5 => 2, "05" => 3, "a" => 4 })
    );
    assert_eq!(
        good("a:3:{i:0;i:1;i:1;i:2;i:0;i:3;}"),
        value!([3, 2]),
        "the last wins and keeps the first place"
    );
}

#[test]
fn objects_enums_and_references_are_refused() {
    for object in [r#"O:1:"X":0:{}"#, r#"C:1:"X":0:{}"#, r#"E:3:"X:Y";"#] {
        assert_eq!(refused(object), PhpErrorKind::Object);
    }
    assert_eq!(refused("a:1:{i:0;R:1;}"), PhpErrorKind::Reference);
    assert_eq!(refused("r:1;"), PhpErrorKind::Reference);
}

#[test]
fn broken_bytes_are_refused_with_the_reason() {
    use PhpErrorKind as Kind;
    for (input, kind) in [
        ("", Kind::UnexpectedEnd),
        ("i:5", Kind::UnexpectedEnd),
        (r#"s:5:"ab";"#, Kind::UnexpectedEnd),
        ("a:1:{i:0;N;", Kind::UnexpectedEnd),
        ("b:2;", Kind::Syntax),
        ("n;", Kind::Syntax),
        ("i:;", Kind::Syntax),
        ("i:1.5;", Kind::Syntax),
        ("i:9223372036854775808;", Kind::IntOverflow),
        ("d:1.2.3;", Kind::Float),
        (r#"s:1:"ab";"#, Kind::Length),
        (r#"s:-1:"";"#, Kind::Syntax),
        ("a:-1:{}", Kind::Syntax),
        ("a:0:{i:0;N;}", Kind::Count),
        ("a:2:{i:0;N;}      ", Kind::Count),
        ("a:1:{i:0;N;i:1;N;}", Kind::Count),
        ("a:2147483647:{", Kind::Count),
        ("a:1:{b:1;N;}", Kind::Key),
        ("a:1:{N;i:123456;}", Kind::Key),
        (r#"S:1:"\6g";"#, Kind::Escape),
        ("s:99999999999999999999:\"\";", Kind::IntOverflow),
    ] {
        assert_eq!(refused(input), kind, "{input}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { depth: 2, nodes: 5, bytes: 64, ..Limits::default() };
    let kind = |input: &str| decode(input.as_bytes(), &limits).err().map(|e| e.kind());
    assert_eq!(kind("a:1:{i:0;a:0:{}}"), None);
    assert_eq!(kind("a:1:{i:0;a:1:{i:0;a:0:{}}}"), Some(PhpErrorKind::Depth));
    assert_eq!(kind("a:4:{i:0;N;i:1;N;i:2;N;i:3;N;}"), None);
    assert_eq!(kind("a:5:{i:0;N;i:1;N;i:2;N;i:3;N;i:4;N;}"), Some(PhpErrorKind::Nodes));
    assert_eq!(kind(&format!("N;{:70}", "")), Some(PhpErrorKind::Bytes));
}

#[test]
fn errors_say_where() {
    let input = r#"a:1:{s:3:"api";a:1:{s:3:"one";a:1:{s:5:"param";a:1:{i:0;O:1:"X":0:{}}}}}"#;
    let error = decode(input.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.path(), "api.one.param[0]");
    assert_eq!(error.offset(), input.find("O:"));
    assert_eq!(error.to_string(), "objects and enums are refused in api.one.param[0] at byte 56");
}
