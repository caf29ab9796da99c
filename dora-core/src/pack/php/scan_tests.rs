use super::super::{Budget, PhpErrorKind};
use super::{Pairs, is_array, read_bool, read_int, read_str, skip_value};
use crate::pack::limits::Limits;
use crate::pack::value::KeyRef;

const PACKET: &str = concat!(
    r#"a:3:{s:3:"api";a:1:{s:3:"one";a:2:{s:4:"name";s:6:"/t/ref";s:5:"param";a:0:{}}}"#,
    r#"s:4:"guid";s:32:"d7dd71d100e331ec48ba7c7b11c2de75";s:4:"type";s:3:"W_S";}"#
);

fn pairs(input: &[u8]) -> Vec<(KeyRef<'_>, &[u8])> {
    Pairs::new(input, &Limits::default())
        .unwrap()
        .map(|pair| pair.map(|pair| (pair.key, pair.value)).unwrap())
        .collect()
}

#[test]
fn an_envelope_is_taken_apart_without_reading_its_parameters() {
    let packet = pairs(PACKET.as_bytes());
    let [(_, api), (_, guid), (last, mode)] = packet.as_slice() else {
        panic!("{packet:?}");
    };
    assert_eq!(read_str(guid).unwrap().len(), 32);
    assert_eq!((last.as_str(), &*read_str(mode).unwrap()), (Some("type"), &b"W_S"[..]));
    let calls = pairs(api);
    let call = pairs(calls[0].1);
    assert_eq!(&*read_str(call[0].1).unwrap(), b"/t/ref");
    assert_eq!(call[1], (KeyRef::from("param"), &b"a:0:{}"[..]));
}

#[test]
fn pairs_say_where_they_stand_and_where_the_array_ends() {
    let input = b"a:2:{i:7;N;s:1:\"5\";b:1;}rest";
    let mut pairs = Pairs::new(input, &Limits::default()).unwrap();
    assert_eq!(pairs.remaining(), 2);
    let first = pairs.next().unwrap().unwrap();
    assert_eq!((first.key, first.offset), (KeyRef::Int(7), 9));
    assert_eq!(pairs.next().unwrap().unwrap().key, KeyRef::Int(5));
    assert!(pairs.next().is_none());
    assert_eq!(pairs.offset(), input.len() - 4);
}

#[test]
fn pairs_end_after_the_first_error() {
    let mut pairs = Pairs::new(b"a:2:{i:0;N;i:1;R:1;}", &Limits::default()).unwrap();
    assert!(pairs.next().unwrap().is_ok());
    let error = pairs.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.path()), (PhpErrorKind::Reference, "[1]"));
    assert!(pairs.next().is_none());

    let mut pairs = Pairs::new(b"a:1:{i:0;N;i:1;N;}", &Limits::default()).unwrap();
    assert!(pairs.next().unwrap().is_ok());
    assert_eq!(pairs.next().unwrap().unwrap_err().kind(), PhpErrorKind::Count);
    assert!(pairs.next().is_none());
    assert!(Pairs::new(b"i:1;", &Limits::default()).is_err());
}

#[test]
fn skipping_ends_where_the_value_ends() {
    let mut budget = Budget::new(&Limits::default());
    let input = format!("{PACKET}rest");
    let end = skip_value(input.as_bytes(), &mut budget).unwrap();
    assert_eq!(end, PACKET.len());
    assert_eq!(skip_value(b"N;N;", &mut budget).unwrap(), 2);
}

#[test]
fn levels_beyond_those_kept_in_place_are_walked_too() {
    let limits = Limits::default().with_depth(Limits::MAX_DEPTH);
    for levels in [1, 15, 16, 17, 18, 40, 512, 513] {
        let input = format!("{}N;{}", "a:2:{i:0;N;i:1;".repeat(levels), "}".repeat(levels));
        let end = skip_value(input.as_bytes(), &mut Budget::new(&limits));
        match levels {
            513 => assert_eq!(end.unwrap_err().kind(), PhpErrorKind::Depth),
            _ => assert_eq!(end.unwrap(), input.len()),
        }
    }
}

#[test]
fn objects_are_passed_as_they_stand() {
    let input = br#"a:3:{i:0;O:1:"X":1:{s:1:"a";O:1:"Y":0:{}}i:1;E:3:"A:B";i:2;C:1:"Z":3:{}}}}}"#;
    let values: Vec<_> = pairs(input).into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        values,
        [&br#"O:1:"X":1:{s:1:"a";O:1:"Y":0:{}}"#[..], br#"E:3:"A:B";"#, br#"C:1:"Z":3:{}}}}"#]
    );
}

#[test]
fn scalars_are_read_for_what_they_are() {
    assert_eq!(read_int(b"i:-5;").unwrap(), -5);
    assert!(read_bool(b"b:1;").unwrap());
    assert_eq!(&*read_str(br#"S:1:"\61";"#).unwrap(), b"a");
    assert_eq!(read_int(b"b:1;").unwrap_err().kind(), PhpErrorKind::Type);
    assert!(is_array(b"a:0:{}") && !is_array(b"N;"));
}
