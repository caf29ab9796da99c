//! Bytes made by hand that were sent to the real servers, mostly wrong ones.

use std::time::Duration;

use dora_integration_tests::exact::Exact;
use dora_integration_tests::over::{Over, over};
use dora_integration_tests::raw::{Dialect, Peer};
use dora_integration_tests::vectors::{Case, Recording, Sent, Side, load_all};

use crate::legacy::{Answer, LegacyServer, Servers, assert_usable, dialect_of, is_replayed};
use crate::wanted::{Bytes, assert_recorded, value_of};

/// What the server of Dora does with a case: the specification's column "ours".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// The recorded answers.
    Recorded,
    /// The recorded answer, under the guid of the request's header.
    HeaderGuid,
    /// One answer, in a frame that is whole: the packet is refused. Its guid is
    /// the header's; the connection stays usable.
    Refused(i64),
    /// The same, and then the connection closes: the stream is out of step.
    LastWord(i64),
    /// An answer with this code and the header's guid in both places.
    Answered(i64),
    /// A JSON request gets a JSON answer.
    Json,
    /// Closed without a word.
    Closed,
    /// The rest of the frame is awaited.
    Waits,
    /// Nobody has said what: only that the server lives on.
    Survives,
}

/// The cases that do not just get the recorded answer.
fn ours(case: &Case, recording: &Recording) -> Ours {
    let signed = recording.signed;
    let unless_signed = |code| if signed { Ours::Recorded } else { Ours::Refused(code) };
    match &*case.name {
        "raw-api-missing"
        | "raw-api-zero"
        | "raw-api-object"
        | "raw-api-empty-multi"
        | "raw-api-empty-single"
        | "raw-api-key-not-one" => Ours::Refused(100_003),
        "raw-body-string"
        | "raw-body-true"
        | "raw-body-list"
        | "raw-body-empty"
        | "raw-body-negative-count" => Ours::Refused(100_003),
        "raw-body-garbage" | "raw-body-serialized-garbage" => Ours::Refused(100_006),
        "raw-body-json" => Ours::Json,
        "raw-guid-header-differs" => Ours::HeaderGuid,
        "raw-guid-missing-in-body" | "raw-guid-short-in-body" | "raw-guid-int-in-body" => Ours::Answered(0),
        "raw-guid-missing-noresult" => Ours::Answered(100_001),
        "raw-last-body-bytes-flipped" => unless_signed(100_003),
        "raw-len-0" | "raw-len-10" => Ours::LastWord(100_007),
        "raw-len-33" => Ours::Refused(if signed { 100_005 } else { 100_006 }),
        "raw-len-longer-than-sent" => Ours::Waits,
        "raw-len-ffffffff"
        | "raw-len-7fffffff"
        | "raw-len-looks-like-http"
        | "raw-size-header-only-max-plus-1"
        | "raw-half-frame-then-shutdown" => Ours::Closed,
        // Where the original does not tell a compressed body from another, we do.
        "raw-cross-plain" | "raw-cross-gzip" if !signed => Ours::Answered(0),
        "raw-cross-sign" if signed => Ours::Answered(0),
        "raw-cross-sign" => Ours::Refused(100_006),
        _ => unlisted(case),
    }
}

/// A case without an entry: whole answers are to be the same.
fn unlisted(case: &Case) -> Ours {
    let has_value = |sent: &&Sent| value_of(sent).is_some();
    let mut answers = case.sent().filter(|sent| sent.from == Side::Server && !sent.follow_up).peekable();
    match answers.peek().is_some() && answers.all(|sent| !sent.partial && has_value(&sent)) {
        true => Ours::Recorded,
        false => Ours::Survives,
    }
}

#[test]
fn hand_made_bytes_get_the_answer_the_specification_asks_for() {
    let mut servers = Servers::default();
    let mut cases = 0;
    for recording in load_all().expect("every recording loads") {
        if !recording.file.starts_with("raw-") || !is_replayed(&recording) {
            continue;
        }
        let server = servers.of(&recording);
        for case in &recording.cases {
            let small = case.sent().map(|sent| sent.bytes.len()).sum::<usize>() < 10_000;
            for chunk in [usize::MAX, 7].into_iter().take(if small && over() == Over::Tcp { 2 } else { 1 }) {
                run(server, &recording, case, chunk);
                cases += 1;
            }
        }
    }
    assert!(cases > if over() == Over::Tcp { 800 } else { 200 }, "{cases}");
}

