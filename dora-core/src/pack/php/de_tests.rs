use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::super::{PhpErrorKind, to_vec};
use super::{Deserializer, from_slice};
use crate::pack::limits::Limits;
use crate::pack::value::Value;
use crate::value;

fn read<T: DeserializeOwned>(input: &str) -> Result<T, super::PhpError> {
    from_slice(input.as_bytes(), &Limits::default())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    New(Option<i32>),
    Tuple(i32, String),
    Struct { x: f64, rest: Vec<Shape> },
}

#[derive(Debug, PartialEq, Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "5")]
    five: bool,
}

fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: T) {
    let bytes = to_vec(&data).unwrap();
    let limits = Limits::default();
    assert_eq!(from_slice::<T>(&bytes, &limits).unwrap(), data);
    let value: Value = from_slice(&bytes, &limits).unwrap();
    assert_eq!(value, Value::from_serialize(&data).unwrap());
    assert_eq!(to_vec(&value).unwrap(), bytes);
}

#[test]
fn typed_data_comes_back() {
    round(Shape::Unit);
    round(Shape::New(None));
    round(Shape::Tuple(1, "x".into()));
    round(vec![Shape::Struct { x: 0.5, rest: vec![Shape::Unit, Shape::New(Some(2))] }]);
    round((u64::MAX, i128::MIN, u128::MAX, 'c', true, ()));
    round(BTreeMap::from([(1_u64, "a".to_owned()), (u64::MAX, "b".to_owned())]));
    round(BTreeMap::from([("5".to_owned(), 1), ("x".to_owned(), 2)]));
    round(vec![Vec::<i32>::new(), vec![1]]);
}

