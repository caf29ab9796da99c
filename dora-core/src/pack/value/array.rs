//! PHP arrays.

use std::fmt;

use super::Value;
use super::index::Index;
use super::iter::{IntoIter, Iter};
use super::key::{Key, KeyRef};

/// A PHP array: an ordered map from [`Key`] to [`Value`].
///
/// An array whose keys are 0, 1, 2, ... in that order is a list and is kept as
/// a plain vector. Setting a key that is there keeps its place, as in PHP.
///
/// However deep it nests, dropping, copying and comparing do not recurse;
/// `Debug` and serde do.
#[derive(Default)]
pub struct Array {
    repr: Repr,
}

enum Repr {
    List(Vec<Value>),
    Map(Box<Map>),
}

#[derive(Default)]
struct Map {
    entries: Vec<(Key, Value)>,
    /// Present once the map is large.
    index: Option<Index>,
    /// What `push` takes as its key.
    next: i64,
}

impl Array {
    /// An empty array.
    #[must_use]
    pub const fn new() -> Self {
        Self { repr: Repr::List(Vec::new()) }
    }

    /// An empty array with room for a list of `capacity` values.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Vec::with_capacity(capacity).into()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::List(values) => values.len(),
            Repr::Map(map) => map.entries.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the keys are 0, 1, 2, ... in that order (PHP `array_is_list`).
    #[must_use]
    pub fn is_list(&self) -> bool {
        match &self.repr {
            Repr::List(_) => true,
            Repr::Map(map) => (0_i64..).zip(&map.entries).all(|(at, (key, _))| *key == Key::Int(at)),
        }
    }

    /// What stands under `key`.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<&Value> {
        self.value_at(self.position(&key.into().normalized())?)
    }

    /// What stands under `key`.
    pub fn get_mut<'k>(&mut self, key: impl Into<KeyRef<'k>>) -> Option<&mut Value> {
        self.value_at_mut(self.position(&key.into().normalized())?)
    }

    /// Whether `key` is there.
    #[must_use]
    pub fn contains_key<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.position(&key.into().normalized()).is_some()
    }

    /// Sets `key`, and gives what stood there.
    pub fn insert(&mut self, key: impl Into<Key>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into().normalized(), value.into());
        if let Repr::List(values) = &mut self.repr {
            let Key::Int(at) = key else {
                return self.with_map(|map| map.insert(key, value));
            };
            match usize::try_from(at) {
                Ok(at) if at == values.len() => {
                    values.push(value);
                    return None;
                }
                Ok(at) if at < values.len() => {
                    return values.get_mut(at).map(|slot| std::mem::replace(slot, value));
                }
                _ => {}
            }
        }
        self.with_map(|map| map.insert(key, value))
    }

    /// Appends under the next integer key, one over the largest so far.
    ///
    /// When `i64::MAX` is taken, where PHP fails, the largest free key is used.
    pub fn push(&mut self, value: impl Into<Value>) {
        match &mut self.repr {
            Repr::List(values) => values.push(value.into()),
            Repr::Map(map) => {
                let mut next = map.next;
                while map.position(&KeyRef::Int(next)).is_some() {
                    next = next.wrapping_sub(1);
                }
                map.insert(Key::Int(next), value.into());
            }
        }
    }

    /// Takes `key` out. The others keep their keys and their order, so what is
    /// left is seldom a list. Linear in the length.
    pub fn remove<'k>(&mut self, key: impl Into<KeyRef<'k>>) -> Option<Value> {
        let position = self.position(&key.into().normalized())?;
        Some(self.with_map(|map| map.remove(position)))
    }

    /// The values of an array that is kept as a list.
    ///
    /// `None` for a map, even one whose keys happen to be 0, 1, 2, ...
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Value]> {
        match &self.repr {
            Repr::List(values) => Some(values),
            Repr::Map(_) => None,
        }
    }

    /// The pairs in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match &self.repr {
            Repr::List(values) => Iter::list(values),
            Repr::Map(map) => Iter::map(&map.entries),
        }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = KeyRef<'_>> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in order.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.iter().map(|(_, value)| value)
    }

    /// The same keys, with a value made of each value.
    pub(super) fn map_values(&self, make: impl Fn(&Value) -> Value) -> Self {
        let repr = match &self.repr {
            Repr::List(values) => Repr::List(values.iter().map(make).collect()),
            Repr::Map(map) => {
                let pairs = map.entries.iter();
                Repr::Map(Box::new(Map {
                    entries: pairs.map(|(key, v)| (key.clone(), make(v))).collect(),
                    index: map.index.clone(),
                    next: map.next,
                }))
            }
        };
        Self { repr }
    }

    /// The value at a position, counted from 0, whatever its key.
    pub(super) fn value_at(&self, position: usize) -> Option<&Value> {
        match &self.repr {
            Repr::List(values) => values.get(position),
            Repr::Map(map) => map.entries.get(position).map(|(_, value)| value),
        }
    }

    pub(super) fn value_at_mut(&mut self, position: usize) -> Option<&mut Value> {
        match &mut self.repr {
            Repr::List(values) => values.get_mut(position),
            Repr::Map(map) => map.entries.get_mut(position).map(|(_, value)| value),
        }
    }

    fn position(&self, key: &KeyRef<'_>) -> Option<usize> {
        match &self.repr {
            Repr::List(values) => match key {
                KeyRef::Int(at) => usize::try_from(*at).ok().filter(|at| *at < values.len()),
                KeyRef::Str(_) => None,
            },
            Repr::Map(map) => map.position(key),
        }
    }

    fn with_map<T>(&mut self, act: impl FnOnce(&mut Map) -> T) -> T {
        let mut map = match std::mem::take(&mut self.repr) {
            Repr::List(values) => Box::new(Map::from_list(values)),
            Repr::Map(map) => map,
        };
        let result = act(&mut map);
        self.repr = Repr::Map(map);
        result
    }

    /// Moves every array that holds something to `into`, those of objects too.
    fn take_nested(&mut self, into: &mut Vec<Self>) {
        let mut take = |value: &mut Value| {
            if let Some(array) = value.nested_mut()
                && !array.is_empty()
            {
                into.push(std::mem::take(array));
            }
        };
        match &mut self.repr {
            Repr::List(values) => values.iter_mut().for_each(take),
            Repr::Map(map) => map.entries.iter_mut().for_each(|(_, value)| take(value)),
        }
    }
}

