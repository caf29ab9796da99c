//! The recordings of the generations without a guid in the header.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::{Dialect, MAX_PACKET, Peer};
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::{Case, Recording, Sent, Side, What, load_old};

use crate::legacy::{Answer, LegacyServer, Servers};
use crate::wanted::STATS;

/// Where the original was silent, nobody has to wait.
const AT_ONCE: Duration = Duration::from_secs(2);

/// July 2015 said in Chinese alone what everybody said in two languages later:
/// nothing in a request tells them apart.
const CHINESE_ALONE: [(&str, &str); 2] = [
    ("s:18:\"已经成功投递\";", "s:35:\"transfer success.已经成功投递\";"),
    ("s:18:\"未知类型任务\";", "s:35:\"unknow task type.未知类型任务\";"),
];

fn dialect_of(recording: &Recording) -> Dialect {
    let salt = recording.signed.then(|| recording.salt.clone());
    Dialect { generation: recording.generation, salt, gzip: recording.compressed }
}

fn requests(case: &Case) -> impl Iterator<Item = &Sent> {
    case.sent().filter(|sent| sent.from == Side::Client && !sent.follow_up)
}

fn answers(case: &Case) -> impl Iterator<Item = &Sent> {
    case.sent().filter(|sent| sent.from == Side::Server && !sent.follow_up && !sent.partial)
}

/// The value of what was sent, if it is one.
fn value_of(sent: &Sent) -> Option<Exact> {
    serialized::read(sent.decoded.serialized.as_deref()?).ok()
}

fn guid_of(value: &Exact) -> Option<&[u8]> {
    match value.get("guid") {
        Some(Exact::Str(guid)) if guid.len() == 32 => Some(guid),
        _ => None,
    }
}

fn word_of(request: &Exact) -> &[u8] {
    match request.get("type") {
        Some(Exact::Str(word)) => word,
        _ => b"",
    }
}

/// `body` in the words of June 2016.
fn in_two_languages(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    for (from, to) in CHINESE_ALONE {
        if let Some(at) = body.windows(from.len()).position(|part| part == from.as_bytes()) {
            body.splice(at..at + from.len(), to.bytes());
        }
    }
    body
}

/// Checks our answer against the bytes of a recorded one, the request's guid in it.
fn assert_same(answer: &Answer, recorded: &[u8], request: &Exact, case: &str) {
    let recorded = in_two_languages(recorded);
    let wanted = serialized::read(&recorded).expect(case);
    let ours = answer.value();
    if let Some(theirs) = wanted.at(&["data", "server"]) {
        let Some(Exact::Array(ours)) = ours.at(&["data", "server"]) else { panic!("{case}: {ours:?}") };
        let Exact::Array(theirs) = theirs else { panic!("{case}: {theirs:?}") };
        assert!(ours.iter().all(|(_, number)| matches!(number, Exact::Int(0..))), "{case}: {ours:?}");
        let keys = |pairs: &[(Exact, Exact)]| pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(ours), keys(theirs), "{case}");
        assert!(STATS.iter().all(|name| keys(ours).contains(&(*name).into())), "{case}");
        return;
    }
    if wanted.get("guid").is_none() {
        // The original did not say whose its refusal was, and was not listened to.
        for field in ["code", "msg", "data"] {
            assert_eq!(ours.get(field), wanted.get(field), "{case}");
        }
        return assert_eq!(ours.get("guid"), request.get("guid"), "{case}");
    }
    let several = word_of(request).ends_with(b"M");
    let referring = |part: &[u8]| matches!(part, [b';' | b'{', b'r' | b'R', b':']);
    let same = if several || recorded.windows(3).any(referring) {
        sorted(ours.clone()) == sorted(wanted.clone())
    } else {
        answer.body == recorded
    };
    assert!(same, "{case}:\n{}\n{}", shortened(&ours), shortened(&wanted));
}

/// With the results of a multi call in one order.
fn sorted(packet: Exact) -> Exact {
    let Exact::Array(mut entries) = packet else { return packet };
    for (key, data) in &mut entries {
        if let (true, Exact::Array(results)) = (*key == "data".into(), data) {
            results.sort_by_key(|(key, _)| format!("{key:?}"));
        }
    }
    Exact::Array(entries)
}

fn shortened(value: &Exact) -> String {
    format!("{value:?}").chars().take(1_000).collect()
}

/// What we answer as well: not over the limit, and no `exit()`, which is a panic here.
fn comparable(case: &Case, answer: &Sent) -> bool {
    answer.bytes.len() <= MAX_PACKET && !case.name.contains("-exit")
}

