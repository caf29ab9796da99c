//! Answers that no sound server gives, and requests that none could take.

use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::request::Request;
use dora_core::call::status::{Origin, Status};
use dora_core::generation::Generation;
use dora_core::pack::value::Value;
use dora_core::value;
use dora_integration_tests::raw::{Dialect, MAX_PACKET};
use tower::ServiceExt as _;

use crate::fake::{Fake, next_request};
use crate::replay::endpoint;

/// A packet around the business value `data`.
fn packet(guid: &[u8; 32], data: &str) -> Vec<u8> {
    let guid = str::from_utf8(guid).expect("hex digits");
    let layer = |data: &str| {
        format!(
            "a:4:{{s:4:\"guid\";s:32:\"{guid}\";s:4:\"code\";i:0;s:3:\"msg\";s:2:\"OK\";s:4:\"data\";{data}}}"
        )
    };
    layer(&layer(data)).into_bytes()
}

/// Calls once; the fake server answers with what `answer` makes of the guid.
async fn call(
    dialect: &Dialect,
    answer: impl Fn(&[u8; 32]) -> Vec<u8> + Send + 'static,
) -> (Result<Value, Status>, u64) {
    let fake = Fake::run({
        let dialect = dialect.clone();
        move |peer| {
            let (guid, _) = next_request(peer, &dialect);
            peer.send(&answer(&guid)).expect("sent");
        }
    });
    let mut endpoint = endpoint(&fake.address.to_string(), dialect);
    if !dialect.has_guid() {
        endpoint = endpoint.generation(Generation::Plain);
    }
    let channel = endpoint.connect().await.expect("it listens");
    let call = channel.dynamic().call("/t/echo", value!([])).timeout(Duration::from_millis(300));
    let result = call.await;
    let unknown = channel.dropped_answers().unknown;
    drop(channel);
    fake.end().await;
    (result, unknown)
}

#[tokio::test]
async fn every_dialect_is_read_and_a_wrong_signature_is_an_error_of_its_own() {
    for dialect in Dialect::all() {
        let good = dialect.clone();
        let (result, _) = call(&dialect, move |guid| good.frame(guid, &packet(guid, "i:7;"))).await;
        assert_eq!(result.expect("a result"), Value::from(7), "{dialect:?}");
        let Some(salt) = &dialect.salt else { continue };
        let other = Dialect { salt: Some([salt, &b"?"[..]].concat()), ..dialect.clone() };
        let (result, _) = call(&dialect, move |guid| other.frame(guid, &packet(guid, "i:7;"))).await;
        let status = result.expect_err("a wrong signature");
        assert_eq!(status.raw_code(), dora_code::SIGNATURE, "{dialect:?}: {status}");
        assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection));
    }
}

#[tokio::test]
async fn a_foreign_guid_is_never_delivered() {
    const FOREIGN: &[u8; 32] = b"fedcba9876543210fedcba9876543210";
    for dialect in [Dialect::GUID, Dialect::GUID.signed().gzip()] {
        let foreign = dialect.clone();
        let answer = move |_: &[u8; 32]| foreign.frame(FOREIGN, &packet(FOREIGN, "i:666;"));
        let (result, unknown) = call(&dialect, answer).await;
        assert_eq!(result.expect_err("no answer").raw_code(), dora_code::TIMEOUT);
        assert_eq!(unknown, 1);

        let both = dialect.clone();
        let answer = move |guid: &[u8; 32]| {
            let foreign = both.frame(FOREIGN, &packet(FOREIGN, "i:666;"));
            [foreign, both.frame(guid, &packet(guid, "i:7;"))].concat()
        };
        let (result, unknown) = call(&dialect, answer).await;
        assert_eq!((result.expect("its own"), unknown), (Value::from(7), 1));

        let within = dialect.clone();
        let answer = move |guid: &[u8; 32]| within.frame(guid, &packet(FOREIGN, "i:666;"));
        let (result, _) = call(&dialect, answer).await;
        assert_eq!(result.expect_err("two guids").raw_code(), dora_code::FOREIGN_GUID);
    }
    // Without a guid in the header, the one in the body counts.
    let plain = |_: &[u8; 32]| Dialect::PLAIN.frame(FOREIGN, &packet(FOREIGN, "i:666;"));
    let (result, unknown) = call(&Dialect::PLAIN, plain).await;
    assert_eq!(result.expect_err("no answer").raw_code(), dora_code::TIMEOUT);
    assert_eq!(unknown, 1);
}

