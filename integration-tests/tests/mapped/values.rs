//! How each kind of field is written, and that it comes back.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use dora_core::pack::mapped::Mapped;
use prost_types::value::Kind;
use prost_types::{Any, Duration, FieldMask, ListValue, Struct, Timestamp, Value};

use crate::everything::names::{Self_, self_};
use crate::everything::{Choice, Color, Known, Lists, Maps, Optionals, Point, Scalars, Tree, choice};
use crate::{from_json, from_php, to_json, to_php};

/// Asserts both forms of `message`, and that it can be read from either.
#[track_caller]
fn forms<T: Mapped + PartialEq + Debug>(message: T, php: &str, json: &str) {
    assert_eq!(to_json(&message), json);
    assert_eq!(to_php(&message), php);
    assert_eq!(from_json::<T>(json).unwrap(), message);
    assert_eq!(from_php::<T>(dora_core_php(&message)).unwrap(), message);
}

fn dora_core_php<T: Mapped>(message: &T) -> Vec<u8> {
    dora_core::pack::mapped::to_php(message).unwrap()
}

#[test]
fn scalars_are_written_even_when_they_are_the_default() {
    let zeros = r#"{"int32":0,"int64":0,"uint32":0,"uint64":0,"sint32":0,"sint64":0,"fixed32":0,"fixed64":0,"sfixed32":0,"sfixed64":0,"float":0.0,"double":0.0,"bool":false,"string":"","bytes":"","color":0}"#;
    assert_eq!(to_json(&Scalars::default()), zeros);
    assert_eq!(from_json::<Scalars>(zeros).unwrap(), Scalars::default());
}

#[test]
fn scalars() {
    forms(
        Scalars {
            int32: i32::MIN,
            int64: i64::MIN,
            uint32: u32::MAX,
            uint64: u64::MAX,
            float: 0.1,
            double: -1.5,
            bool: true,
            string: "é".into(),
            bytes: vec![0xfb, 0xff].into(),
            color: Color::Red.into(),
            ..Default::default()
        },
        "a:16:{s:5:\"int32\";i:-2147483648;s:5:\"int64\";i:-9223372036854775808;\
         s:6:\"uint32\";i:4294967295;s:6:\"uint64\";s:20:\"18446744073709551615\";\
         s:6:\"sint32\";i:0;s:6:\"sint64\";i:0;s:7:\"fixed32\";i:0;s:7:\"fixed64\";i:0;\
         s:8:\"sfixed32\";i:0;s:8:\"sfixed64\";i:0;s:5:\"float\";d:0.1;s:6:\"double\";d:-1.5;\
         s:4:\"bool\";b:1;s:6:\"string\";s:2:\"é\";s:5:\"bytes\";s:2:\"\u{fffd}\u{fffd}\";s:5:\"color\";i:1;}",
        r#"{"int32":-2147483648,"int64":-9223372036854775808,"uint32":4294967295,"uint64":"18446744073709551615","sint32":0,"sint64":0,"fixed32":0,"fixed64":0,"sfixed32":0,"sfixed64":0,"float":0.1,"double":-1.5,"bool":true,"string":"é","bytes":"+/8=","color":1}"#,
    );
}

