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
fn references_are_refused_unless_they_lead_nowhere() {
    assert_eq!(refused("a:1:{i:0;R:1;}"), PhpErrorKind::Reference);
    assert_eq!(refused("r:1;"), PhpErrorKind::Reference);
    let limits = Limits::default();
    for input in ["R:0;", "a:2:{i:0;i:1;i:1;r:0;}"] {
        let error = decode(input.as_bytes(), &limits).unwrap_err();
        assert_eq!(error.kind(), PhpErrorKind::DanglingReference);
        let end = scan::skip_value(input.as_bytes(), &mut Budget::new(&limits));
        assert_eq!(end.unwrap(), input.len(), "unread it does no harm");
    }
}

#[test]
fn objects_are_held_to_their_grammar() {
    use PhpErrorKind as Kind;
    for (input, kind) in [
        (r#"O:0:"":0:{}"#, Kind::Syntax),
        (r#"O:3:"a b":0:{}"#, Kind::Syntax),
        (r#"O:1:"-":0:{}"#, Kind::Syntax),
        (r#"O:+1:"X":0:{}"#, Kind::Syntax),
        (r#"o:1:"X":0:{}"#, Kind::Syntax),
        (r#"O:1:"XY":0:{}"#, Kind::Length),
        (r#"O:9:"XY":0:{}"#, Kind::UnexpectedEnd),
        (r#"O:1:"X":1:{}      "#, Kind::Count),
        (r#"O:1:"X":2147483647:{"#, Kind::Count),
        (r#"O:1:"X":4294967296:{"#, Kind::Count),
        (r#"O:1:"X":0:{i:0;N;}"#, Kind::Count),
        (r#"O:1:"X":1:{b:1;N;}"#, Kind::Key),
        (r#"O:1:"X":1:{s:1:"a";"#, Kind::UnexpectedEnd),
        (r#"E:5:"SuitA";"#, Kind::Syntax),
        (r#"E:2:":A";"#, Kind::Syntax),
        (r#"E:9:"Suit:A";"#, Kind::UnexpectedEnd),
        (r#"C:1:"X":9:{abc}"#, Kind::UnexpectedEnd),
        (r#"C:1:"X":2:{abc}"#, Kind::Length),
        (r#"C:1:"X":99999999999:{abc}"#, Kind::UnexpectedEnd),
        (r#"C:1:"-":0:{}"#, Kind::Syntax),
        ("O", Kind::UnexpectedEnd),
        ("O:", Kind::UnexpectedEnd),
    ] {
        assert_eq!(refused(input), kind, "{input}");
    }
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
    let limits = Limits { depth: 2, nodes: 5, bytes: 70, ..Limits::default() };
    let kind = |input: &str| decode(input.as_bytes(), &limits).err().map(|e| e.kind());
    assert_eq!(kind("a:1:{i:0;a:0:{}}"), None);
    assert_eq!(kind("a:1:{i:0;a:1:{i:0;a:0:{}}}"), Some(PhpErrorKind::Depth));
    assert_eq!(kind("a:4:{i:0;N;i:1;N;i:2;N;i:3;N;}"), None);
    assert_eq!(kind("a:5:{i:0;N;i:1;N;i:2;N;i:3;N;i:4;N;}"), Some(PhpErrorKind::Nodes));
    assert_eq!(kind(&format!("N;{:70}", "")), Some(PhpErrorKind::Bytes));
    assert_eq!(kind(r#"a:1:{i:0;O:1:"X":0:{}}"#), None);
    assert_eq!(kind(r#"O:1:"X":1:{i:0;O:1:"X":1:{i:0;O:1:"X":0:{}}}"#), Some(PhpErrorKind::Depth));
    assert_eq!(kind(r#"O:1:"X":5:{i:0;N;i:1;N;i:2;N;i:3;N;i:4;N;}"#), Some(PhpErrorKind::Nodes));
}

#[test]
fn errors_say_where() {
    let input = r#"a:1:{s:3:"api";a:1:{s:3:"one";a:1:{s:5:"param";O:1:"X":1:{s:1:"y";a:1:{i:0;x}}}}}"#;
    let error = decode(input.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.path(), "api.one.param.y[0]");
    assert_eq!(error.offset(), input.find("x}"));
    assert_eq!(error.to_string(), "not a serialized value in api.one.param.y[0] at byte 75");
}
