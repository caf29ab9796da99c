//! Requests as peers write them, right and wrong.

use std::time::Duration;

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::pack::envelope::decode_request;
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::Calls;
use dora_core::pack::value::Value;
use dora_core::value;

use super::{ARRAYS, GUID, PACKERS, names, one, pack, read, refused, unpack, unpacked, written};

fn single(word: &str) -> Value {
    let key = if word == "SC" { "cmd" } else { "one" };
    value!({ "type" => word, "guid" => GUID, "api" => { key => { "name" => "/t/echo", "param" => 7 } } })
}

fn multi(word: &str) -> Value {
    let calls = value!({ "a" => { "name" => "/a" }, 5 => { "name" => "/b" } });
    value!({ "type" => word, "guid" => GUID, "api" => calls })
}

#[test]
fn every_word_is_its_kind() {
    for packer in ARRAYS {
        for word in ["W_S", "AN_S", "AM_S", "SSS", "SRS", "SC"] {
            let packet = read(packer, &single(word)).expect(word);
            assert_eq!(Some(packet.kind), PacketKind::parse(word.as_bytes()));
            assert_eq!(packet.guid.expect("it has one").as_bytes(), GUID.as_bytes());
            let call = one(packet);
            assert_eq!((call.name.as_str(), unpack(&call.param)), ("/t/echo", value!(7)));
        }
        for word in ["W_M", "AN_M", "AM_M", "SSM", "SRM"] {
            let packet = read(packer, &multi(word)).expect(word);
            assert_eq!(Some(packet.kind), PacketKind::parse(word.as_bytes()));
            assert_eq!(names(&packet), [(CallKey::from("a"), "/a"), (CallKey::from(5), "/b")]);
        }
    }
}

#[test]
fn a_word_we_write_is_the_word_we_read() {
    for word in ["W_S", "AN_S", "AM_S", "SSS", "SRS", "SC"] {
        for packer in ARRAYS {
            let packet = read(packer, &single(word)).expect(word);
            let again = decode_request(packer, written(packer, &packet), &Limits::default()).expect(word);
            assert_eq!(again.kind.word(), word);
        }
    }
}

#[test]
fn an_unknown_type_is_told_with_the_guid() {
    for packer in ARRAYS {
        for kind in [value!("w_s"), value!(""), value!(null), value!(false), value!(0), value!([])] {
            let packet = value!({ "type" => kind, "guid" => GUID, "api" => { "one" => { "name" => "/a" } } });
            let refused = read(packer, &packet).expect_err("the type is wrong");
            assert_eq!(refused.status.raw_code(), 100_002);
            assert_eq!(refused.status.message(), "unknow task type.未知类型任务");
            assert_eq!(refused.guid.expect("it could be read").as_bytes(), GUID.as_bytes());
        }
        let untyped = value!({ "guid" => GUID, "api" => { "one" => { "name" => "/a" } } });
        assert_eq!(refused(read(packer, &untyped)).0, 100_002);
    }
}

#[test]
fn true_equals_the_first_word_as_in_php() {
    for packer in ARRAYS {
        let packet = value!({ "type" => true, "api" => { "one" => { "name" => "/a" } } });
        assert_eq!(read(packer, &packet).expect("it is W_S").kind, PacketKind::calls(Mode::Wait, false));
    }
}

#[test]
fn an_api_that_is_no_array_is_no_call() {
    for packer in ARRAYS {
        for api in [value!(null), value!(0), value!("one"), value!(1.5), value!(true)] {
            let packet = value!({ "type" => "W_S", "guid" => GUID, "api" => api });
            assert_eq!(refused(read(packer, &packet)), (100_003, "param api is empty".into()));
        }
        let without = value!({ "type" => "W_M", "guid" => GUID });
        assert_eq!(refused(read(packer, &without)), (100_003, "param api is empty".into()));
    }
}

