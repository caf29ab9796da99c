use super::{Field, Object, Visibility};
use crate::pack::limits::Limits;
use crate::pack::php::{decode, encode, from_slice, to_vec};
use crate::pack::value::{Array, KeyRef, Value};
use crate::value;

/// `class C extends P`, each with a private `$name`, as PHP 8.2 writes it.
const FAMILY: &str = concat!(
    "O:1:\"C\":5:{s:7:\"\0P\0name\";s:1:\"p\";s:4:\"\0*\0x\";i:1;s:1:\"y\";i:2;",
    "s:7:\"\0C\0name\";s:1:\"c\";s:1:\"z\";N;}"
);

fn read(bytes: &str) -> Value {
    decode(bytes.as_bytes(), &Limits::default()).unwrap()
}

fn written(value: &Value) -> String {
    let mut out = Vec::new();
    encode(value, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn what_php_writes_comes_back_byte_for_byte() {
    for bytes in [
        FAMILY,
        r#"O:8:"stdClass":0:{}"#,
        // A property whose name is an integer is a string; what `__serialize` returns has both.
        r#"O:8:"stdClass":2:{s:1:"5";i:1;s:1:"a";i:2;}"#,
        r#"O:1:"M":3:{i:0;i:1;i:1;i:2;s:1:"a";i:3;}"#,
        r#"O:11:"ArrayObject":4:{i:0;i:0;i:1;a:1:{i:0;i:1;}i:2;a:0:{}i:3;N;}"#,
        r#"a:2:{i:0;E:7:"Suit:Up";i:1;O:10:"App\User_1":1:{s:1:"o";O:8:"stdClass":0:{}}}"#,
        r#"C:11:"ArrayObject":29:{x:i:0;a:1:{i:0;i:1;};m:a:0:{}}"#,
        "C:1:\"X\":0:{}",
    ] {
        let value = read(bytes);
        assert_eq!(written(&value), bytes);
        assert_eq!(to_vec(&value).unwrap(), bytes.as_bytes(), "through serde");
        assert_eq!(from_slice::<Value>(bytes.as_bytes(), &Limits::default()).unwrap(), value);
        assert_eq!(Value::from_serialize(&value).unwrap(), value);
        assert_eq!(value.to::<Value>().unwrap(), value);
        assert_eq!(value.clone(), value);
    }
}

#[test]
fn properties_are_found_by_their_plain_names() {
    let family = read(FAMILY);
    assert_eq!(family.get("name"), Some(&value!("c")), "its own, not its parent's");
    assert_eq!(family.get("x"), Some(&value!(1)));
    assert_eq!(family.get("\0P\0name"), Some(&value!("p")), "by the name on the wire too");
    assert_eq!(family.get("P"), None);
    let object = family.as_object().unwrap();
    assert_eq!(
        (object.class(), object.is_std_class(), object.properties().map(Array::len)),
        (&"C".into(), false, Some(5))
    );
    let fields: Vec<_> = object.fields().map(|Field { name, visibility, .. }| (name, visibility)).collect();
    let names = ["name", "x", "y", "name", "z"].map(KeyRef::from);
    let seen = [
        Visibility::Private,
        Visibility::Protected,
        Visibility::Public,
        Visibility::Private,
        Visibility::Public,
    ];
    assert_eq!(fields, names.into_iter().zip(seen).collect::<Vec<_>>());

    let mut family = family.clone();
    *family.get_mut("name").unwrap() = value!("d");
    *family.get_mut("y").unwrap() = value!("e");
    assert_eq!(written(&family), FAMILY.replace("\"c\"", "\"d\"").replace("i:2;", "s:1:\"e\";"));
    assert_eq!(family.as_array(), None, "a class of its own is no array");
}

#[test]
fn names_that_are_not_mangled_right_are_as_they_are() {
    for name in ["\0a", "\0\0a", "\0", "a\0b\0c"] {
        let object = Object::new("X", [(name, 1)].into_iter().collect());
        assert_eq!(object.get(name), Some(&value!(1)), "{name:?}");
        assert_eq!(object.fields().map(|field| field.visibility).collect::<Vec<_>>(), [Visibility::Public]);
    }
}

#[test]
fn a_std_class_reads_as_a_map() {
    let mut map = read(r#"O:8:"stdClass":2:{s:1:"5";i:1;s:1:"a";i:2;}"#);
    assert_eq!(map.as_array(), value!({ 5 => 1, "a" => 2 }).as_array());
    assert_eq!(map.get(5), Some(&value!(1)));
    map.as_array_mut().unwrap().insert("b", 3);
    assert_eq!(written(&map), r#"O:8:"stdClass":3:{s:1:"5";i:1;s:1:"a";i:2;s:1:"b";i:3;}"#);
    assert_eq!(map.type_name(), "object");
    assert_ne!(map, value!({ 5 => 1, "a" => 2, "b" => 3 }));
}

#[test]
fn json_is_what_json_encode_writes() {
    let json = |bytes: &str| serde_json::to_string(&read(bytes)).map_err(|error| error.to_string());
    assert_eq!(json(FAMILY).unwrap(), r#"{"y":2,"z":null}"#);
    assert_eq!(json(r#"a:1:{i:0;O:8:"stdClass":0:{}}"#).unwrap(), "[{}]");
    assert_eq!(json(r#"O:8:"stdClass":1:{s:1:"5";i:1;}"#).unwrap(), r#"{"5":1}"#);
    assert_eq!(json(r#"E:7:"Suit:Up";"#).unwrap(), r#""Up""#, "its value is not in the bytes");
    let error = json(r#"a:1:{i:0;C:3:"Old":1:{x}}"#).unwrap_err();
    assert!(error.contains("only its class, Old,"), "{error}");
}

#[test]
fn a_million_levels_drop_compare_copy_and_encode_without_recursion() {
    let deep = |levels: usize| {
        let mut value = Value::Null;
        for level in 0..levels {
            let held = [("k", value)].into_iter().collect();
            value = if level % 2 == 0 { Object::new("X", held).into() } else { Value::Array(held) };
        }
        value
    };
    let (one, other) = (deep(1_000_000), deep(1_000_000));
    assert!(one == other);
    drop(other);
    assert!(one.clone() == one);
    assert!(written(&one).len() > 10_000_000);
}

#[test]
fn debug_names_the_class_and_hides_nothing() {
    let value = read(r#"a:2:{i:0;E:7:"Suit:Up";i:1;O:3:"A\B":1:{s:1:"x";C:1:"C":2:{ab}}}"#);
    assert_eq!(format!("{value:?}"), r#"[Suit::Up, A\\B {"x": C "ab"}]"#);
    let forged = Value::from(Object::enum_case("A\n", "B\x1b"));
    assert_eq!(format!("{forged:?}"), r"A\n::B\x1b");
}
