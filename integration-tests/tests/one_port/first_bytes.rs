//! Dora's own wire, HTTP and Swoft on one port, told apart by the first bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use dora::Server;

use crate::host::Running;

/// A form, and how its answer ends.
fn form(us: i64) -> (Vec<u8>, String) {
    let body = format!(r#"guid=1&params={{"guid":1,"api":{{"a":{{"name":"x","param":[{us}]}}}}}}"#);
    let head = "POST /api/multisync HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    (request.into_bytes(), r#"{"a":{"guid":1,"code":0,"msg":"OK","data":"http"}}}"#.to_owned())
}

/// A request of Swoft, and how its answer ends.
fn swoft(us: i64) -> (Vec<u8>, String) {
    let request = format!("\r\n{{\"method\":\"1.0::I::m\",\"params\":[{us}]}}\r\n\r\n");
    (request.into_bytes(), "\"result\":\"swoft\"}\r\n\r\n".to_owned())
}

/// A packet of Dora's, from PHP, and how its answer ends.
fn dora(us: i64) -> (Vec<u8>, String) {
    const GUID: &str = "00112233445566778899aabbccddeeff";
    let call = format!("a:2:{{s:4:\"name\";s:1:\"x\";s:5:\"param\";a:1:{{i:0;i:{us};}}}}");
    let body = format!(
        "a:3:{{s:3:\"api\";a:1:{{s:3:\"one\";{call}}}s:4:\"guid\";s:32:\"{GUID}\";s:4:\"type\";s:3:\"W_S\";}}"
    );
    let length = u32::try_from(GUID.len() + body.len()).expect("short");
    let frame = [&length.to_be_bytes()[..], GUID.as_bytes(), body.as_bytes()].concat();
    (frame, "s:4:\"data\";s:4:\"dora\";}}".to_owned())
}

fn read_until(stream: &mut TcpStream, end: &str) {
    let mut came = Vec::new();
    while !came.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let count = stream.read(&mut byte).expect("it answers");
        assert_eq!(count, 1, "closed after {:?}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&byte);
    }
}

/// Whether nothing more comes.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_err() || rest.is_empty()
}

#[test]
fn each_protocol_is_told_by_its_first_bytes() {
    let server = Running::start(|server| server);
    for (request, end) in [form(0), swoft(0), dora(0)] {
        let mut whole = server.connect();
        whole.write_all(&request).expect("it reads");
        read_until(&mut whole, &end);
        let mut trickled = server.connect();
        for byte in &request {
            trickled.write_all(&[*byte]).expect("it reads");
            thread::sleep(Duration::from_micros(200));
        }
        read_until(&mut trickled, &end);
    }
    // What no door knows is Dora's, which refuses it.
    let mut stranger = server.connect();
    stranger.write_all(b"HELO there\r\n").expect("it reads");
    assert!(is_closed(&mut stranger));
}

#[test]
fn who_does_not_say_enough_is_not_waited_for() {
    let short = |server: Server| {
        server.frame_timeout(Duration::from_millis(200)).idle_timeout(Duration::from_millis(600))
    };
    let server = Running::start(short);
    let (mut silent, mut half, mut blank) = (server.connect(), server.connect(), server.connect());
    half.write_all(b"PO").expect("it reads");
    blank.write_all(b" \r\n").expect("it reads");
    for stream in [&mut half, &mut blank, &mut silent] {
        assert!(is_closed(stream));
    }
}

#[test]
fn all_of_them_drain_without_a_lost_call() {
    let mut server = Running::start(|server| server);
    let mut silent = server.connect();
    let mut asked: Vec<_> = [form(300_000), swoft(300_000), dora(300_000)]
        .into_iter()
        .map(|(request, end)| {
            let mut stream = server.connect();
            stream.write_all(&request).expect("it reads");
            (stream, end)
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let drained = thread::spawn(move || server.drain());
    for (stream, end) in &mut asked {
        read_until(stream, end);
        assert!(is_closed(stream), "{end}");
    }
    assert!(is_closed(&mut silent));
    drained.join().expect("it ends");
}
