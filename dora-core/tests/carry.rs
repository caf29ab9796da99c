//! Calls over carriers of a user's own.

use std::sync::Arc;
use std::time::Duration;

use dora_core::call::batch::CallKey;
use dora_core::call::body::{BatchCall, Body};
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::origin::{Connection, Peer};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::status::{Origin, Status};
use dora_core::carry::frame::{Answer, Frame};
use dora_core::carry::guid_check::GuidCheckLayer;
use dora_core::carry::pack::PackLayer;
use dora_core::carry::unpack::UnpackLayer;
use dora_core::guid::Guid;
use dora_core::pack::envelope::Shape;
use dora_core::pack::envelope::{decode_response, encode_request};
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::{Call, Calls, RequestPacket, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::value;
use parking_lot::Mutex;
use tower::{Layer, Service, ServiceExt, service_fn};

/// Answers with name, parameter and who called; or fails.
async fn handle(request: Request<Value>) -> Result<Value, Status> {
    let origin = request.origin().expect("it came over a carrier");
    let (door, peer) = (origin.door(), origin.peer().to_string());
    match request.method().as_str() {
        "/fail" => Err(Status::raw(1231, "out of stock")),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(Value::Null)
        }
        name => {
            let name = name.to_owned();
            Ok(value!({ "name" => name, "param" => request.into_body(), "door" => door, "peer" => peer }))
        }
    }
}

/// The frames' end of a server.
fn server(
    layer: UnpackLayer,
) -> impl Service<Frame, Response = Answer, Error = std::convert::Infallible, Future: Send> + Clone + Send {
    let requests = Server::builder().dynamic(handle).into_service().expect("no name is claimed twice");
    layer.layer(requests)
}

/// A client of it, over a carrier that only hands over.
fn client(packer: Packer) -> DynamicClient<impl Caller<Future: Send, Error: Send> + Send + 'static> {
    let frames = GuidCheckLayer::new().layer(server(UnpackLayer::new("a test")));
    DynamicClient::new(PackLayer::new(packer).peer("the test's carrier").layer(frames))
}

const PACKERS: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];

#[tokio::test]
async fn every_mode_goes_over_a_carrier_in_every_packing() {
    for packer in PACKERS {
        let client = client(packer);
        let result = client.call("/a", value!({ "id" => 7 })).await.expect("a result");
        let expected = value!({
            "name" => "/a", "param" => { "id" => 7 }, "door" => "carrier", "peer" => "a test"
        });
        assert_eq!(result, expected, "{packer}");
        client.call("/a", Value::Null).no_result().await.expect("accepted");
        let later = client.call("/a", value!({ "id" => 7 })).deferred().await.expect("accepted");
        assert_eq!(later.await.expect("it comes"), expected, "{packer}");
    }
}

#[tokio::test]
async fn errors_come_from_the_service_with_their_code() {
    for packer in PACKERS {
        for deferred in [false, true] {
            let call = client(packer).call("/fail", Value::Null);
            let status = match deferred {
                true => call.deferred().await.expect("accepted").await.expect_err("it failed"),
                false => call.await.expect_err("it failed"),
            };
            assert_eq!((status.raw_code(), status.message()), (1231, "out of stock"), "{packer}");
            assert_eq!((status.origin(), status.peer()), (Origin::Service, Some("the test's carrier")));
        }
    }
}

