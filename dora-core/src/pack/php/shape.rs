//! Telling lists from maps before they are read.

use super::budget::Budget;
use super::error::{Fault, PhpErrorKind};
use super::token::Cursor;
use crate::pack::value::KeyRef;

/// Which arrays are lists. Found by looking ahead, once for all the arrays
/// within one another, so that nesting does not multiply the work.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// For every array up to `seen`, where its pairs start, and the answer.
    lists: Vec<(usize, bool)>,
    seen: usize,
}

struct Open {
    entry: usize,
    next: i64,
    left: usize,
}

impl Shapes {
    /// Whether the array whose `count` pairs start at `cursor` is a list.
    pub(super) fn is_list(
        &mut self,
        cursor: &Cursor<'_>,
        count: usize,
        budget: Budget,
    ) -> Result<bool, Fault> {
        if count == 0 {
            return Ok(true);
        }
        if cursor.clone().key()? != KeyRef::Int(0) {
            return Ok(false);
        }
        if cursor.offset() >= self.seen {
            self.look_ahead(cursor.clone(), count, budget)?;
        }
        let found = self.lists.binary_search_by_key(&cursor.offset(), |(start, _)| *start);
        Ok(found.ok().and_then(|at| self.lists.get(at)).is_some_and(|(_, list)| *list))
    }

    fn look_ahead(&mut self, mut cursor: Cursor<'_>, count: usize, mut budget: Budget) -> Result<(), Fault> {
        self.lists.clear();
        let mut open = vec![self.open(&cursor, count)];
        while let Some(last) = open.last_mut() {
            let Some(left) = last.left.checked_sub(1) else {
                cursor.close()?;
                budget.leave();
                open.pop();
                continue;
            };
            last.left = left;
            if cursor.key()? != KeyRef::Int(last.next)
                && let Some((_, list)) = self.lists.get_mut(last.entry)
            {
                *list = false;
            }
            last.next = last.next.saturating_add(1);
            let start = cursor.offset();
            if let Some(count) = cursor.value(&mut budget)?.pairs() {
                if !budget.enter() {
                    return Err(Fault { kind: PhpErrorKind::Depth, offset: start });
                }
                open.push(self.open(&cursor, count));
            }
        }
        self.seen = cursor.offset();
        Ok(())
    }

    fn open(&mut self, cursor: &Cursor<'_>, count: usize) -> Open {
        let entry = self.lists.len();
        self.lists.push((cursor.offset(), true));
        Open { entry, next: 0, left: count }
    }
}