/// By the name of a case: the guid of its request, and the answer.
type Answered = BTreeMap<String, (Vec<u8>, Vec<u8>)>;

/// What June 2016 answered, where the other originals of the words were silent.
fn june(recordings: &[Recording]) -> Answered {
    let june = recordings.iter().filter(|recording| recording.file == "client-plain.sss.json");
    let cases = june.flat_map(|recording| &recording.cases);
    let answered = cases.filter_map(|case| {
        let answer =
            answers(case).next().filter(|sent| comparable(case, sent))?.decoded.serialized.clone()?;
        Some((case.name.clone(), (requests(case).next()?.decoded.guid.clone(), answer)))
    });
    answered.collect()
}

#[test]
fn recorded_clients_of_older_generations_get_the_recorded_answers() {
    let recordings = load_old().expect("every recording loads");
    let june = june(&recordings);
    let mut servers = Servers::default();
    let mut cases = 0;
    for recording in recordings.iter().filter(|recording| recording.file.starts_with("client-")) {
        let server = servers.of(recording);
        for case in &recording.cases {
            let over = |sent: &Sent| sent.partial || sent.bytes.len() > MAX_PACKET;
            // A call of 7.5 s tells as much once for each generation's words.
            let slow = case.name == "svc-slow-then-late";
            let again =
                slow && !["client-plain.plain.json", "client-plain.sss.json"].contains(&&*recording.file);
            if !again && !requests(case).any(over) {
                replay(server, recording, case, &june);
                cases += 1;
            }
        }
    }
    assert!(cases > 500, "{cases}");
}

/// Sends what the client sent, when it sent it, and checks all that comes.
fn replay(server: &LegacyServer, recording: &Recording, case: &Case, june: &Answered) {
    let name = format!("{}, case {}", recording.file, case.name);
    let dialect = dialect_of(recording);
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
    let mut ours: BTreeMap<Vec<u8>, Vec<Answer>> = BTreeMap::new();
    for (mut peer, mut frames) in peers.into_values() {
        peer.finish_sending().expect(&name);
        while let Some(frame) = peer.frame_or_close().expect(&name) {
            frames.push(frame);
        }
        for frame in frames {
            let answer = Answer::open(&dialect, &frame);
            let value = answer.value();
            let guid = guid_of(&value).unwrap_or_else(|| panic!("{name}: for whom? {value:?}"));
            ours.entry(guid.to_vec()).or_default().push(answer);
        }
    }
    let silent = case.sent().all(|sent| sent.from == Side::Client);
    assert!(!silent || begun.elapsed() < AT_ONCE, "{name} took {:?}", begun.elapsed());
    let mut asked: BTreeMap<&[u8], Vec<&Sent>> = BTreeMap::new();
    for request in requests(case) {
        asked.entry(&request.decoded.guid).or_default().push(request);
    }
    for (guid, requests) in asked {
        let request = value_of(requests[0]).expect("a recorded request");
        let ours = ours.remove(guid).unwrap_or_default();
        let each = if word_of(&request).starts_with(b"AM_") { 2 } else { 1 };
        // A client that tries again says the same guid.
        assert_eq!(ours.len(), each * requests.len(), "{name}: {ours:?}");
        assert!(ours.iter().all(|answer| answer.zipped == dialect.gzip), "{name}");
        let recorded: Vec<_> = answers(case).filter(|sent| sent.decoded.guid == guid).collect();
        for (at, answer) in ours.iter().enumerate() {
            let recorded = recorded.get(at).filter(|sent| comparable(case, sent));
            let recorded = recorded.and_then(|sent| sent.decoded.serialized.clone());
            let instead = june.get(&case.name).filter(|_| requests.len() == 1 && each == 1);
            let instead = instead.map(|(theirs, body)| replaced(body, theirs, guid));
            match recorded.or(instead) {
                Some(body) => assert_same(answer, &body, &request, &name),
                None => assert_told(answer, &request, &name),
            }
        }
    }
    assert!(ours.is_empty(), "{name}: answers to nothing: {ours:?}");
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if let Some(at) = body.windows(from.len()).rposition(|part| part == from) {
        body.splice(at..at + from.len(), to.iter().copied());
    }
    body
}

