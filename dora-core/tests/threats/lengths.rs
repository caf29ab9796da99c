//! Length fields that no frame can have.

use std::time::Duration;

use dora_core::call::dora_code;
use dora_core::call::packer::Packer;

use crate::support::{call, echo, eventually, frame, pack, serve};

#[tokio::test]
async fn a_length_over_the_limit_is_refused_on_its_four_bytes() {
    let server = serve(echo()).await;
    for (index, claim) in
        [&[0xff; 4][..], b"GET ", b"\x16\x03\x01\x02", &(2u32 << 20).to_be_bytes()].iter().enumerate()
    {
        let mut raw = server.raw().await;
        raw.send(claim).await;
        raw.assert_closed().await;
        assert_eq!(server.stats().refused_frames, 1 + index as u64);
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn a_length_under_the_header_is_answered_and_closed() {
    let server = serve(echo()).await;
    for len in [0u32, 1, 31] {
        let mut raw = server.raw().await;
        raw.send(&len.to_be_bytes()).await;
        assert_eq!(raw.refusal().await.0, dora_code::WRONG_LENGTH);
        raw.assert_closed().await;
    }
    assert_eq!(server.stats().refused_frames, 3);
}

#[tokio::test]
async fn what_follows_a_refused_length_does_not_eat_the_answer() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let mut bytes = vec![0; 4];
    // Unread when the server has had enough: a careless close would reset.
    bytes.resize(64 << 10, b'x');
    raw.send(&bytes).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(raw.refusal().await.0, dora_code::WRONG_LENGTH);
    raw.assert_closed().await;
}

/// Of a client that packs as PHP's do not; theirs are closed on, as their servers do.
#[tokio::test]
async fn a_dora_client_hears_what_is_too_long_however_much_it_sends() {
    let server = serve(echo().max_packet(1000)).await;
    for (packer, answered) in [(Packer::Protobuf, true), (Packer::Php, false)] {
        let mut raw = server.raw().await;
        let mut body = pack(&call("/echo"), packer);
        body.resize(300_000, b'x');
        let (first, rest) = body.split_at(64);
        let mut bytes = u32::try_from(32 + body.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend_from_slice(&[b'7'; 32]);
        bytes.extend_from_slice(first);
        raw.send(&bytes).await;
        if answered {
            let (code, message) = raw.refusal().await;
            assert_eq!(code, dora_code::WRONG_LENGTH);
            assert!(message.contains("limit of 1000"), "{message}");
            // It is still read, so that no reset eats the answer.
            raw.send(rest).await;
        }
        raw.assert_closed().await;
    }
    assert_eq!(server.stats().refused_frames, 2);
}

#[tokio::test]
async fn what_came_before_a_refused_length_is_answered() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let mut bytes = frame(&call("/echo"));
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    raw.send(&bytes).await;
    raw.result().await.expect("answered");
    raw.assert_closed().await;
    eventually("the connection is counted out", || server.stats().closed == 1).await;
}
