use super::*;
use crate::call::body::BatchCall;
use crate::call::code::Code;
use crate::call::packer::Packer;
use crate::middleware::signature::key::SigningKey;
use crate::middleware::signature::sign::SignLayer;

/// A time of both clocks, in milliseconds since 1970.
const NOW: u64 = 1_800_000_000_000;

fn key(id: &str) -> SigningKey {
    SigningKey::new(id, [id.as_bytes()[0]; 32]).expect("a key")
}

fn ring(ids: &[&str]) -> Keyring {
    Keyring::new(ids.iter().map(|id| key(id))).expect("a ring")
}

fn call(method: &'static str) -> Request {
    let mut request = Request::new(Body::message(7_i64));
    request.head_mut().set_method(method);
    request.metadata_mut().insert("tenant", "acme");
    request
}

fn signed(id: &str, mut request: Request, at: u64) -> Request {
    SignLayer::new(key(id)).sign(&mut request, at).expect("signed");
    request
}

#[track_caller]
fn refused(layer: &VerifyLayer, mut request: Request, at: u64, why: &str) {
    let status = layer.check(&mut request, at).expect_err(why);
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(status.message().contains(why), "{status}");
    assert!(request.extensions().get::<Signer>().is_none());
}

#[test]
fn a_signed_call_is_believed_once_and_its_signer_known() {
    let layer = VerifyLayer::new(ring(&["a", "b"]));
    let sent = signed("b", call("/t/x"), NOW);
    let mut came = sent.clone();
    layer.check(&mut came, NOW + 5).expect("believed");
    assert_eq!(came.extensions().get::<Signer>().map(Signer::key), Some("b"));
    refused(&layer, sent.clone(), NOW + 10, "came before");
    refused(&layer.clone(), sent, NOW + 29_000, "came before");
}

#[test]
fn what_was_changed_is_not_believed() {
    let layer = VerifyLayer::new(ring(&["a"]));
    let changes: [fn(&mut Request); 6] = [
        |request| *request.body_mut() = Body::packed(Packer::Protobuf, vec![8, 9].into()),
        |request| request.head_mut().set_method("/t/y"),
        |request| request.metadata_mut().insert("tenant", "globex"),
        |request| request.metadata_mut().append("role", "admin"),
        |request| request.metadata_mut().remove("tenant"),
        |request| request.head_mut().set_mode(Mode::NoResult),
    ];
    for change in changes {
        let mut sent = signed("a", call("/t/x"), NOW);
        change(&mut sent);
        refused(&layer, sent, NOW, "does not fit the call");
    }
    refused(&layer, call("/t/x"), NOW, "is not signed");
    refused(&layer, signed("b", call("/t/x"), NOW), NOW, "key \"b\", which is not known");
    let mut odd = call("/t/x");
    odd.metadata_mut().insert(KEY, "1;a;\n");
    refused(&layer, odd, NOW, "none of this form");
    // Of the same name, but another secret.
    let impostor = SigningKey::new("a", [0; 32]).expect("a key");
    let mut forged = call("/t/x");
    SignLayer::new(impostor).sign(&mut forged, NOW).expect("signed");
    refused(&layer, forged, NOW, "the secrets differ");
}

#[test]
fn a_signature_has_its_time() {
    let layer = VerifyLayer::new(ring(&["a"])).window(Duration::from_secs(10));
    for (made, at) in [(NOW, NOW + 10_000), (NOW + 10_000, NOW)] {
        layer.check(&mut signed("a", call("/t/x"), made), at).expect("in time");
    }
    refused(&layer, signed("a", call("/t/x"), NOW), NOW + 10_001, "10.001s before this machine's time");
    refused(&layer, signed("a", call("/t/x"), NOW + 60_000), NOW, "60s after this machine's time");
}

#[test]
fn no_more_is_believed_than_can_be_remembered_and_only_what_is_right_is() {
    let layer = VerifyLayer::new(ring(&["a"])).remember(2);
    for _ in 0..10 {
        refused(&layer, signed("b", call("/t/x"), NOW), NOW, "not known");
        refused(&layer, signed("a", call("/t/x"), NOW - 60_000), NOW, "before");
    }
    for _ in 0..2 {
        layer.check(&mut signed("a", call("/t/x"), NOW), NOW).expect("remembered");
    }
    let status = layer.check(&mut signed("a", call("/t/x"), NOW), NOW).expect_err("full");
    assert_eq!(status.code(), Code::ResourceExhausted);
    layer
        .check(&mut signed("a", call("/t/x"), NOW + 200_000), NOW + 200_000)
        .expect("the others are forgotten");
}

#[test]
fn keys_are_changed_while_calls_come() {
    let ring = ring(&["a"]);
    let layer = VerifyLayer::new(ring.clone());
    ring.replace([key("a"), key("b")]).expect("a ring");
    for id in ["a", "b"] {
        layer.check(&mut signed(id, call("/t/x"), NOW), NOW).expect("believed");
    }
    ring.replace([key("b")]).expect("a ring");
    refused(&layer, signed("a", call("/t/x"), NOW), NOW, "not known");
}

#[test]
fn each_call_of_a_batch_is_signed_and_believed_in_it_or_taken_out_of_it() {
    let batch = || {
        let calls = (0_i64..2).map(|id| {
            let (head, body) = call("/t/x").into_parts();
            BatchCall::new(id.into(), head, body)
        });
        let mut batch = Request::batch_of(calls.collect());
        batch.metadata_mut().insert("of", "all");
        signed("a", batch, NOW)
    };
    let layer = VerifyLayer::new(ring(&["a"]));
    layer.check(&mut batch(), NOW).expect("as a whole");
    // As on a server.
    for (_, call) in batch().take_apart().expect("a batch") {
        let mut first = call.clone();
        layer.check(&mut first, NOW).expect("by itself");
        assert!(first.extensions().get::<Signer>().is_some());
        refused(&layer, call, NOW, "came before");
    }
}

#[test]
fn unsigned_calls_pass_if_wanted_and_wrong_ones_do_not() {
    let layer = VerifyLayer::new(ring(&["a"])).optional();
    let mut unsigned = call("/t/x");
    layer.check(&mut unsigned, NOW).expect("passes");
    assert!(unsigned.extensions().get::<Signer>().is_none());
    refused(&layer, signed("b", call("/t/x"), NOW), NOW, "not known");
}
