//! What is too much, too slow, or could be read in two ways.

use std::time::Duration;

use dora::connect::Connect;
use serde_json::json;

use crate::client::{JSON, call, failed, path, request, send};
use crate::host::Host;
use crate::http::Peer;

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let host = Host::start();
    let path = path("Note");
    for head in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: a\r\n b\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X\r\n",
        ": x\r\n",
    ] {
        let mut peer = Peer::connect(host.address);
        let smuggled = request("POST", &path, JSON, br#"{"bookTitle":"smuggled"}"#);
        let first = format!("POST {path} HTTP/1.1\r\nHost: here\r\n{JSON}{head}\r\n0\r\n\r\n");
        peer.send(&[first.as_bytes(), &smuggled].concat());
        if let Some(answer) = peer.answer_or_close() {
            assert_eq!(answer.status, 400, "{head:?}");
            peer.expect_close();
        }
    }
    for line in
        ["GET /", "GET  / HTTP/1.1", "GET / HTTP/1.2", "GET / HTTP/9", "G\u{e9}T / HTTP/1.1", "\x16\x03\x01"]
    {
        let mut peer = Peer::connect(host.address);
        peer.send(format!("{line}\r\nHost: here\r\n\r\n").as_bytes());
        if let Some(answer) = peer.answer_or_close() {
            assert!(answer.status >= 400, "{line:?}");
            peer.expect_close();
        }
    }
    assert!(host.shelves.noted.lock().expect("no panic").is_empty(), "nothing was smuggled in");
}

#[test]
fn a_length_beside_chunks_is_not_believed() {
    let host = Host::start();
    let mut peer = Peer::connect(host.address);
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let head = format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}{both}\r\n", path("Note"));
    peer.send(&[head.as_bytes(), b"16\r\n{\"bookTitle\":\"chunks\"}\r\n0\r\n\r\n"].concat());
    // RFC 9112, 6.3: it is refused, or the chunks are the body.
    let answer = peer.answer();
    let is_refused = answer.status == 400;
    assert!(is_refused || answer.status == 202, "{answer:?}");
    peer.finish_sending();
    peer.expect_close();
    drop(peer);
    let noted = host.shelves.noted.clone();
    drop(host);
    let noted = noted.lock().expect("no panic");
    let titles: Vec<_> = noted.iter().map(|book| &*book.book_title).collect();
    assert_eq!(titles, if is_refused { vec![] } else { vec!["chunks"] });
}

