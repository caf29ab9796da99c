//! So many calls a second, whatever becomes of them.

use std::future::Future;
use std::time::{Duration, Instant};

use dora::Status;
use tokio::task::JoinSet;

const TICK: Duration = Duration::from_millis(1);

/// Calls that may be outstanding. Whoever gets here makes fewer than it was told to.
const MOST: usize = 20_000;

/// How calls ended.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Why one of them failed.
    pub(crate) why: Option<Status>,
    pub(crate) took: Duration,
}

impl Ends {
    /// The share of the calls that were answered, in percent.
    pub(crate) fn answered(&self) -> f64 {
        100.0 * (1.0 - self.failed as f64 / (self.calls as f64).max(1.0))
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// What one of the errors says, on standard error.
    pub(crate) fn tell(&self, of: &str) {
        if let Some(status) = &self.why {
            eprintln!("{of}: {} calls failed, among them: {status}", self.failed);
        }
    }

    fn count(&mut self, result: Result<(), Status>) {
        self.calls += 1;
        if let Err(status) = result {
            self.failed += 1;
            self.why = Some(status);
        }
    }
}

/// Makes `rate` calls a second while `goes_on` says so, and waits for their ends.
pub(crate) async fn paced<F>(rate: u32, goes_on: impl Fn(Duration) -> bool, call: impl Fn() -> F) -> Ends
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (mut ends, mut running, mut made) = (Ends::default(), JoinSet::new(), 0.0);
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    while goes_on(start.elapsed()) {
        ticks.tick().await;
        while made < start.elapsed().as_secs_f64() * f64::from(rate) && running.len() < MOST {
            made += 1.0;
            running.spawn(call());
        }
        while let Some(ended) = running.try_join_next() {
            ends.count(ended.unwrap_or_else(|error| Err(Status::internal(error.to_string()))));
        }
    }
    ends.took = start.elapsed();
    while let Some(ended) = running.join_next().await {
        ends.count(ended.unwrap_or_else(|error| Err(Status::internal(error.to_string()))));
    }
    ends
}
