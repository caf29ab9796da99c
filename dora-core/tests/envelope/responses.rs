//! Answers as peers write and read them, right and wrong.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::packed::{PackError, PackMessage};
use dora_core::call::packer::Packer;
use dora_core::call::response::Response;
use dora_core::call::status::{Origin, Status};
use dora_core::guid::Guid;
use dora_core::pack::envelope::{Shape, decode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::message::open;
use dora_core::pack::packet::{CallResult, ResponseData, ResponsePacket};
use dora_core::pack::value::{Array, Object, Value};
use dora_core::value;

use super::{ARRAYS, GUID, PACKERS, answered, pack, unpack};

fn answer(data: ResponseData) -> ResponsePacket {
    let guid = Guid::from_bytes(GUID.as_bytes());
    ResponsePacket { guid, code: 0, message: "OK".into(), is_result: false, data, can: None }
}

fn ok(value: Value) -> CallResult {
    Ok(Response::new(Body::message(value)))
}

#[track_caller]
fn again(packer: Packer, packet: &ResponsePacket, shape: Shape) -> ResponsePacket {
    decode_response(answered(packer, packet), shape, &Limits::default()).expect("it is valid")
}

/// An answer as a PHP peer writes it.
fn read(packet: &Value, shape: Shape) -> Result<ResponsePacket, Status> {
    decode_response(pack(Packer::Php, packet), shape, &Limits::default())
}

#[track_caller]
fn read_one(packet: &Value) -> CallResult {
    match read(packet, Shape::One).expect("it is valid").data {
        ResponseData::One(result) => result,
        other => panic!("{other:?} is not the result of one call"),
    }
}

#[track_caller]
fn many(packet: ResponsePacket) -> Vec<(CallKey, CallResult)> {
    match packet.data {
        ResponseData::Many(results) => results,
        other => panic!("{other:?} is no map of results"),
    }
}

#[test]
fn the_bytes_are_those_of_the_original() {
    let single = answer(ResponseData::One(ok(value!("x"))));
    let own = format!(r#"a:4:{{s:4:"guid";s:32:"{GUID}";s:4:"code";i:0;s:3:"msg";s:2:"OK";s:4:"data";"#);
    assert_eq!(answered(Packer::Php, &single), format!(r#"{own}{own}s:1:"x";}}}}"#));
    let json = answered(Packer::Json, &single);
    let own = format!(r#"{{"guid":"{GUID}","code":0,"msg":"OK","data":"#);
    assert_eq!(json, format!(r#"{own}{own}"x"}}}}"#));
    let empty = ResponsePacket { guid: None, is_result: true, ..answer(ResponseData::Empty) };
    let php = r#"a:4:{s:4:"code";i:0;s:3:"msg";s:2:"OK";s:4:"data";a:0:{}s:8:"isresult";i:1;}"#;
    assert_eq!(answered(Packer::Php, &empty), php);
    assert_eq!(answered(Packer::Protobuf, &empty), &[8, 0, 0x18, 1][..]);
}

#[test]
fn an_error_keeps_all_it_says() {
    for packer in PACKERS {
        for raw in [1231, -7, i64::MIN, i64::MAX, 100_205] {
            let mut status = Status::raw(raw, "out of \u{5e93}存").with_details(&b"\x01more"[..]);
            status.metadata_mut().append("k", "v");
            let packet = again(packer, &answer(ResponseData::One(Err(status))), Shape::One);
            let ResponseData::One(Err(status)) = packet.data else { panic!("the call failed") };
            assert_eq!((status.raw_code(), status.message()), (raw, "out of \u{5e93}存"));
            assert_eq!(status.metadata().get("k"), Some("v"));
            assert_eq!(&**status.details(), b"\x01more");
            assert_eq!(status.origin(), Origin::Service);
        }
    }
}

#[test]
fn an_exception_with_code_0_is_no_success() {
    for packer in PACKERS {
        let packet = again(packer, &answer(ResponseData::One(Err(Status::raw(0, "boom")))), Shape::One);
        let ResponseData::One(Err(status)) = packet.data else { panic!("the call failed") };
        assert_eq!((status.raw_code(), status.message(), status.code()), (0, "boom", Code::Unknown));
    }
}

#[test]
fn code_0_with_data_or_without_a_message_is_a_success() {
    let answer = |msg: &str, data: Value| {
        read_one(&value!({ "code" => 0, "data" => { "code" => 0, "msg" => msg, "data" => data } }))
    };
    for (msg, data) in [("", value!([])), ("OK", value!([])), ("other", value!([1])), ("other", value!(null))]
    {
        let response = answer(msg, data.clone()).expect("it went well");
        assert_eq!(unpack(response.body()), data);
    }
    assert_eq!(answer("other", value!([])).expect_err("an exception").message(), "other");
}

#[test]
fn a_code_that_is_text_is_never_a_success() {
    for (code, raw) in [("42000", 42_000), ("HY000", -1), ("", -1), (" 7 ", 7)] {
        let packet = value!({ "code" => 0, "data" => { "code" => code, "msg" => "sql", "data" => [] } });
        assert_eq!(read_one(&packet).expect_err("it failed").raw_code(), raw, "{code:?}");
    }
    for code in [value!(null), value!([]), value!(1.5)] {
        let packet = value!({ "code" => 0, "data" => { "code" => code, "msg" => "sql", "data" => [] } });
        assert_eq!(read(&packet, Shape::One).expect_err("no code").code(), Code::DataLoss);
    }
}

#[test]
fn is_result_is_1_or_true() {
    for packer in PACKERS {
        for is_result in [false, true] {
            let packet = ResponsePacket { is_result, ..answer(ResponseData::Empty) };
            assert_eq!(again(packer, &packet, Shape::Many).is_result, is_result);
        }
    }
    for (flag, expected) in
        [(value!(1), true), (value!(true), true), (value!(0), false), (value!("1"), false)]
    {
        let packet = value!({ "code" => 5, "isresult" => flag });
        assert_eq!(read(&packet, Shape::One).expect("it is valid").is_result, expected);
    }
}

#[test]
fn a_refusal_has_no_results_whatever_is_expected() {
    for packer in PACKERS {
        for shape in [Shape::One, Shape::Many, Shape::Value] {
            let packet =
                ResponsePacket { code: 100_002, message: "no".into(), ..answer(ResponseData::Empty) };
            let packet = again(packer, &packet, shape);
            assert_eq!((packet.code, &*packet.message), (100_002, "no"));
            assert!(matches!(packet.data, ResponseData::Empty), "{:?}", packet.data);
        }
    }
}

#[test]
fn results_come_under_their_keys() {
    for packer in PACKERS {
        let results = vec![
            (CallKey::from(5), ok(value!(1))),
            (CallKey::from("k"), Err(Status::not_found("none"))),
            (CallKey::from(-1), ok(value!([]))),
        ];
        let read = many(again(packer, &answer(ResponseData::Many(results)), Shape::Many));
        let keys: Vec<_> = read.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, [CallKey::from(5), CallKey::from("k"), CallKey::from(-1)]);
        assert_eq!(unpack(read[0].1.as_ref().expect("it went well").body()), value!(1));
        assert_eq!(read[1].1.as_ref().expect_err("it failed").code(), Code::NotFound);
    }
}

/// A message that no packing can express.
struct Unpackable;

impl PackMessage for Unpackable {
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        out.extend_from_slice(b"half of it");
        Err(PackError::new(packer, "field shape has no form"))
    }

    fn packed_len(&self, _: Packer) -> usize {
        300
    }
}

#[test]
fn a_result_that_cannot_be_packed_fails_alone() {
    for packer in PACKERS {
        let other = PACKERS.into_iter().find(|other| *other != packer).expect("three");
        let foreign = Body::packed(other, Bytes::from_static(b"N;"));
        let results = vec![
            (CallKey::from(0), ok(value!("before"))),
            (CallKey::from(1), Ok(Response::new(Body::message(Unpackable)))),
            (CallKey::from(2), Ok(Response::new(foreign))),
            (CallKey::from(3), ok(value!("after"))),
        ];
        let read = many(again(packer, &answer(ResponseData::Many(results)), Shape::Many));
        let well = |n: usize| unpack(read[n].1.as_ref().expect("it went well").body());
        assert_eq!((well(0), well(3)), (value!("before"), value!("after")));
        let failed = |n: usize| read[n].1.as_ref().expect_err("it was not packed");
        assert_eq!(failed(1).code(), Code::Internal);
        assert_eq!(failed(1).message(), format!("cannot pack as {packer}: field shape has no form"));
        assert!(failed(2).message().contains("packed as"), "{}", failed(2));
    }
}

#[test]
fn bytes_that_are_no_text_do_not_fit_into_json() {
    let bytes = || value!({ "name" => Value::from(&b"\xff\xfe"[..]) });
    let read = many(again(
        Packer::Json,
        &answer(ResponseData::Many(vec![(CallKey::from(0), ok(bytes())), (CallKey::from(1), ok(value!(1)))])),
        Shape::Many,
    ));
    assert_eq!(read[0].1.as_ref().expect_err("JSON has no bytes").code(), Code::Internal);
    assert!(read[1].1.is_ok());
    for packer in [Packer::Php, Packer::Protobuf] {
        let packet = again(packer, &answer(ResponseData::One(ok(bytes()))), Shape::One);
        let ResponseData::One(Ok(response)) = packet.data else { panic!("it can be packed") };
        assert_eq!(unpack(response.body()), bytes());
    }
}

#[test]
fn a_control_commands_value_is_the_data_itself() {
    for packer in PACKERS {
        let stats = value!({ "server" => { "connection_num" => 1 } });
        let packet = answer(ResponseData::Value(Body::message(stats.clone())));
        let ResponseData::Value(value) = again(packer, &packet, Shape::Value).data else { panic!("a value") };
        assert_eq!(unpack(&value), stats);
    }
}

#[test]
fn results_are_counted() {
    let limits = Limits::default().with_calls(2);
    for packer in PACKERS {
        let decode = |count: i64| {
            let results = (0..count).map(|key| (CallKey::from(key), ok(value!(1)))).collect();
            decode_response(answered(packer, &answer(ResponseData::Many(results))), Shape::Many, &limits)
        };
        assert_eq!(many(decode(2).expect("two may come")).len(), 2);
        assert_eq!(decode(3).expect_err("three may not").code(), Code::DataLoss);
    }
}

#[test]
fn answers_that_do_not_decode_say_so() {
    let bodies: [&[u8]; 11] = [
        b"a:0:{}",
        b"a:2:{s:4:\"code\";i:0;s:4:\"data\";a:1:{s:4:\"data\";i:1;}}",
        b"a:1:{s:4:\"code\";",
        b"a:1:{s:4:\"code\";i:0;}",
        b"a:2:{s:4:\"code\";i:0;s:4:\"data\";i:1;}",
        b"b:1;",
        b"{\"code\":0,\"data\":[1]}",
        b"{\"code\":",
        b"\x08",
        b"\x08\x00\x22\x05",
        b"\x08\x00\x22\x02\x22\x05",
    ];
    for body in bodies {
        let status = decode_response(Bytes::from(body), Shape::One, &Limits::default());
        let status = status.expect_err(&body.escape_ascii().to_string());
        assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection));
    }
    for body in [&b""[..], b"HTTP/1.1", b"\x1f\x8b"] {
        let status = decode_response(Bytes::from(body), Shape::One, &Limits::default());
        let status = status.expect_err("unknown packing");
        assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection));
    }
}

#[test]
fn metadata_of_equal_keys_is_the_last_in_an_array() {
    let response = || {
        let mut response = Response::new(Body::message(value!(1)));
        for (key, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            response.metadata_mut().append(key, value);
        }
        answer(ResponseData::One(Ok(response)))
    };
    let pairs = |packer| {
        let ResponseData::One(Ok(response)) = again(packer, &response(), Shape::One).data else {
            panic!("it went well")
        };
        response.metadata().iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    for packer in ARRAYS {
        assert_eq!(pairs(packer), ["a=3", "b=2"]);
    }
    assert_eq!(pairs(Packer::Protobuf), ["a=1", "b=2", "a=3"]);
}

/// The whole packet around these results of several calls, as PHP writes it.
fn php_results(results: &[&str]) -> Bytes {
    let mut data = format!("a:{}:{{", results.len());
    for (key, result) in results.iter().enumerate() {
        data += &format!("i:{key};a:3:{{s:4:\"code\";i:0;s:3:\"msg\";s:2:\"OK\";s:4:\"data\";{result}}}");
    }
    format!("a:3:{{s:4:\"code\";i:0;s:3:\"msg\";s:2:\"OK\";s:4:\"data\";{data}}}}}").into()
}

#[test]
fn what_cannot_be_read_in_a_result_fails_alone() {
    let body = php_results(&[
        "a:2:{s:1:\"a\";i:5;s:1:\"b\";R:9;}",
        "O:8:\"App\\User\":1:{s:5:\"\0*\0id\";i:7;}",
        "a:1:{s:4:\"user\";O:4:\"Node\":1:{s:6:\"parent\";r:19;}}",
        "E:7:\"Suit:Up\";",
        "C:3:\"Old\":2:{i:}",
        "r:13;",
        // Behind the payload no number is sure.
        "a:1:{i:0;r:40;}",
    ]);
    let read = many(decode_response(body, Shape::Many, &Limits::default()).expect("a packet"));
    let values: Vec<_> = read
        .into_iter()
        .map(|(_, result)| {
            open::<Value>(result.expect("code 0").into_body()).map_err(|error| error.to_string())
        })
        .collect();
    let value = |at: usize| values[at].as_ref().unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(*value(0), value!({ "a" => 5, "b" => 5 }));
    assert_eq!(value(1).get("id"), Some(&value!(7)));
    assert_eq!(*value(3), Value::from(Object::enum_case("Suit", "Up")));
    assert_eq!(*value(4), Value::from(Object::custom("Old", "i:")));
    assert_eq!(value(5), value(1), "one object in two results");
    for (at, place) in [(2, "in user.parent"), (6, "in [0]")] {
        let error = values[at].as_ref().expect_err("it leads nowhere");
        assert!(
            error.contains("reference to nothing, to what it stands in") && error.contains(place),
            "{error}"
        );
    }
}

#[test]
fn a_result_that_is_no_packet_fails_alone() {
    for packer in ARRAYS {
        let good = value!({ "code" => 0, "msg" => "OK", "data" => 1 });
        let results = value!({ "a" => good.clone(), "b" => null, "c" => { "msg" => "OK" }, "d" => good });
        let body = pack(packer, &value!({ "code" => 0, "msg" => "OK", "data" => results }));
        let read = many(decode_response(body, Shape::Many, &Limits::default()).expect("a packet"));
        let well: Vec<_> = read.iter().map(|(_, result)| result.is_ok()).collect();
        assert_eq!(well, [true, false, false, true], "{packer}");
        assert_eq!(read[1].1.as_ref().expect_err("null").code(), Code::DataLoss);
    }
}

#[test]
fn an_object_is_an_object_in_every_packing() {
    let object = || Object::new("App\\User", [("id", 7), ("\0*\0secret", 1)].into_iter().collect());
    let result = |value: Value| vec![(CallKey::from(0), ok(value)), (CallKey::from(1), ok(value!(1)))];
    for packer in [Packer::Php, Packer::Protobuf] {
        for object in [object(), Object::enum_case("Suit", "Up"), Object::custom("Old", "x")] {
            let read =
                many(again(packer, &answer(ResponseData::Many(result(object.clone().into()))), Shape::Many));
            assert_eq!(unpack(read[0].1.as_ref().expect("it went well").body()), Value::from(object));
        }
    }
    let json = |value: Value| {
        let read = many(again(Packer::Json, &answer(ResponseData::Many(result(value))), Shape::Many));
        assert!(read[1].1.is_ok(), "the other call is none the worse");
        read.into_iter().next().expect("two").1.map(|response| unpack(response.body()))
    };
    assert_eq!(json(object().into()).expect("public properties"), value!({ "id" => 7 }));
    assert_eq!(json(Object::enum_case("Suit", "Up").into()).expect("its name"), value!("Up"));
    let status = json(Object::custom("Old", "x").into()).expect_err("bytes of its class");
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("only its class, Old,"), "{status}");
}

/// One result that nests over the limit, or is too many values with those before
/// it, costs its own call.
#[test]
fn a_result_over_the_limits_fails_its_own_call() {
    let limits = Limits::default().with_depth(20).with_nodes(200);
    let deep = (0..30).fold(Value::Null, |inner, _| value!([inner]));
    let wide = |count: i64| Value::from((0..count).map(|n| (n, n)).collect::<Array>());
    let call = |data: &Value| value!({ "code" => 0, "msg" => "OK", "data" => data.clone() });
    for (bad, limit) in [(&deep, "Limits::depth"), (&wide(190), "Limits::nodes")] {
        for (shape, data) in [
            (
                Shape::Many,
                value!({ "a" => (call(&wide(90))), "bad" => (call(bad)), "b" => (call(&wide(90))) }),
            ),
            (Shape::BareMany, value!({ "a" => (wide(90)), "bad" => (bad.clone()), "b" => (wide(90)) })),
        ] {
            let packet = value!({ "code" => 0, "msg" => "OK", "data" => data });
            let packet = decode_response(pack(Packer::Php, &packet), shape, &limits).expect("it is valid");
            let [(_, a), (_, bad), (_, b)] = &many(packet)[..] else { panic!("three") };
            assert!(a.is_ok() && b.is_ok(), "{shape:?}: {a:?} {b:?}");
            let status = bad.as_ref().expect_err("over a limit");
            assert!(status.code() == Code::DataLoss && status.message().contains(limit), "{status}");
        }
    }
    let state = value!({ "code" => 0, "msg" => "OK", "data" => deep });
    let status = decode_response(pack(Packer::Php, &state), Shape::Value, &limits).expect_err("too deep");
    assert!(status.message().contains("Limits::depth"), "{status}");
}
