//! The PHP codec under any value and any bytes.

use dora_core::pack::limits::Limits;
use dora_core::pack::php::scan::skip_value;
use dora_core::pack::php::{Budget, PhpErrorKind, decode, encode, from_slice, normalize, to_vec};
use dora_core::pack::value::{Key, Object, Value};
use proptest::collection::vec;
use proptest::prelude::*;

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        (-3_i64..6).prop_map(Key::Int),
        any::<i64>().prop_map(Key::Int),
        "[a-c5-]{0,3}".prop_map(Key::from),
        vec(any::<u8>(), 0..6).prop_map(Key::from),
    ]
}

/// `text`: only what JSON can hold.
fn value(text: bool) -> impl Strategy<Value = Value> {
    let float = if text {
        any::<f64>().prop_filter("finite", |float| float.is_finite()).boxed()
    } else {
        any::<u64>().prop_map(f64::from_bits).boxed()
    };
    let string = if text {
        ".{0,8}".prop_map(Value::from).boxed()
    } else {
        vec(any::<u8>(), 0..12).prop_map(Value::from).boxed()
    };
    let key = if text {
        prop_oneof![any::<i64>().prop_map(Key::Int), ".{0,4}".prop_map(Key::from)].boxed()
    } else {
        key().boxed()
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        float.prop_map(Value::from),
        string,
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((key.clone(), inner.clone()), 0..24).prop_map(|pairs| pairs.into_iter().collect()),
            // JSON has no objects that come back as such.
            (object(key.clone(), inner.clone()), vec(inner, 1..3)).prop_map(move |(object, list)| if text {
                list.into()
            } else {
                object
            }),
        ]
    })
}

fn object(
    key: impl Strategy<Value = Key>,
    inner: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        key,
        "[a-c]{1,2}".prop_map(|name| Key::from(format!("\0*\0{name}"))),
        "[a-c]{1,2}".prop_map(|name| Key::from(format!("\0P\0{name}"))),
    ];
    let class = "[A-Z][a-z_\\\\0-9]{0,8}";
    let bytes = vec(any::<u8>(), 0..12);
    (class, vec((name, inner), 0..6), bytes, 0..6_u8).prop_map(
        |(class, properties, bytes, kind)| match kind {
            0 => Object::enum_case(class, bytes).into(),
            1 => Object::custom(class, bytes).into(),
            2 => Object::std_class(properties.into_iter().collect()).into(),
            _ => Object::new(class, properties.into_iter().collect()).into(),
        },
    )
}

fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

/// Pieces that make it likely to get far into the format.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a:1:{",
        "a:2:{",
        "a:0:{}",
        "}",
        "i:0;",
        "i:1;",
        "i:-5;",
        "N;",
        "b:1;",
        "d:1.5;",
        "d:INF;",
        "s:1:\"a\";",
        "s:2:\"12\";",
        "S:1:\"\\61\";",
        "R:1;",
        "R:2;",
        "r:2;",
        "R:0;",
        "O:1:\"X\":0:{}",
        "O:1:\"X\":1:{",
        "O:1:\"X\":2:{",
        "C:1:\"X\":4:{",
        "a:9999999:{",
        "s:9:\"",
        "i:",
        ";",
        "\"",
        ":",
        "0",
        "d:",
        "E:3:\"A:B\";",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Every reader says the same about `bytes`, and none panics.
