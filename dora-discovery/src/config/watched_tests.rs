use dora_core::call::status::BoxError;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Limits {
    calls: Calls,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Calls {
    per_second: u32,
}

fn limits(per_second: u32) -> Limits {
    Limits { calls: Calls { per_second } }
}

/// What the test says.
struct Feed(mpsc::Receiver<Result<Option<Vec<u8>>, BoxError>>);

impl Source for Feed {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        match self.0.recv().await {
            Some(said) => said,
            None => pending().await,
        }
    }

    fn name(&self) -> String {
        "feed".to_owned()
    }
}

struct Test {
    say: mpsc::Sender<Result<Option<Vec<u8>>, BoxError>>,
    watched: Watched<Limits>,
}

impl Test {
    fn start() -> Self {
        let (say, said) = mpsc::channel(1);
        let check = |limits: &Limits| match limits.calls.per_second {
            0 => Err("at least one call per second"),
            _ => Ok(()),
        };
        Self { say, watched: Watched::builder().check(check).start(Feed(said), limits(100)) }
    }

    async fn say(&self, value: &str) {
        self.say.send(Ok(Some(value.into()))).await.expect("it listens");
    }

    /// Nothing changes, in so much time.
    async fn stays(&mut self, per_second: u32) {
        let changed = timeout(Duration::from_secs(10), self.watched.changed()).await;
        assert!(changed.is_err(), "{changed:?}");
        assert_eq!(*self.watched.get(), limits(per_second));
    }

    fn failure(&self) -> String {
        self.watched.status().failure.expect("something is wrong")
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_holds_until_there_is_a_value_and_when_there_is_none() {
    let mut test = Test::start();
    let status = test.watched.status();
    assert_eq!((&*status.source, status.age, status.is_default), ("feed", None, true));
    test.say.send(Ok(None)).await.expect("it listens");
    test.stays(100).await;
    assert_eq!(test.watched.status().age, Some(Duration::from_secs(10)));

    test.say(r#"{"calls": {"per_second": 50}}"#).await;
    assert_eq!(*test.watched.changed().await, limits(50));
    assert!(!test.watched.status().is_default);
    test.say(r#"{"calls": {"per_second": 50}}"#).await;
    test.stays(50).await;
    test.say.send(Ok(None)).await.expect("it listens");
    assert_eq!(*test.watched.changed().await, limits(100));
    assert!(test.watched.status().is_default);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_good_is_not_used_and_named() {
    let mut test = Test::start();
    test.say(r#"{"calls": {"per_second": 50}}"#).await;
    test.watched.changed().await;
    let long = format!(r#"{{"calls": {{"per_second": 7}}}}{}"#, " ".repeat(MAX_VALUE));
    for (value, word) in [
        ("", "EOF"),
        (r#"{"calls": {"per_second": "many"}}"#, "calls.per_second: invalid type: string \"many\""),
        (r#"{"calls": {"per_second": 7}} more"#, "trailing"),
        (r#"{"calls": {"per_second": 0}}"#, "at least one call per second"),
        (&*long, "over 1048576 bytes"),
    ] {
        test.say(value).await;
        test.stays(50).await;
        assert!(test.failure().contains(word), "{word}: {}", test.failure());
        // Read again, it is no better.
        test.say(value).await;
        test.stays(50).await;
        assert!(test.failure().contains(word), "{word}: {}", test.failure());
    }
    test.say(r#"{"calls": {"per_second": 60}}"#).await;
    assert_eq!(*test.watched.changed().await, limits(60));
    assert_eq!(test.watched.status().failure, None);
}

#[tokio::test(start_paused = true)]
async fn an_outage_changes_nothing_but_the_age() {
    let mut test = Test::start();
    test.say(r#"{"calls": {"per_second": 50}}"#).await;
    test.watched.changed().await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(600) {
        test.say.send(Err("away".into())).await.expect("it listens");
    }
    test.stays(50).await;
    assert_eq!(test.failure(), "it cannot be read: away");
    let status = test.watched.status();
    assert!(status.age.is_some_and(|age| age >= Duration::from_secs(600)), "{status:?}");
    // The same value again: nothing has changed, and all is well.
    test.say(r#"{"calls": {"per_second": 50}}"#).await;
    test.stays(50).await;
    assert_eq!(test.watched.status().failure, None);
}

#[tokio::test(start_paused = true)]
async fn its_task_ends_with_the_last_clone() {
    let test = Test::start();
    let other = test.watched.clone();
    drop(test.watched);
    assert_eq!(*other.get(), limits(100));
    drop(other);
    timeout(Duration::from_secs(1), test.say.closed()).await.expect("nobody listens");
}
