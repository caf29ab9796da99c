//! What finds instances.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tower::BoxError;

use super::record::InstanceRecord;

/// Finds instances: a registry, a file, a list. A backend of your own is as good as those
/// of `dora::discovery`:
///
/// ```
/// use std::time::Duration;
///
/// use dora::Channel;
/// use dora::discovery::{Discover, InstanceRecord, Listing};
/// use dora::BoxError;
///
/// /// What a program knows that an operator has of the fleet.
/// struct Inventory(Vec<String>);
///
/// impl Discover for Inventory {
///     async fn next(&mut self) -> Result<Listing, BoxError> {
///         tokio::time::sleep(Duration::from_millis(1)).await; // ask somebody
///         Ok(self.0.iter().map(|address| InstanceRecord::unknown(address)).collect())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let fleet = Channel::to(Inventory(vec!["127.0.0.1:1".to_owned()]));
/// # while fleet.instances().is_empty() { tokio::time::sleep(Duration::from_millis(1)).await; }
/// # }
/// ```
pub trait Discover: Send + 'static {
    /// The whole list, each time the registry has told it: first as soon as it can, then
    /// when it may have changed, and at best every few seconds, changed or not, for its
    /// age counts from here, unless it [says](Listing::age) that it is older.
    ///
    /// After an error, which changes nothing of what is known, it is called again within
    /// about a second: reconnect then. It must end on its own while the registry hangs;
    /// bound each step with a timeout.
    ///
    /// # Errors
    /// The registry cannot be asked. An outage is not an empty list.
    fn next(&mut self) -> impl Future<Output = Result<Listing, BoxError>> + Send;

    /// What it is called in logs and errors, without passwords.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// What a registry says who is there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The instances. Those of other groups may be among them; who reads them picks.
    pub instances: Arc<[Arc<InstanceRecord>]>,
    /// Records that were not understood, and passed over.
    pub skipped: usize,
    /// Whether somebody may be missing who is there: the registry has lost what it knew,
    /// and not all have announced themselves again. Then nobody is dropped for a while.
    /// The first list after an error is taken so in any case.
    pub recovering: bool,
    /// How old it was when it was told: zero of a registry, which says what it knows now;
    /// more of a file that somebody wrote a while ago, say.
    pub age: Duration,
}

impl Listing {
    /// These instances.
    pub fn new(instances: impl Into<Arc<[Arc<InstanceRecord>]>>) -> Self {
        Self { instances: instances.into(), ..Self::default() }
    }

    /// Passed over so many records.
    #[must_use]
    pub fn with_skipped(self, skipped: usize) -> Self {
        Self { skipped, ..self }
    }

    /// See [`recovering`](Self::recovering).
    #[must_use]
    pub fn with_recovering(self, recovering: bool) -> Self {
        Self { recovering, ..self }
    }

    /// See [`age`](Self::age).
    #[must_use]
    pub fn with_age(self, age: Duration) -> Self {
        Self { age, ..self }
    }
}

impl FromIterator<InstanceRecord> for Listing {
    fn from_iter<T: IntoIterator<Item = InstanceRecord>>(instances: T) -> Self {
        instances.into_iter().map(Arc::new).collect()
    }
}

impl FromIterator<Arc<InstanceRecord>> for Listing {
    fn from_iter<T: IntoIterator<Item = Arc<InstanceRecord>>>(instances: T) -> Self {
        Self::new(instances.into_iter().collect::<Vec<_>>())
    }
}