#[test]
fn what_is_not_set_is_left_out() {
    forms(Optionals::default(), "a:0:{}", "{}");
    forms(
        Optionals { int32: Some(0), string: Some(String::new()), color: Some(7), ..Default::default() },
        r#"a:3:{s:5:"int32";i:0;s:6:"string";s:0:"";s:5:"color";i:7;}"#,
        r#"{"int32":0,"string":"","color":7}"#,
    );
    assert_eq!(from_json::<Optionals>(r#"{"int32":null,"message":null}"#).unwrap(), Optionals::default());
}

#[test]
fn lists() {
    forms(
        Lists {
            ints: vec![7],
            strings: vec!["a".into(), "b".into()],
            bytes: vec![vec![0].into()],
            colors: vec![1],
            points: vec![Point { x: 1, y: 2 }],
        },
        "a:5:{s:4:\"ints\";a:1:{i:0;i:7;}s:7:\"strings\";a:2:{i:0;s:1:\"a\";i:1;s:1:\"b\";}\
         s:5:\"bytes\";a:1:{i:0;s:1:\"\0\";}s:6:\"colors\";a:1:{i:0;i:1;}\
         s:6:\"points\";a:1:{i:0;a:2:{s:1:\"x\";i:1;s:1:\"y\";i:2;}}}",
        r#"{"ints":[7],"strings":["a","b"],"bytes":["AA=="],"colors":[1],"points":[{"x":1,"y":2}]}"#,
    );
}

#[test]
fn maps() {
    forms(
        Maps {
            by_int: HashMap::from([(-1, "a".into())]),
            by_string: HashMap::from([("5".into(), 6)]),
            by_bool: HashMap::from([(true, 0.5)]),
            colors: HashMap::from([(u64::MAX, 1)]),
            points: HashMap::from([("o".into(), Point::default())]),
            bytes: HashMap::new(),
        },
        "a:6:{s:6:\"by_int\";a:1:{i:-1;s:1:\"a\";}s:9:\"by_string\";a:1:{i:5;i:6;}\
         s:7:\"by_bool\";a:1:{i:1;d:0.5;}s:6:\"colors\";a:1:{s:20:\"18446744073709551615\";i:1;}\
         s:6:\"points\";a:1:{s:1:\"o\";a:2:{s:1:\"x\";i:0;s:1:\"y\";i:0;}}s:5:\"bytes\";a:0:{}}",
        r#"{"by_int":{"-1":"a"},"by_string":{"5":6},"by_bool":{"true":0.5},"colors":{"18446744073709551615":1},"points":{"o":{"x":0,"y":0}},"bytes":{}}"#,
    );
}

#[test]
fn a_oneof_is_under_the_name_of_its_member() {
    let choice = |value| Choice { value: Some(value), ..Default::default() };
    forms(
        choice(choice::Value::Number(0)),
        r#"a:3:{s:6:"before";s:0:"";s:6:"number";i:0;s:5:"after";s:0:"";}"#,
        r#"{"before":"","number":0,"after":""}"#,
    );
    for value in [
        choice::Value::Text("x".into()),
        choice::Value::Color(1),
        choice::Value::Point(Point { x: 3, y: 0 }),
        choice::Value::Choice(Box::new(choice(choice::Value::Nothing(())))),
    ] {
        let message = choice(value);
        assert_eq!(from_json::<Choice>(to_json(&message)).unwrap(), message);
        assert_eq!(from_php::<Choice>(dora_core_php(&message)).unwrap(), message);
    }
}

#[test]
fn the_last_member_of_a_oneof_wins_and_null_does_not_count() {
    let read: Choice = from_json(r#"{"number":1,"text":"x","point":null}"#).unwrap();
    assert_eq!(read.value, Some(choice::Value::Text("x".into())));
}

#[test]
fn messages_within_themselves() {
    let leaf = Tree { name: "b".into(), ..Default::default() };
    forms(
        Tree { name: "a".into(), left: Some(Box::new(leaf.clone())), others: vec![leaf] },
        "a:3:{s:4:\"name\";s:1:\"a\";s:4:\"left\";a:2:{s:4:\"name\";s:1:\"b\";s:6:\"others\";a:0:{}}\
         s:6:\"others\";a:1:{i:0;a:2:{s:4:\"name\";s:1:\"b\";s:6:\"others\";a:0:{}}}}",
        r#"{"name":"a","left":{"name":"b","others":[]},"others":[{"name":"b","others":[]}]}"#,
    );
}

#[test]
fn depth_is_bounded_by_the_format() {
    let json = format!("{}{}", r#"{"left":"#.repeat(200), "}".repeat(200));
    assert!(from_json::<Tree>(json).unwrap_err().contains("recursion limit"));
    let php = r#"a:1:{s:4:"left";"#.repeat(100_000);
    assert!(from_php::<Tree>(php).unwrap_err().contains("deep"));
}

#[test]
fn well_known_types() {
    let value = |kind| Value { kind: Some(kind) };
    forms(
        Known {
            timestamp: Some(Timestamp { seconds: 1_484_443_815, nanos: 10_000_000 }),
            duration: Some(Duration { seconds: -1, nanos: -500_000_000 }),
            fields: Some(Struct { fields: BTreeMap::from([("a".into(), value(Kind::NumberValue(1.0)))]) }),
            value: Some(value(Kind::StructValue(Struct {
                fields: BTreeMap::from([("b".into(), value(Kind::BoolValue(true)))]),
            }))),
            list: Some(ListValue { values: vec![value(Kind::NullValue(0)), value(Kind::NumberValue(0.5))] }),
            any: Some(Any { type_url: "t".into(), value: vec![1] }),
            mask: Some(FieldMask { paths: vec!["a.b".into(), "c".into()] }),
            empty: Some(()),
            ..Default::default()
        },
        "a:11:{s:9:\"timestamp\";s:24:\"2017-01-15T01:30:15.010Z\";s:8:\"duration\";s:7:\"-1.500s\";\
         s:6:\"fields\";a:1:{s:1:\"a\";i:1;}s:5:\"value\";a:1:{s:1:\"b\";b:1;}\
         s:4:\"list\";a:2:{i:0;N;i:1;d:0.5;}s:4:\"null\";i:0;\
         s:3:\"any\";a:2:{s:8:\"type_url\";s:1:\"t\";s:5:\"value\";s:1:\"\u{1}\";}\
         s:4:\"mask\";s:5:\"a.b,c\";s:5:\"empty\";a:0:{}s:10:\"timestamps\";a:0:{}s:7:\"wrapped\";a:0:{}}",
        r#"{"timestamp":"2017-01-15T01:30:15.010Z","duration":"-1.500s","fields":{"a":1},"value":{"b":true},"list":[null,0.5],"null":0,"any":{"type_url":"t","value":"AQ=="},"mask":"a.b,c","empty":{},"timestamps":[],"wrapped":{}}"#,
    );
}

#[test]
fn wrappers_are_the_bare_value() {
    forms(
        Known {
            bool: Some(false),
            bytes: Some(vec![1]),
            float: Some(0.1),
            int64: Some(-1),
            string: Some("s".into()),
            uint64: Some(1),
            wrapped: HashMap::from([("k".into(), vec![2])]),
            ..Default::default()
        },
        "a:9:{s:4:\"null\";i:0;s:4:\"bool\";b:0;s:5:\"bytes\";s:1:\"\u{1}\";s:5:\"float\";d:0.1;\
         s:5:\"int64\";i:-1;s:6:\"string\";s:1:\"s\";s:6:\"uint64\";i:1;s:10:\"timestamps\";a:0:{}\
         s:7:\"wrapped\";a:1:{s:1:\"k\";s:1:\"\u{2}\";}}",
        r#"{"null":0,"bool":false,"bytes":"AQ==","float":0.1,"int64":-1,"string":"s","uint64":1,"timestamps":[],"wrapped":{"k":"Ag=="}}"#,
    );
}

#[test]
fn an_rpc_may_take_and_give_a_well_known_type() {
    forms((), "a:0:{}", "{}");
    forms(7_i64, "i:7;", "7");
    forms("x".to_owned(), r#"s:1:"x";"#, r#""x""#);
    assert_eq!(from_php::<()>("N;"), Ok(()));
}

#[test]
fn floats_beyond_json_are_strings_there() {
    for (n, php, json) in
        [(f64::INFINITY, "d:INF;", r#""Infinity""#), (f64::NEG_INFINITY, "d:-INF;", r#""-Infinity""#)]
    {
        forms(n, php, json);
    }
    assert_eq!(to_json(&f64::NAN), r#""NaN""#);
    assert!(from_json::<f64>(r#""NaN""#).unwrap().is_nan());
    assert!(from_php::<f64>("d:NAN;").unwrap().is_nan());
}

#[test]
fn times_out_of_range_are_not_written() {
    let timestamp = Timestamp { seconds: i64::MAX, nanos: 0 };
    assert!(dora_core::pack::mapped::to_php(&timestamp).is_err());
    let duration = Duration { seconds: i64::MIN, nanos: 0 };
    assert!(dora_core::pack::mapped::to_json(&duration).is_err());
}

#[test]
fn names_are_those_of_the_proto_whatever_rust_calls_them() {
    let names = Self_ {
        self_: 1,
        w: Some(1),
        item: vec![self_::Item::default()],
        choice: Some(self_::ChoiceOneOf::Fourth(1)),
        http_code: Some(404),
        ..Default::default()
    };
    forms(
        names,
        r#"a:6:{s:4:"self";i:1;s:1:"w";i:1;s:2:"vs";a:0:{}s:4:"item";a:1:{i:0;a:0:{}}s:6:"fourth";i:1;s:8:"HTTPCode";i:404;}"#,
        r#"{"self":1,"w":1,"vs":{},"item":[{}],"fourth":1,"HTTPCode":404}"#,
    );
}
