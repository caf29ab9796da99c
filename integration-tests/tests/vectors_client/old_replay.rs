//! Real answers of the older generations to the real client, end to end: a far end
//! that says what those servers said, and a caller that gets what they answered.

use std::net::TcpListener;

use dora_core::generation::Generation;
use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::{self, Dialect, MAX_PACKET, Peer};
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::{Case, Outcome, Recording, Sent, Side, load_old};

use crate::convert::{int, pairs, text, value_of};
use crate::fake::{Fake, open_request, replace};
use crate::replay::{can_be_sent, endpoint, make};

/// What the far end does next.
enum Step {
    /// Reads the next request.
    Take,
    /// Answers the request of this number with this recorded body, in which that
    /// guid stands.
    Give { request: usize, guid: Vec<u8>, body: Vec<u8> },
}

/// A recorded request, and the answers to it.
struct Asked<'a> {
    sent: &'a Sent,
    answers: Vec<Exact>,
    /// The first answer came before the client asked again: else nobody waited for it.
    in_time: bool,
}

#[tokio::test]
async fn callers_get_what_callers_of_the_time_got() {
    let (mut replayed, mut answered) = (0, 0);
    for recording in load_old().expect("every recording loads") {
        if !recording.file.starts_with("client-") {
            continue;
        }
        for case in recording.cases.iter().filter(|case| can_be_sent(case)) {
            answered += replay(&recording, case).await;
            replayed += 1;
        }
    }
    println!("{replayed} cases, {answered} answers");
    assert!(replayed > 500 && answered > 500, "{replayed} cases, {answered} answers");
}

/// Makes the calls of a case and checks what comes back; how many were answered.
async fn replay(recording: &Recording, case: &Case) -> usize {
    let name = format!("{}, case {}", recording.file, case.name);
    let dialect = Dialect {
        generation: recording.generation,
        salt: recording.signed.then(|| recording.salt.clone()),
        gzip: recording.compressed,
    };
    let (asked, script) = script(case);
    let fake = Fake::listen({
        let dialect = dialect.clone();
        move |listener| play(listener, &dialect, script)
    });
    let generation = match recording.generation {
        raw::Generation::Bare => Generation::Bare,
        _ => Generation::Plain,
    };
    let endpoint = endpoint(&fake.address.to_string(), &dialect).generation(generation);
    let channel = endpoint.connect().await.expect(&name);
    assert_as_the_client_of_the_time(case, &asked, &name);
    let (mut later, mut answered) = (Vec::new(), 0);
    for Asked { sent, answers, in_time } in &asked {
        let answers = if *in_time { &answers[..] } else { &[] };
        let request = in_words_of_today(value_of(sent).expect("a recorded request"));
        let kind = text(&request, "type");
        let answers: Vec<_> =
            answers.iter().map(|answer| in_three_layers(answer, kind, generation)).collect();
        answered += usize::from(*in_time);
        make(&channel, &request, &answers, &mut later, &name).await;
    }
    for (pending, wanted) in later {
        pending.check(&wanted, &name).await;
    }
    drop(channel);
    for (sent, (guid, body)) in asked.iter().map(|asked| asked.sent).zip(fake.end().await) {
        assert_asks_the_same(sent, &guid, &body, &name);
    }
    answered
}