fn run(server: &LegacyServer, recording: &Recording, case: &Case, chunk: usize) {
    let name = format!("{}, case {}, in chunks of {chunk}", recording.file, case.name);
    let dialect = dialect_of(recording);
    let ours = ours(case, recording);
    let mut peer = server.connect();
    let requests: Vec<_> = case.sent().filter(|sent| sent.from == Side::Client && !sent.follow_up).collect();
    let bytes: Vec<u8> = requests.iter().flat_map(|sent| sent.bytes.iter().copied()).collect();
    for part in bytes.chunks(chunk.min(bytes.len().max(1))) {
        // A server that has seen enough may have closed.
        let sent = peer.send(part);
        assert!(sent.is_ok() || matches!(ours, Ours::Closed | Ours::Survives), "{name}");
    }
    let ended = case.name.ends_with("-then-shutdown");
    if ended {
        peer.finish_sending().expect(&name);
    }
    let guid = requests.first().map(|sent| header_guid(sent, &dialect)).unwrap_or_default();
    let usable = expect(&mut peer, ours, Run { case, dialect: dialect.clone(), name: name.clone(), guid });
    if ended && usable {
        peer.expect_close().expect(&name);
    } else if usable {
        assert_usable(&mut peer, &dialect, &name);
        follow_up(&mut peer, case, &dialect, &name);
    }
    server.assert_alive(&dialect, &name);
}

/// A case, as it is run.
struct Run<'a> {
    case: &'a Case,
    dialect: Dialect,
    name: String,
    /// The guid in the header of the first request.
    guid: Vec<u8>,
}

/// Checks what comes; whether the connection is to be usable after it.
fn expect(peer: &mut Peer, ours: Ours, run: Run<'_>) -> bool {
    let Run { case, dialect, name, guid } = run;
    let mut answer = || Answer::open(&dialect, &peer.frame().expect(&name));
    match ours {
        Ours::Recorded | Ours::HeaderGuid => {
            let recorded: Vec<_> = case
                .sent()
                .filter(|sent| sent.from == Side::Server && !sent.follow_up && !sent.partial)
                .collect();
            let mut answers: Vec<_> = recorded.iter().map(|_| answer()).collect();
            for recorded in recorded {
                let wanted = if ours == Ours::HeaderGuid { &guid } else { &recorded.decoded.guid };
                let at = answers.iter().position(|answer| answer.guid == *wanted);
                let answer = answers.remove(at.unwrap_or_else(|| panic!("{name}: {answers:?}")));
                assert_eq!(answer.zipped, dialect.gzip, "{name}");
                assert_recorded(&answer, recorded, Bytes::Same, &name);
            }
            true
        }
        Ours::Refused(code) | Ours::LastWord(code) => {
            let answer = answer();
            answer.assert_refused(code, &name);
            assert_eq!(answer.guid, guid, "{name}");
            assert_eq!(answer.value().get("guid"), Some(&Exact::Str(guid)), "{name}");
            if matches!(ours, Ours::LastWord(_)) {
                peer.expect_close().expect(&name);
            }
            !matches!(ours, Ours::LastWord(_))
        }
        Ours::Answered(code) => {
            let answer = answer();
            let value = answer.value();
            assert_eq!(answer.guid, guid, "{name}");
            assert_eq!(value.get("guid"), Some(&Exact::Str(guid)), "{name}");
            assert_eq!(answer.code(), Some(code), "{name}: {value:?}");
            let echoed = (code == 0).then(|| Exact::from("v"));
            assert_eq!(value.at(&["data", "data", "k"]), echoed.as_ref(), "{name}: {value:?}");
            true
        }
        Ours::Json => {
            let body = answer().body;
            let json: serde_json::Value = serde_json::from_slice(&body).expect(&name);
            assert_eq!(json["data"]["data"], serde_json::json!({"k": "v"}), "{name}: {json}");
            true
        }
        Ours::Closed => {
            peer.expect_close().expect(&name);
            false
        }
        Ours::Waits => {
            peer.expect_silence(Duration::from_millis(50)).expect(&name);
            false
        }
        Ours::Survives => false,
    }
}

/// The good request that was sent afterwards, and the answer to it.
fn follow_up(peer: &mut Peer, case: &Case, dialect: &Dialect, name: &str) {
    for sent in case.sent().filter(|sent| sent.follow_up) {
        match sent.from {
            Side::Client => peer.send(&sent.bytes).expect(name),
            Side::Server => {
                let answer = Answer::open(dialect, &peer.frame().expect(name));
                assert_eq!(answer.guid, sent.decoded.guid, "{name}");
                assert_recorded(&answer, sent, Bytes::Same, name);
            }
        }
    }
}

/// The 32 bytes where the header's guid stands; zeros of a frame too short for them.
fn header_guid(sent: &Sent, dialect: &Dialect) -> Vec<u8> {
    let start = if dialect.salt.is_some() { 8 } else { 4 };
    sent.bytes.get(start..start + 32).map_or_else(|| vec![b'0'; 32], <[u8]>::to_vec)
}
