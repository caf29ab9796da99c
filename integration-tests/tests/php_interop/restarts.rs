//! What PHP's client, which notices an end only when it sends, loses when a server
//! stops or refuses to read on.

use dora_integration_tests::php::{PhpGroup, PhpServer};
use dora_integration_tests::raw::{Dialect, MAX_PACKET, PATIENCE};

use crate::php_calls_legacy::legacy_server;

/// Each generation once, and each flag.
fn dialects() -> [Dialect; 3] {
    [Dialect::GUID, Dialect::PLAIN.gzip(), Dialect::BARE.signed()]
}

/// The most calls that may fail, by `retry` 0, 1, 2. Each connection costs two: the
/// send into its end, and the next one, which fails and makes it connect anew. On
/// a busy machine a call may be under way meanwhile.
const MOST_FAILED: [u64; 3] = [8, 4, 2];

#[test]
fn a_server_that_is_stopped_costs_its_callers_what_a_php_one_costs_them() {
    for dialect in dialects() {
        for (retry, most) in (0..).zip(MOST_FAILED) {
            let about = format!("{dialect:?}, retry {retry}");
            let (mut stopped, first) = legacy_server(&dialect);
            let (_stays, second) = legacy_server(&dialect);
            let options = [("retry", retry), ("pause", 5)];
            let group = PhpGroup::start(&[first, second], &dialect, &options).expect("PHP runs");
            stopped.terminate().expect("it runs");
            assert!(stopped.wait(PATIENCE).expect("it drains").success(), "{about}");
            let tally = group.end().expect("it ends");
            println!("{about}: {tally:?}");
            assert!(tally.failed <= most && tally.wrong == 0, "{about}: {tally:?}");
            assert!(retry > 0 || tally.failed > 0, "it never called the stopped one: {about}: {tally:?}");
        }
    }
}

/// The same of a PHP server, so that the bounds above are known to be those of PHP.
#[test]
fn the_bounds_are_those_of_a_php_server() {
    for (retry, most) in (0..).zip(MOST_FAILED) {
        let stopped = PhpServer::start(&Dialect::GUID).expect("the server starts");
        let stays = PhpServer::start(&Dialect::GUID).expect("the server starts");
        let servers = [stopped.address(), stays.address()];
        let options = [("retry", retry), ("pause", 5)];
        let group = PhpGroup::start(&servers, &Dialect::GUID, &options).expect("PHP runs");
        drop(stopped);
        let tally = group.end().expect("it ends");
        println!("retry {retry}: {tally:?}");
        assert!(tally.failed <= most && tally.wrong == 0, "retry {retry}: {tally:?}");
        assert_eq!(stays.errors(), "");
    }
}

#[test]
fn a_packet_over_the_limit_costs_its_own_caller_one_call() {
    for dialect in [Dialect::GUID, Dialect::PLAIN.signed(), Dialect::BARE] {
        for (retry, most) in [(0, 2), (1, 1)] {
            let about = format!("{dialect:?}, retry {retry}");
            let (_server, address) = legacy_server(&dialect);
            let options = [("retry", retry), ("pause", 0), ("over", MAX_PACKET as u64)];
            let group = PhpGroup::start(&[address], &dialect, &options).expect("PHP runs");
            let tally = group.end().expect("it ends");
            println!("{about}: {tally:?}");
            // The call itself never fits. Where all of it went out before the connection
            // was closed, the next one fails in its send.
            assert!((1..=most).contains(&tally.failed) && tally.wrong == 0, "{about}: {tally:?}");
        }
    }
}
