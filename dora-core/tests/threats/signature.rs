//! Signatures that do not match.

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::packer::Packer;
use dora_core::call::status::{Origin, Status};
use dora_core::guid::Guid;
use dora_core::value;
use dora_core::wire::checksum::Salt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::guids::{Fake, answer_body};
use crate::support::{Raw, call, echo, frame_for, open_answer, pack, serve, soon};

fn signed(salt: Salt) -> Vec<u8> {
    frame_for(&Guid::from_u128(7), Some(salt), &pack(&call("/echo"), Packer::Php))
}

/// The code of the next answer, in a signed frame.
async fn code(raw: &mut Raw) -> i64 {
    let len = soon(raw.stream.read_u32()).await.expect("a frame") as usize;
    let mut rest = vec![0; len];
    soon(raw.stream.read_exact(&mut rest)).await.expect("whole");
    let body = rest.split_off(36);
    assert_eq!(rest[..4], Salt::default().sign(&body).to_be_bytes(), "answers are signed");
    assert_eq!(rest[4..], *Guid::from_u128(7).as_bytes());
    open_answer(&body.into(), dora_core::pack::envelope::Shape::One).code
}

#[tokio::test]
async fn a_wrong_signature_is_answered_and_the_connection_usable() {
    let server = serve(echo().signed()).await;
    let mut raw = server.raw().await;
    let mut flipped = signed(Salt::default());
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for wrong in [flipped, signed(Salt::new(b"another"))] {
        raw.send(&wrong).await;
        assert_eq!(code(&mut raw).await, dora_code::SIGNATURE);
        raw.send(&signed(Salt::default())).await;
        assert_eq!(code(&mut raw).await, dora_code::OK);
    }
    assert_eq!(server.stats().refused_frames, 2);
}

#[tokio::test]
async fn a_wrong_signature_in_an_answer_ends_that_call_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut fake = Fake::new(listener, |endpoint| endpoint.signed()).await;
    let client = fake.channel.dynamic();
    let bad = tokio::spawn(client.call("/a", value!(null)).into_future());
    let first = fake.signed_request().await;
    let good = tokio::spawn(client.call("/b", value!(null)).into_future());
    let second = fake.signed_request().await;
    fake.send(&frame_for(&first, Some(Salt::new(b"forged")), &answer_body(Some(first), 1))).await;
    let status: Status = soon(bad).await.expect("no panic").expect_err("forged");
    assert_eq!(status.raw_code(), dora_code::SIGNATURE);
    assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection));
    fake.send(&frame_for(&second, Some(Salt::default()), &answer_body(Some(second), 2))).await;
    assert_eq!(soon(good).await.expect("no panic").expect("good"), value!(2));
}