#[test]
fn results_of_no_calls_are_not_waited_for() {
    for packer in ARRAYS {
        let packet = |word: &str| value!({ "type" => word, "guid" => GUID, "api" => [] });
        assert_eq!(refused(read(packer, &packet("W_M"))), (100_003, "param api is empty".into()));
        for word in ["AN_M", "AM_M"] {
            assert!(read(packer, &packet(word)).expect(word).calls.is_empty());
        }
    }
    let bare = |kind| decode_request(Packer::Protobuf, Bytes::from(vec![8, kind]), &Limits::default());
    assert_eq!(refused(bare(2)), (100_003, "param api is empty".into()));
    assert!(bare(4).expect("no result is wanted").calls.is_empty());
    assert_eq!(refused(bare(1)).0, 100_003, "a single packet has one call");
    assert_eq!(refused(bare(0)).0, 100_002);
    assert_eq!(refused(bare(8)).0, 100_002);
}

#[test]
fn without_its_key_a_single_call_is_refused_or_none() {
    for packer in ARRAYS {
        for api in [value!({ "two" => { "name" => "/a" } }), value!({})] {
            let packet = value!({ "type" => "W_S", "guid" => GUID, "api" => api.clone() });
            let refused = read(packer, &packet).expect_err("its caller waits");
            assert_eq!(refused.status.raw_code(), 100_003);
            let packet = value!({ "type" => "AN_S", "guid" => GUID, "api" => api });
            assert!(read(packer, &packet).expect("acknowledged, as in PHP").calls.is_empty());
        }
    }
}

#[test]
fn other_keys_beside_the_one_are_not_looked_at() {
    for packer in ARRAYS {
        let call = value!({ "name" => "/a", "fd" => 3, "param" => [1, 2] });
        let packet =
            value!({ "x" => 1, "type" => "W_S", 9 => 9, "api" => { "two" => 1, "one" => call.clone() } });
        let read = one(read(packer, &packet).expect("it is valid"));
        assert_eq!((read.name.as_str(), unpack(&read.param)), ("/a", value!([1, 2])));
        let raw = read.raw.expect("the whole call is kept");
        assert_eq!(unpacked(&raw), call, "further fields included");
    }
}

#[test]
fn odd_calls_are_calls_without_what_they_lack() {
    for packer in ARRAYS {
        let calls = value!({
            "null" => null, "word" => "x", "empty" => {}, "unnamed" => { "param" => 1 },
            "number" => { "name" => 12 }, "array" => { "name" => [1] }
        });
        let packet = read(packer, &value!({ "type" => "W_M", "api" => calls })).expect("it is valid");
        let found: Vec<_> = names(&packet).into_iter().map(|(_, name)| name.to_owned()).collect();
        assert_eq!(found, ["", "", "", "", "12", ""]);
    }
}

#[test]
fn a_guid_in_the_body_has_32_bytes_or_is_none() {
    for packer in ARRAYS {
        let guid = |guid: Value| {
            let packet =
                value!({ "type" => "W_S", "guid" => guid, "api" => { "one" => { "name" => "/a" } } });
            read(packer, &packet).expect("it is valid").guid.map(|guid| *guid.as_bytes())
        };
        assert_eq!(
            guid(value!("ZZZZ5678901234567890123456789012")),
            Some(*b"ZZZZ5678901234567890123456789012")
        );
        for other in [value!("short"), value!(5), value!(null), value!([]), value!("")] {
            assert_eq!(guid(other), None);
        }
    }
}

