//! The recordings are what they say they are.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::{Dialect, gunzip};
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::{Outcome, Recording, Sent, load_all};

static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(|| load_all().expect("every recording loads"));

fn dialect(recording: &Recording) -> Dialect {
    Dialect { salt: recording.signed.then(|| recording.salt.clone()), ..Dialect::GUID }
}

/// Runs `check` on all bytes ever sent, and returns how often it answered `true`.
fn count(check: impl Fn(&Recording, &Sent) -> bool) -> usize {
    let mut counted = 0;
    for recording in &*RECORDINGS {
        for case in &recording.cases {
            let sent = case.sent();
            counted += sent.filter(|sent| check(recording, sent)).count();
        }
    }
    counted
}

#[test]
fn every_file_loads_and_none_is_empty() {
    assert_eq!(RECORDINGS.len(), 14);
    for recording in &*RECORDINGS {
        let names: BTreeSet<_> = recording.cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), recording.cases.len(), "{}", recording.file);
        assert!(recording.cases.iter().all(|case| !case.exchange.is_empty()
            || matches!(case.calls[..], [ref call] if matches!(call.outcome, Outcome::Threw { .. }))));
    }
}

#[test]
fn the_length_field_of_a_whole_frame_is_its_length() {
    let frames = count(|recording, sent| {
        let stated = sent.bytes.get(..4).map(|field| {
            let field = field.try_into().expect("4 bytes");
            u32::from_be_bytes(field)
        });
        assert_eq!(stated, Some(sent.decoded.header_len), "{}", recording.file);
        let whole = sent.decoded.header_len as usize + 4 == sent.bytes.len();
        assert_eq!(whole, !sent.partial, "{}: {sent:?}", recording.file);
        whole
    });
    assert!(frames > 1_500, "{frames}");
}

#[test]
fn guid_checksum_and_body_are_where_the_recording_says() {
    let opened = count(|recording, sent| {
        if sent.partial || sent.decoded.guid.len() < 32 {
            return false;
        }
        let opened = dialect(recording).open(&sent.bytes);
        let right = sent.decoded.crc_ok != Some(false);
        assert_eq!(opened.is_ok(), right, "{}: {opened:?}, {sent:?}", recording.file);
        let Ok((guid, body)) = opened else {
            return false;
        };
        assert_eq!(guid, sent.decoded.guid);
        let Some(serialized) = &sent.decoded.serialized else {
            return false;
        };
        let body = if recording.compressed { gunzip(&body).expect("gzip") } else { body };
        assert_eq!(&body, serialized);
        true
    });
    assert!(opened > 1_500, "{opened}");
}

#[test]
fn the_exact_value_is_that_of_the_serialized_bytes() {
    let values = count(|recording, sent| {
        let (Some(bytes), Some(value)) = (&sent.decoded.serialized, &sent.decoded.value) else {
            return false;
        };
        let read = serialized::read(bytes).expect(&recording.file);
        assert_eq!(without_objects(&read), without_objects(value), "{}", bytes.escape_ascii());
        if recording.file.contains("php82") {
            assert_eq!(&read, value, "{}", bytes.escape_ascii());
        }
        true
    });
    assert!(values > 1_500, "{values}");
}

/// The recorder could not look into objects under PHP 7.1.
fn without_objects(value: &Exact) -> Exact {
    match value {
        Exact::Object { .. } => Exact::Object { class: Vec::new(), properties: Vec::new() },
        Exact::Array(entries) => {
            let entry = |(key, value): &(Exact, Exact)| (key.clone(), without_objects(value));
            Exact::Array(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}
