//! Key-value pairs that travel beside a call.

use std::fmt;
use std::sync::Arc;

/// Text pairs that travel beside a call or its result: trace context, tenant,
/// token. A PHP peer that does not know them ignores them.
///
/// Keys are compared as they are; by custom they are lowercase with dashes.
/// A key may stand more than once. Costs nothing while empty, and little to clone.
/// ```
/// use dora::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.insert("tenant", "acme"); // in place of what was there
/// metadata.append("tag", "a"); // behind what is there
/// metadata.append("tag", "b");
///
/// assert_eq!(metadata.get("tenant"), Some("acme"));
/// let tags = metadata.iter().filter(|(key, _)| *key == "tag");
/// assert_eq!(tags.map(|(_, tag)| tag).collect::<Vec<_>>(), ["a", "b"]);
/// ```
#[derive(Clone, Default)]
pub struct Metadata(Option<Arc<Pairs>>);

type Pairs = Vec<(String, String)>;

impl Metadata {
    /// The pairs that one packet may carry; more of them are refused.
    pub const MAX_PAIRS: usize = 128;

    /// No pairs.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Adds a pair, behind those that are there.
    pub fn append(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.pairs().push((key.into(), value.into()));
    }

    /// Sets `key` to one value, in place of those it had.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        self.remove(&key);
        self.append(key, value);
    }

    /// Takes every pair of `key` away.
    pub fn remove(&mut self, key: &str) {
        if self.get(key).is_some() {
            self.pairs().retain(|(name, _)| name != key);
        }
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|pairs| pairs.iter()).map(|(key, value)| (&**key, &**value))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pairs| pairs.len())
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the pairs of `batch` before its own: a batch's come first.
    pub(crate) fn inherit(&mut self, batch: &Self) {
        if self.is_empty() {
            self.clone_from(batch);
        } else if let Some(pairs) = &batch.0 {
            self.pairs().splice(0..0, pairs.iter().cloned());
        }
    }

    fn pairs(&mut self) -> &mut Pairs {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Metadata {}

/// Keys only: values may be secrets and `Debug` ends up in logs.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in pairs {
            metadata.append(key, value);
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_replaces_and_append_adds() {
        let mut metadata: Metadata = [("a", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        assert_eq!((metadata.get("a"), metadata.len()), (Some("1"), 3));
        metadata.insert("a", "4");
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("b", "3"), ("a", "4")]);
        assert_eq!(format!("{metadata:?}"), r#"{"b", "a"}"#);
        let copy = metadata.clone();
        metadata.remove("a");
        assert_eq!((metadata.len(), copy.len()), (1, 2), "a clone is not changed");
    }
}