/// The requests of a case with their answers, and what the far end does.
fn script(case: &Case) -> (Vec<Asked<'_>>, Vec<Step>) {
    let (mut asked, mut steps): (Vec<Asked<'_>>, Vec<Step>) = (Vec::new(), Vec::new());
    for sent in case.sent() {
        if sent.from == Side::Client {
            asked.push(Asked { sent, answers: Vec::new(), in_time: false });
            steps.push(Step::Take);
            continue;
        }
        let body = sent.decoded.serialized.clone().expect("a recorded answer");
        let value = serialized::read(&body).expect("a recorded value");
        // A retry has the guid of the request before it. What says no guid is the last one's.
        let last = asked.len() - 1;
        let owner = match value.get("guid") {
            Some(Exact::Str(guid)) => {
                asked.iter().rposition(|asked| asked.sent.decoded.guid == *guid).unwrap_or(last)
            }
            _ => last,
        };
        let Asked { answers, in_time, sent } = &mut asked[owner];
        // July 2015 had no limit of its own; this client has, and loses such an answer.
        *in_time |= answers.is_empty() && owner == last && body.len() <= MAX_PACKET;
        answers.push(value);
        steps.push(Step::Give { request: owner, guid: sent.decoded.guid.clone(), body });
    }
    (asked, steps)
}

/// Plays the server; the requests it was sent. A client that has given up a call
/// comes back on another connection.
fn play(listener: &TcpListener, dialect: &Dialect, script: Vec<Step>) -> Vec<([u8; 32], Vec<u8>)> {
    let mut requests = Vec::new();
    let mut peer = Peer::accept(listener).expect("a client");
    for step in script {
        match step {
            Step::Take => {
                let frame = loop {
                    match peer.frame_or_close().expect("a request") {
                        Some(frame) => break frame,
                        None => peer = Peer::accept(listener).expect("the client again"),
                    }
                };
                requests.push(open_request(&frame, dialect));
            }
            Step::Give { request, guid: recorded, body } => {
                let (guid, _): &([u8; 32], _) = &requests[request];
                let sent = peer.send(&dialect.frame(guid, &replace(&body, &recorded, guid)));
                // Nobody may be there any more to hear a late one, or all of one over the limit.
                let heard = request + 1 == requests.len() && body.len() <= MAX_PACKET;
                assert!(sent.is_ok() || !heard, "{sent:?}");
            }
        }
    }
    peer.expect_close().expect("the client closes first");
    requests
}

/// The recorded answers are what the client of the time returned, a layer deeper,
/// unless it read another call's.
fn assert_as_the_client_of_the_time(case: &Case, asked: &[Asked<'_>], name: &str) {
    let calls: Vec<_> = case.calls.iter().filter(|call| call.call != "async").collect();
    if calls.len() != asked.len() {
        return;
    }
    for (call, Asked { answers, .. }) in calls.iter().zip(asked) {
        let (Outcome::Returned(outcome), Some(answer)) = (&call.outcome, answers.first()) else { continue };
        let control = matches!(&*call.call, "stat" | "reload") && outcome.get("data") != Some(answer);
        if outcome.get("code") == Some(&0.into()) {
            assert_eq!(if control { Some(outcome) } else { outcome.get("data") }, Some(answer), "{name}");
        }
    }
}

/// The request with the word for its type that came later.
fn in_words_of_today(mut request: Exact) -> Exact {
    if let Exact::Array(fields) = &mut request {
        for (key, value) in fields {
            if *key != "type".into() {
                continue;
            }
            for (old, new) in [("SSS", "W_S"), ("SSM", "W_M"), ("SRS", "AN_S"), ("SRM", "AN_M")] {
                if *value == old.into() {
                    *value = new.into();
                }
            }
        }
    }
    request
}

/// The answer to a request of this word of today, with a packet around each bare
/// result; what was thrown has one.
fn in_three_layers(answer: &Exact, kind: &str, generation: Generation) -> Exact {
    if generation != Generation::Bare || kind == "SC" || int(answer, "code") != 0 {
        return answer.clone();
    }
    let wrapped = |data: &Exact| match data {
        Exact::Array(results) if kind.ends_with("_M") => {
            Exact::Array(results.iter().map(|(key, value)| (key.clone(), in_packet(value))).collect())
        }
        value => in_packet(value),
    };
    let field = |(key, value): &(Exact, Exact)| match key {
        key if *key == "data".into() => (key.clone(), wrapped(value)),
        _ => (key.clone(), value.clone()),
    };
    Exact::Array(pairs(answer).iter().map(field).collect())
}

fn in_packet(value: &Exact) -> Exact {
    let thrown = match value {
        Exact::Array(fields) => {
            let keys = fields.iter().map(|(key, _)| key.clone());
            keys.eq(["code", "msg", "data"].map(Exact::from)) && value.get("data") == Some(&Exact::list([]))
        }
        _ => false,
    };
    if thrown {
        return value.clone();
    }
    Exact::map([("code", 0.into()), ("msg", "OK".into()), ("data", value.clone())])
}

/// The first keys of a request are those of the time, in their order; what stands
/// behind them no PHP server looks at.
fn assert_asks_the_same(sent: &Sent, guid: &[u8; 32], body: &[u8], name: &str) {
    let recorded = sent.decoded.serialized.as_deref().expect("a request");
    let wanted = serialized::read(&replace(recorded, &sent.decoded.guid, guid)).expect(name);
    let ours = serialized::read(body).expect(name);
    // What a caller can write beside name and parameter, ours has no place for.
    let plain = |(_, call): &(Exact, Exact)| matches!(call, Exact::Array(fields) if fields.len() == 2);
    if pairs(wanted.get("api").expect("api")).iter().all(plain) {
        assert!(pairs(&ours)[..3] == pairs(&wanted)[..3], "{name}: {}", body.escape_ascii());
    }
    assert_eq!(text(&ours, "type"), text(&wanted, "type"), "{name}");
}
