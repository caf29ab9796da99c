//! Two ends of different generations: what real servers of the one said to requests of
//! the other, and what our client makes of it.

use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use dora_integration_tests::over;
use dora_integration_tests::vectors::{Case, Recording, Side, load_all, load_old};

use crate::fake::Fake;

/// "At once", on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(8);

/// Calls a server that answers its first frame with `answer` and stays.
async fn call(answer: Vec<u8>, set: impl FnOnce(Endpoint) -> Endpoint, name: &str) -> Status {
    let fake = Fake::run(move |peer| {
        peer.frame().expect("a request");
        peer.send(&answer).expect("sent");
    });
    let endpoint = set(over::endpoint(fake.address)).timeout(Duration::from_secs(60));
    let channel = endpoint.connect().await.expect("it listens");
    let start = Instant::now();
    let status = channel.dynamic().call("/t/echo", value!(1)).await.expect_err(name);
    assert!(start.elapsed() < AT_ONCE, "{name}: after {:?}: {status}", start.elapsed());
    drop(channel);
    fake.end().await;
    status
}

/// What the server said to the first request of the case, if it did not close.
fn answer(recording: &Recording, case: &str) -> Option<Vec<u8>> {
    let case: &Case = recording.cases.iter().find(|found| found.name == case)?;
    case.sent().find(|sent| sent.from == Side::Server).map(|sent| sent.bytes.clone())
}

fn assert_says(status: &Status, words: &[&str], name: &str) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{name}: {status}");
    for word in words {
        assert!(status.message().contains(word), "{name}: no {word:?} in: {status}");
    }
}

#[tokio::test]
async fn a_client_of_today_is_told_that_its_server_is_older() {
    let mut told = 0;
    for recording in load_old().expect("every recording loads") {
        let Some(answer) = answer(&recording, "raw-cross-guid-generation") else { continue };
        let name = &*recording.file;
        let salt = recording.signed.then(|| recording.salt.clone());
        for set in [Endpoint::php, |endpoint| endpoint] {
            let set = |endpoint: Endpoint| match &salt {
                Some(salt) => set(endpoint).salt(salt),
                None => set(endpoint),
            };
            let set = |endpoint| if recording.compressed { set(endpoint).gzip() } else { set(endpoint) };
            let status = call(answer.clone(), set, name).await;
            assert_says(&status, &["older generation", "`.generation(Generation::Plain)`"], name);
        }
        told += 1;
    }
    assert!(told >= 4, "{told}");
}

/// PHP 7.1's server of today answers what it cannot read, and counts a guid that it does
/// not send: the rest of that frame never comes.
#[tokio::test]
async fn an_older_client_is_told_that_its_server_is_of_today() {
    let recordings = load_all().expect("every recording loads");
    let php71 = recordings.iter().find(|recording| recording.file == "raw-plain.php71.json");
    let answer = answer(php71.expect("recorded"), "raw-cross-gzip").expect("an answer");
    for generation in [Generation::Plain, Generation::Bare] {
        let name = format!("{generation:?}");
        let status = call(answer.clone(), |endpoint| endpoint.generation(generation), &name).await;
        assert_says(&status, &["is of the Guid generation", "`.generation(..)`"], &name);
    }
    // What was recorded: one that compresses, at one that does not.
    let status = call(answer, |endpoint| endpoint.php().gzip(), "gzip").await;
    assert_says(&status, &["could not read the request", "`.gzip()`"], "gzip");
}
