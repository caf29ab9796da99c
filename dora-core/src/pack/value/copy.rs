//! Copies of arrays, without recursion, objects within them included.

use super::{Array, Value};

/// An array whose copy still lacks the arrays and properties within it, from
/// `at` on.
struct Copying<'a> {
    source: &'a Array,
    copy: Array,
    at: usize,
}

impl<'a> Copying<'a> {
    fn new(source: &'a Array) -> Self {
        Self {
            source,
            copy: source.map_values(|value| match value {
                Value::Array(_) => Value::Array(Array::new()),
                Value::Object(object) => Value::Object(object.shell()),
                scalar => scalar.clone(),
            }),
            at: 0,
        }
    }

    /// Moves on to the next one within that has something to copy.
    fn next_nested(&mut self) -> Option<&'a Array> {
        while let Some(value) = self.source.value_at(self.at) {
            if let Some(nested) = value.nested()
                && !nested.is_empty()
            {
                return Some(nested);
            }
            self.at = self.at.saturating_add(1);
        }
        None
    }

    fn fill(&mut self, nested: Array) {
        if let Some(slot) = self.copy.value_at_mut(self.at).and_then(Value::nested_mut) {
            *slot = nested;
        }
        self.at = self.at.saturating_add(1);
    }
}

impl Clone for Array {
    fn clone(&self) -> Self {
        let mut open = Vec::new();
        let mut last = Copying::new(self);
        loop {
            if let Some(nested) = last.next_nested() {
                open.push(std::mem::replace(&mut last, Copying::new(nested)));
                continue;
            }
            match open.pop() {
                Some(outer) => {
                    let done = std::mem::replace(&mut last, outer);
                    last.fill(done.copy);
                }
                None => return last.copy,
            }
        }
    }
}
