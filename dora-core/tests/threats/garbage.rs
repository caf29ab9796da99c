//! Any bytes at all.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use dora_core::call::mode::Mode;
use dora_core::call::packer::Packer;

use crate::support::{Raw, call, echo, frame_of, multi, pack, packet, serve};

/// Bytes, frames around bytes, and good frames with some bytes changed.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..200),
        (sample(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(|(mut body, changes)| {
            for (index, byte) in changes {
                let place = index.index(body.len());
                body[place] = byte;
            }
            body
        }),
    ];
    let frame = body.prop_map(|body| frame_of(&body));
    prop_oneof![vec(any::<u8>(), 0..400), vec(frame, 1..5).prop_map(|frames| frames.concat())]
}

fn sample() -> impl Strategy<Value = Vec<u8>> {
    let packets = [call("/echo"), multi(Mode::Wait, "/echo", 3), packet(Mode::Deferred, "/echo")];
    let packers = [Packer::Php, Packer::Json, Packer::Protobuf];
    let bodies: Vec<_> =
        packets.iter().flat_map(|packet| packers.map(|packer| pack(packet, packer))).collect();
    prop::sample::select(bodies)
}

#[test]
fn no_bytes_kill_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let server = runtime.block_on(serve(echo().frame_timeout(Duration::from_secs(1))));
    let seeded = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, seeded);
    let run = runner.run(&streams(), |bytes| {
        runtime.block_on(async {
            let mut raw: Raw = server.raw().await;
            raw.send(&bytes).await;
            server.assert_serves().await;
        });
        Ok(())
    });
    run.expect("every stream is survived");
}
