//! Bodies that are small to send and large to read.

use dora_core::call::batch::CallKey;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::Mode;
use dora_core::call::packer::Packer;
use dora_core::call::status::Status;
use dora_core::pack::compress::deflate;
use dora_core::pack::envelope::Shape;
use dora_core::pack::limits::Limits;
use dora_core::pack::message::open;
use dora_core::pack::packet::{CallResult, ResponseData};
use dora_core::pack::value::Value;

use crate::support::{Raw, echo, frame_of, multi, open_answer, pack, serve};

/// Each body is refused with `reason`, and the connection goes on.
async fn assert_refused(bodies: &[(Vec<u8>, &str)]) {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    for (body, reason) in bodies {
        raw.send(&frame_of(body)).await;
        let (code, message) = raw.refusal().await;
        let shown = body[..body.len().min(60)].escape_ascii();
        assert_eq!(code, dora_code::NO_CALLS, "{shown}: {message}");
        assert!(message.contains(reason), "{shown}: {message}");
        assert!(message.len() > dora_code::NO_CALLS_MESSAGE.len(), "a reason is given for {shown}");
        raw.assert_usable().await;
    }
    assert_eq!(server.stats().refused_packets, bodies.len() as u64);
}

#[tokio::test]
async fn php_claims_and_bombs_are_refused() {
    let in_param = |value: &str| in_calls("W_S", &[("one", value)]);
    assert_refused(&[
        (b"a:2147483647:{".to_vec(), ""),
        (b"a:9999999999999999999:{}".to_vec(), ""),
        (b"s:2147483647:\"\";".to_vec(), ""),
        ("a:1:{i:0;".repeat(200_000).into_bytes(), ""),
        (in_param("a:2147483647:{}"), ""),
        (in_param("s:99999999:\"x\";"), ""),
        (in_param("O:8:\"stdClass\":2147483647:{}"), "count"),
        (in_param("O:2147483647:\"X\":0:{}"), ""),
        (in_param("C:11:\"ArrayObject\":2147483647:{}"), ""),
        (objects(90_000).into_bytes(), "no array"),
        (in_param("E:2147483647:\"Suit:Up\";"), ""),
    ])
    .await;
}

/// A PHP packet of calls to `/echo`.
fn in_calls(word: &str, calls: &[(&str, &str)]) -> Vec<u8> {
    let call = |(key, param): &(&str, &str)| {
        let len = key.len();
        format!("s:{len}:\"{key}\";a:2:{{s:4:\"name\";s:5:\"/echo\";s:5:\"param\";{param}}}")
    };
    let (count, calls) = (calls.len(), calls.iter().map(call).collect::<String>());
    format!("a:2:{{s:3:\"api\";a:{count}:{{{calls}}}s:4:\"type\";s:3:\"{word}\";}}").into_bytes()
}

fn nested(levels: usize) -> String {
    "a:1:{i:0;".repeat(levels) + "N;" + &"}".repeat(levels)
}

/// Sends a multi call, and returns its results.
async fn results(raw: &mut Raw, calls: &[(&str, &str)]) -> Vec<(CallKey, Result<Value, Status>)> {
    raw.send(&frame_of(&in_calls("W_M", calls))).await;
    let (_, body) = raw.frame().await;
    let packet = open_answer(&body, Shape::Many);
    let ResponseData::Many(results) = packet.data else { panic!("{packet:?}") };
    let open = |result: CallResult| result.and_then(|response| open::<Value>(response.into_body()));
    results.into_iter().map(|(key, result)| (key, open(result))).collect()
}

