//! The methods that a connection called last: mostly they are called again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::call::direct::{Direct, Found};
use crate::call::name::MethodName;
use crate::call::origin::Connection;

use super::cost::{Cost, Costs, LONGEST};
use super::shared::Shared;

/// The methods that a connection called last, the last one first. Nothing is allocated
/// before the first call.
#[derive(Debug, Default)]
pub(super) struct Known {
    callees: Vec<Callee>,
    /// For names that are too long to be kept.
    other: Option<Box<Callee>>,
}

/// So many are kept.
const KEPT: usize = 8;

/// What is called by a name.
pub(super) struct Callee {
    name: MethodName,
    /// What calls with small bodies cost, and with large ones.
    costs: [Option<Arc<Cost>>; 2],
    direct: Option<Box<dyn Direct>>,
}

impl Known {
    /// The name as it is kept: without a handle on the frame that it stands in.
    #[inline]
    pub(super) fn name(&mut self, name: &[u8]) -> Option<MethodName> {
        Some(self.find(name)?.name.clone())
    }

    /// What is called by `name`.
    #[inline]
    pub(super) fn callee(
        &mut self,
        name: &MethodName,
        shared: &Shared,
        connection: &Arc<Connection>,
    ) -> &mut Callee {
        if self.find(name.as_bytes()).is_none() {
            return self.learn(name.as_bytes(), shared, connection);
        }
        &mut self.callees[0]
    }

    /// Finds it, and puts it first.
    #[inline]
    fn find(&mut self, name: &[u8]) -> Option<&Callee> {
        if self.callees.first()?.name.as_bytes() != name {
            let place = self.callees.iter().position(|callee| callee.name.as_bytes() == name)?;
            self.callees.swap(0, place);
        }
        self.callees.first()
    }

    #[cold]
    fn learn(&mut self, name: &[u8], shared: &Shared, connection: &Arc<Connection>) -> &mut Callee {
        let found = shared.methods.find(name, connection);
        if found.is_none() && name.len() > LONGEST {
            return self.other.get_or_insert_default();
        }
        let name = match &found {
            Some(Found { method, .. }) if method.path().as_bytes() == name => {
                MethodName::from_static(method.path())
            }
            // A copy: it outlives the frame.
            _ => MethodName::from_bytes(Bytes::copy_from_slice(name)),
        };
        let direct = found.and_then(|found| found.direct);
        self.callees.truncate(KEPT - 1);
        self.callees.insert(0, Callee { name, costs: [None, None], direct });
        &mut self.callees[0]
    }

    /// Forgets all.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }
}

impl Callee {
    /// What a call with a `large` body costs or a small one, and how it is called
    /// directly.
    #[inline]
    pub(super) fn parts(&mut self, large: bool, costs: &Costs) -> (&Arc<Cost>, Option<&mut dyn Direct>) {
        let Self { name, costs: known, direct } = self;
        let cost = known[usize::from(large)].get_or_insert_with(|| costs.of(name.as_bytes(), large));
        // Written out: the lifetime of what is in the box is another one.
        match direct {
            Some(direct) => (cost, Some(&mut **direct)),
            None => (cost, None),
        }
    }
}

/// What is called by a name that is too long: it has no method.
impl Default for Callee {
    fn default() -> Self {
        Self { name: MethodName::default(), costs: [None, None], direct: None }
    }
}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callee")
            .field("name", &self.name)
            .field("costs", &self.costs)
            .field("is_direct", &self.direct.is_some())
            .finish()
    }
}