/// What stands where no original ever answered: an error of the call, or of the
/// packet if nothing was called; or a result that is falsy.
fn assert_told(answer: &Answer, request: &Exact, name: &str) {
    let value = answer.value();
    let calls = match request.get("api") {
        Some(Exact::Array(calls)) => calls.len(),
        _ => 0,
    };
    if calls == 0 {
        return answer.assert_refused(100_003, name);
    }
    assert_eq!(value.get("code"), Some(&0.into()), "{name}: {value:?}");
    let data = value.get("data").expect("data");
    if let Some(Exact::Int(code)) = data.get("code") {
        assert_ne!(*code, 0, "{name}: {value:?}");
        assert!(matches!(data.get("msg"), Some(Exact::Str(text)) if !text.is_empty()), "{name}: {value:?}");
        assert_eq!(data.get("data"), Some(&Exact::Array(Vec::new())), "{name}");
    } else {
        let results = matches!(data, Exact::Array(results) if results.len() == calls);
        assert!(results || !word_of(request).ends_with(b"M"), "{name}: {value:?}");
    }
}

/// What is made of bytes by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// The recorded answers.
    Recorded,
    /// A refusal with this code, and whose it is if that can be read.
    Refused(i64),
    /// Any error: what peer sent it, and whose it is, cannot be told.
    Told,
    /// A wrong length, and closed: the stream is out of step.
    LastWord,
    /// A wrong signature, in the code of the time if that can be told.
    Signature,
    /// The answer that a good request gets.
    Answered,
    /// Closed without a word.
    Closed,
    /// The rest of the frame is awaited.
    Waits,
    /// Nobody has said what: only that the server lives on.
    Survives,
}

/// What becomes of a case: the recorded answer unless it says otherwise here.
fn ours(case: &Case, recording: &Recording) -> Ours {
    let Some(first) = requests(case).next() else { return Ours::Survives };
    match &*case.name {
        // Its three last bytes begin the next frame.
        "raw-len-short-of-real" | "raw-param-C-format" => Ours::Survives,
        // Ours is of that generation too.
        "raw-cross-guid-generation" => Ours::Survives,
        "raw-half-frame-then-shutdown"
        | "raw-len-80000000"
        | "raw-size-max-plus-1"
        | "raw-size-header-only-max-plus-1" => Ours::Closed,
        "raw-size-header-only-max" => Ours::Waits,
        // Shorter than a guid: what peer it is of cannot be told.
        _ if first.decoded.header_len < 32 => Ours::LastWord,
        _ if first.decoded.crc_ok == Some(false) => Ours::Signature,
        // `true` is the first word it is compared with, and today's come first; a
        // reference that leads into its own array costs its call alone.
        "raw-request-then-shutdown"
        | "raw-request-then-shutdown-5ms"
        | "raw-type-true"
        | "raw-param-reference" => Ours::Answered,
        "raw-api-false"
        | "raw-api-zero"
        | "raw-api-object"
        | "raw-api-string-noresult"
        | "raw-api-key-not-one"
        | "raw-body-wrong-strlen" => Ours::Refused(100_003),
        // Read where the original did not tell a compressed body from another.
        "raw-body-uncompressed-a" => Ours::Survives,
        "raw-body-json" if recording.compressed => Ours::Survives,
        "raw-cross-gzip" | "raw-cross-plain" | "raw-cross-both" | "raw-cross-sign" => Ours::Survives,
        "raw-body-garbage-text"
        | "raw-body-serialized-garbage"
        | "raw-body-huge-count"
        | "raw-body-json"
        | "raw-body-object-root"
        | "raw-body-garbage"
        | "raw-first-byte-after-length-flipped" => Ours::Told,
        // Both eras' words are known.
        name if name.starts_with("raw-type-other-era-") => Ours::Survives,
        "raw-cmd-getstat" | "raw-cmd-unknown" | "raw-cmd-missing" | "raw-cmd-reload-unknown"
            if recording.file.contains("july2015") =>
        {
            Ours::Survives
        }
        // A control command has the same word everywhere.
        "raw-cmd-reload-unknown" => Ours::Survives,
        // What is no guid is not echoed.
        name if name.starts_with("raw-guid-") && name != "raw-guid-binary" => Ours::Answered,
        _ => Ours::Recorded,
    }
}

#[test]
fn hand_made_bytes_of_older_generations_are_answered_in_their_manner() {
    let mut servers = Servers::default();
    let mut cases = 0;
    for recording in load_old().expect("every recording loads") {
        if !recording.file.starts_with("raw-") {
            continue;
        }
        let server = servers.of(&recording);
        for case in &recording.cases {
            run(server, &recording, case);
            cases += 1;
        }
    }
    assert!(cases > 900, "{cases}");
}

