//! Whatever a message holds comes back, and no bytes cause a panic.

use std::collections::HashMap;

use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::everything::{Choice, Lists, Maps, Optionals, Point, Scalars, Tree, choice};
use crate::{from_json, from_php};
use dora_core::pack::mapped::{to_json, to_php};

fn scalars() -> impl Strategy<Value = Scalars> {
    let ints = (any::<i32>(), any::<i64>(), any::<u32>(), any::<u64>());
    let others = (any::<f32>(), any::<f64>(), any::<bool>(), any::<String>());
    (ints, others, vec(any::<u8>(), 0..20), any::<i32>()).prop_map(|(ints, others, bytes, color)| Scalars {
        int32: ints.0,
        sint32: ints.0,
        sfixed32: ints.0,
        int64: ints.1,
        sint64: ints.1,
        sfixed64: ints.1,
        uint32: ints.2,
        fixed32: ints.2,
        uint64: ints.3,
        fixed64: ints.3,
        float: others.0,
        double: others.1,
        bool: others.2,
        string: others.3,
        bytes: bytes.into(),
        color,
    })
}

fn point() -> impl Strategy<Value = Point> {
    (any::<i32>(), any::<i32>()).prop_map(|(x, y)| Point { x, y })
}

fn optionals() -> impl Strategy<Value = Optionals> {
    (option::of(any::<i32>()), option::of(any::<String>()), option::of(any::<i32>()), option::of(scalars()))
        .prop_map(|(int32, string, color, message)| Optionals { int32, string, bytes: None, color, message })
}

fn lists() -> impl Strategy<Value = Lists> {
    (vec(any::<i64>(), 0..5), vec(any::<String>(), 0..5), vec(point(), 0..5))
        .prop_map(|(ints, strings, points)| Lists { ints, strings, points, bytes: vec![], colors: vec![] })
}

fn maps() -> impl Strategy<Value = Maps> {
    let by_int: BoxedStrategy<HashMap<i32, String>> = hash_map(any::<i32>(), any::<String>(), 0..5).boxed();
    (by_int, hash_map(any::<String>(), any::<i64>(), 0..5), hash_map(any::<u64>(), any::<i32>(), 0..5))
        .prop_map(|(by_int, by_string, colors)| Maps { by_int, by_string, colors, ..Default::default() })
}

fn choice() -> impl Strategy<Value = Choice> {
    let leaf = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|n| Some(choice::Value::Number(n))),
        any::<String>().prop_map(|text| Some(choice::Value::Text(text))),
        any::<i32>().prop_map(|n| Some(choice::Value::Color(n))),
        point().prop_map(|point| Some(choice::Value::Point(point))),
        Just(Some(choice::Value::Nothing(()))),
    ];
    let of = |value| Choice { value, ..Default::default() };
    leaf.prop_map(of).prop_recursive(4, 8, 1, move |inner| {
        inner.prop_map(move |inner| of(Some(choice::Value::Choice(Box::new(inner)))))
    })
}

macro_rules! comes_back {
    ($($name:ident: $message:ty = $strategy:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(message in $strategy) {
                let php = to_php(&message).unwrap();
                prop_assert_eq!(&from_php::<$message>(php).unwrap(), &message);
                let json = to_json(&message).unwrap();
                prop_assert_eq!(&from_json::<$message>(json).unwrap(), &message);
            }
        )*}
    };
}

comes_back! {
    scalars_come_back: Scalars = scalars().prop_filter("NaN", |s| !s.float.is_nan() && !s.double.is_nan());
    optionals_come_back: Optionals = optionals().prop_filter("NaN", |o| o.message == o.message.clone());
    lists_come_back: Lists = lists();
    maps_come_back: Maps = maps();
    choices_come_back: Choice = choice();
}

proptest! {
    #[test]
    fn no_json_causes_a_panic(json in "[\\[\\]{}\":,0-9a-z.eE-]{0,60}") {
        let _ = from_json::<Tree>(&json);
        let _ = from_json::<prost_types::Value>(&json);
        let _ = from_json::<prost_types::Timestamp>(format!("\"{json}\""));
    }

    #[test]
    fn no_string_causes_a_panic(text in "\\PC{0,40}|[0-9+.eEZT: -]{0,40}s?") {
        let php = format!("s:{}:\"{text}\";", text.len());
        let _ = from_php::<i64>(&php);
        let _ = from_php::<f64>(&php);
        let _ = from_php::<prost_types::Timestamp>(&php);
        let _ = from_php::<prost_types::Duration>(&php);
    }
}
