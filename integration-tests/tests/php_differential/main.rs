//! The PHP codec against a real `php`: both must read and write the same bytes.

mod peer;

use dora_core::pack::limits::Limits;
use dora_core::pack::php::{PhpErrorKind, decode, encode, normalize};
use dora_core::pack::value::{Array, Key, Object, Value};
use peer::Php;

fn limits() -> Limits {
    Limits::default()
}

fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn any_float(rng: &mut fastrand::Rng) -> f64 {
    match rng.u8(..5) {
        0 => f64::from_bits(rng.u64(..)),
        1 => f64::from(rng.i32(..)) / 100.0,
        2 => f64::from(rng.u16(..)) * 10_f64.powi(rng.i32(-30..30)),
        3 => 2_f64.powi(rng.i32(-1074..1024)),
        _ => *rng.choice(&[0.0, -0.0, f64::INFINITY, -f64::INFINITY, f64::NAN, 1e17, 1e-5]).unwrap(),
    }
}

fn any_bytes(rng: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(..=most)).map(|_| rng.u8(..)).collect()
}

fn any_key(rng: &mut fastrand::Rng) -> Key {
    match rng.u8(..4) {
        0 => Key::Int(rng.i64(-3..20)),
        1 => Key::Int(rng.i64(..)),
        2 => Key::from(rng.i64(-3..20).to_string()),
        _ => Key::from(any_bytes(rng, 6)),
    }
}