/// The call whose parameter is over a limit, and which limit it says.
fn assert_alone(results: &[(CallKey, Result<Value, Status>)], bad: &str, limit: &str) {
    let bad = CallKey::Str(bad.to_owned().into());
    for (key, result) in results {
        match result {
            Err(status) if *key == bad => {
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(status.message().contains(limit) && status.message().contains("param"), "{status}");
            }
            result => assert!(result.is_ok() && *key != bad, "{key:?}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn a_parameter_over_the_limits_fails_its_own_call() {
    let limits = Limits::default().with_nodes(2000);
    let server = serve(echo().limits(limits)).await;
    let mut raw = server.raw().await;
    let many = |count: usize| {
        format!("a:{count}:{{{}}}", (0..count).map(|n| format!("i:{n};N;")).collect::<String>())
    };
    for (bad, limit) in [
        (nested(600), "Limits::depth"),
        (nested(100_000), "Limits::depth"),
        (objects(90_000), "Limits::depth"),
        (many(2000), "Limits::nodes"),
        (many(100_000), "Limits::nodes"),
    ] {
        let results = results(&mut raw, &[("a", "i:1;"), ("bad", &bad), ("b", "a:0:{}")]).await;
        assert_eq!(results.len(), 3);
        assert_alone(&results, "bad", limit);
        raw.send(&frame_of(&in_calls("W_S", &[("one", &bad)]))).await;
        let status = raw.result().await.expect_err("over a limit");
        assert!(status.message().contains(limit), "{status}");
    }
    // Together too many: what fits is taken in order, and what does not takes nothing.
    let (half, more, few) = (many(1000), many(1100), many(500));
    let results = results(&mut raw, &[("half", &half), ("bad", &more), ("few", &few)]).await;
    assert_alone(&results, "bad", "Limits::nodes");
    // One level under the limit: the packet, its calls and the call are three.
    for (levels, fits) in [(509, true), (510, false)] {
        raw.send(&frame_of(&in_calls("W_S", &[("one", &nested(levels))]))).await;
        assert_eq!(raw.result().await.is_ok(), fits, "{levels}");
    }
    assert_eq!(server.stats().refused_packets, 0);
    raw.assert_usable().await;
}

/// What is passed and not read is bounded as the calls are, and by the packet.
#[tokio::test]
async fn a_packet_that_cannot_be_told_apart_or_has_too_much_of_it_is_refused() {
    let server = serve(echo().limits(Limits::default().with_calls(2))).await;
    let mut raw = server.raw().await;
    let deep = nested(600);
    let three = [("a", &*deep), ("b", &*deep), ("c", &*deep)];
    // With a reference the packet is copied out as a whole, within its limits.
    let referring = format!("a:2:{{i:0;{deep}i:1;R:1;}}");
    for body in [in_calls("W_M", &three), in_calls("W_S", &[("one", &referring)])] {
        raw.send(&frame_of(&body)).await;
        let (code, message) = raw.refusal().await;
        assert_eq!(code, dora_code::NO_CALLS, "{message}");
        assert!(message.contains("Limits::depth"), "{message}");
    }
    // What nobody reads is passed; there are no calls beside it.
    raw.send(&frame_of(nested(200_000).as_bytes())).await;
    assert_eq!(raw.refusal().await.0, dora_code::NO_CALLS);
    raw.assert_usable().await;
}

fn objects(levels: usize) -> String {
    "O:1:\"X\":1:{s:1:\"x\";".repeat(levels) + "N;" + &"}".repeat(levels)
}

/// What leads nowhere costs the call that reads it, and none beside it.
#[tokio::test]
async fn references_outwards_fail_their_own_call() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    for param in ["R:1;", "r:1;", "R:99999;", "R:0;", "a:1:{i:0;R:5;}", "O:1:\"X\":1:{s:1:\"x\";r:5;}"] {
        let body = format!(
            "a:2:{{s:3:\"api\";a:1:{{s:3:\"one\";a:2:{{s:4:\"name\";s:5:\"/echo\";s:5:\"param\";{param}}}}}s:4:\"type\";s:3:\"W_S\";}}"
        );
        raw.send(&frame_of(body.as_bytes())).await;
        let status = raw.result().await.expect_err(param);
        assert!(status.message().contains("reference to nothing"), "{param}: {status}");
    }
    raw.assert_usable().await;
    assert_eq!(server.stats().refused_packets, 0);
}

#[tokio::test]
async fn references_that_multiply_are_refused() {
    // Each level refers to the one before it twice: 2^40 values if copied.
    let mut levels = String::from("a:3:{s:1:\"0\";i:1;");
    for level in 1..40 {
        levels = format!("a:2:{{i:0;{levels}i:1;R:{level};}}");
    }
    assert_refused(&[(levels.into_bytes(), "")]).await;
}

#[tokio::test]
async fn json_bombs_are_refused() {
    let in_param = |value: &str| {
        format!(r#"{{"api":{{"one":{{"name":"/echo","param":{value}}}}},"type":"W_S"}}"#).into_bytes()
    };
    // Of so many, only a compressed body can tell.
    let many = format!("[{}1]", "1,".repeat(1 << 20));
    let zipped = |body: Vec<u8>| {
        let mut out = Vec::new();
        deflate(&body, &mut out);
        out
    };
    assert_refused(&[
        (in_param(&("[".repeat(200_000) + &"]".repeat(200_000))), "512 levels (Limits::depth)"),
        (in_param(&(r#"{"a":"#.repeat(200_000) + "1" + &"}".repeat(200_000))), "Limits::depth"),
        (br#"{"api":"#.repeat(200_000), "512 levels (Limits::depth)"),
        (zipped(format!(r#"{{"api":{many},"type":"W_M"}}"#).into_bytes()), "Limits::nodes"),
        (zipped(in_param(&many)), "Limits::nodes"),
        (b"{\"api\":{\"one\":".to_vec(), ""),
        (b"{\"api\"\xff".to_vec(), ""),
    ])
    .await;
}

#[tokio::test]
async fn quoted_brackets_are_no_nesting() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let text = r#"\"[{\\"#.repeat(1000);
    let body = format!(r#"{{"api":{{"one":{{"name":"/echo","param":"{text}"}}}},"type":"W_S"}}"#);
    raw.send(&frame_of(body.as_bytes())).await;
    raw.result().await.expect("answered");
}

#[tokio::test]
async fn protobuf_garbage_is_refused() {
    assert_refused(&[
        (vec![8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], ""),
        (vec![8, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], ""),
        (vec![8, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], ""),
        ([8, 1, 0x0b].repeat(100_000), ""),
        (vec![8, 1, 0x12, 2, 0x0a, 9], ""),
        (vec![8], ""),
    ])
    .await;
}

#[tokio::test]
async fn more_calls_than_the_limit_are_refused() {
    let packet = multi(Mode::Wait, "/echo", 4097);
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    for packer in [Packer::Php, Packer::Json] {
        raw.send(&frame_of(&pack(&packet, packer))).await;
        let (code, message) = raw.refusal().await;
        assert_eq!(code, dora_code::from_code(Code::ResourceExhausted), "{message}");
        assert!(message.contains("more than 4096 calls in one packet"), "{message}");
    }
    raw.send(&frame_of(&pack(&multi(Mode::Wait, "/echo", 4096), Packer::Php))).await;
    raw.frame().await;
    raw.assert_usable().await;
}
