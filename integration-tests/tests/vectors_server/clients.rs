//! What real PHP clients sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dora_integration_tests::exact::Exact;
use dora_integration_tests::over::{Over, over};
use dora_integration_tests::raw::{MAX_PACKET, Peer};
use dora_integration_tests::vectors::{Case, Recording, Sent, Side, What, load, load_all};

use crate::legacy::{Answer, LegacyServer, Servers, dialect_of, is_replayed};
use crate::wanted::{Bytes, assert_recorded, value_of};

/// Where the original was silent, nobody has to wait.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn recorded_clients_get_the_recorded_answers() {
    let mut servers = Servers::default();
    let mut cases = 0;
    for recording in load_all().expect("every recording loads") {
        if !recording.file.starts_with("client-") || !is_replayed(&recording) {
            continue;
        }
        let server = servers.of(&recording);
        for case in &recording.cases {
            replay(server, &recording, case);
            cases += 1;
        }
        server.assert_alive(&dialect_of(&recording), &recording.file);
    }
    assert!(cases > if over() == Over::Tcp { 300 } else { 150 }, "{cases}");
}

/// Sends what the client sent, when it sent it, and checks all that comes.
fn replay(server: &LegacyServer, recording: &Recording, case: &Case) {
    let name = format!("{}, case {}", recording.file, case.name);
    let dialect = dialect_of(recording);
    let over = |sent: &&Sent| sent.from == Side::Client && (sent.partial || sent.bytes.len() > MAX_PACKET);
    if let Some(oversize) = case.sent().find(over) {
        let mut peer = server.connect();
        // The server may close while it is being sent.
        drop(peer.send(&oversize.bytes));
        peer.expect_close().expect(&name);
        return server.assert_alive(&dialect, &name);
    }
    let mut peers: BTreeMap<u32, (Peer, Vec<Vec<u8>>)> = BTreeMap::new();
    let begun = Instant::now();
    for event in &case.exchange {
        let What::Bytes(sent) = &event.what else { continue };
        let (peer, frames) = peers.entry(event.conn).or_insert_with(|| (server.connect(), Vec::new()));
        match sent.from {
            Side::Client => peer.send(&sent.bytes).expect(&name),
            Side::Server => frames.push(peer.frame().expect(&name)),
        }
    }
    let mut answers: BTreeMap<Vec<u8>, Vec<Answer>> = BTreeMap::new();
    for (mut peer, mut frames) in peers.into_values() {
        peer.finish_sending().expect(&name);
        while let Some(frame) = peer.frame_or_close().expect(&name) {
            frames.push(frame);
        }
        for frame in frames {
            let answer = Answer::open(&dialect, &frame);
            answers.entry(answer.guid.clone()).or_default().push(answer);
        }
    }
    let silent = case.sent().all(|sent| sent.from == Side::Client);
    assert!(!silent || begun.elapsed() < AT_ONCE, "{name} took {:?}", begun.elapsed());
    let bytes = match recording.file.contains("php82") {
        true => Bytes::Same,
        false => Bytes::OldFloats,
    };
    for request in case.sent().filter(|sent| sent.from == Side::Client) {
        let guid = &request.decoded.guid;
        let answers = answers.remove(guid).unwrap_or_default();
        let same = case.sent().filter(|sent| sent.from == Side::Server && sent.decoded.guid == *guid);
        let recorded: Vec<_> = same.collect();
        assert!(answers.iter().all(|answer| answer.zipped == dialect.gzip), "{name}");
        check(request, &answers, &recorded, bytes, &name);
    }
    assert!(answers.is_empty(), "{name}: answers to nothing: {answers:?}");
}

fn check(request: &Sent, answers: &[Answer], recorded: &[&Sent], bytes: Bytes, name: &str) {
    let value = value_of(request).expect("a recorded request");
    let deferred = matches!(value.get("type"), Some(Exact::Str(kind)) if kind.starts_with(b"AM_"));
    assert_eq!(answers.len(), if deferred { 2 } else { 1 }, "{name}: {answers:?}");
    for (at, answer) in answers.iter().enumerate() {
        match recorded.get(at) {
            Some(recorded) => assert_recorded(answer, recorded, bytes, name),
            None => assert_error(&value, answer, at, name),
        }
    }
}

/// What stands where the original never answered.
fn assert_error(request: &Exact, answer: &Answer, at: usize, name: &str) {
    let value = answer.value();
    let pushed = (at == 1).then_some(&Exact::Int(1));
    assert_eq!(value.get("isresult"), pushed, "{name}");
    assert_eq!(value.get("guid"), request.get("guid"), "{name}");
    if request.get("api") == Some(&Exact::Array(Vec::new())) {
        return answer.assert_refused(100_003, name);
    }
    assert_eq!(answer.code(), Some(0), "{name}: {value:?}");
    let call = value.get("data").expect("the call's packet");
    assert!(matches!(call.get("code"), Some(Exact::Int(code)) if *code != 0), "{name}: {call:?}");
    assert!(matches!(call.get("msg"), Some(Exact::Str(text)) if !text.is_empty()), "{name}: {call:?}");
    assert_eq!(call.get("data"), Some(&Exact::Array(Vec::new())), "{name}");
}

#[test]
fn floats_of_old_clients_come_back_in_the_shortest_form() {
    let old = load("client-plain.php71-precision17.json").expect("it loads");
    let new = load("client-plain.php82.json").expect("it loads");
    let dialect = dialect_of(&old);
    let server = LegacyServer::start(&dialect);
    for case in &old.cases {
        let same = new.cases.iter().find(|other| other.name == case.name).expect("in both");
        let [request, ..] = case.sent().collect::<Vec<_>>()[..] else { panic!("no request") };
        let [_, wanted, ..] = same.sent().collect::<Vec<_>>()[..] else { panic!("no answer") };
        let mut peer = server.connect();
        peer.send(&request.bytes).expect("sent");
        let ours = Answer::open(&dialect, &peer.frame().expect("an answer"));
        let ours = const_hex::encode(&ours.body);
        let theirs = const_hex::encode(wanted.decoded.serialized.as_deref().expect("a body"));
        let guid = |sent: &Sent| const_hex::encode(&sent.decoded.guid);
        assert_eq!(ours.replace(&guid(request), &guid(wanted)), theirs, "{}", case.name);
    }
}