#[test]
fn what_is_too_large_is_refused() {
    let host = Host::with(|server| server.max_packet(64 << 10), Connect::new());
    let body = |length: usize| format!(r#"{{"someText":"{}"}}"#, "x".repeat(length - 15));
    let answer = send(&host, "POST", &path("Echo"), JSON, body(64 << 10).as_bytes());
    assert_eq!(answer.status, 200, "as much as may be");
    let mut peer = Peer::connect(host.address);
    peer.send(&request("POST", &path("Echo"), JSON, body((64 << 10) + 1).as_bytes()));
    // It is not read to its end, so that the peer may see only the close.
    if let Some(answer) = peer.answer_or_close() {
        assert!(failed(&answer, 413, "resource_exhausted").contains("max_packet"));
        peer.expect_close();
    }
    // What is claimed is not waited for, and nothing is taken for it.
    let mut peer = Peer::connect(host.address);
    let claim = "Content-Length: 9000000000000000000\r\n\r\n";
    peer.send(format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}{claim}", path("Echo")).as_bytes());
    failed(&peer.answer(), 413, "resource_exhausted");
    let mut peer = Peer::connect(host.address);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    peer.send(format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}{chunked}", path("Echo")).as_bytes());
    let chunk = [b"1000\r\n".to_vec(), vec![b' '; 0x1000], b"\r\n".to_vec()].concat();
    (0..20).for_each(|_| peer.send(&chunk));
    if let Some(answer) = peer.answer_or_close() {
        failed(&answer, 413, "resource_exhausted");
        peer.expect_close();
    }
    for headers in [format!("X: {}\r\n", "x".repeat(70 << 10)), "X: y\r\n".repeat(200)] {
        let mut peer = Peer::connect(host.address);
        peer.send(&request("POST", &path("Echo"), &format!("{JSON}{headers}"), b"{}"));
        if let Some(answer) = peer.answer_or_close() {
            assert_eq!(answer.status, 431);
            peer.expect_close();
        }
    }
    assert_eq!(call(&host, "Echo", &json!({})).status, 200, "it serves on");
}

#[test]
fn values_are_counted_before_they_are_made() {
    let limits = dora::Limits::default().with_nodes(1000);
    let host = Host::with(|server| server.limits(limits), Connect::new());
    let books = |count: usize| format!(r#"{{"books":[{}]}}"#, vec!["{}"; count].join(","));
    let answer = send(&host, "POST", &path("Echo"), JSON, books(900).as_bytes());
    assert_eq!(answer.status, 200);
    let answer = send(&host, "POST", &path("Echo"), JSON, books(1000).as_bytes());
    assert!(failed(&answer, 400, "invalid_argument").contains("Limits::nodes"));
    let answer = send(&host, "PUT", "/v1/books", JSON, books(1000).as_bytes());
    assert!(failed(&answer, 400, "invalid_argument").contains("Limits::nodes"));
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let patience = Duration::from_millis(200);
    let host = Host::with(|server| server.frame_timeout(patience).idle_timeout(patience), Connect::new());
    let mut silent = Peer::connect(host.address);
    let mut head = Peer::connect(host.address);
    head.send(b"POST /library.v1.Library/GetBook HT");
    let mut preface = Peer::connect(host.address);
    preface.send(b"PRI * HTTP/2.0\r\n");
    let mut body = Peer::connect(host.address);
    body.send(
        format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}Content-Length: 10\r\n\r\n{{", path("Echo"))
            .as_bytes(),
    );
    assert!(failed(&body.answer(), 408, "deadline_exceeded").contains("frame_timeout"));
    body.expect_close();
    let mut idle = Peer::connect(host.address);
    idle.send(&request("POST", &path("GetBook"), JSON, br#"{"id":7}"#));
    assert_eq!(idle.answer().status, 200);
    for peer in [&mut silent, &mut head, &mut preface, &mut idle] {
        if let Some(answer) = peer.answer_or_close() {
            assert_eq!(answer.status, 408);
            peer.expect_close();
        }
    }
    // Whoever waits for a call is not idle.
    let mut busy = Peer::connect(host.address);
    busy.send(&request("POST", &path("Sleep"), JSON, br#""0.6s""#));
    assert_eq!(busy.answer().status, 200);
}

#[test]
fn a_connection_of_http2_that_asks_nothing_is_closed() {
    let patience = Duration::from_millis(200);
    let host = Host::with(|server| server.idle_timeout(patience), Connect::new());
    let mut peer = std::net::TcpStream::connect(host.address).expect("it accepts");
    peer.set_read_timeout(Some(dora_integration_tests::raw::PATIENCE)).expect("a timeout");
    // The preface, and settings that say nothing.
    std::io::Write::write_all(&mut peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("sent");
    let mut said = Vec::new();
    let read = std::io::Read::read_to_end(&mut peer, &mut said);
    assert!(read.is_ok() || said.len() > 9, "{read:?}");
    // A GOAWAY is among what it was told: type 7.
    assert!(said.windows(9).any(|frame| frame[3] == 7 && frame[4..9] == [0; 5]), "{}", said.escape_ascii());
}

#[test]
fn a_request_that_ends_early_is_nobodys() {
    let host = Host::start();
    let mut peer = Peer::connect(host.address);
    peer.send(
        format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}Content-Length: 100\r\n\r\n{{}}", path("Note"))
            .as_bytes(),
    );
    peer.finish_sending();
    if let Some(answer) = peer.answer_or_close() {
        failed(&answer, 400, "invalid_argument");
    }
    assert!(host.shelves.noted.lock().expect("no panic").is_empty());
}

#[test]
fn requests_that_are_not_whole_count_among_what_waits() {
    let host = Host::with(|server| server.max_packet(8 << 20).max_buffered(1 << 20), Connect::new());
    let begin = |length: usize, now: usize| {
        let mut peer = Peer::connect(host.address);
        let head =
            format!("POST {} HTTP/1.1\r\nHost: here\r\n{JSON}Content-Length: {length}\r\n\r\n", path("Note"));
        peer.send(&[head.as_bytes(), &vec![b' '; now]].concat());
        peer
    };
    // Each alone is within all limits.
    let mut greedy = begin(2 << 20, 900 << 10);
    let mut modest = begin((400 << 10) + 2, 400 << 10);
    greedy.expect_close();
    modest.send(b"{}");
    assert_eq!(modest.answer().status, 202);
    assert_eq!(call(&host, "Echo", &json!({})).status, 200, "it serves on");
}
