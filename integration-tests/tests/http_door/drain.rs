//! The end: no call is lost.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use dora_integration_tests::raw::PATIENCE;
use serde_json::json;

use crate::host::LegacyServer;
use crate::http::{Peer, post};

#[test]
fn calls_that_run_are_answered_and_then_it_is_closed() {
    let mut server = LegacyServer::start();
    let asks = |us: u64| json!({ "guid": us, "api": { "a": { "name": "/t/sleep", "param": { "us": us } } } });
    let mut peers: Vec<_> = (0..20_u64)
        .map(|place| {
            let mut peer = Peer::connect(server.http);
            let us = 300_000 + place;
            peer.send(&post("/api/multisync", &asks(us), ""));
            (us, peer)
        })
        .collect();
    let mut idle = Peer::connect(server.http);
    idle.send(&post("/api/multisync", &asks(1), ""));
    assert_eq!(idle.answer().json()["guid"], 1);
    server.process.terminate().expect("it runs");
    for (us, peer) in &mut peers {
        assert_eq!(peer.answer().json()["data"]["a"]["data"]["slept"], *us);
        peer.expect_close();
    }
    idle.expect_close();
    assert!(server.process.wait(PATIENCE).expect("it ends").success());
    let refused = TcpStream::connect(server.http).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn who_has_asked_again_behind_a_call_that_runs_hears_that_this_was_not_taken() {
    let mut server = LegacyServer::start();
    let asks = |us: u64| {
        let call = json!({ "name": "/t/sleep", "param": { "us": us } });
        post("/api/multisync", &json!({ "guid": us, "api": { "a": call } }), "")
    };
    let mut kept = Peer::connect(server.http);
    kept.send(&asks(1));
    assert!(!kept.answer().headers.contains_key("connection"), "it stays open");
    let mut peer = Peer::connect(server.http);
    peer.send(&[asks(400_000), asks(2)].concat());
    thread::sleep(Duration::from_millis(100));
    server.process.terminate().expect("it runs");
    let answer = peer.answer();
    assert_eq!(answer.json()["data"]["a"]["data"]["slept"], 400_000);
    // RFC 9112, 9.6: what was sent behind it is to be sent anew, elsewhere.
    assert_eq!(answer.headers.get("connection").map(String::as_str), Some("close"));
    peer.expect_close();
    kept.expect_close();
    assert!(server.process.wait(PATIENCE).expect("it ends").success());
}

#[test]
fn a_call_that_nobody_waits_for_runs_to_its_end() {
    let mut server = LegacyServer::start();
    let mut peer = Peer::connect(server.http);
    let call = json!({ "name": "/t/sleep", "param": { "us": 300_000 } });
    peer.send(&post("/api/multinoresult", &json!({ "guid": "g", "api": { "a": call } }), ""));
    assert_eq!(peer.answer().json()["code"], 100_001);
    drop(peer);
    server.process.terminate().expect("it runs");
    thread::sleep(Duration::from_millis(100));
    server.process.wait(Duration::ZERO).expect_err("the call still runs");
    assert!(server.process.wait(PATIENCE).expect("it ends").success());
}
