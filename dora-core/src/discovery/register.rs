//! What announces an instance.

use std::fmt;
use std::future::{Future, pending};
use std::time::Duration;

use tower::BoxError;

use super::erased::ErasedRegister;
use super::record::InstanceRecord;

/// For how long an announcement holds by default.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// Announces an instance to one registry.
///
/// Whoever drives it (a [`Server`](crate::server::Server), after
/// [`register`](crate::server::Server::register)) announces at the start, then every third
/// of the [`lease`](Self::lease), within about a second of a failure or of
/// [`lost`](Self::lost), and withdraws at the end.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use dora::BoxError;
/// use dora::discovery::{InstanceRecord, Register, Standing};
///
/// /// A registry for the instances of one process.
/// #[derive(Clone, Default)]
/// struct Board(Arc<Mutex<BTreeMap<String, InstanceRecord>>>);
///
/// impl Register for Board {
///     async fn announce(&mut self, record: &InstanceRecord) -> Result<Standing, BoxError> {
///         let mut board = self.0.lock().expect("no panic");
///         if board.get(&record.address).is_some_and(|known| known.supersedes(record)) {
///             return Ok(Standing::Superseded);
///         }
///         board.insert(record.address.clone(), record.clone());
///         Ok(Standing::Announced)
///     }
///
///     async fn withdraw(&mut self, record: &InstanceRecord) -> Result<(), BoxError> {
///         let mut board = self.0.lock().expect("no panic");
///         if board.get(&record.address).is_some_and(|known| known.generation == record.generation) {
///             board.remove(&record.address);
///         }
///         Ok(())
///     }
/// }
///
/// let server = dora::Server::builder().register(Board::default());
/// # drop(server);
/// ```
pub trait Register: Send + 'static {
    /// Announces `record` for the next [`lease`](Self::lease), or anew. The record is the
    /// same each time.
    ///
    /// If the registry has a record of the same address and of a later run, nothing is
    /// written. Other records of the address are replaced, in all groups. Which run is
    /// later is best told by the registry, which saw them come; by the runs' own clocks
    /// [`supersedes`](InstanceRecord::supersedes) does.
    ///
    /// # Errors
    /// The registry cannot be told.
    fn announce(
        &mut self,
        record: &InstanceRecord,
    ) -> impl Future<Output = Result<Standing, BoxError>> + Send;

    /// Takes back what `record` says, if it is still of this run; what others have written
    /// stays.
    ///
    /// # Errors
    /// The registry cannot be told: the announcement ends with its lease.
    fn withdraw(&mut self, record: &InstanceRecord) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// For how long an announcement holds that is not renewed: kept by the registry, by
    /// its own clock. Default: [`DEFAULT_LEASE`].
    fn lease(&self) -> Duration {
        DEFAULT_LEASE
    }

    /// Ends when what was announced may be gone before its lease is over, as when the
    /// connection to the registry broke. Must be free to be dropped at any time. Default:
    /// never.
    fn lost(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// What it is called in logs, without passwords.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// What an announcement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The registry has it.
    Announced,
    /// A later run has the address: this one was away for longer than its lease, and must
    /// not be found any more.
    Superseded,
}

/// Where a server is announced: one registry or several, and the groups there. None, by
/// default.
#[derive(Default)]
pub struct Registries {
    pub(super) registries: Vec<Box<dyn ErasedRegister>>,
    pub(super) groups: Vec<String>,
}

impl Registries {
    /// One registry.
    pub fn new(registry: impl Register) -> Self {
        Self { registries: vec![Box::new(registry)], groups: Vec::new() }
    }

    /// This one, too; each is told on its own, whatever becomes of the others.
    #[must_use]
    pub fn and(mut self, registry: impl Register) -> Self {
        self.registries.push(Box::new(registry));
        self
    }

    /// In this group, too. Default: the groups of the server's record and of its services,
    /// and if those have none [`DEFAULT_GROUP`](super::record::DEFAULT_GROUP).
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }
}

impl<R: Register> From<R> for Registries {
    fn from(registry: R) -> Self {
        Self::new(registry)
    }
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.registries.iter().map(|registry| registry.name()).collect();
        f.debug_struct("Registries").field("registries", &names).field("groups", &self.groups).finish()
    }
}
