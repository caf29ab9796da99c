//! Keeping an instance announced.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::erased::ErasedRegister;
use super::record::{DEFAULT_GROUP, InstanceRecord, RecordError};
use super::register::{Registries, Standing};
use super::watch::{TARGET, pause};

/// How long a server that stops waits for its registries: those that do not answer forget
/// it by themselves, when its lease is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// An instance that is announced at its registries. Dropped, it is not withdrawn, and its
/// leases run out.
pub(crate) struct Announced {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Announcements that may begin: their records are as they must be.
#[derive(Default)]
pub(crate) struct Announcements(Vec<(Box<dyn ErasedRegister>, InstanceRecord)>);

impl Announcements {
    /// # Errors
    /// A record is over its bounds.
    pub(crate) fn new(
        registries: impl IntoIterator<Item = Registries>,
        record: &InstanceRecord,
    ) -> Result<Self, RecordError> {
        let mut announcements = Vec::new();
        for Registries { registries, groups } in registries {
            let mut record = record.clone();
            record.groups.extend(groups);
            if record.groups.is_empty() {
                record.groups.insert(DEFAULT_GROUP.to_owned());
            }
            record.check()?;
            announcements.extend(registries.into_iter().map(|registry| (registry, record.clone())));
        }
        Ok(Self(announcements))
    }

    pub(crate) fn begin(self) -> Announced {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (registry, record) in self.0 {
            tasks.spawn(keep(registry, record, stopped.clone()));
        }
        Announced { stop, tasks }
    }
}

impl Announced {
    /// Takes everything back, or gives up after a second. The second time it does nothing.
    pub(crate) async fn withdraw(&mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Announces again and again, until it is told to stop; then withdraws.
async fn keep(
    mut registry: Box<dyn ErasedRegister>,
    record: InstanceRecord,
    mut stopped: watch::Receiver<bool>,
) {
    let mut log = Log { registry: registry.name(), last: None };
    {
        let mut stop = pin!(async {
            // A sender that is gone has aborted this task.
            drop(stopped.wait_for(|stopped| *stopped).await);
        });
        loop {
            let wait = tokio::select! {
                () = &mut stop => break,
                wait = renew(&mut *registry, &record, &mut log) => wait,
            };
            tokio::select! {
                () = &mut stop => break,
                () = sleep(wait) => {}
                () = registry.lost() => {
                    tracing::debug!(target: TARGET, registry = log.registry, "the registry may have lost what was announced");
                    // Not all at once.
                    tokio::select! {
                        () = &mut stop => break,
                        () = sleep(pause()) => {}
                    }
                }
            }
        }
    }
    match timeout(FAREWELL, registry.withdraw(&record)).await {
        Ok(Ok(())) => {
            tracing::info!(target: TARGET, registry = log.registry, instance = %record.id(), "withdrawn")
        }
        Ok(Err(error)) => {
            tracing::warn!(target: TARGET, registry = log.registry, %error, "cannot withdraw: the lease must run out");
        }
        Err(_) => {
            tracing::warn!(target: TARGET, registry = log.registry, "cannot withdraw in a second: the lease must run out")
        }
    }
}

/// One announcement; how long to wait for the next one.
async fn renew(registry: &mut dyn ErasedRegister, record: &InstanceRecord, log: &mut Log) -> Duration {
    let third = registry.lease() / 3;
    let result = match timeout(third, registry.announce(record)).await {
        Ok(Ok(standing)) => Ok(standing),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {third:?}")),
    };
    let wait = if result.is_ok() { third } else { pause().min(third) };
    log.note(record, result);
    wait
}

/// Logs what has changed.
struct Log {
    registry: String,
    last: Option<Result<Standing, ()>>,
}

impl Log {
    fn note(&mut self, record: &InstanceRecord, result: Result<Standing, String>) {
        let now = result.as_ref().map_err(|_| ()).copied();
        let before = self.last.replace(now);
        if before == Some(now) {
            return;
        }
        let (registry, instance) = (&self.registry, record.id());
        match result {
            Ok(Standing::Announced) => tracing::info!(target: TARGET, registry, instance, "announced"),
            Ok(Standing::Superseded) => {
                tracing::warn!(target: TARGET, registry, instance, "another server has taken this address since: not announced");
            }
            Err(error) => {
                tracing::warn!(target: TARGET, registry, instance, error, "cannot announce; trying again every second");
            }
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