fn run(server: &LegacyServer, recording: &Recording, case: &Case) {
    let name = format!("{}, case {}", recording.file, case.name);
    let dialect = dialect_of(recording);
    let ours = ours(case, recording);
    let mut peer = server.connect();
    for sent in requests(case) {
        // A server that has seen enough may have closed.
        let sent = peer.send(&sent.bytes);
        assert!(sent.is_ok() || matches!(ours, Ours::Closed | Ours::Survives), "{name}");
    }
    if case.name.contains("-then-shutdown") {
        peer.finish_sending().expect(&name);
    }
    expect(&mut peer, ours, case, &dialect, &name);
    let ended = case.name.contains("-then-shutdown");
    if ended && ours != Ours::Closed {
        peer.expect_close().expect(&name);
    } else if !ended && !matches!(ours, Ours::LastWord | Ours::Closed | Ours::Waits | Ours::Survives) {
        follow_up(&mut peer, case, &dialect, &name);
    }
    server.assert_alive(&Dialect { generation: Dialect::GUID.generation, ..dialect }, &name);
}

fn expect(peer: &mut Peer, ours: Ours, case: &Case, dialect: &Dialect, name: &str) {
    let mut frame = || peer.frame().expect(name);
    let values: Vec<_> = requests(case).filter_map(value_of).collect();
    match ours {
        Ours::Recorded => {
            let recorded: Vec<_> = answers(case).collect();
            let mut came: Vec<_> = recorded.iter().map(|_| Answer::open(dialect, &frame())).collect();
            for recorded in recorded {
                // In the order of completion; a deferred call has two of one guid.
                let guid = &recorded.decoded.guid;
                let whose = |answer: &Answer| guid_of(&answer.value()).is_some_and(|own| own == &guid[..]);
                let at = came.iter().position(whose).unwrap_or(0);
                let answer = came.remove(at);
                let asked = values.iter().find(|value| guid_of(value) == guid_of(&answer.value()));
                let body = recorded.decoded.serialized.as_deref().expect("a recorded answer");
                assert_same(&answer, body, asked.or(values.first()).unwrap_or(&Exact::Null), name);
            }
        }
        Ours::Refused(code) => {
            let answer = Answer::open(dialect, &frame());
            answer.assert_refused(code, name);
            let guid = b"0123456789abcdef0123456789abcdef";
            assert_eq!(answer.value().get("guid"), Some(&guid[..].into()), "{name}");
        }
        Ours::Told | Ours::LastWord | Ours::Signature => {
            let value = any_answer(&frame(), dialect).unwrap_or_else(|| panic!("{name}: no answer"));
            let theirs = answers(case).find_map(value_of).and_then(|value| value.get("code").cloned());
            let codes: &[i64] = match ours {
                Ours::LastWord => &[100_007],
                Ours::Signature if theirs == Some(100_010.into()) && !values.is_empty() => &[100_010],
                Ours::Signature => &[100_005, 100_010],
                _ => &[100_003, 100_005, 100_006, 100_010],
            };
            let code = value.get("code");
            assert!(codes.iter().any(|told| code == Some(&(*told).into())), "{name}: {value:?}");
            if ours == Ours::LastWord {
                peer.expect_close().expect(name);
            }
        }
        Ours::Answered => {
            let answer = Answer::open(dialect, &frame());
            let code = answers(case).find_map(value_of).and_then(|value| value.get("code").cloned());
            assert_eq!(answer.value().get("code"), Some(&code.unwrap_or(0.into())), "{name}: {answer:?}");
        }
        Ours::Closed => peer.expect_close().expect(name),
        Ours::Waits => peer.expect_silence(Duration::from_millis(50)).expect(name),
        Ours::Survives => {}
    }
}

/// An answer whose generation is not known.
fn any_answer(frame: &[u8], dialect: &Dialect) -> Option<Exact> {
    let generations = [dialect.generation, Dialect::GUID.generation].into_iter();
    let mut read = generations.filter_map(|generation| {
        let dialect = Dialect { generation, ..dialect.clone() };
        let (_, body) = dialect.open(frame).ok()?;
        serialized::read(&body).ok()
    });
    read.next()
}

/// The good request that was sent afterwards, and the answer to it.
fn follow_up(peer: &mut Peer, case: &Case, dialect: &Dialect, name: &str) {
    let mut asked = None;
    for sent in case.sent().filter(|sent| sent.follow_up) {
        match sent.from {
            Side::Client => {
                peer.send(&sent.bytes).expect(name);
                asked = value_of(sent);
            }
            Side::Server => {
                let answer = Answer::open(dialect, &peer.frame().expect(name));
                let body = sent.decoded.serialized.as_deref().expect("a recorded answer");
                assert_same(&answer, body, asked.as_ref().expect("a request"), name);
            }
        }
    }
}
