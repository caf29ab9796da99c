use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer as _};

use super::{Serializer, to_vec};

fn text<T: Serialize>(value: &T) -> String {
    String::from_utf8(to_vec(value).unwrap()).unwrap()
}

#[derive(Serialize)]
struct User {
    id: u64,
    name: &'static str,
    tags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    rest: Option<()>,
}

#[derive(Serialize)]
enum Shape {
    Unit,
    New(i32),
    Tuple(i32, bool),
    Struct { x: f64 },
}

#[test]
fn structs_are_arrays_with_keys() {
    let user = User { id: u64::MAX, name: "Li", tags: vec!["a"], note: None, rest: None };
    assert_eq!(
        text(&user),
        r#"a:4:{s:2:"id";s:20:"18446744073709551615";s:4:"name";s:2:"Li";s:4:"tags";a:1:{i:0;s:1:"a";}s:4:"rest";N;}"#
    );
}

#[test]
fn enums_are_tagged_from_outside() {
    assert_eq!(text(&Shape::Unit), r#"s:4:"Unit";"#);
    assert_eq!(text(&Shape::New(1)), r#"a:1:{s:3:"New";i:1;}"#);
    assert_eq!(text(&Shape::Tuple(1, true)), r#"a:1:{s:5:"Tuple";a:2:{i:0;i:1;i:1;b:1;}}"#);
    assert_eq!(text(&Shape::Struct { x: 1.0 }), r#"a:1:{s:6:"Struct";a:1:{s:1:"x";d:1;}}"#);
}

#[test]
fn keys_follow_php() {
    let map = BTreeMap::from([("5", 1), ("x", 2)]);
    assert_eq!(text(&map), r#"a:2:{i:5;i:1;s:1:"x";i:2;}"#);
    assert_eq!(text(&BTreeMap::from([(true, 1)])), "a:1:{i:1;i:1;}");
    assert!(to_vec(&BTreeMap::from([(vec![1], 1)])).is_err());
}

#[test]
fn a_count_that_is_unknown_or_wrong_is_put_right() {
    for claim in [None, Some(100), Some(0)] {
        let mut out = b"before".to_vec();
        let mut serializer = Serializer::new(&mut out);
        let mut list = serializer.serialize_seq(claim).unwrap();
        list.serialize_element(&1).unwrap();
        list.serialize_element("x").unwrap();
        list.end().unwrap();
        assert_eq!(out, br#"beforea:2:{i:0;i:1;i:1;s:1:"x";}"#);
    }
}