#[test]
fn of_equal_keys_the_last_stands_in_the_place_of_the_first() {
    let json = r#"{"type":"AN_M","type":"W_M","api":{"a":{"name":"/1"},"5":{"name":"/2"},"a":{"name":"/x","name":"/3"}}}"#;
    let php = r#"a:3:{s:4:"type";s:4:"AN_M";s:4:"type";s:3:"W_M";s:3:"api";a:3:{s:1:"a";a:1:{s:4:"name";s:2:"/1";}s:1:"5";a:1:{s:4:"name";s:2:"/2";}s:1:"a";a:2:{s:4:"name";s:2:"/x";s:4:"name";s:2:"/3";}}}"#;
    for (packer, body) in [(Packer::Json, json), (Packer::Php, php)] {
        let packet = decode_request(packer, Bytes::from(body), &Limits::default()).expect("it is valid");
        assert_eq!(packet.kind, PacketKind::calls(Mode::Wait, true));
        assert_eq!(names(&packet), [(CallKey::from("a"), "/3"), (CallKey::from(5), "/2")], "{packer}");
    }
}

#[test]
fn many_equal_keys_are_found_too() {
    let pairs: String = (0..500).map(|n| format!(r#""k{}":{{"name":"/{n}"}},"#, n % 20)).collect();
    let body = format!(r#"{{"type":"W_M","api":{{{}}}}}"#, pairs.trim_end_matches(','));
    let packet = decode_request(Packer::Json, Bytes::from(body), &Limits::default()).expect("it is valid");
    let last: Vec<_> = (480..500).map(|n| format!("/{n}")).collect();
    assert_eq!(names(&packet).into_iter().map(|(_, name)| name).collect::<Vec<_>>(), last);
}

#[test]
fn a_json_list_has_keys_from_zero() {
    let body = Bytes::from(r#"{"type":"W_M","api":[{"name":"/a"},{"name":"/b"}]}"#);
    let packet = decode_request(Packer::Json, body, &Limits::default()).expect("it is valid");
    assert_eq!(names(&packet), [(CallKey::Int(0), "/a"), (CallKey::Int(1), "/b")]);
}

#[test]
fn only_decimal_integers_are_integer_keys() {
    let body = r#"{"type":"W_M","api":{"-5":{},"05":{},"-0":{},"+1":{},"9223372036854775808":{},"":{}}}"#;
    let packet = decode_request(Packer::Json, Bytes::from(body), &Limits::default()).expect("it is valid");
    let keys: Vec<_> = names(&packet).into_iter().map(|(key, _)| key).collect();
    let text = ["05", "-0", "+1", "9223372036854775808", ""].map(CallKey::from);
    assert_eq!(keys[0], CallKey::Int(-5));
    assert_eq!(keys[1..], text);
}

#[test]
fn a_timeout_counts_if_it_is_a_positive_integer() {
    for packer in ARRAYS {
        let timeout = |timeout: Value| {
            let packet = value!({ "type" => "SC", "timeout" => timeout, "api" => {} });
            read(packer, &packet).expect("it is valid").timeout
        };
        assert_eq!(timeout(value!(1500)), Some(Duration::from_millis(1500)));
        assert_eq!(timeout(value!(i64::MAX)), Some(Duration::from_millis(i64::MAX.unsigned_abs())));
        for other in [value!(0), value!(-1), value!("1500"), value!(null), value!([])] {
            assert_eq!(timeout(other), None);
        }
    }
}

#[test]
fn metadata_is_text_and_numbers() {
    for packer in ARRAYS {
        let meta = value!({ "trace" => "abc", "n" => 7, 3 => "three", "none" => null, "list" => [] });
        let packet = value!({ "type" => "SC", "meta" => meta, "api" => {} });
        let metadata = read(packer, &packet).expect("it is valid").metadata;
        let pairs: Vec<_> = metadata.iter().collect();
        assert_eq!(pairs, [("trace", "abc"), ("n", "7"), ("3", "three")]);
        let odd = value!({ "type" => "SC", "meta" => "x", "api" => {} });
        assert!(read(packer, &odd).expect("it is valid").metadata.is_empty());
    }
}

#[test]
fn too_much_metadata_is_refused() {
    for packer in ARRAYS {
        let body = |count: i64| {
            let meta: dora_core::pack::value::Array =
                (0..count).map(|n| (format!("k{n}"), Value::from("v"))).collect();
            value!({ "type" => "SC", "guid" => GUID, "meta" => Value::Array(meta), "api" => {} })
        };
        assert_eq!(read(packer, &body(128)).expect("it is valid").metadata.len(), 128);
        let (code, message) = refused(read(packer, &body(129)));
        assert_eq!((code, &*message), (100_003, "param api is empty: over 128 metadata pairs"));
    }
}

#[test]
fn calls_are_counted_before_they_are_read() {
    let limits = Limits::default().with_calls(3);
    for packer in PACKERS {
        let calls = |count: i64| {
            let packet = dora_core::pack::packet::RequestPacket {
                kind: PacketKind::calls(Mode::Wait, true),
                calls: Calls::Many(
                    (0..count)
                        .map(|key| {
                            let param = dora_core::call::body::Body::message(value!(1));
                            (key.into(), dora_core::pack::packet::Call::new("/a", param))
                        })
                        .collect(),
                ),
                ..Default::default()
            };
            decode_request(packer, written(packer, &packet), &limits)
        };
        assert_eq!(calls(3).expect("three may come").calls.len(), 3);
        let (code, message) = refused(calls(4));
        assert_eq!(code, dora_code::from_code(Code::ResourceExhausted), "{packer}");
        assert!(message.contains("more than 3 calls in one packet"), "{packer}: {message}");
    }
}

#[test]
fn bodies_that_do_not_decode_are_refused_and_name_the_reason() {
    let bodies: [(Packer, &[u8]); 13] = [
        (Packer::Php, b"a:2147483647:{"),
        (Packer::Php, b"a:-1:{}"),
        (Packer::Php, b"a:1:{s:3:\"api\";"),
        (Packer::Php, b"s:3:\"api\";"),
        (Packer::Php, b"O:8:\"stdClass\":0:{}"),
        (Packer::Php, b"b:1;"),
        (Packer::Json, b"{"),
        (Packer::Json, b"{\"api\":}"),
        (Packer::Json, b"{\"api\":{\"one\":{}}} x"),
        (Packer::Protobuf, b"\x08"),
        (Packer::Protobuf, b"\x08\x01\x12\xff\xff\xff\xff\x0f"),
        (Packer::Protobuf, b"\x08\x01\x12\x02\x0a\x05"),
        (Packer::Protobuf, b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ];
    for (packer, body) in bodies {
        let (code, message) = refused(decode_request(packer, Bytes::from(body), &Limits::default()));
        assert_eq!(code, 100_003, "{}", body.escape_ascii());
        assert!(message.starts_with("param api is empty: "), "{message}");
    }
}

#[test]
fn deep_json_is_refused_before_the_stack_is_used_up() {
    let body = format!(r#"{{"type":"W_S","api":{{"one":{{"param":{}"#, "[".repeat(200_000));
    assert_eq!(refused(decode_request(Packer::Json, body.into(), &Limits::default())).0, 100_003);
}

#[test]
fn a_reference_to_a_plain_value_is_resolved() {
    let body = r#"a:2:{s:4:"type";s:3:"W_M";s:3:"api";a:2:{s:1:"a";a:2:{s:4:"name";s:2:"/a";s:5:"param";i:7;}s:1:"b";a:2:{s:4:"name";s:2:"/b";s:5:"param";R:6;}}}"#;
    let packet = decode_request(Packer::Php, Bytes::from(body), &Limits::default()).expect("it is valid");
    let Calls::Many(calls) = packet.calls else { panic!("a multi packet") };
    assert_eq!(unpack(&calls[1].1.param), value!(7));
}

#[test]
fn protobuf_skips_fields_it_does_not_know() {
    let mut body = vec![8, 1];
    body.extend_from_slice(b"\x12\x09\x0a\x02/a\x12\x00\x9a\x06\x00"); // field 99 in the call
    body.extend_from_slice(b"\xfd\x01\x01\x02\x03\x04"); // fixed32, field 31
    body.extend_from_slice(b"\xf9\x01\x01\x02\x03\x04\x05\x06\x07\x08"); // fixed64, field 31
    body.extend_from_slice(b"\xfb\x01\x08\x01\xfc\x01"); // a group, field 31
    let packet = decode_request(Packer::Protobuf, body.into(), &Limits::default()).expect("it is valid");
    assert_eq!(one(packet).name.as_str(), "/a");
}

#[test]
fn protobuf_calls_of_a_multi_packet_need_keys_unless_there_is_one() {
    let call = b"\x12\x04\x0a\x02/a";
    let body = |count: usize| Bytes::from([&[8, 2][..], &call.repeat(count)].concat());
    let packet = decode_request(Packer::Protobuf, body(1), &Limits::default()).expect("it is valid");
    assert_eq!(names(&packet), [(CallKey::Int(0), "/a")]);
    assert_eq!(refused(decode_request(Packer::Protobuf, body(2), &Limits::default())).0, 100_003);
}

#[test]
fn a_duration_under_a_millisecond_is_still_a_deadline() {
    for packer in PACKERS {
        let mut packet = read(Packer::Php, &single("W_S")).expect("it is valid");
        packet.timeout = Some(Duration::from_micros(3));
        packet.calls = Calls::One(dora_core::pack::packet::Call::new(
            "/a",
            dora_core::call::body::Body::message(value!(1)),
        ));
        let read = decode_request(packer, written(packer, &packet), &Limits::default()).expect("it is valid");
        assert_eq!(read.timeout, Some(Duration::from_millis(1)));
    }
}

#[test]
fn a_parameter_stays_a_slice_of_its_frame() {
    for packer in ARRAYS {
        let body = pack(packer, &single("W_S"));
        let call = one(decode_request(packer, body.clone(), &Limits::default()).expect("it is valid"));
        let dora_core::call::body::Body::Packed(param) = &call.param else { panic!("it is packed") };
        assert!(body.as_ptr_range().contains(&param.bytes.as_ptr()));
    }
}

#[test]
fn objects_in_one_call_take_nothing_from_the_others() {
    let calls = concat!(
        r#"a:4:{s:1:"a";a:2:{s:4:"name";s:2:"/a";s:5:"param";O:8:"stdClass":1:{s:2:"id";i:7;}}"#,
        r#"s:1:"b";a:3:{s:4:"name";s:2:"/b";s:5:"extra";C:3:"Old":1:{x}s:5:"param";i:1;}"#,
        r#"s:1:"c";a:2:{s:4:"name";s:2:"/c";s:5:"param";a:1:{s:4:"self";R:14;}}"#,
        r#"s:1:"d";a:2:{s:4:"name";s:2:"/d";s:5:"param";E:7:"Suit:Up";}}"#,
    );
    let body = format!(r#"a:3:{{s:4:"type";s:3:"W_M";s:5:"other";O:1:"X":0:{{}}s:3:"api";{calls}}}"#);
    let packet = decode_request(Packer::Php, Bytes::from(body), &Limits::default()).expect("it is valid");
    assert_eq!(
        names(&packet).into_iter().map(|(_, name)| name).collect::<Vec<_>>(),
        ["/a", "/b", "/c", "/d"]
    );
    let Calls::Many(calls) = packet.calls else { panic!("several calls") };
    let params: Vec<_> =
        calls.into_iter().map(|(_, call)| dora_core::pack::message::open::<Value>(call.param)).collect();
    assert_eq!(params[0].as_ref().expect("an object").get("id"), Some(&value!(7)));
    assert_eq!(params[1].as_ref().expect("its extra key is not read"), &value!(1));
    let status = params[2].as_ref().expect_err("it holds itself");
    assert_eq!(status.code(), dora_core::call::code::Code::InvalidArgument);
    assert!(
        status.message().contains("reference to nothing") && status.message().contains("in self"),
        "{status}"
    );
    assert_eq!(params[3].as_ref().expect("a case").type_name(), "object");
}
