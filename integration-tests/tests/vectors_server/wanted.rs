//! What a recorded answer says of ours.

use dora_integration_tests::exact::Exact;
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::Sent;

use crate::legacy::Answer;

/// The numbers of `getStat` that every Swoole gives.
pub(crate) const STATS: [&str; 6] =
    ["start_time", "connection_num", "accept_count", "close_count", "tasking_num", "request_count"];

/// Whether the bytes of our answer can be compared, and not only its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// The original wrote as we do.
    Same,
    /// It wrote floats with 17 digits.
    OldFloats,
}

/// The value of a recorded frame, read by the tests' own reader.
pub(crate) fn value_of(sent: &Sent) -> Option<Exact> {
    sent.decoded.serialized.as_ref().map(|bytes| serialized::read(bytes).expect("a recorded value"))
}

/// Checks our answer against the recorded one, but for the guid in the header.
pub(crate) fn assert_recorded(answer: &Answer, recorded: &Sent, bytes: Bytes, case: &str) {
    let wanted = value_of(recorded).expect("a recorded answer");
    if wanted.at(&["data", "server"]).is_some() {
        return assert_stats(&answer.value(), &wanted, case);
    }
    let (ours, theirs) = (in_order(answer.value()), in_order(wanted.clone()));
    // A large value is not printed.
    assert!(ours == theirs, "{case}:\n{}\n{}", shortened(&ours), shortened(&theirs));
    let serialized = recorded.decoded.serialized.as_deref().unwrap_or_default();
    let one = matches!(wanted.get("data"), Some(data) if data.get("code").is_some() || is_empty(data));
    if bytes == Bytes::Same && one && !has_own_form(serialized) && !has_reference(serialized) {
        assert!(answer.body == serialized, "{case}: {}", answer.body.escape_ascii());
    }
}

/// `getStat` differs from run to run; its shape does not.
fn assert_stats(ours: &Exact, theirs: &Exact, case: &str) {
    let keys = |value: &Exact| match value {
        Exact::Array(entries) => entries.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        other => panic!("{case}: {other:?}"),
    };
    assert_eq!(keys(ours), keys(theirs), "{case}");
    for field in ["guid", "code", "msg"] {
        assert_eq!(ours.get(field), theirs.get(field), "{case}");
    }
    let log = ["data", "logqueue"];
    assert_eq!(ours.at(&log).map(keys), theirs.at(&log).map(keys), "{case}");
    for name in STATS {
        let number = ours.at(&["data", "server", name]);
        assert!(matches!(number, Some(Exact::Int(0..))), "{case}: {name} is {number:?}");
    }
}

/// The results of a multi call come in the order of completion.
fn in_order(packet: Exact) -> Exact {
    let Exact::Array(mut entries) = packet else { return packet };
    for (_, data) in &mut entries {
        if let Exact::Array(results) = data
            && results.iter().all(|(_, result)| result.get("code").is_some())
        {
            results.sort_by_key(|(key, _)| format!("{key:?}"));
        }
    }
    Exact::Array(entries)
}

/// Objects in a form of their class's own, which the original did not know when
/// it wrote its answer: it lost their bytes, and made strings of integer names.
fn has_own_form(serialized: &[u8]) -> bool {
    [&b"\"CustomSer\""[..], b"\"OldSer\""]
        .iter()
        .any(|class| serialized.windows(class.len()).any(|bytes| bytes == *class))
}

fn has_reference(serialized: &[u8]) -> bool {
    serialized.windows(3).any(|bytes| matches!(bytes, [b';' | b'{', b'r' | b'R', b':']))
}

fn is_empty(value: &Exact) -> bool {
    matches!(value, Exact::Array(entries) if entries.is_empty())
}

fn shortened(value: &Exact) -> String {
    format!("{value:?}").chars().take(2_000).collect()
}
