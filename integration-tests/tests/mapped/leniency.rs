//! What is read as what, and what is an error.

use std::collections::HashMap;
use std::fmt::Debug;

use dora_core::pack::mapped::Mapped;
use prost_types::value::Kind;
use prost_types::{Duration, FieldMask, Timestamp, Value};

use crate::everything::{Choice, Known, Lists, Maps, Optionals, Point, Scalars, Tree};
use crate::{from_json, from_php};

/// Asserts that the field of `T` that `field` picks reads `cases` from PHP.
#[track_caller]
fn reads<T: Mapped + PartialEq + Debug>(cases: impl IntoIterator<Item = (&'static str, T)>) {
    for (php, expected) in cases {
        assert_eq!(from_php::<T>(php).as_ref(), Ok(&expected), "{php}");
    }
}

/// Asserts that `T` cannot be read from any of `cases`, and why.
#[track_caller]
fn refuses<T: Mapped + PartialEq + Debug>(cases: &[(&str, &str)]) {
    for (php, why) in cases {
        let error = from_php::<T>(php).unwrap_err();
        assert!(error.contains(why), "{php}: {error}");
    }
}

#[test]
fn ints() {
    reads::<i64>([
        ("i:5;", 5),
        ("d:5;", 5),
        ("b:1;", 1),
        ("N;", 0),
        (r#"s:4:"1117";"#, 1117),
        (r#"s:7:" -1117 ";"#, -1117),
        (r#"s:3:"1e3";"#, 1000),
        (r#"s:4:"+5.0";"#, 5),
        (r#"s:20:"-9223372036854775808";"#, i64::MIN),
    ]);
    reads::<u64>([(r#"s:20:"18446744073709551615";"#, u64::MAX)]);
    refuses::<i64>(&[
        ("a:0:{}", "expected an int64, got an array"),
        ("d:1.5;", "expected an int64, got the float 1.5"),
        ("d:NAN;", "expected an int64, got the float NaN"),
        ("d:1.0E+19;", "expected an int64, got the float 1e19"),
        (r#"s:3:"12x";"#, "expected an int64, got the string \"12x\""),
        (r#"s:4:"0x1A";"#, "expected an int64"),
        (r#"s:2:"--";"#, "expected an int64"),
        (r#"s:19:"9223372036854775808";"#, "expected an int64"),
    ]);
    refuses::<i32>(&[("i:2147483648;", "expected an int32, got the int 2147483648")]);
    refuses::<u32>(&[("i:-1;", "expected a uint32, got the int -1")]);
    let error = from_json::<i64>("18446744073709551615").unwrap_err();
    assert!(error.starts_with("expected an int64, got the int 18446744073709551615"), "{error}");
}

#[test]
fn bools() {
    reads::<bool>([
        ("b:1;", true),
        ("i:1;", true),
        ("i:0;", false),
        ("d:1;", true),
        ("N;", false),
        (r#"s:1:"1";"#, true),
        (r#"s:1:"0";"#, false),
        (r#"s:0:"";"#, false),
        (r#"s:4:"true";"#, true),
        (r#"s:5:"false";"#, false),
    ]);
    refuses::<bool>(&[
        (r#"s:5:"maybe";"#, "expected a bool, got the string \"maybe\""),
        ("i:2;", "expected a bool, got the int 2"),
        ("a:0:{}", "expected a bool, got an array"),
    ]);
}

#[test]
fn floats() {
    reads::<f64>([
        ("d:1.5;", 1.5),
        ("i:3;", 3.0),
        ("b:1;", 1.0),
        (r#"s:5:"1.5e1";"#, 15.0),
        (r#"s:2:".5";"#, 0.5),
        ("d:INF;", f64::INFINITY),
    ]);
    reads::<f32>([("d:0.1;", 0.1), ("d:INF;", f32::INFINITY)]);
    refuses::<f32>(&[("d:1.0E+300;", "expected a float of 32 bits, got the float 1e300")]);
    refuses::<f64>(&[(r#"s:1:".";"#, "expected a double, got the string \".\"")]);
}

#[test]
fn strings() {
    reads::<String>([
        (r#"s:1:"x";"#, "x".to_owned()),
        ("i:5;", "5".to_owned()),
        ("d:1.5;", "1.5".to_owned()),
        ("d:2;", "2".to_owned()),
        ("d:1.0E+25;", "1.0E+25".to_owned()),
        ("b:1;", "1".to_owned()),
        ("b:0;", String::new()),
        ("N;", String::new()),
    ]);
    refuses::<String>(&[("a:0:{}", "expected a string, got an array")]);
    // Not "expected a string, got the string": what is wrong with it, and its bytes.
    let error = from_php::<String>(b"s:4:\"\xc4\xe3\"x\";").unwrap_err();
    let expected = r#"expected a string, got the string "\xc4\xe3\"x", which is not UTF-8"#;
    assert!(error.contains(expected), "{error}");
}

#[test]
fn bytes() {
    assert_eq!(from_php::<Vec<u8>>(b"s:1:\"\xff\";").unwrap(), [0xff]);
    assert_eq!(from_php::<Vec<u8>>("i:5;").unwrap(), b"5");
    for base64 in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(from_json::<Vec<u8>>(format!("\"{base64}\"")).unwrap(), [0xfb, 0xff]);
    }
    assert!(from_json::<Vec<u8>>(r#""*""#).unwrap_err().contains("expected bytes"));
    assert!(from_json::<Vec<u8>>("5").unwrap_err().contains("expected bytes"));
}

#[test]
fn enums() {
    let color = |php: &str| {
        let message = format!(r#"a:1:{{s:5:"color";{php}}}"#);
        from_php::<Scalars>(message).map(|scalars| scalars.color)
    };
    for (php, expected) in [
        ("i:1;", 1),
        ("i:99;", 99),
        (r#"s:1:"1";"#, 1),
        (r#"s:9:"COLOR_RED";"#, 1),
        (r#"s:13:"COLOR_CRIMSON";"#, 1),
        ("N;", 0),
    ] {
        assert_eq!(color(php), Ok(expected), "{php}");
    }
    let error = color(r#"s:4:"BLUE";"#).unwrap_err();
    assert!(
        error.contains("expected a name or number of everything.Color, got the string \"BLUE\""),
        "{error}"
    );
}

#[test]
fn messages() {
    reads::<Point>([
        ("a:0:{}", Point::default()),
        ("N;", Point::default()),
        (r#"a:1:{s:1:"y";i:2;}"#, Point { x: 0, y: 2 }),
        // Unknown keys are skipped, whatever they hold; PDO adds numbers.
        (r#"a:3:{s:1:"z";a:1:{i:0;N;}i:0;i:7;s:1:"x";i:1;}"#, Point { x: 1, y: 0 }),
        // The last of two wins.
        (r#"a:2:{s:1:"x";i:1;s:1:"x";i:2;}"#, Point { x: 2, y: 0 }),
    ]);
    refuses::<Point>(&[
        ("a:1:{i:0;i:7;}", "expected a message (everything.Point), got a list"),
        ("i:7;", "expected a message (everything.Point), got the int 7"),
        ("b:1;", "expected a message (everything.Point), got true"),
        (r#"s:1:"0";"#, "expected a message (everything.Point), got the string \"0\""),
    ]);
    assert_eq!(from_json::<Point>("[]"), Ok(Point::default()));
    assert!(from_json::<Point>("[1]").unwrap_err().contains("got a list"));
    assert!(from_json::<Point>(r#"{"x":1} x"#).unwrap_err().contains("trailing"));
    let camel: Maps = from_json(r#"{"byInt":{"1":"a"}}"#).unwrap();
    assert!(camel.by_int.is_empty());
}

/// `php` as the field called `field` of a message.
fn within<T: Mapped>(field: &str, php: &str) -> Result<T, String> {
    from_php(format!("a:1:{{s:{}:\"{field}\";{php}}}", field.len()))
}

/// What PHP says where there is nothing.
const NOTHING: [&str; 3] = ["N;", "b:0;", r#"s:0:"";"#];

#[test]
fn nothing_is_what_php_says_where_nothing_is_found() {
    for nothing in NOTHING {
        assert_eq!(from_php::<Point>(nothing), Ok(Point::default()), "a result by itself: {nothing}");
        assert_eq!(within("message", nothing), Ok(Optionals::default()), "a message: {nothing}");
        for field in ["int32", "color"] {
            assert_eq!(within(field, nothing), Ok(Optionals::default()), "optional {field}: {nothing}");
        }
        for member in ["number", "color", "point", "nothing"] {
            assert_eq!(within(member, nothing), Ok(Choice::default()), "member {member}: {nothing}");
        }
        for field in ["int32", "uint64", "double", "float", "bool", "string", "bytes", "color"] {
            assert_eq!(within(field, nothing), Ok(Scalars::default()), "{field}: {nothing}");
        }
        for field in ["ints", "points", "strings"] {
            assert_eq!(within(field, nothing), Ok(Lists::default()), "{field}: {nothing}");
        }
        for field in ["by_int", "points"] {
            assert_eq!(within(field, nothing), Ok(Maps::default()), "{field}: {nothing}");
        }
        for field in ["timestamp", "duration", "fields", "list", "any", "empty", "int32", "uint64", "double"]
        {
            assert_eq!(within(field, nothing), Ok(Known::default()), "{field}: {nothing}");
        }
        let lists = within::<Lists>("points", &format!("a:2:{{i:0;{nothing}i:1;a:1:{{s:1:\"x\";i:1;}}}}"));
        assert_eq!(lists.map(|lists| lists.points), Ok(vec![Point::default(), Point { x: 1, y: 0 }]));
    }
    let from_json = |json| from_json::<Optionals>(json);
    assert_eq!(from_json(r#"{"int32":"","message":false}"#), Ok(Optionals::default()));
}

#[test]
fn what_is_a_value_is_not_nothing() {
    let optionals: Optionals = within("string", r#"s:0:"";"#).unwrap();
    assert_eq!(optionals.string.as_deref(), Some(""));
    let optionals: Optionals = within("bytes", r#"s:0:"";"#).unwrap();
    assert_eq!(optionals.bytes.as_deref(), Some(&[][..]));
    assert_eq!(within("string", "b:0;"), Ok(Optionals::default()), "`get()` found no string");
    for no in ["b:0;", r#"s:0:"";"#] {
        let known: Known = within("bool", no).unwrap();
        assert_eq!(known.bool, Some(false), "{no}");
    }
    let known: Known = within("value", "b:0;").unwrap();
    assert_eq!(known.value.and_then(|value| value.kind), Some(Kind::BoolValue(false)));
    let known: Known = within("mask", r#"s:0:"";"#).unwrap();
    assert_eq!(known.mask, Some(FieldMask::default()));
    let choice: Choice = within("text", r#"s:0:"";"#).unwrap();
    assert_eq!(choice.value, Some(crate::everything::choice::Value::Text(String::new())));
    for zero in ["i:0;", r#"s:1:"0";"#, "d:0;"] {
        let optionals: Optionals = within("int32", zero).unwrap();
        assert_eq!(optionals.int32, Some(0), "{zero}");
        assert!(within::<Optionals>("message", zero).is_err(), "{zero}");
    }
    // A key is there: it stands for nothing else.
    assert!(within::<Maps>("by_int", r#"a:1:{s:0:"";s:1:"x";}"#).is_err());
    for blank in [r#"s:1:" ";"#, r#"s:4:"null";"#, r#"s:1:"x";"#] {
        assert!(within::<Scalars>("int32", blank).is_err(), "{blank}");
    }
}

#[test]
fn strict_messages_take_null_alone_for_nothing() {
    use crate::strict::{User, user};

    for (field, bad) in [
        ("id", r#"s:0:"";"#),
        ("parent", r#"s:0:"";"#),
        ("friend", "b:0;"),
        ("friend", r#"s:0:"";"#),
        ("tags", "b:0;"),
        ("tags", r#"a:1:{i:0;s:0:"";}"#),
        ("number", r#"s:0:"";"#),
    ] {
        let error = within::<User>(field, bad).unwrap_err();
        assert!(error.contains("expected") && error.contains(field), "{error}");
    }
    assert!(from_php::<User>("b:0;").unwrap_err().contains("got false"));
    for field in ["id", "parent", "friend", "tags", "number", "text"] {
        assert_eq!(within(field, "N;"), Ok(User::default()), "{field}");
    }
    // `false` is an int to PHP, and no word for nothing here.
    let user: User = within("parent", "b:0;").unwrap();
    assert_eq!(user.parent, Some(0));
    let user: User = within("text", "b:0;").unwrap();
    assert_eq!(user.value, Some(user::Value::Text(String::new())));
}

#[test]
fn objects() {
    reads::<Point>([
        (r#"O:8:"stdClass":2:{s:1:"x";i:1;s:1:"y";i:2;}"#, Point { x: 1, y: 2 }),
        (r#"O:8:"stdClass":0:{}"#, Point::default()),
        ("O:5:\"Point\":2:{s:4:\"\0*\0x\";i:1;s:8:\"\0Point\0y\";i:2;}", Point { x: 1, y: 2 }),
        // The class's own, not that of its parent.
        ("O:1:\"C\":2:{s:4:\"\0P\0x\";i:1;s:4:\"\0C\0x\";i:2;}", Point { x: 2, y: 0 }),
        // Unknown keys are skipped, whatever they hold.
        (r#"a:3:{s:1:"z";C:3:"Old":1:{x}s:1:"x";i:1;s:1:"u";R:0;}"#, Point { x: 1, y: 0 }),
        (r#"a:2:{s:1:"z";O:1:"X":1:{s:1:"x";E:7:"Suit:Up";}s:1:"x";i:1;}"#, Point { x: 1, y: 0 }),
    ]);
    refuses::<Point>(&[
        (r#"a:1:{s:1:"x";O:1:"X":0:{}}"#, "expected an int32, got an array in x"),
        (r#"a:1:{s:1:"x";C:3:"Old":1:{x}}"#, "an object that only its class can read in x at byte 13"),
        (r#"a:1:{s:1:"x";R:0;}"#, "reference to nothing"),
        (r#"a:1:{s:1:"x";E:7:"Suit:Up";}"#, "expected an int32, got the string \"Up\" in x"),
        (r#"E:7:"Suit:Up";"#, "expected a message (everything.Point), got the string \"Up\""),
    ]);
    reads::<HashMap<String, i64>>([(
        r#"O:8:"stdClass":2:{s:1:"5";i:1;s:1:"a";i:2;}"#,
        HashMap::from([("5".into(), 1), ("a".into(), 2)]),
    )]);
    reads::<HashMap<i32, i64>>([(r#"O:8:"stdClass":1:{s:1:"5";i:1;}"#, HashMap::from([(5, 1)]))]);
    reads::<Vec<i64>>([(r#"O:8:"stdClass":2:{s:1:"0";i:7;s:1:"1";i:8;}"#, vec![7, 8])]);
    reads::<String>([(r#"E:7:"Suit:Up";"#, "Up".to_owned())]);
    let color = from_php::<Scalars>(r#"a:1:{s:5:"color";E:15:"Color:COLOR_RED";}"#);
    assert_eq!(color.map(|scalars| scalars.color), Ok(1));
    for (php, json) in [
        (r#"O:8:"stdClass":1:{s:1:"a";O:8:"stdClass":0:{}}"#, r#"{"a":{}}"#),
        (r#"O:8:"stdClass":1:{s:1:"0";i:1;}"#, r#"{"0":1}"#),
    ] {
        assert_eq!(crate::to_json(&from_php::<Value>(php).unwrap()), json);
    }
}

#[test]
fn lists() {
    let ints = |php: &str| from_php::<Vec<i64>>(php);
    assert_eq!(ints("a:0:{}"), Ok(vec![]));
    assert_eq!(ints("N;"), Ok(vec![]));
    assert_eq!(ints("a:2:{i:3;i:7;i:1;N;}"), Ok(vec![7, 0]));
    assert!(
        ints(r#"a:1:{s:1:"a";i:7;}"#)
            .unwrap_err()
            .contains("expected a list, got an array with the key \"a\"")
    );
    assert!(ints("i:7;").unwrap_err().contains("expected a list, got the int 7"));
    // What json_encode makes of a PHP array with holes.
    let lists: Lists = from_json(r#"{"ints":{"1":5,"3":"6"}}"#).unwrap();
    assert_eq!(lists.ints, [5, 6]);
}

#[test]
fn maps() {
    type ByInt = HashMap<i32, String>;
    assert_eq!(from_php::<ByInt>("a:0:{}"), Ok(HashMap::new()));
    assert_eq!(
        from_php::<ByInt>(r#"a:2:{i:0;s:1:"a";i:1;s:1:"b";}"#),
        Ok(HashMap::from([(0, "a".into()), (1, "b".into())]))
    );
    assert_eq!(from_json::<ByInt>("[]"), Ok(HashMap::new()));
    assert!(from_json::<ByInt>(r#"["a"]"#).unwrap_err().contains("expected a map, got a list"));
    assert!(from_json::<ByInt>(r#"{"x":"a"}"#).unwrap_err().contains("expected an int32"));
    assert_eq!(
        from_php::<HashMap<bool, i64>>("a:2:{i:0;i:1;i:1;i:2;}"),
        Ok(HashMap::from([(false, 1), (true, 2)]))
    );
    assert_eq!(from_php::<HashMap<String, i64>>("a:1:{i:5;i:1;}"), Ok(HashMap::from([("5".into(), 1)])));
}

#[test]
fn times() {
    let seconds = |seconds| Timestamp { seconds, nanos: 0 };
    reads::<Timestamp>([
        (r#"s:20:"1970-01-01T00:00:10Z";"#, seconds(10)),
        (r#"s:25:"1970-01-01T01:00:10+01:00";"#, seconds(10)),
        (r#"s:19:"1970-01-01 00:00:10";"#, seconds(10)),
        ("i:10;", seconds(10)),
        (r#"s:2:"10";"#, seconds(10)),
        ("d:-0.5;", Timestamp { seconds: -1, nanos: 500_000_000 }),
    ]);
    refuses::<Timestamp>(&[
        (r#"s:9:"yesterday";"#, "expected a timestamp, got the string \"yesterday\""),
        (r#"s:22:"+99999-01-01T00:00:10Z";"#, "expected a timestamp"),
        ("i:9223372036854775807;", "expected a timestamp"),
        ("d:1.0E+300;", "expected a timestamp"),
        ("b:1;", "expected a timestamp, got true"),
    ]);
    reads::<Duration>([
        (r#"s:4:"1.5s";"#, Duration { seconds: 1, nanos: 500_000_000 }),
        ("d:-1.5;", Duration { seconds: -1, nanos: -500_000_000 }),
        ("i:3;", Duration { seconds: 3, nanos: 0 }),
        (r#"s:1:"3";"#, Duration { seconds: 3, nanos: 0 }),
    ]);
    refuses::<Duration>(&[
        (r#"s:2:"1m";"#, "expected a duration"),
        ("i:9223372036854775807;", "expected a duration"),
    ]);
}

#[test]
fn field_masks() {
    let mask = FieldMask { paths: vec!["a".into(), "b.c".into()] };
    assert_eq!(from_php::<FieldMask>(r#"s:6:"a, b.c";"#), Ok(mask.clone()));
    assert_eq!(from_php::<FieldMask>(r#"a:2:{i:0;s:1:"a";i:1;s:3:"b.c";}"#), Ok(mask));
    assert_eq!(from_php::<FieldMask>(r#"s:0:"";"#), Ok(FieldMask::default()));
}

#[test]
fn values_take_everything() {
    for (php, json) in [
        ("N;", "null"),
        ("i:1;", "1"),
        (r#"s:1:"a";"#, r#""a""#),
        ("a:2:{i:0;b:1;i:1;a:0:{}}", "[true,[]]"),
        (r#"a:2:{i:0;i:1;s:1:"a";N;}"#, r#"{"0":1,"a":null}"#),
    ] {
        let value: Value = from_php(php).unwrap();
        assert_eq!(crate::to_json(&value), json);
        let back: Value = from_json(json).unwrap();
        assert_eq!(back, value);
    }
}

#[test]
fn errors_say_where() {
    let tree = r#"{"left":{"others":[{},{"name":[]}]}}"#;
    let error = from_json::<Tree>(tree).unwrap_err();
    assert!(error.starts_with("left.others[1].name: expected a string, got an array"), "{error}");

    let tree = r#"a:1:{s:4:"left";a:1:{s:6:"others";a:1:{i:0;a:1:{s:4:"name";a:0:{}}}}}"#;
    let error = from_php::<Tree>(tree).unwrap_err();
    assert!(error.contains("left.others[0].name"), "{error}");
    assert!(error.contains("expected a string, got an array"), "{error}");

    let error = from_json::<Maps>(r#"{"points":{"home":{"x":"far"}}}"#).unwrap_err();
    assert!(error.starts_with("points.home.x: expected an int32, got the string \"far\""), "{error}");

    let error = from_json::<Optionals>(r#"{"int32":4294967296}"#).unwrap_err();
    assert!(error.starts_with("int32: expected an int32, got the int 4294967296"), "{error}");
}

#[test]
fn errors_neither_flood_a_log_nor_forge_its_lines() {
    let long = "k\\n".repeat(100_000);
    for json in [
        format!(r#"{{"points":{{"{long}":7}}}}"#),
        format!(r#"{{"by_string":{{"a":"{long}"}}}}"#),
        format!(r#"{{"points":{{"a":{{"{long}":[}}}}}}"#),
        format!("{}{}", r#"{"left":"#.repeat(200), "}".repeat(200)),
    ] {
        for error in
            [from_json::<Maps>(&json).unwrap_err(), from_json::<Tree>(&json).err().unwrap_or_default()]
        {
            assert!(error.len() < 500, "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
