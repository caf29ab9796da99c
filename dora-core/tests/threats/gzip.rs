//! Gzip bombs.

use dora_core::call::dora_code;
use dora_core::call::packer::Packer;
use dora_core::pack::compress::deflate;
use dora_core::pack::limits::Limits;

use crate::support::{call, echo, frame_of, pack, serve};

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    deflate(body, &mut out);
    out
}

#[tokio::test]
async fn a_bomb_is_refused_and_the_connection_usable() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    // 64 MiB inflated, where 32 MiB are allowed.
    let bomb = zipped(&vec![b'a'; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    raw.send(&frame_of(&bomb)).await;
    let (code, message) = raw.refusal().await;
    assert_eq!(code, dora_code::NO_CALLS);
    assert!(message.contains("inflates to over 33554432 bytes (Limits::bytes)"), "{message}");
    raw.assert_usable().await;
}

#[tokio::test]
async fn the_limit_is_the_one_that_was_set() {
    let limits = Limits::default().with_bytes(1000);
    let server = serve(echo().limits(limits)).await;
    let mut raw = server.raw().await;
    raw.send(&frame_of(&zipped(&[b'a'; 1001]))).await;
    assert!(raw.refusal().await.1.contains("1000 bytes"));
    raw.send(&frame_of(&zipped(&pack(&call("/echo"), Packer::Php)))).await;
    raw.result().await.expect("answered");
}

#[tokio::test]
async fn members_behind_the_first_are_not_inflated() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let mut members = zipped(&pack(&call("/echo"), Packer::Php));
    let bomb = zipped(&vec![0; 32 << 20]);
    for _ in 0..10 {
        members.extend_from_slice(&bomb);
    }
    raw.send(&frame_of(&members)).await;
    raw.result().await.expect("the first member is a good call");
    raw.assert_usable().await;
}

#[tokio::test]
async fn broken_members_are_refused() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let good = zipped(&pack(&call("/echo"), Packer::Php));
    let mut wrong = good.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    for broken in [&good[..good.len() / 2], &good[..11], &[0x1f, 0x8b], &wrong] {
        raw.send(&frame_of(broken)).await;
        let (code, message) = raw.refusal().await;
        assert_eq!(code, dora_code::NO_CALLS);
        assert!(message.contains("gzip"), "{message}");
    }
    raw.assert_usable().await;
}
