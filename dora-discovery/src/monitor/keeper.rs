//! What is to be written into files, when, and what was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dora_core::discovery::record::InstanceRecord;
use dora_core::discovery::watch::{DirectoryStatus, Watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Kind, MonitorError, TARGET, blocking, replace};

/// How often it is looked whether registries answer, while their lists may lack somebody.
const LOOK: Duration = Duration::from_millis(100);

/// Two times of one list, taken at different moments, are no further apart.
const SAME: Duration = Duration::from_secs(1);

/// The files, and what is known of what they should say.
pub(super) struct Keeper {
    files: Vec<Kept>,
    hold: Duration,
    list: Option<Arc<[Arc<InstanceRecord>]>>,
    /// Until then the list, which is empty, is not believed.
    empty_until: Option<Instant>,
    /// Since when each registry has answered without a break.
    answering: Vec<Option<Instant>>,
    /// When the registry had confirmed what was last written; `None`: not all was written.
    written: Option<Instant>,
    failed: bool,
}

/// A file.
struct Kept {
    path: PathBuf,
    kind: Kind,
    state: State,
}

/// Whose a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Somebody else wrote it, who may know more by now.
    Stands,
    /// There was none, or ours is in its place.
    Ours,
}

impl Keeper {
    /// # Errors
    /// A file cannot be written.
    pub(super) async fn new(files: Vec<(PathBuf, Kind)>, hold: Duration) -> Result<Self, MonitorError> {
        let mut kept = Vec::new();
        for (path, kind) in files {
            let state = match blocking(path.clone(), replace::check).await? {
                true => State::Stands,
                false => State::Ours,
            };
            kept.push(Kept { path, kind, state });
        }
        let answering = Vec::new();
        Ok(Self { files: kept, hold, list: None, empty_until: None, answering, written: None, failed: false })
    }

    pub(super) fn listed(&mut self, list: Arc<[Arc<InstanceRecord>]>) {
        self.empty_until = list.is_empty().then(|| Instant::now() + self.hold);
        self.list = Some(list);
        self.written = None;
    }

    /// Ends when what was not believed may be by now.
    pub(super) async fn held(&self) {
        match self.empty_until {
            _ if self.stands() => sleep(LOOK).await,
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    fn stands(&self) -> bool {
        self.files.iter().any(|file| file.state == State::Stands)
    }

    /// Files that stood before are ours when a registry has answered for so long that
    /// everybody has announced themselves there.
    fn look(&mut self, status: &DirectoryStatus, now: Instant) {
        if !self.stands() {
            return;
        }
        self.answering.resize(status.registries.len(), None);
        for (since, registry) in self.answering.iter_mut().zip(&status.registries) {
            let answers = registry.failure.is_none() && registry.age.is_some();
            *since = answers.then(|| since.unwrap_or(now));
        }
        let settled = self.answering.iter().flatten().any(|since| *since + self.hold <= now);
        if settled {
            self.files.iter_mut().for_each(|file| file.state = State::Ours);
            self.written = None;
        }
    }

    /// Writes what is to be written.
    pub(super) async fn write(&mut self, watch: &Watch) {
        let (status, now) = (watch.status(), Instant::now());
        self.look(&status, now);
        let (Some(list), Some(age)) = (&self.list, status.age) else { return };
        if self.empty_until.is_some_and(|until| until > now) {
            return;
        }
        self.empty_until = None;
        let confirmed = now.checked_sub(age).unwrap_or(now);
        if self.written.is_some_and(|written| confirmed < written + SAME) {
            return;
        }
        let since = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let (mut files, mut failed) = (0, None);
        for file in self.files.iter().filter(|file| file.state == State::Ours) {
            let (list, kind) = (Arc::clone(list), file.kind);
            let write = move |path: &Path| replace::replace(path, &kind.render(&list, since)?);
            match blocking(file.path.clone(), write).await {
                Ok(()) => files += 1,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => {
                if self.written.is_none() || self.failed {
                    let left = self.files.len() - files;
                    tracing::info!(target: TARGET, instances = list.len(), files, left, "written, but for those left as they stand");
                }
                self.written = Some(confirmed);
                self.failed = false;
            }
            Some(error) => {
                if !self.failed {
                    tracing::error!(target: TARGET, %error, "tried again until it succeeds");
                }
                self.written = None;
                self.failed = true;
            }
        }
    }
}
