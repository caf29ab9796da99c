//! Following registries: a task for each, and one that puts their lists together.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::directory::{Directory, Filter};
use super::discover::Listing;
use super::erased::ErasedDiscover;
use super::record::InstanceRecord;
use super::view::{Instances, View};

/// What the logs of discovery are told by.
pub(super) const TARGET: &str = "dora::discovery";

/// How long a registry that failed is left alone: drawn anew each time, so that not all
/// come back at once; and no longer, for all shall be back within 2 s.
pub(super) fn pause() -> Duration {
    Duration::from_millis(fastrand::u64(250..1000))
}

/// The instances of a [`Directory`], as they come and go.
///
/// ```
/// use dora::discovery::{Directory, FixedList, InstanceRecord};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let list = FixedList::new([InstanceRecord::unknown("10.0.2.15:9567").with_group("shop")]);
/// let mut watch = Directory::new(list).group("shop").watch();
/// let instances = watch.changed().await;
/// assert_eq!(instances[0].address, "10.0.2.15:9567");
/// assert!(watch.status().age.is_some());
/// # }
/// ```
pub struct Watch {
    lists: watch::Receiver<Option<Instances>>,
    status: StatusCell,
}

/// How it stands with a list of instances.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectoryStatus {
    /// The group that is looked for; `None`: all.
    pub group: Option<Arc<str>>,
    /// Since a registry last confirmed the list; `None` before the first time.
    pub age: Option<Duration>,
    /// How many instances there are.
    pub instances: usize,
    /// Records that were not understood, and passed over.
    pub skipped: usize,
    /// The registries.
    pub registries: Vec<RegistryStatus>,
}

/// How it stands with a registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryStatus {
    /// What it is called, without passwords.
    pub name: String,
    /// Why it cannot be asked, where it cannot.
    pub failure: Option<String>,
    /// The age of its last list; `None` before the first one.
    pub age: Option<Duration>,
}

/// The status, shared with whoever reports it.
#[derive(Clone)]
pub(crate) struct StatusCell(Arc<Mutex<Status>>);

struct Status {
    /// Of each registry.
    told: Vec<Option<Told>>,
    known: DirectoryStatus,
}

/// When a list was told, and how old it was by then.
#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    age: Duration,
}

impl Told {
    fn age(self) -> Duration {
        self.at.elapsed().saturating_add(self.age)
    }
}

impl Watch {
    /// The list: the first time as soon as it is known, then when it has changed since.
    /// Sorted by address; the record of an instance that did not change is the same `Arc`.
    pub async fn changed(&mut self) -> Arc<[Arc<InstanceRecord>]> {
        loop {
            if self.lists.changed().await.is_err() {
                // The runtime ends.
                pending::<()>().await;
            }
            if let Some(instances) = self.lists.borrow_and_update().clone() {
                return instances;
            }
        }
    }

    /// How it stands with the list.
    #[must_use]
    pub fn status(&self) -> DirectoryStatus {
        self.status.get()
    }

    pub(crate) fn status_cell(&self) -> StatusCell {
        self.status.clone()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.status()).finish()
    }
}

impl StatusCell {
    pub(crate) fn get(&self) -> DirectoryStatus {
        let status = self.0.lock();
        let mut known = status.known.clone();
        for (registry, told) in known.registries.iter_mut().zip(&status.told) {
            registry.age = told.map(Told::age);
        }
        known.age = known.registries.iter().filter_map(|registry| registry.age).min();
        known
    }
}

/// `group "shop" has no instances (list of 3 s ago; redis://a:6379 cannot be asked: ..)`.
impl fmt::Display for DirectoryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "group {group:?}")?,
            None => f.write_str("the fleet")?,
        }
        match (self.age, self.instances) {
            (None, _) => f.write_str(" was not listed yet (")?,
            (Some(age), 0) => write!(f, " has no instances (list of {} s ago", age.as_secs())?,
            (Some(age), 1) => write!(f, " has 1 instance (list of {} s ago", age.as_secs())?,
            (Some(age), count) => write!(f, " has {count} instances (list of {} s ago", age.as_secs())?,
        }
        for (index, registry) in self.registries.iter().enumerate() {
            if self.age.is_some() || index > 0 {
                f.write_str("; ")?;
            }
            match &registry.failure {
                Some(failure) => write!(f, "{} cannot be asked: {failure}", registry.name)?,
                None if self.age.is_none() => write!(f, "{} has not answered", registry.name)?,
                None => write!(f, "by {}", registry.name)?,
            }
        }
        f.write_str(")")
    }
}