#[tokio::test]
async fn results_are_read_as_php_reads_them_and_objects_as_data() {
    for (data, wanted) in [
        ("a:2:{s:1:\"a\";i:5;s:1:\"b\";R:10;}", value!({ "a" => 5, "b" => 5 })),
        ("S:2:\"a\\00\";", Value::from(b"a\0".to_vec())),
        ("d:1E3;", Value::from(1000.0)),
        ("N;", Value::Null),
    ] {
        let answer = move |guid: &[u8; 32]| Dialect::GUID.frame(guid, &packet(guid, data));
        let (result, _) = call(&Dialect::GUID, answer).await;
        assert_eq!(result.expect(data), wanted);
    }
    let data =
        "a:3:{s:4:\"user\";O:4:\"User\":1:{s:5:\"\0*\0id\";i:7;}i:0;r:10;s:3:\"old\";C:3:\"Old\":0:{}}";
    let answer = move |guid: &[u8; 32]| Dialect::GUID.frame(guid, &packet(guid, data));
    let result = call(&Dialect::GUID, answer).await.0.expect("objects");
    let user = result.get("user").expect("it is there");
    assert_eq!((user.get("id"), result.get(0)), (Some(&Value::from(7)), Some(user)));
    let data = "a:1:{s:4:\"user\";O:4:\"User\":1:{s:2:\"me\";r:10;}}";
    let answer = move |guid: &[u8; 32]| Dialect::GUID.frame(guid, &packet(guid, data));
    let status = call(&Dialect::GUID, answer).await.0.expect_err("it holds itself");
    assert!(
        status.message().contains("what it stands in") && status.message().contains("in user.me"),
        "{status}"
    );
    for body in [&b""[..], b"junk", b"i:5;", b"a:4:{s:4:\"guid\";", b"\x1f\x8bjunk"] {
        let answer = move |guid: &[u8; 32]| Dialect::GUID.frame(guid, body);
        let (result, _) = call(&Dialect::GUID, answer).await;
        let status = result.expect_err("no packet");
        assert_eq!(status.origin(), Origin::Connection, "{}: {status}", body.escape_ascii());
    }
}

#[tokio::test]
async fn what_no_server_could_take_is_not_sent() {
    for dialect in [Dialect::GUID, Dialect::GUID.signed()] {
        let fake = Fake::run(|_| ());
        let channel = endpoint(&fake.address.to_string(), &dialect).connect().await.expect("it listens");
        let call = channel.dynamic().call("/t/echo", vec![b'x'; MAX_PACKET]);
        let status = call.await.expect_err("over the limit");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.is_unsent() && status.message().contains("over this client's limit"), "{status}");
        // The original never answers a packet without calls.
        let batch = channel.clone().oneshot(Request::batch_of(Vec::new())).await;
        let status = batch.expect_err("no calls");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        drop(channel);
        fake.end().await;
    }
}

#[tokio::test]
async fn a_result_that_is_lost_with_its_connection_is_an_error() {
    let fake = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = fake.local_addr().expect("an address").to_string();
    let server = std::thread::spawn(move || {
        let mut peer = dora_integration_tests::raw::Peer::accept(&fake).expect("a client");
        let (guid, _) = next_request(&mut peer, &Dialect::GUID);
        let guid_text = str::from_utf8(&guid).expect("hex digits");
        let accepted = format!(
            "a:4:{{s:4:\"guid\";s:32:\"{guid_text}\";s:4:\"code\";i:100001;s:3:\"msg\";s:35:\
             \"transfer success.已经成功投递\";s:4:\"data\";a:0:{{}}}}"
        );
        peer.send(&Dialect::GUID.frame(&guid, accepted.as_bytes())).expect("sent");
    });
    let channel = endpoint(&address, &Dialect::GUID).connect().await.expect("it listens");
    let pending = channel.dynamic().call("/t/echo", 1).deferred().await.expect("accepted");
    let status = pending.await.expect_err("the server is gone");
    assert_eq!(status.raw_code(), dora_code::RESULT_LOST, "{status}");
    server.join().expect("it ran");
}
