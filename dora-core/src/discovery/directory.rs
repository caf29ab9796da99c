//! Where a client looks for instances.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::discover::Discover;
use super::erased::ErasedDiscover;
use super::record::InstanceRecord;
use super::register::DEFAULT_LEASE;
use super::watch::{self, Watch};

/// Where a client looks for instances: one registry, or the union of several; and for
/// which ones.
///
/// Of a registry that cannot be asked the last list is used, for as long as it takes, less
/// those of whom a registry that can be asked has seen the end. When it is back, nobody is
/// dropped for the time of a lease, in which everybody announces themselves again.
pub struct Directory {
    pub(super) sources: Vec<Box<dyn ErasedDiscover>>,
    pub(super) filter: Filter,
    pub(super) lease: Duration,
}

/// Which instances somebody looks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) group: Option<Arc<str>>,
    pub(super) service: Option<Arc<str>>,
}

impl Directory {
    /// One registry, all instances.
    pub fn new(source: impl Discover) -> Self {
        Self::default().and(source)
    }

    /// This one, too.
    #[must_use]
    pub fn and(mut self, source: impl Discover) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// The instances of this group alone, and those that name no group.
    #[must_use]
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        self.filter.group = Some(group.into());
        self
    }

    /// The instances that have this service alone (`package.Service`), and those that do
    /// not say which they have.
    #[must_use]
    pub fn service(mut self, name: impl Into<Arc<str>>) -> Self {
        self.filter.service = Some(name.into());
        self
    }

    /// For how long nobody is dropped when a registry has come back. Default:
    /// [`DEFAULT_LEASE`]; should be the lease of those who register there.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Begins to look, in tasks that end when what is returned is dropped.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn watch(self) -> Watch {
        watch::start(self)
    }
}

impl Filter {
    pub(super) fn takes(&self, instance: &InstanceRecord) -> bool {
        let in_group = |group: &Arc<str>| instance.groups.is_empty() || instance.groups.contains(&**group);
        let serves =
            |name: &Arc<str>| instance.services.is_empty() || instance.services.contains_key(&**name);
        self.group.as_ref().is_none_or(in_group) && self.service.as_ref().is_none_or(serves)
    }
}

/// No registry: to [`and`](Self::and) some to.
impl Default for Directory {
    fn default() -> Self {
        Self { sources: Vec::new(), filter: Filter::default(), lease: DEFAULT_LEASE }
    }
}

impl<D: Discover> From<D> for Directory {
    fn from(source: D) -> Self {
        Self::new(source)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        f.debug_struct("Directory").field("sources", &names).field("filter", &self.filter).finish()
    }
}
