//! Walking through arrays.

use std::iter::Enumerate;
use std::{slice, vec};

use super::Value;
use super::key::{Key, KeyRef};

/// The pairs of an [`Array`](super::Array), in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Side<Enumerate<slice::Iter<'a, Value>>, slice::Iter<'a, (Key, Value)>>);

/// The pairs of an [`Array`](super::Array), in order and owned.
#[derive(Debug)]
pub struct IntoIter(Side<Enumerate<vec::IntoIter<Value>>, vec::IntoIter<(Key, Value)>>);

#[derive(Clone, Debug)]
enum Side<L, M> {
    List(L),
    Map(M),
}

impl<'a> Iter<'a> {
    pub(super) fn list(values: &'a [Value]) -> Self {
        Self(Side::List(values.iter().enumerate()))
    }

    pub(super) fn map(entries: &'a [(Key, Value)]) -> Self {
        Self(Side::Map(entries.iter()))
    }
}

impl IntoIter {
    pub(super) fn list(values: Vec<Value>) -> Self {
        Self(Side::List(values.into_iter().enumerate()))
    }

    pub(super) fn map(entries: Vec<(Key, Value)>) -> Self {
        Self(Side::Map(entries.into_iter()))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (KeyRef<'a>, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Side::List(list) => list.next().map(|(at, value)| (KeyRef::Int(position(at)), value)),
            Side::Map(map) => map.next().map(|(key, value)| (key.as_ref(), value)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Side::List(list) => list.size_hint(),
            Side::Map(map) => map.size_hint(),
        }
    }
}

impl Iterator for IntoIter {
    type Item = (Key, Value);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Side::List(list) => list.next().map(|(at, value)| (Key::Int(position(at)), value)),
            Side::Map(map) => map.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Side::List(list) => list.size_hint(),
            Side::Map(map) => map.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl ExactSizeIterator for IntoIter {}

/// No vector is longer than `i64::MAX`.
fn position(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
