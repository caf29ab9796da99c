//! Real answers to the real client: it gives its caller what the PHP client gave,
//! one layer deeper.

use std::collections::BTreeMap;
use std::time::Duration;

use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::name::MethodName;
use dora_core::call::response::Response;
use dora_core::call::status::{Origin, Status};
use dora_core::pack::value::Value;
use dora_core::stub::dynamic::MultiResults;
use dora_core::stub::pending::Pending;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_integration_tests::exact::Exact;
use dora_integration_tests::over::{self, Over, over};
use dora_integration_tests::raw::{Dialect, MAX_PACKET, Peer};
use dora_integration_tests::vectors::{Case, Outcome, Recording, Sent, Side, load_all};

use crate::convert::{dialect_of, has_object, int, limits, pairs, text, to_exact, to_value, value_of};
use crate::decode::check_result;
use crate::fake::{Fake, next_request, replace};

/// What the fake server does next.
enum Step {
    /// Reads the request that was recorded under this guid.
    Take(Vec<u8>),
    /// Answers it with this body.
    Give(Vec<u8>, Vec<u8>),
}

#[tokio::test]
async fn callers_get_what_php_callers_got_one_layer_deeper() {
    let mut replayed = 0;
    for recording in load_all().expect("every recording loads") {
        // Over something else than TCP those of one PHP version are enough.
        let wanted = over() == Over::Tcp || recording.file.contains("php82");
        if !recording.file.starts_with("client-") || !wanted {
            continue;
        }
        for case in recording.cases.iter().filter(|case| can_be_sent(case)) {
            replay(&recording, case).await;
            replayed += 1;
        }
    }
    assert!(replayed > if over() == Over::Tcp { 280 } else { 150 }, "{replayed}");
}

/// The rest is refused before it is sent: see `faults.rs`.
pub(crate) fn can_be_sent(case: &Case) -> bool {
    let mut requests = case.sent().filter(|sent| sent.from == Side::Client).peekable();
    let empty = Exact::Array(Vec::new());
    let good = |sent: &Sent| {
        let whole = !sent.partial && sent.bytes.len() <= MAX_PACKET;
        whole && value_of(sent).is_some_and(|value| value.get("api") != Some(&empty))
    };
    requests.peek().is_some() && requests.all(good)
}

async fn replay(recording: &Recording, case: &Case) {
    let name = format!("{}, case {}", recording.file, case.name);
    let dialect = dialect_of(recording);
    let fake = Fake::run({
        let (script, dialect) = (script(case), dialect.clone());
        move |peer| play(peer, &dialect, script)
    });
    let channel = set(over::endpoint(fake.address), &dialect).connect().await.expect(&name);
    let mut later = Vec::new();
    let mut returned = case.calls.iter().filter(|call| call.call != "async");
    for request in case.sent().filter(|sent| sent.from == Side::Client) {
        let value = value_of(request).expect("a recorded request");
        let answers: Vec<_> = case
            .sent()
            .filter(|sent| sent.from == Side::Server && sent.decoded.guid == request.decoded.guid)
            .filter_map(value_of)
            .collect();
        // The PHP client wraps the first answer once more, but for control commands.
        let call = returned.next().expect("a call for each request");
        if let (Outcome::Returned(outcome), Some(answer)) = (&call.outcome, answers.first())
            // The recorder could not look into objects under PHP 7.1.
            && !has_object(answer)
        {
            let bare = matches!(&*call.call, "stat" | "reload");
            assert_eq!(if bare { Some(outcome) } else { outcome.get("data") }, Some(answer), "{name}");
        }
        make(&channel, &value, &answers, &mut later, &name).await;
    }
    for (pending, wanted) in later {
        pending.check(&wanted, &name).await;
    }
    assert_eq!(channel.dropped_answers().unknown, 0, "{name}");
    drop(channel);
    let requests: BTreeMap<Vec<u8>, ([u8; 32], Vec<u8>)> = fake.end().await;
    for sent in case.sent().filter(|sent| sent.from == Side::Client) {
        let (guid, body) = &requests[&sent.decoded.guid];
        assert_as_php(sent, guid, body, &name);
    }
}

/// A client set as the PHP client was.
pub(crate) fn endpoint(address: &str, dialect: &Dialect) -> Endpoint {
    set(Endpoint::new(address).expect("an address"), dialect)
}

fn set(endpoint: Endpoint, dialect: &Dialect) -> Endpoint {
    let mut endpoint = endpoint.php().limits(limits()).timeout(Duration::from_secs(10));
    if let Some(salt) = &dialect.salt {
        endpoint = endpoint.salt(salt);
    }
    if dialect.gzip { endpoint.gzip() } else { endpoint }
}

