//! The end: no call is lost.

use dora_integration_tests::raw::PATIENCE;

use crate::host::{LegacyServer, Peer, V2, call};

#[test]
fn what_was_asked_is_answered_and_then_it_is_closed() {
    let mut server = LegacyServer::start();
    let mut idle = Peer::connect(server.v2, V2);
    assert_eq!(idle.ask(&call("delete", "[1]"))["result"], false);
    let mut peers: Vec<_> = (0..20).map(|_| Peer::connect(server.v2, V2)).collect();
    let many = format!("{}{V2}", call("delete", "[122]")).repeat(100);
    for peer in &mut peers {
        peer.send(many.as_bytes());
        assert_eq!(peer.frame()["result"], true, "it is being served");
    }
    server.process.terminate().expect("it runs");
    for peer in &mut peers {
        for place in 1..100 {
            assert_eq!(peer.frame()["result"], true, "call {place}");
        }
        peer.expect_close();
    }
    idle.expect_close();
    assert!(server.process.wait(PATIENCE).expect("it ends").success());
}