/// What a registry's task tells.
type Answer = (usize, Result<Listing, String>);

pub(super) fn start(directory: Directory) -> Watch {
    let Directory { sources, filter, lease } = directory;
    let status = StatusCell(Arc::new(Mutex::new(Status {
        told: vec![None; sources.len()],
        known: DirectoryStatus {
            group: filter.group.clone(),
            age: None,
            instances: 0,
            skipped: 0,
            registries: sources
                .iter()
                .map(|source| RegistryStatus { name: source.name(), failure: None, age: None })
                .collect(),
        },
    })));
    let (lists, receiver) = watch::channel(None);
    tokio::spawn(merge(sources, filter, lease, lists, status.clone()));
    Watch { lists: receiver, status }
}

/// Puts the lists together until nobody looks any more.
async fn merge(
    sources: Vec<Box<dyn ErasedDiscover>>,
    filter: Filter,
    lease: Duration,
    lists: watch::Sender<Option<Instances>>,
    status: StatusCell,
) {
    let mut view = View::new(sources.len(), filter, lease);
    let (tell, mut told) = mpsc::channel(sources.len().max(1));
    // Ends them when it is dropped.
    let mut tasks = JoinSet::new();
    for (index, source) in sources.into_iter().enumerate() {
        let asking = tokio::spawn(ask(index, source, tell.clone()));
        let tell = tell.clone();
        tasks.spawn(async move {
            let asking = Asking(asking);
            asking.died(index, tell).await;
        });
    }
    loop {
        let deadline = view.next_deadline(Instant::now());
        let elapsed = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = lists.closed() => return,
            Some((index, result)) = told.recv() => take(&mut view, index, result, &status),
            () = elapsed => view.elapsed(Instant::now()),
        }
        let Some(merged) = view.merged() else { continue };
        lists.send_if_modified(|before| {
            let is_new = before.as_ref().is_none_or(|before| !same(before, &merged));
            if is_new {
                tracing::info!(target: TARGET, instances = merged.len(), "the list of instances has changed");
                status.0.lock().known.instances = merged.len();
                *before = Some(merged);
            }
            is_new
        });
    }
}

fn take(view: &mut View, index: usize, result: Result<Listing, String>, status: &StatusCell) {
    let now = Instant::now();
    let mut status = status.0.lock();
    let failure = match result {
        Ok(listing) => {
            if let Some(told) = status.told.get_mut(index) {
                *told = Some(Told { at: now, age: listing.age });
            }
            view.listed(index, listing, now);
            let skipped = view.skipped();
            if skipped > status.known.skipped {
                tracing::warn!(target: TARGET, skipped, "records of instances were not understood");
            }
            status.known.skipped = skipped;
            None
        }
        Err(failure) => {
            view.failed(index);
            Some(failure)
        }
    };
    let Some(registry) = status.known.registries.get_mut(index) else { return };
    match (&registry.failure, &failure) {
        (None, Some(error)) => {
            tracing::warn!(target: TARGET, registry = registry.name, error, "the registry cannot be asked; its last list is used");
        }
        (Some(_), None) => {
            tracing::info!(target: TARGET, registry = registry.name, "the registry answers again")
        }
        _ => {}
    }
    registry.failure = failure;
}

/// Whether two lists are equal; records that did not change are the same ones, mostly.
fn same(a: &[Arc<InstanceRecord>], b: &[Arc<InstanceRecord>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
}

/// Asks one registry for ever.
async fn ask(index: usize, mut source: Box<dyn ErasedDiscover>, tell: mpsc::Sender<Answer>) {
    loop {
        let result = source.next().await.map_err(|error| error.to_string());
        let failed = result.is_err();
        if tell.send((index, result)).await.is_err() {
            return;
        }
        if failed {
            sleep(pause()).await;
        }
    }
}

/// The task of a registry: aborted with this, and told of when it dies of a panic.
struct Asking(tokio::task::JoinHandle<()>);

impl Asking {
    async fn died(mut self, index: usize, tell: mpsc::Sender<Answer>) {
        if let Err(error) = (&mut self.0).await {
            drop(tell.send((index, Err(format!("its task has died: {error}")))).await);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}
