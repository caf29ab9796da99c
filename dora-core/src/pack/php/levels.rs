//! The stack of a walk that builds nothing.

/// How many levels are kept without allocating: more than real packets have.
const INLINE: usize = 16;

/// For each array around the innermost, how many pairs are still to come.
#[derive(Default)]
pub(super) struct Levels {
    inline: [usize; INLINE],
    spilled: Vec<usize>,
    depth: usize,
}

impl Levels {
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn push(&mut self, count: usize) {
        match self.inline.get_mut(self.depth) {
            Some(slot) => *slot = count,
            None => self.spilled.push(count),
        }
        self.depth = self.depth.saturating_add(1);
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        self.depth = self.depth.checked_sub(1)?;
        match self.inline.get(self.depth) {
            Some(count) => Some(*count),
            None => self.spilled.pop(),
        }
    }
}
