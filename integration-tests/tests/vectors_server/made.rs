//! Frames in the manner of the recorded ones, for what those leave out: both
//! generations, old type words, references, sizes, and orders of arrival.

use std::time::Duration;

use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::{Dialect, MAX_PACKET, PATIENCE, Peer, gzip};

use crate::legacy::{Answer, LegacyServer, assert_usable, keyed, request, single};

const GUID: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8; 32] = b"fedcba9876543210fedcba9876543210";

/// Sends one request and opens the next frame.
fn ask(peer: &mut Peer, dialect: &Dialect, body: &[u8]) -> Answer {
    peer.send(&dialect.frame(GUID, body)).expect("sent");
    let answer = Answer::open(dialect, &peer.frame().expect("an answer"));
    assert_eq!(answer.guid.is_empty(), !dialect.has_guid(), "in the generation of the request");
    answer
}

/// What `/t/echo` makes of a serialized parameter.
fn echo(peer: &mut Peer, dialect: &Dialect, param: &str) -> Exact {
    let answer = ask(peer, dialect, &request(GUID, "W_S", &single("/t/echo", param)));
    let value = answer.value();
    value.at(&["data", "data"]).unwrap_or_else(|| panic!("{param}: {value:?}")).clone()
}

/// Every dialect with the server for it.
fn for_each_dialect(test: impl Fn(&LegacyServer, &Dialect)) {
    for (signed, zipped) in [(false, false), (true, false), (false, true), (true, true)] {
        let set = Dialect::GUID;
        let set = if signed { set.signed() } else { set };
        let set = if zipped { set.gzip() } else { set };
        let server = LegacyServer::start(&set);
        for dialect in Dialect::all() {
            if dialect.salt == set.salt {
                test(&server, &dialect);
                server.assert_alive(&set, "afterwards");
            }
        }
    }
}

#[test]
fn every_generation_signature_and_compression_is_answered_in_kind() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        let answer = ask(&mut peer, dialect, &request(GUID, "W_S", &single("/t/echo", "i:7;")));
        assert_eq!(answer.value().at(&["data", "data"]), Some(&7.into()), "{dialect:?}");
        assert!(answer.zipped || !dialect.gzip, "{dialect:?}");
        let broken = ask(&mut peer, dialect, b"a:3:{s:3:\"api\";i:0;s:1:\"x\";O:8:\"stdClass\":0:{}");
        broken.assert_refused(100_003, "a broken body in Plain and Guid frames");
        assert_usable(&mut peer, dialect, "after it");
    });
}

#[test]
fn the_words_before_june_2016_mean_the_same_and_are_answered_bare_where_they_were_written() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        let one = single("/t/task", "N;");
        let several = keyed(&[("a", "/t/task", "i:1;"), ("b", "/t/throw", "N;")]);
        // No peer writes them behind a guid: they are today's words there.
        let layer: &[&str] = if dialect.has_guid() { &["data"] } else { &[] };
        let path = |path: &[&'static str]| [&path[..path.len() - 1], layer, &path[path.len() - 1..]].concat();
        let answer = ask(&mut peer, dialect, &request(GUID, "SSS", &one)).value();
        assert_eq!(answer.at(&path(&["data", "type"])), Some(&"SSS".into()), "{answer:?}");
        let answer = ask(&mut peer, dialect, &request(GUID, "SSM", &several)).value();
        assert_eq!(answer.at(&path(&["data", "a", "type"])), Some(&"SSM".into()), "{answer:?}");
        assert_eq!(answer.at(&["data", "b", "code"]), Some(&1231.into()));
        for (kind, api) in [("SRS", &one), ("SRM", &several)] {
            let answer = ask(&mut peer, dialect, &request(GUID, kind, api));
            assert_eq!(answer.code(), Some(100_001), "{kind}");
            assert_eq!(answer.message(), "transfer success.已经成功投递");
        }
        for kind in ["sss", "W_S ", "SSX", "AM", "100001"] {
            ask(&mut peer, dialect, &request(GUID, kind, &one)).assert_refused(100_002, kind);
        }
        peer.finish_sending().expect("sent");
        peer.expect_close().expect("nothing more comes");
    });
}

