use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::BatchCall;
use crate::call::code::Code;
use crate::pack::value::Value;

fn text(bytes: usize) -> Body {
    Body::message(Value::from("x".repeat(bytes)))
}

/// Answers with so many letters.
async fn answered(layer: SizeLimitLayer, request: Request, letters: usize) -> Result<Response, Status> {
    let answer =
        move |_: Request| async move { Ok::<_, Status>(Response::new(Reply::Result(text(letters)))) };
    layer.layer(service_fn(answer)).oneshot(request).await
}

fn packed(packer: Packer, bytes: usize) -> Request {
    Request::new(Body::packed(packer, vec![b'x'; bytes].into()))
}

#[tokio::test]
async fn a_larger_parameter_is_refused_and_not_to_be_tried_again() {
    let layer = SizeLimitLayer::new().request(100);
    for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
        assert!(answered(layer, packed(packer, 100), 1_000).await.is_ok());
        let status = answered(layer, packed(packer, 101), 1_000).await.expect_err("too large");
        assert_eq!((status.code(), status.pushback()), (Code::ResourceExhausted, Some(Pushback::Never)));
        assert_eq!(status.message(), "the parameter has 101 bytes, and may have 100");
    }
}

#[tokio::test]
async fn a_larger_result_is_refused_in_every_packing() {
    let layer = SizeLimitLayer::new().response(100);
    for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
        assert!(answered(layer, packed(packer, 1_000), 80).await.is_ok(), "{packer}");
        let status = answered(layer, packed(packer, 1_000), 101).await.expect_err("too large");
        assert!(status.message().starts_with("the result has 1"), "{status}");
    }
}

#[tokio::test]
async fn a_result_that_had_to_be_packed_is_packed_once() {
    let layer = SizeLimitLayer::new().response(100);
    let response = answered(layer, packed(Packer::Json, 1), 3).await.expect("small");
    let Reply::Result(Body::Packed(packed)) = response.into_body() else { panic!("it is packed") };
    assert_eq!((packed.packer, &packed.bytes[..]), (Packer::Json, &b"\"xxx\""[..]));
}

#[tokio::test]
async fn later_results_and_those_of_batches_are_measured_too() {
    let layer = SizeLimitLayer::new().response(100);
    let later = service_fn(|_: Request| async {
        Ok::<_, Status>(Response::deferred(async { Ok(Response::new(Reply::Result(text(101)))) }))
    });
    let response = layer.layer(later).oneshot(packed(Packer::Protobuf, 1)).await.expect("accepted");
    let Reply::Deferred(later) = response.into_body() else { panic!("it comes later") };
    assert!(later.await.is_err());

    let batch = service_fn(|_: Request| async {
        let of = |letters| Ok(Response::new(Reply::Result(text(letters))));
        Ok::<_, Status>(Response::new(Reply::Batch(vec![(0.into(), of(1)), (1.into(), of(101))])))
    });
    let response = layer.layer(batch).oneshot(packed(Packer::Protobuf, 1)).await.expect("a batch");
    let Reply::Batch(results) = response.into_body() else { panic!("a batch") };
    assert!(results[0].1.is_ok() && results[1].1.is_err());
}

#[tokio::test]
async fn a_batch_of_a_client_is_refused_for_one_call() {
    let layer = SizeLimitLayer::new().request(100);
    let batch = |letters| {
        let call = |key: i64, letters| BatchCall::new(key.into(), Box::default(), text(letters));
        Request::batch_of(vec![call(0, 1), call(1, letters)])
    };
    assert!(answered(layer, batch(50), 1).await.is_ok());
    assert!(answered(layer, batch(200), 1).await.is_err());
}
