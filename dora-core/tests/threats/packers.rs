//! The allow-list of packers.

use dora_core::call::dora_code;
use dora_core::call::packer::Packer;

use crate::support::{call, echo, frame_of, pack, serve};

const ALL: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];

#[tokio::test]
async fn a_packing_that_the_port_does_not_allow_is_refused_in_all_three() {
    for refused in ALL {
        let allowed = ALL.into_iter().filter(|packer| *packer != refused);
        let server = serve(echo().packers(allowed.clone())).await;
        let mut raw = server.raw().await;
        raw.send(&frame_of(&pack(&call("/echo"), refused))).await;
        let answer = raw.answer().await;
        assert_eq!(answer.code, dora_code::UNKNOWN_PACKING, "{refused}");
        for packer in allowed {
            raw.send(&frame_of(&pack(&call("/gone"), packer))).await;
            assert_eq!(raw.answer().await.code, 0, "{packer} is allowed beside {refused}");
        }
    }
}

#[tokio::test]
async fn compression_does_not_lead_around_the_list() {
    let server = serve(echo().packers([Packer::Protobuf])).await;
    let mut raw = server.raw().await;
    let mut body = Vec::new();
    dora_core::pack::compress::deflate(&pack(&call("/echo"), Packer::Php), &mut body);
    raw.send(&frame_of(&body)).await;
    assert_eq!(raw.refusal().await.0, dora_code::UNKNOWN_PACKING);
}

#[tokio::test]
async fn what_no_packer_writes_is_refused() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    for body in [&b"this"[..], b"\x78\x9c\x01\x02", b"<xml/>", b"\0\0\0\0"] {
        raw.send(&frame_of(body)).await;
        assert_eq!(raw.refusal().await.0, dora_code::UNKNOWN_PACKING);
    }
    raw.assert_usable().await;
}