#[test]
fn deferred_results_are_acknowledged_and_pushed_in_every_dialect() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        for (kind, api) in [
            ("AM_S", single("/t/sleep", "a:1:{s:2:\"us\";i:1000;}")),
            ("AM_M", keyed(&[("one", "/t/sleep", "a:1:{s:2:\"us\";i:1000;}"), ("7", "/t/exit", "N;")])),
        ] {
            let answer = ask(&mut peer, dialect, &request(GUID, kind, &api));
            assert_eq!((answer.code(), answer.value().get("isresult")), (Some(100_001), None));
            let pushed = Answer::open(dialect, &peer.frame().expect("the result")).value();
            assert_eq!(pushed.get("isresult"), Some(&1.into()));
            assert_eq!(pushed.get("guid"), Some(&GUID[..].into()));
            let result = pushed.at(if kind == "AM_S" { &["data"] } else { &["data", "one"] });
            let slept = result.and_then(|result| result.at(&["data", "slept"]));
            assert_eq!(slept, Some(&1000.into()), "{pushed:?}");
        }
    });
}

#[test]
fn the_control_commands_answer_in_every_dialect() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        for command in ["getStat", "reloadTask"] {
            let api = keyed(&[("cmd", command, "a:0:{}")]);
            let value = ask(&mut peer, dialect, &request(GUID, "SC", &api)).value();
            let connections = value.at(&["data", "server", "connection_num"]);
            assert!(matches!(connections, Some(Exact::Int(1..))), "{value:?}");
            assert!(value.at(&["data", "logqueue"]).is_some(), "{value:?}");
        }
        let unknown = ask(&mut peer, dialect, &request(GUID, "SC", &keyed(&[("cmd", "GETSTAT", "N;")])));
        unknown.assert_refused(100_011, "a command of another case");
        ask(&mut peer, dialect, &request(GUID, "SC", &single("getStat", "N;")))
            .assert_refused(100_011, "no `cmd`");
    });
}

#[test]
fn whatever_php_unserializes_is_echoed_as_php_reads_it() {
    let server = LegacyServer::start(&Dialect::GUID);
    let mut peer = server.connect();
    let mut echo = |param: &str| echo(&mut peer, &Dialect::GUID, param);
    // References count from 1 through the whole body: `api`'s own array is the second.
    assert_eq!(echo("a:2:{i:0;i:5;i:1;R:6;}"), Exact::list([5.into(), 5.into()]));
    assert_eq!(echo("a:2:{i:0;s:1:\"x\";i:1;r:6;}"), Exact::list(["x".into(), "x".into()]));
    let copied = Exact::list([Exact::list([1.into()]), Exact::list([1.into()])]);
    assert_eq!(echo("a:2:{i:0;a:1:{i:0;i:1;}i:1;R:6;}"), copied);
    assert_eq!(echo("R:4;"), "/t/echo".into(), "the name itself");
    assert_eq!(echo("S:3:\"a\\00\\ff\";"), Exact::from(&b"a\0\xff"[..]));
    assert_eq!(echo("a:1:{S:1:\"\\35\";i:1;}"), Exact::Array(vec![(5.into(), 1.into())]));
    assert_eq!(echo("a:2:{s:2:\"05\";i:1;s:2:\"-5\";i:2;}"), {
        Exact::Array(vec![("05".into(), 1.into()), ((-5).into(), 2.into())])
    });
    assert_eq!(echo("a:2:{i:0;i:-0;i:1;i:+7;}"), Exact::list([0.into(), 7.into()]));
    let floats = "a:6:{i:0;d:INF;i:1;d:-INF;i:2;d:-0;i:3;d:1.0E+25;i:4;d:5.0E-324;i:5;d:.5e1;}";
    let values = [f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e25, 5e-324, 5.0];
    assert_eq!(echo(floats), Exact::list(values.map(Exact::from)));
    assert_eq!(echo("d:NAN;"), Exact::from(f64::NAN));
    assert_eq!(echo("i:-9223372036854775808;"), i64::MIN.into());
}

#[test]
fn what_must_not_be_read_is_refused_and_costs_nothing() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        for param in [
            "O:8:\"std Class\":0:{}",
            "O:1:\"X\":2147483647:{",
            "C:1:\"X\":2147483647:{",
            "a:2147483647:{",
            "s:2147483647:\"x\";",
            "i:99999999999999999999;",
            "x:1;",
            "",
        ] {
            let body = request(GUID, "W_S", &single("/t/echo", param));
            ask(&mut peer, dialect, &body).assert_refused(100_003, param);
        }
        let deep = format!("{}N;{}", "a:1:{i:0;".repeat(150_000), "}".repeat(150_000));
        let body = request(GUID, "W_S", &single("/t/echo", &deep));
        // What is well-formed can be told apart from the packet, and is its own call's.
        let answer = ask(&mut peer, dialect, &body).value();
        assert_eq!(answer.get("code"), Some(&0.into()), "{dialect:?}: 150,000 levels");
        assert_eq!(answer.at(&["data", "code"]), Some(&100_203.into()), "{dialect:?}: {answer:?}");
        let claim = b"a:2147483647:{i:0;i:1;i:2;i:3;i:4;i:5;";
        ask(&mut peer, dialect, claim).assert_refused(100_003, "nothing but a claim");
        assert_usable(&mut peer, dialect, "after all of it");
    });
}