fn any_value(rng: &mut fastrand::Rng, depth: usize) -> Value {
    match rng.u8(..if depth > 0 { 8 } else { 6 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => rng.i64(..).into(),
        3 | 4 => any_float(rng).into(),
        5 => any_bytes(rng, 20).into(),
        6 => (0..rng.usize(..6)).map(|_| any_value(rng, depth - 1)).collect(),
        _ => {
            (0..rng.usize(..24)).map(|_| (any_key(rng), any_value(rng, depth - 1))).collect::<Array>().into()
        }
    }
}

#[test]
fn php_reads_what_we_write_and_writes_the_same() {
    let mut php = Php::start();
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..3000 {
        let bytes = bytes_of(&any_value(&mut rng, 3));
        let back = php.unserialize(&bytes);
        assert_eq!(back.as_deref().map(shown), Some(shown(&bytes)));
    }
}

#[test]
fn php_writes_every_float_as_we_do() {
    let mut php = Php::start();
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..100 {
        let floats: Vec<f64> = (0..500).map(|_| any_float(&mut rng)).collect();
        compare_floats(&mut php, floats);
    }
}

/// Powers of two have the ties, where two shortest decimals are equally near.
#[test]
fn php_writes_floats_with_few_bits_as_we_do() {
    let mut php = Php::start();
    for odd in [1, 3, 5, 7, 11, 101, 1001, 32_767, 123_457, 99_999_989, 9_007_199_254_740_991_i64] {
        let floats = (-1074..971).map(|power| odd as f64 * 2_f64.powi(power));
        compare_floats(&mut php, floats);
    }
    let mut rng = fastrand::Rng::with_seed(6);
    for _ in 0..50 {
        let floats: Vec<f64> = (0..1000)
            .map(|_| {
                let bits = rng.u32(1..54);
                rng.u64(..1 << bits) as f64 * 2_f64.powi(-rng.i32(1..60))
            })
            .collect();
        compare_floats(&mut php, floats);
    }
}

fn compare_floats(php: &mut Php, floats: impl IntoIterator<Item = f64>) {
    let bytes = bytes_of(&floats.into_iter().collect());
    let back = php.unserialize(&bytes).expect("floats are read");
    for (theirs, ours) in back.split(|b| *b == b';').zip(bytes.split(|b| *b == b';')) {
        assert_eq!(shown(theirs), shown(ours));
    }
    assert_eq!(back.len(), bytes.len());
}

#[test]
fn we_read_what_php_writes_and_write_the_same() {
    let mut php = Php::start();
    let (mut references, mut objects) = (0, 0);
    for seed in 0..3000 {
        let bytes = php.generate(seed);
        // A case of an enum that comes twice is a reference to the first one.
        let plain = normalize(&bytes, &limits()).expect("php wrote it");
        let value = decode(&plain, &limits()).unwrap_or_else(|e| panic!("{e}: {}", shown(&bytes)));
        assert_eq!(shown(&bytes_of(&value)), shown(&plain), "seed {seed}");
        references += usize::from(plain != bytes);
        objects += usize::from(decode(&bytes, &limits()).is_ok_and(|value| has_object(&value)));
    }
    assert!(objects > 300 && references > 30, "{objects} with objects, {references} with references");
}

fn has_object(value: &Value) -> bool {
    match value {
        Value::Array(array) => array.values().any(has_object),
        Value::Object(_) => true,
        _ => false,
    }
}

/// What PHP makes of objects whose classes it does not know: names that are
/// integers are strings, and bytes that only the class could read are lost.
fn of_unknown_classes(value: Value) -> Value {
    match value {
        Value::Array(array) => array.into_iter().map(|(k, value)| (k, of_unknown_classes(value))).collect(),
        Value::Object(object) if object.case().is_some() => object.into(),
        Value::Object(object) => {
            let properties = object.properties().into_iter().flatten();
            let properties = properties.map(|(k, value)| (Key::from(k), of_unknown_classes(value.clone())));
            Object::new(object.class().clone(), properties.collect()).into()
        }
        other => other,
    }
}

#[test]
fn json_of_an_object_is_what_json_encode_writes() {
    let mut php = Php::start();
    for object in [
        r#"O:8:"stdClass":0:{}"#,
        r#"O:8:"stdClass":3:{s:1:"5";i:1;s:1:"a";a:0:{}s:1:"b";O:8:"stdClass":1:{s:1:"x";N;}}"#,
        r#"O:8:"stdClass":1:{s:1:"0";s:4:"你x";}"#,
        "O:4:\"Base\":3:{s:10:\"\0Base\0name\";s:1:\"n\";s:8:\"\0*\0inner\";N;s:4:\"open\";d:1.5;}",
        "O:7:\"Derived\":3:{s:4:\"open\";b:1;s:13:\"\0Derived\0name\";i:1;s:4:\"more\";a:1:{i:0;i:7;}}",
        r#"a:2:{i:0;O:8:"stdClass":0:{}i:1;a:1:{s:1:"k";O:8:"stdClass":0:{}}}"#,
    ] {
        let theirs = php.json_encode(object.as_bytes()).expect("php encodes it");
        let ours = serde_json::to_string(&decode(object.as_bytes(), &limits()).expect(object)).expect(object);
        // PHP writes the declared properties in their declared order.
        let order = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("json");
        assert_eq!(order(ours.as_bytes()), order(&theirs), "{object}");
    }
}

/// What PHP takes and we do not, by decision.
fn stricter(kind: PhpErrorKind) -> bool {
    matches!(
        kind,
        // PHP clamps integers to 64 bits.
        PhpErrorKind::IntOverflow
            // PHP keeps a reference to an enclosing array as null or a cycle.
            | PhpErrorKind::DanglingReference
    )
}

/// Compares both on `input`; true if PHP read it.
fn compare(php: &mut Php, input: &[u8]) -> bool {
    let theirs = php.unserialize(input);
    let has_reference = |kind| kind == PhpErrorKind::Reference;
    let ours = match decode(input, &limits()) {
        Err(error) if has_reference(error.kind()) => {
            normalize(input, &limits()).and_then(|plain| decode(&plain, &limits()))
        }
        ours => ours,
    };
    match (&theirs, ours) {
        (Some(theirs), Ok(ours)) => {
            let theirs = normalize(theirs, &limits()).unwrap_or_else(|_| theirs.clone());
            let ours = of_unknown_classes(ours);
            assert_eq!(shown(&bytes_of(&ours)), shown(&theirs), "{}", shown(input));
        }
        (Some(_), Err(error)) => assert!(stricter(error.kind()), "{error}: {}", shown(input)),
        // PHP takes `r:` to objects only, and must know an enum and its cases.
        (None, Ok(_)) => {
            let text = shown(input);
            let knows_more = text.contains("r:") || text.contains("E:") || text.contains("\\\"Suit\\\"");
            assert!(knows_more, "PHP refuses {text}");
        }
        (None, Err(_)) => {}
    }
    theirs.is_some()
}

#[test]
fn both_refuse_the_same_near_misses() {
    let pieces = [
        "a:1:{",
        "a:2:{",
        "a:2:{",
        "a:3:{",
        "a:0:{}",
        "}",
        "}",
        "i:0;",
        "i:1;",
        "i:2;",
        "i:+3;",
        "i:-0;",
        "N;",
        "b:1;",
        "b:2;",
        "d:1.5;",
        "d:.5;",
        "d:3;",
        "d:1E3;",
        "d:INF;",
        "d:+INF;",
        "d:-NAN;",
        "s:1:\"a\";",
        "s:2:\"12\";",
        "s:2:\"-0\";",
        "s:+1:\"a\";",
        "S:1:\"\\61\";",
        "S:1:\"\\6g\";",
        "R:1;",
        "R:2;",
        "R:3;",
        "r:2;",
        "O:1:\"X\":0:{}",
        "O:1:\"X\":1:{",
        "O:1:\"X\":2:{",
        "E:3:\"A:B\";",
        "C:1:\"X\":0:{}",
        "a:-1:{}",
        "a:2147483647:{",
        "s:9:\"",
        "i:",
        ";",
        "x",
    ];
    let mut php = Php::start();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut read = 0;
    for _ in 0..20_000 {
        let input: String = (0..rng.usize(1..12)).map(|_| *rng.choice(&pieces).unwrap()).collect();
        read += usize::from(compare(&mut php, input.as_bytes()));
    }
    assert!(read > 1000, "only {read} were read: nothing was compared");
}

#[test]
fn both_refuse_the_same_mutations() {
    let mut php = Php::start();
    let mut rng = fastrand::Rng::with_seed(4);
    for seed in 0..4000 {
        let mut bytes = php.generate(seed);
        for _ in 0..rng.usize(1..3) {
            let at = rng.usize(..bytes.len().max(1));
            match rng.u8(..4) {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = rng.u8(..),
                1 => bytes[at] = *rng.choice(b"0123456789:;{}\"aisdNbSRr+-.").unwrap(),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        compare(&mut php, &bytes);
    }
}

#[test]
fn references_lead_where_php_leads_them() {
    let mut php = Php::start();
    let mut rng = fastrand::Rng::with_seed(5);
    let mut resolved = 0;
    for _ in 0..8000 {
        let mut input = String::from("a:6:{");
        for at in 0..6 {
            let key = if rng.u8(..8) == 0 { 0 } else { at };
            let to = rng.u8(1..12);
            input += &match rng.u8(..7) {
                0 => format!("i:{key};i:{};", rng.i8(..)),
                1 => format!("i:{key};a:1:{{i:0;i:{};}}", rng.i8(..)),
                2 => format!("i:{key};a:2:{{i:0;b:1;i:1;R:{to};}}"),
                3 => format!("i:{key};O:1:\"X\":2:{{s:1:\"a\";i:7;s:1:\"b\";R:{to};}}"),
                4 => format!("i:{key};r:{to};"),
                _ => format!("i:{key};R:{to};"),
            };
        }
        input.push('}');
        resolved += usize::from(compare(&mut php, input.as_bytes()));
    }
    assert!(resolved > 200, "only {resolved} were resolved");
}