fn readers_agree(bytes: &[u8]) {
    let limits = Limits::default();
    let skipped = skip_value(bytes, &mut Budget::new(&limits));
    let decoded = decode(bytes, &limits);
    match (&skipped, &decoded) {
        (Ok(end), Ok(value)) => {
            let only = decode(&bytes[..*end], &limits);
            assert_eq!(only.as_ref(), Ok(value));
            assert_eq!(decode(&bytes_of(value), &limits).as_ref(), Ok(value));
            let plain = normalize(bytes, &limits).expect("it has no reference");
            assert!(plain == bytes[..*end], "{}", bytes.escape_ascii());
        }
        // Passed by who does not read it.
        (_, Err(decoded)) if decoded.kind() == PhpErrorKind::DanglingReference => {}
        (Err(skipped), Err(decoded)) => assert_eq!(skipped, decoded),
        _ => panic!("{skipped:?} but {decoded:?}"),
    }
    match (from_slice::<Value>(bytes, &limits), &decoded) {
        (Ok(typed), Ok(value)) => assert_eq!(&typed, value),
        (Err(_), Err(_)) => {}
        (typed, _) => panic!("{typed:?} but {decoded:?}"),
    }
    if let Ok(plain) = normalize(bytes, &limits) {
        assert_eq!(skip_value(&plain, &mut Budget::new(&limits)), Ok(plain.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_value_comes_back(value in value(false)) {
        let limits = Limits::default();
        let bytes = bytes_of(&value);
        prop_assert_eq!(&decode(&bytes, &limits).unwrap(), &value);
        prop_assert_eq!(&from_slice::<Value>(&bytes, &limits).unwrap(), &value);
        prop_assert_eq!(&to_vec(&value).unwrap(), &bytes);
        prop_assert_eq!(&Value::from_serialize(&value).unwrap(), &value);
        prop_assert_eq!(&value.to::<Value>().unwrap(), &value);
        prop_assert_eq!(skip_value(&bytes, &mut Budget::new(&limits)), Ok(bytes.len()));
        prop_assert_eq!(normalize(&bytes, &limits).unwrap(), bytes);
    }

    #[test]
    fn any_value_that_is_text_comes_back_from_json(value in value(true)) {
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }

    #[test]
    fn readers_agree_on_any_bytes(bytes in vec(any::<u8>(), 0..64)) {
        readers_agree(&bytes);
    }

    #[test]
    fn readers_agree_on_near_misses(bytes in soup()) {
        readers_agree(&bytes);
    }

    #[test]
    fn readers_agree_on_mutated_values(
        value in value(false),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = bytes_of(&value);
        for (index, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        readers_agree(&bytes);
    }
}

#[test]
fn two_hundred_thousand_levels_are_refused() {
    let mut limits = Limits::default().with_bytes(usize::MAX);
    limits.depth = usize::MAX;
    let bytes = "a:1:{i:0;".repeat(200_000).into_bytes();
    let kinds = [
        skip_value(&bytes, &mut Budget::new(&limits)).unwrap_err(),
        decode(&bytes, &limits).unwrap_err(),
        from_slice::<Value>(&bytes, &limits).unwrap_err(),
        from_slice::<serde::de::IgnoredAny>(&bytes, &limits).unwrap_err(),
        normalize(&bytes, &limits).unwrap_err(),
    ]
    .map(|error| error.kind());
    assert_eq!(kinds, [PhpErrorKind::Depth; 5]);
}

#[test]
fn a_huge_count_is_refused_before_anything_is_made() {
    for bytes in [
        &b"a:2147483647:{"[..],
        b"a:2147483647:{i:0;N;}",
        b"a:18446744073709551615:{",
        b"a:99999999999999999999:{",
        b"s:2147483647:\"x\";",
    ] {
        let limits = Limits::default();
        assert!(decode(bytes, &limits).is_err());
        assert!(from_slice::<Vec<u64>>(bytes, &limits).is_err());
        assert!(normalize(bytes, &limits).is_err());
    }
}

/// Nested arrays that each claim all bytes that follow must not make each level
/// reserve for its claim.
#[test]
fn nested_claims_do_not_add_up() {
    let limits = Limits::default();
    let mut bytes = Vec::new();
    for _ in 0..60 {
        bytes.extend_from_slice(b"a:300000:{i:0;");
    }
    bytes.resize(limits.bytes, b'x');
    assert_eq!(decode(&bytes, &limits).unwrap_err().kind(), PhpErrorKind::Syntax);
    assert!(from_slice::<Value>(&bytes, &limits).is_err());
}

/// Looking ahead for lists happens once for nested arrays, not once a level.
#[test]
fn nested_lists_are_looked_at_in_linear_time() {
    let limits = Limits::default().with_depth(Limits::MAX_DEPTH);
    let levels = 500;
    let wide = "i:1;s:3000:\"".len() + 3000;
    let mut bytes = "a:2:{i:0;".repeat(levels).into_bytes();
    bytes.extend_from_slice(b"N;");
    for _ in 0..levels {
        bytes.extend_from_slice(b"i:1;s:3000:\"");
        bytes.resize(bytes.len() + 3000, b'x');
        bytes.extend_from_slice(b"\";}");
    }
    assert!(bytes.len() > levels * wide);
    let value: Value = from_slice(&bytes, &limits).unwrap();
    assert_eq!(bytes_of(&value), bytes);
}