#[test]
fn objects_are_echoed_as_they_came_and_nothing_is_made_of_them() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        for param in [
            "O:8:\"stdClass\":1:{s:1:\"5\";O:1:\"X\":1:{i:7;N;}}",
            "C:6:\"OldSer\":7:{raw:old}",
            "E:7:\"Suit:Up\";",
            "O:7:\"Phar\\ar\":1:{s:1:\"f\";s:4:\"/etc\";}",
        ] {
            let answer = ask(&mut peer, dialect, &request(GUID, "W_S", &single("/t/echo", param)));
            assert!(answer.body.windows(param.len()).any(|part| part == param.as_bytes()), "{param}");
        }
    });
}

#[test]
fn a_call_whose_parameter_leads_nowhere_fails_alone() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        let calls = keyed(&[
            ("outwards", "/t/echo", "a:1:{s:4:\"self\";R:5;}"),
            ("unread", "/t/int", "R:99;"),
            ("object", "/t/echo", "O:1:\"X\":1:{s:4:\"self\";r:10;}"),
            ("good", "/t/echo", "i:7;"),
        ]);
        let value = ask(&mut peer, dialect, &request(GUID, "W_M", &calls)).value();
        assert_eq!(value.get("code"), Some(&0.into()), "{value:?}");
        let at = |key: &str, field: &str| value.at(&["data", key, field]).cloned();
        assert_eq!(at("good", "data"), Some(7.into()));
        for key in ["outwards", "object"] {
            assert_eq!(at(key, "code"), Some(100_203.into()), "{value:?}");
            let Some(Exact::Str(message)) = at(key, "msg") else { panic!("{value:?}") };
            let message = String::from_utf8(message).expect("text");
            assert!(message.contains("reference to nothing") && message.contains("in self"), "{message}");
        }
        assert_usable(&mut peer, dialect, "afterwards");
    });
}

#[test]
fn values_nest_as_deep_as_an_application_may_mean() {
    let server = LegacyServer::start(&Dialect::GUID);
    let deep = format!("{}N;{}", "a:1:{i:0;".repeat(400), "}".repeat(400));
    let body = request(GUID, "W_S", &single("/t/echo", &deep));
    let answer = ask(&mut server.connect(), &Dialect::GUID, &body);
    assert!(answer.body.windows(deep.len()).any(|part| part == deep.as_bytes()));
}

#[test]
fn two_mebibytes_are_the_limit_both_ways() {
    for dialect in [Dialect::GUID, Dialect::PLAIN.signed()] {
        let server = LegacyServer::start(&dialect);
        let mut peer = server.connect();
        let empty = request(GUID, "W_S", &single("/t/int", "s:0000000:\"\";"));
        let room = MAX_PACKET - dialect.frame(GUID, &empty).len();
        let body = |letters: usize| {
            let param = format!("s:{letters:07}:\"{}\";", "x".repeat(letters));
            dialect.frame(GUID, &request(GUID, "W_S", &single("/t/int", &param)))
        };
        assert_eq!(body(room).len(), MAX_PACKET);
        peer.send(&body(room)).expect("sent");
        let answer = Answer::open(&dialect, &peer.frame().expect("an answer"));
        assert_eq!(answer.value().at(&["data", "data"]), Some(&i64::MIN.into()));
        peer.send(&body(room + 1)[..4]).expect("sent");
        peer.expect_close().expect("closed as soon as the length is there");

        let big = |n: usize| request(GUID, "W_S", &single("/t/big", &format!("a:1:{{s:1:\"n\";i:{n};}}")));
        let mut peer = server.connect();
        let around = dialect.frame(GUID, &ask(&mut peer, &dialect, &big(1_000_000)).body).len() - 1_000_000;
        let most = ask(&mut peer, &dialect, &big(MAX_PACKET - around));
        assert_eq!(dialect.frame(GUID, &most.body).len(), MAX_PACKET);
        for n in [MAX_PACKET - around + 1, 4 << 20, (4 << 20) + 1, i64::MAX as usize] {
            let value = ask(&mut peer, &dialect, &big(n)).value();
            assert_eq!(value.get("code"), Some(&0.into()), "{n}");
            let code = value.at(&["data", "code"]);
            assert!(matches!(code, Some(Exact::Int(1..))), "{n}: {value:?}");
        }
        assert_usable(&mut peer, &dialect, "after all of it");
    }
}