fn script(case: &Case) -> Vec<Step> {
    let step = |sent: &Sent| {
        let guid = sent.decoded.guid.clone();
        match sent.from {
            Side::Client => Step::Take(guid),
            Side::Server => Step::Give(guid, sent.decoded.serialized.clone().expect("a recorded answer")),
        }
    };
    case.sent().map(step).collect()
}

fn play(peer: &mut Peer, dialect: &Dialect, script: Vec<Step>) -> BTreeMap<Vec<u8>, ([u8; 32], Vec<u8>)> {
    let mut requests = BTreeMap::new();
    for step in script {
        match step {
            Step::Take(recorded) => {
                requests.insert(recorded, next_request(peer, dialect));
            }
            Step::Give(recorded, body) => {
                let (guid, _) = &requests[&recorded];
                let body = replace(&body, &recorded, guid);
                peer.send(&dialect.frame(guid, &body)).expect("sent");
            }
        }
    }
    requests
}

/// A result that is awaited at the end, as `getAsyncData` is called.
pub(crate) enum Later {
    One(Pending<Value>),
    /// With the keys that the caller gave its calls.
    Many(Pending<MultiResults>, Vec<Exact>),
}

impl Later {
    pub(crate) async fn check(self, wanted: &Exact, name: &str) {
        assert_eq!(wanted.get("isresult"), Some(&1.into()), "{name}");
        match self {
            Self::One(pending) => check_one(pending.await, wanted, name),
            Self::Many(results, keys) => check_many(results.await, wanted, &keys, name),
        }
    }
}

/// Makes the recorded call and checks what comes back.
pub(crate) async fn make(
    channel: &Channel,
    request: &Exact,
    answers: &[Exact],
    later: &mut Vec<(Later, Exact)>,
    name: &str,
) {
    let kind = text(request, "type");
    let calls = pairs(request.get("api").expect("api"));
    // Nobody answers: the caller's own patience ends it.
    let timeout = Duration::from_millis(if answers.is_empty() { 50 } else { 10_000 });
    let silence = silence();
    let wanted = answers.first().unwrap_or(&silence);
    let push = answers.get(1).cloned();
    if kind.ends_with("_M") {
        let keys = calls.iter().map(|(key, _)| key.clone()).collect();
        let multi = calls.iter().fold(channel.dynamic().multi().timeout(timeout), |multi, (key, call)| {
            multi.call(key_of(key), name_of(call), param_of(call))
        });
        return match kind {
            "W_M" => check_many(multi.send().await, wanted, &keys, name),
            "AN_M" => {
                multi.no_result().await.expect(name);
                assert_eq!(int(wanted, "code"), 100_001, "{name}");
            }
            _ => {
                let pending = multi.deferred().await.expect(name);
                later.push((Later::Many(pending, keys), push.expect("a result")));
            }
        };
    }
    let (_, call) = &calls[0];
    if kind == "SC" {
        let result = channel.control(text(call, "name")).await;
        if refusal(&result, wanted, name).is_none() {
            assert_eq!(Some(&to_exact(&result.expect(name))), wanted.get("data"), "{name}");
        }
        return;
    }
    let call = channel.dynamic().call(name_of(call), param_of(call)).timeout(timeout);
    match kind {
        "W_S" => check_one(call.await, wanted, name),
        "AN_S" => {
            call.no_result().await.expect(name);
            assert_eq!(int(wanted, "code"), 100_001, "{name}");
        }
        _ => {
            let pending = call.deferred().await.expect(name);
            later.push((Later::One(pending), push.expect("a result")));
        }
    }
}

/// What the PHP client makes of no answer.
fn silence() -> Exact {
    Exact::map([
        ("code", 100_009.into()),
        ("msg", "the recive wrong or timeout".into()),
        ("data", Exact::Array(Vec::new())),
    ])
}

fn key_of(key: &Exact) -> CallKey {
    match key {
        Exact::Int(key) => CallKey::Int(*key),
        Exact::Str(key) => CallKey::Str(key.clone().into()),
        other => panic!("no key: {other:?}"),
    }
}

/// The name of a call, which is any bytes; what is no call is one without.
fn name_of(call: &Exact) -> MethodName {
    match call.get("name") {
        Some(Exact::Str(name)) => MethodName::from_bytes(name.clone().into()),
        None => MethodName::default(),
        Some(other) => panic!("no name: {other:?}"),
    }
}

/// The parameter of a call.
fn param_of(call: &Exact) -> Value {
    call.get("param").map(to_value).unwrap_or_default()
}