#[tokio::test]
async fn a_batch_is_one_frame() {
    for packer in PACKERS {
        let frames = Arc::new(Mutex::new(0));
        let (counted, inner) = (Arc::clone(&frames), server(UnpackLayer::new("a test")));
        let carrier = service_fn(move |frame: Frame| {
            *counted.lock() += 1;
            inner.clone().oneshot(frame)
        });
        let caller = PackLayer::new(packer).layer(carrier);
        let call = |key: i64, name: &str| {
            let mut request = Request::new(Body::message(Value::from(key)));
            request.head_mut().set_method(name.to_owned());
            let (head, body) = request.into_parts();
            BatchCall::new(CallKey::Int(key), head, body)
        };
        let batch = Request::batch_of(vec![call(0, "/a"), call(1, "/fail")]);
        let response = caller.oneshot(batch).await.expect("results");
        let dora_core::call::response::Reply::Batch(results) = response.into_body() else {
            panic!("a batch is answered with results")
        };
        assert_eq!(results.len(), 2);
        for (key, result) in results {
            assert_eq!(result.is_ok(), key == CallKey::Int(0), "{packer}: {key}");
        }
        assert_eq!(*frames.lock(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_and_travels() {
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let requests = service_fn(move |request: Request| {
        *told.lock() = request.deadline();
        async { std::future::pending::<Result<Response, Status>>().await }
    });
    let frames = UnpackLayer::new("a test").layer(requests);
    let client = DynamicClient::new(PackLayer::new(Packer::Php).layer(frames));
    let before = tokio::time::Instant::now();
    let call = client.call("/slow", Value::Null).timeout(Duration::from_millis(70));
    let status = call.await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let told = seen.lock().expect("a deadline came over the carrier");
    assert!(told.remaining(before) <= Duration::from_millis(70), "{told:?}");
}

#[tokio::test]
async fn gzipped_requests_are_answered_in_kind() {
    let inner = server(UnpackLayer::new("a test"));
    let carrier = service_fn(move |frame: Frame| {
        assert!(frame.body.starts_with(&[0x1f, 0x8b]));
        let inner = inner.clone();
        async move {
            let answer = inner.oneshot(frame).await?;
            assert!(answer.first().body.starts_with(&[0x1f, 0x8b]));
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let client = DynamicClient::new(PackLayer::new(Packer::Json).gzip_over(0).layer(carrier));
    assert!(client.call("/a", value!({ "id" => 7 })).await.is_ok());
}

/// The answer to a request with these guids in its frame and its body.
async fn with_guids(packer: Packer, frame: Guid, body: Option<Guid>) -> (Guid, ResponsePacket) {
    let calls = Calls::One(Call::new("/a", Body::message(Value::Null)));
    let packet = RequestPacket { guid: body, calls, ..RequestPacket::default() };
    let mut out = Vec::new();
    encode_request(packer, &packet, &mut out).expect("it can be packed");
    let answer = server(UnpackLayer::new("a test")).oneshot(Frame::new(frame, out)).await;
    let (first, later) = answer.unwrap_or_else(|never| match never {}).into_parts();
    assert!(later.is_none());
    let packet = decode_response(first.body, Shape::One, &Limits::default()).expect("an answer");
    (first.guid, packet)
}

#[tokio::test]
async fn each_guid_of_a_request_is_answered_where_it_stood() {
    let (seven, eight) = (Guid::from_u128(7), Guid::from_u128(8));
    for packer in [Packer::Php, Packer::Json] {
        let (frame, packet) = with_guids(packer, seven, Some(eight)).await;
        assert_eq!((frame, packet.guid, packet.code), (seven, Some(eight), dora_code::OK), "{packer}");
        let (frame, packet) = with_guids(packer, seven, None).await;
        assert_eq!((frame, packet.guid), (seven, Some(seven)), "{packer}");
    }
}

#[tokio::test]
async fn an_answer_with_another_guid_in_its_body_is_refused() {
    let inner = server(UnpackLayer::new("a test"));
    // A carrier that mixes answers up, and says that they are right.
    let carrier = service_fn(move |frame: Frame| {
        let inner = inner.clone();
        async move {
            let calls = Calls::One(Call::new("/other", Body::message(Value::Null)));
            let other = RequestPacket { guid: Some(Guid::ZERO), calls, ..RequestPacket::default() };
            let mut out = Vec::new();
            encode_request(Packer::Php, &other, &mut out).expect("it can be packed");
            inner.oneshot(Frame::new(frame.guid, out)).await
        }
    });
    let carrier = GuidCheckLayer::new().layer(carrier);
    let client = DynamicClient::new(PackLayer::new(Packer::Php).layer(carrier));
    let status = client.call("/a", Value::Null).await.expect_err("another's answer");
    assert_eq!((status.code(), status.raw_code()), (Code::DataLoss, dora_code::FOREIGN_GUID));
}

#[tokio::test]
async fn what_is_no_request_is_answered() {
    let cases: [(&[u8], i64); 4] = [
        (b"", dora_code::NO_CALLS),
        (b"GET / HTTP/1.1", dora_code::UNKNOWN_PACKING),
        (b"a:0:{}", dora_code::NO_CALLS),
        (b"\x1f\x8bnot gzip", dora_code::NO_CALLS),
    ];
    for (body, code) in cases {
        let frame = Frame::new(Guid::from_u128(7), body);
        let answer = server(UnpackLayer::new("a test")).oneshot(frame).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        assert_eq!(answer.first().guid, Guid::from_u128(7));
        let packet = dora_core::pack::compress::inflate(&answer.first().body, 1 << 16)
            .unwrap_or_else(|_| answer.first().body.clone());
        let packet = decode_response(packet, Shape::One, &Limits::default()).expect("an answer");
        assert_eq!(packet.code, code, "{}", body.escape_ascii());
    }
}

#[tokio::test]
async fn packings_that_are_not_allowed_are_refused_and_the_peer_is_said() {
    let connection = Connection::new("queue", Peer::Other("rabbit".into()));
    let layer = UnpackLayer::new("unused").connection(connection).packers([Packer::Json]);
    let client = |packer| DynamicClient::new(PackLayer::new(packer).layer(server(layer.clone())));
    let status = client(Packer::Php).call("/a", Value::Null).await.expect_err("not allowed");
    assert_eq!((status.raw_code(), status.origin()), (dora_code::UNKNOWN_PACKING, Origin::Server));
    let result = client(Packer::Json).call("/a", Value::Null).await.expect("allowed");
    assert_eq!((result.get("door"), result.get("peer")), (Some(&"queue".into()), Some(&"rabbit".into())));
}

#[tokio::test]
async fn a_carrier_of_single_answers_has_no_later_ones() {
    let inner = server(UnpackLayer::new("a test"));
    let carrier = service_fn(move |frame: Frame| {
        let inner = inner.clone();
        async move { inner.oneshot(frame).await.map(|answer| answer.into_parts().0) }
    });
    let client = DynamicClient::new(PackLayer::new(Packer::Protobuf).layer(carrier));
    assert!(client.call("/a", Value::Null).await.is_ok());
    let later = client.call("/a", Value::Null).deferred().await.expect("accepted");
    assert_eq!(later.await.expect_err("nothing comes").code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_carrier_that_fails_is_told_as_its_error_says() {
    let carrier = service_fn(|_: Frame| async {
        Err::<Frame, _>(Status::unavailable("the queue is gone").with_origin(Origin::Connection))
    });
    let client = DynamicClient::new(PackLayer::new(Packer::Protobuf).layer(carrier));
    let status = client.call("/a", Value::Null).await.expect_err("no queue");
    assert_eq!((status.code(), status.origin()), (Code::Unavailable, Origin::Connection));
}
