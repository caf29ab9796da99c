//! Something for each method.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::call::name::MethodName;

/// Methods that have something of their own: what is called by name may come from
/// outside, and must not grow without end. Methods beyond these share one.
const MOST_METHODS: usize = 1_024;

/// Names beyond this share one too.
const LONGEST_NAME: usize = 256;

/// A `T` for each method, made when it is first asked for.
pub(super) struct ByMethod<T> {
    methods: RwLock<HashMap<MethodName, Arc<T>, foldhash::fast::RandomState>>,
    others: Arc<T>,
}

impl<T> ByMethod<T> {
    /// Methods that have none of their own get `others`.
    pub(super) fn new(others: Arc<T>) -> Self {
        Self { methods: RwLock::default(), others }
    }

    /// That of `method`.
    pub(super) fn of(&self, method: &MethodName, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(of_its_own) = self.methods.read().get(method) {
            return Arc::clone(of_its_own);
        }
        if method.as_bytes().len() > LONGEST_NAME {
            return Arc::clone(&self.others);
        }
        let mut methods = self.methods.write();
        if methods.len() >= MOST_METHODS && !methods.contains_key(method) {
            return Arc::clone(&self.others);
        }
        // A copy: the name may be a slice of a large frame, which would stay with it.
        let name = MethodName::from_bytes(Bytes::copy_from_slice(method.as_bytes()));
        Arc::clone(methods.entry(name).or_insert_with(|| Arc::new(make())))
    }

    /// That of `method`, if it was asked for.
    pub(super) fn get(&self, method: &MethodName) -> Option<Arc<T>> {
        self.methods.read().get(method).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_those_beyond_share_one() {
        let table = ByMethod::new(Arc::new(usize::MAX));
        for number in 0..MOST_METHODS + 5 {
            table.of(&format!("/m{number}").into(), || number);
        }
        let of = |name: &str| *table.of(&name.to_owned().into(), || 7);
        assert_eq!((of("/m0"), of("/m1023")), (0, 1023));
        assert_eq!((of("/m1024"), of("/new")), (usize::MAX, usize::MAX));
        assert!(table.get(&MethodName::from_static("/new")).is_none());
        let table = ByMethod::new(Arc::new(0));
        let long = MethodName::from("x".repeat(LONGEST_NAME + 1));
        assert_eq!(*table.of(&long, || 1), 0);
    }
}