fn check_one(result: Result<Value, Status>, packet: &Exact, name: &str) {
    if let Some(status) = refusal(&result, packet, name) {
        return drop(status);
    }
    let result = result.map(|value| Response::new(Body::message(value)));
    if let Err(status) = &result {
        assert_eq!(status.origin(), Origin::Service, "{name}: {status}");
    }
    check_result(result, packet.get("data").expect("data"), same_but_guids, name);
}

/// The recorded packets are in the order of completion, the results in that of
/// the calls.
fn check_many(results: Result<MultiResults, Status>, packet: &Exact, keys: &Vec<Exact>, name: &str) {
    if refusal(&results, packet, name).is_some() {
        return;
    }
    let results = results.unwrap_or_else(|status| panic!("{name}: {status}"));
    let packets = pairs(packet.get("data").expect("data"));
    assert_eq!((results.len(), packets.len()), (keys.len(), keys.len()), "{name}");
    for ((ours, result), key) in results.into_iter().zip(keys) {
        assert_eq!(ours, key_of(key), "{name}");
        let packet = packets.iter().find(|(known, _)| known == key);
        let result = result.map(|value| Response::new(Body::message(value)));
        check_result(result, &packet.expect("a packet for each call").1, same_but_guids, name);
    }
}

/// `/t/task` returns the guid, which is not the recorded one.
fn same_but_guids(ours: &Exact, recorded: &Exact) -> bool {
    fn masked(value: &Exact) -> Exact {
        match value {
            Exact::Array(entries) => {
                let entry = |(key, value): &(Exact, Exact)| match (key, value) {
                    (key, Exact::Str(guid)) if *key == "guid".into() && guid.len() == 32 => {
                        (key.clone(), Exact::Null)
                    }
                    (key, value) => (key.clone(), masked(value)),
                };
                Exact::Array(entries.iter().map(entry).collect())
            }
            other => other.clone(),
        }
    }
    masked(ours) == masked(recorded)
}

/// Checks an error that the packet as a whole is; `None` where it is none.
fn refusal<T>(result: &Result<T, Status>, packet: &Exact, name: &str) -> Option<Status> {
    let code = int(packet, "code");
    if code == 0 {
        return None;
    }
    let Err(status) = result else { panic!("{name}: no error") };
    assert_eq!(status.raw_code(), code, "{name}");
    // What no peer said, each client says in its own words.
    if status.origin() != Origin::Connection {
        assert!(status.message().starts_with(text(packet, "msg")), "{name}: {status}");
    }
    Some(status.clone())
}

/// Checks that the client wrote what the PHP client did, and behind it only keys
/// that PHP does not know.
fn assert_as_php(sent: &Sent, guid: &[u8; 32], body: &[u8], name: &str) {
    // Copies are sent of what was referred to, and names that are integers as strings:
    // this test's values do not tell.
    let otherwise = ["precision17", "object-shared", "serialize-magic", "php71.json, case val-object"];
    if otherwise.iter().any(|part| name.contains(part)) {
        return;
    }
    let wanted = sent.decoded.serialized.as_deref().expect("a request");
    let wanted = replace(wanted, &sent.decoded.guid, guid);
    let ours = dora_integration_tests::serialized::read(body).expect(name);
    let wanted_value = dora_integration_tests::serialized::read(&wanted).expect(name);
    let kind = text(&wanted_value, "type");
    // A call that is waited for says how long it is; until it has heard what the
    // server can, each says what this client can.
    let waits = kind.starts_with("W_") || kind == "SC";
    let known = [Exact::from("timeout"), Exact::from("can")];
    let extras = pairs(&ours).get(3..).unwrap_or_default();
    let keys: Vec<_> = extras.iter().map(|(key, _)| key.clone()).collect();
    assert!(
        known[usize::from(!waits)..].starts_with(&keys) && keys.len() >= usize::from(waits),
        "{name}: {keys:?}"
    );
    // What a caller can write beside name and parameter, ours has no place for.
    let plain = |(_, call): &(Exact, Exact)| matches!(call, Exact::Array(fields) if fields.len() == 2);
    if !pairs(wanted_value.get("api").expect("api")).iter().all(plain) {
        return;
    }
    let mut expected = wanted.clone();
    if !extras.is_empty() {
        expected[2] = b'3' + extras.len() as u8;
        expected.pop();
        for (key, value) in extras {
            let (Exact::Str(key), Exact::Int(value)) = (key, value) else { panic!("{name}: {key:?}") };
            let key = String::from_utf8_lossy(key);
            expected.extend(format!("s:{}:\"{key}\";i:{value};", key.len()).into_bytes());
        }
        expected.push(b'}');
    }
    assert!(body == expected, "{name}:\n{}\n{}", body.escape_ascii(), expected.escape_ascii());
}