#[test]
fn sleeps_have_an_end() {
    let server = LegacyServer::start(&Dialect::GUID);
    let param = format!("a:1:{{s:2:\"us\";i:{};}}", i64::MAX);
    let body = request(GUID, "W_S", &single("/t/sleep", &param));
    let value = ask(&mut server.connect(), &Dialect::GUID, &body).value();
    assert!(matches!(value.at(&["data", "code"]), Some(Exact::Int(1..))), "{value:?}");
}

#[test]
fn compressed_bodies_are_bounded_while_they_are_inflated() {
    let server = LegacyServer::start(&Dialect::GUID);
    let mut peer = server.connect();
    let sent = |peer: &mut Peer, body: &[u8]| {
        let answer = ask(peer, &Dialect::GUID, body);
        assert!(answer.zipped);
        answer
    };
    let good = gzip(&request(GUID, "W_S", &single("/t/echo", "i:7;")));
    let bomb = gzip(&vec![b'a'; 40 << 20]);
    sent(&mut peer, &bomb).assert_refused(100_003, "40 MiB in 40 KiB");
    sent(&mut peer, &good[..good.len() - 9]).assert_refused(100_003, "cut short");
    for tail in [&good[..], b"junk", &bomb] {
        let body = [&good[..], tail].concat();
        assert_eq!(sent(&mut peer, &body).value().at(&["data", "data"]), Some(&7.into()));
    }
}

#[test]
fn pipelined_and_trickled_frames_are_each_answered() {
    for_each_dialect(|server, dialect| {
        let mut peer = server.connect();
        let slow = single("/t/sleep", "a:1:{s:2:\"us\";i:1000000;}");
        let mut frames = dialect.frame(GUID, &request(GUID, "W_S", &slow));
        for _ in 0..100 {
            frames.extend(dialect.frame(OTHER, &request(OTHER, "W_S", &single("/t/echo", "i:1;"))));
        }
        peer.send(&frames).expect("sent");
        let mut next = || Answer::open(dialect, &peer.frame().expect("an answer")).value();
        for _ in 0..100 {
            assert_eq!(next().get("guid"), Some(&OTHER[..].into()), "in the order of completion");
        }
        assert_eq!(next().at(&["data", "data", "slept"]), Some(&1_000_000.into()));
        let frame = dialect.frame(GUID, &request(GUID, "W_S", &single("/t/true", "N;")));
        for byte in frame {
            peer.send(&[byte]).expect("sent");
        }
        let answer = Answer::open(dialect, &peer.frame().expect("an answer")).value();
        assert_eq!(answer.at(&["data", "data"]), Some(&true.into()));
    });
}

#[test]
fn a_guid_may_be_any_32_bytes_and_come_twice() {
    let server = LegacyServer::start(&Dialect::GUID);
    let mut peer = server.connect();
    let upper = b"0123456789ABCDEF0123456789ABCDEF";
    for guid in [upper, &[0xff; 32], &[0; 32], b"\r\n\x1b[31m;\";;;;;;;;;;;;;;;;;;;;;;\"", upper] {
        let body = request(guid, "W_S", &single("/t/task", "N;"));
        peer.send(&Dialect::GUID.frame(guid, &body)).expect("sent");
        let answer = Answer::open(&Dialect::GUID, &peer.frame().expect("an answer"));
        assert_eq!(answer.guid, guid);
        for path in [&["guid"][..], &["data", "guid"], &["data", "data", "guid"]] {
            assert_eq!(answer.value().at(path), Some(&guid[..].into()));
        }
    }
    for odd in [&b""[..], b"0123456789abcdef0123456789abcdef0"] {
        let body = request(odd, "W_S", &single("/t/true", "N;"));
        let answer = ask(&mut peer, &Dialect::GUID, &body);
        assert_eq!(answer.value().get("guid"), Some(&GUID[..].into()), "the header's");
        assert_eq!(answer.guid, GUID);
    }
}

#[test]
fn the_server_drains_what_it_has_begun_when_it_is_told_to_end() {
    let mut server = LegacyServer::start(&Dialect::GUID);
    let mut peer = server.connect();
    let slow = single("/t/sleep", "a:1:{s:2:\"us\";i:300000;}");
    peer.send(&Dialect::GUID.frame(GUID, &request(GUID, "W_S", &slow))).expect("sent");
    peer.expect_silence(Duration::from_millis(50)).expect("it sleeps");
    server.process().terminate().expect("it runs");
    let answer = Answer::open(&Dialect::GUID, &peer.frame().expect("an answer"));
    assert_eq!(answer.value().at(&["data", "data", "slept"]), Some(&300_000.into()));
    peer.expect_close().expect("closed");
    assert!(server.process().wait(PATIENCE).expect("it ends").success());
}