/// Deep nesting must not overflow the stack: nested arrays are taken out and
/// dropped one by one.
impl Drop for Array {
    fn drop(&mut self) {
        let mut nested = Vec::new();
        self.take_nested(&mut nested);
        while let Some(mut array) = nested.pop() {
            array.take_nested(&mut nested);
        }
    }
}

impl Map {
    fn from_list(values: Vec<Value>) -> Self {
        let entries: Vec<_> = (0_i64..).map(Key::Int).zip(values).collect();
        Self {
            next: i64::try_from(entries.len()).unwrap_or(i64::MAX),
            index: (entries.len() > Index::WORTH_IT).then(|| Index::build(&entries)),
            entries,
        }
    }

    fn position(&self, key: &KeyRef<'_>) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(key, &self.entries),
            None => self.entries.iter().position(|(at, _)| key.matches(at)),
        }
    }

    fn insert(&mut self, key: Key, value: Value) -> Option<Value> {
        if let Some(position) = self.position(&key.as_ref()) {
            let (_, slot) = self.entries.get_mut(position)?;
            return Some(std::mem::replace(slot, value));
        }
        if let Key::Int(int) = key {
            self.next = self.next.max(int.saturating_add(1));
        }
        let position = self.entries.len();
        self.entries.push((key, value));
        match (&mut self.index, self.entries.last()) {
            (Some(index), Some((key, _))) => index.insert(key, position, &self.entries),
            (None, _) if self.entries.len() > Index::WORTH_IT => {
                self.index = Some(Index::build(&self.entries));
            }
            _ => {}
        }
        None
    }

    fn remove(&mut self, position: usize) -> Value {
        let (_, value) = self.entries.remove(position);
        self.index = (self.entries.len() > Index::WORTH_IT).then(|| Index::build(&self.entries));
        value
    }
}

impl Default for Repr {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl From<Vec<Value>> for Array {
    fn from(values: Vec<Value>) -> Self {
        Self { repr: Repr::List(values) }
    }
}

impl<K: Into<Key>, V: Into<Value>> FromIterator<(K, V)> for Array {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut array = Self::new();
        array.extend(pairs);
        array
    }
}

impl<K: Into<Key>, V: Into<Value>> Extend<(K, V)> for Array {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl IntoIterator for Array {
    type Item = (Key, Value);
    type IntoIter = IntoIter;

    fn into_iter(mut self) -> IntoIter {
        match std::mem::take(&mut self.repr) {
            Repr::List(values) => IntoIter::list(values),
            Repr::Map(map) => IntoIter::map(map.entries),
        }
    }
}

impl<'a> IntoIterator for &'a Array {
    type Item = (KeyRef<'a>, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_list() {
            return f.debug_list().entries(self.values()).finish();
        }
        let pairs = self.iter().map(|(key, value)| (Key::from(key), value));
        f.debug_map().entries(pairs).finish()
    }
}

#[cfg(test)]
#[path = "array_tests.rs"]
mod tests;