#[test]
fn arrays_are_read_as_what_is_asked_for() {
    let list = "a:2:{i:0;i:7;i:1;i:8;}";
    assert_eq!(read::<Vec<i32>>(list).unwrap(), [7, 8]);
    assert_eq!(
        read::<HashMap<String, i32>>(list).unwrap(),
        HashMap::from([("0".into(), 7), ("1".into(), 8)])
    );
    assert_eq!(read::<HashMap<i64, i32>>(list).unwrap(), HashMap::from([(0, 7), (1, 8)]));
    assert_eq!(
        read::<User>(r#"a:2:{s:2:"id";i:1;i:5;b:1;}"#).unwrap(),
        User { id: 1, name: None, five: true }
    );
    assert!(read::<Vec<i32>>("a:1:{i:1;i:7;}").is_err());
    assert!(read::<(i32,)>(list).is_err());
    assert!(read::<HashMap<String, i32>>("a:0:{}").unwrap().is_empty());
    assert_eq!(read::<Value>("a:0:{}").unwrap(), value!([]));
}

#[test]
fn lists_within_lists_are_told_from_maps() {
    let input = r#"a:3:{i:0;a:2:{i:0;a:1:{i:1;N;}i:2;a:1:{i:0;N;}}i:1;a:1:{i:0;i:1;}s:1:"k";a:1:{i:0;N;}}"#;
    let value = read::<serde_json::Value>(input).unwrap();
    assert_eq!(value, serde_json::json!({"0": {"0": {"1": null}, "2": [null]}, "1": [1], "k": [null]}));
}

#[test]
fn strings_are_borrowed_when_they_can_be() {
    #[derive(Deserialize)]
    struct Call<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        id: &'a str,
    }
    let input = br#"a:2:{s:4:"name";s:6:"/t/ref";s:2:"id";s:1:"x";}"#;
    let mut reader = Deserializer::new(input, &Limits::default()).unwrap();
    let call: Call<'_> = reader.read().unwrap();
    assert!(matches!(call.name, Cow::Borrowed("/t/ref")));
    assert_eq!(call.id, "x");
    assert_eq!(reader.offset(), input.len());
    assert_eq!(read::<String>(r#"S:2:"\61b";"#).unwrap(), "ab");
    assert_eq!(
        from_slice::<Value>(b"s:1:\"\xff\";", &Limits::default()).unwrap(),
        Value::from(vec![0xff_u8])
    );
}

#[test]
fn of_a_key_that_comes_twice_the_last_wins() {
    let input = r#"a:2:{s:2:"id";i:1;s:2:"id";i:2;}"#;
    assert_eq!(read::<User>(input).unwrap().id, 2);
    let mut reader = Deserializer::new(input.as_bytes(), &Limits::default()).unwrap();
    let error = reader.read::<User>().unwrap_err();
    assert_eq!(error.kind(), PhpErrorKind::Duplicate);
}

#[test]
fn errors_name_the_path() {
    let error = read::<HashMap<String, Vec<User>>>(
        r#"a:1:{s:5:"users";a:2:{i:0;a:1:{s:2:"id";i:1;}i:1;a:1:{s:2:"id";s:1:"x";}}}"#,
    )
    .unwrap_err();
    assert_eq!(error.path(), "users[1].id");
    assert_eq!(error.to_string(), "invalid type: string \"x\", expected i64 in users[1].id at byte 63");
    let error = read::<Shape>(&format!("s:5001:\"{}\n\";", "x".repeat(5000))).unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
    let error = read::<IgnoredAny>(r#"a:1:{s:1:"k";R:1;}"#).unwrap_err();
    assert_eq!((error.kind(), error.path()), (PhpErrorKind::Reference, "k"));
}

#[test]
fn objects_are_read_by_their_properties() {
    let user = concat!(
        "O:8:\"App\\User\":4:{s:5:\"\0*\0id\";i:1;s:5:\"other\";C:1:\"X\":0:{}",
        "s:4:\"name\";s:3:\"Ada\";s:4:\"\0A\05\";b:1;}"
    );
    let expected = User { id: 1, name: Some("Ada".into()), five: true };
    assert_eq!(read::<User>(user).unwrap(), expected);
    let value: Value = read(user).unwrap();
    assert_eq!(value.to::<User>().unwrap(), expected);

    let twice = "O:1:\"C\":2:{s:5:\"\0P\0id\";i:1;s:5:\"\0C\0id\";i:2;}";
    assert_eq!(read::<User>(twice).unwrap().id, 2, "the class's own, not its parent's");

    let map = r#"O:8:"stdClass":2:{s:1:"5";i:1;s:1:"7";i:2;}"#;
    let by_int = HashMap::from([(5, 1), (7, 2)]);
    assert_eq!(read::<HashMap<i64, i32>>(map).unwrap(), by_int);
    assert_eq!(read::<Value>(map).unwrap().to::<HashMap<i64, i32>>().unwrap(), by_int);
    let list = r#"O:8:"stdClass":2:{s:1:"0";i:7;s:1:"1";i:8;}"#;
    assert_eq!(read::<Vec<i32>>(list).unwrap(), [7, 8]);
    assert_eq!(read::<Value>(list).unwrap().to::<Vec<i32>>().unwrap(), [7, 8]);
}

#[test]
fn enums_are_read_by_the_name_of_their_case() {
    for input in [r#"E:9:"Draw:Unit";"#, r#"s:4:"Unit";"#] {
        assert_eq!(read::<Shape>(input).unwrap(), Shape::Unit);
        assert_eq!(read::<String>(input).unwrap(), "Unit");
        assert_eq!(read::<Value>(input).unwrap().to::<Shape>().unwrap(), Shape::Unit);
        assert_eq!(read::<Value>(input).unwrap().to::<String>().unwrap(), "Unit");
    }
    let new = r#"O:8:"stdClass":1:{s:3:"New";i:3;}"#;
    assert_eq!(read::<Shape>(new).unwrap(), Shape::New(Some(3)));
    assert_eq!(read::<Value>(new).unwrap().to::<Shape>().unwrap(), Shape::New(Some(3)));
}

#[test]
fn what_cannot_be_read_fails_who_reads_it_alone() {
    for (bad, kind) in
        [(r#"C:3:"Old":1:{x}"#, PhpErrorKind::Object), ("R:0;", PhpErrorKind::DanglingReference)]
    {
        let unread = format!(r#"a:2:{{s:1:"k";{bad}s:2:"id";i:1;}}"#);
        assert_eq!(read::<User>(&unread).unwrap().id, 1);
        let asked = format!(r#"a:1:{{s:2:"id";{bad}}}"#);
        let error = read::<User>(&asked).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, "id"), "{error}");
    }
    let custom: Value = read(r#"C:3:"Old":1:{x}"#).unwrap();
    let error = custom.to::<String>().unwrap_err();
    assert!(error.to_string().contains("only its class, Old"), "{error}");
}

#[test]
fn no_array_is_taken_for_an_object() {
    use super::super::raw_object::OBJECT;
    let object = r#"O:1:"X":0:{}"#;
    let feigned = format!("a:1:{{s:{}:\"{OBJECT}\";s:{}:\"{object}\";}}", OBJECT.len(), object.len());
    let value: Value = read(&feigned).unwrap();
    assert_eq!(value.get(OBJECT), Some(&Value::from(object)));
    let json = format!(r#"{{"{OBJECT}":"O:1:\"X\":0:{{}}"}}"#);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value.get(OBJECT), Some(&Value::from(object)));
}

/// Recursion is bounded by the depth limit, whose largest value must fit in the
/// 2 MiB that threads get by default, without optimization too.
#[test]
fn the_deepest_nesting_fits_in_a_thread() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Node {
        id: u64,
        label: Option<String>,
        next: Option<Box<Node>>,
    }
    let test = || {
        let limits = Limits::default().with_depth(usize::MAX);
        let mut node = Node::default();
        for _ in 1..Limits::MAX_DEPTH {
            node = Node { next: Some(Box::new(node)), ..Node::default() };
        }
        let bytes = to_vec(&node).unwrap();
        assert!(from_slice::<Node>(&bytes, &limits).is_ok());
        let value = from_slice::<Value>(&bytes, &limits).unwrap();
        assert!(value.to::<Node>().is_ok());
        assert_eq!(to_vec(&value).unwrap(), bytes);

        let deeper = format!("a:1:{{s:4:\"next\";{}}}", String::from_utf8(bytes).unwrap());
        let error = from_slice::<Node>(deeper.as_bytes(), &limits).unwrap_err();
        assert_eq!(error.kind(), PhpErrorKind::Depth);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(test).unwrap().join().unwrap();
}
