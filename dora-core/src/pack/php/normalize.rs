//! Copying references out of a body.

use std::collections::HashMap;

use super::budget::Budget;
use super::error::{Fault, PhpError, PhpErrorKind};
use super::path::located;
use super::scan::skip_value;
use super::token::{Cursor, Token};
use crate::pack::limits::Limits;
use crate::pack::value::KeyRef;

/// Rewrites the value that `input` starts with so that each reference is replaced
/// by a copy of what it refers to.
///
/// The slow way, for bodies that [`skip_value`] refuses with
/// [`PhpError::is_reference`]. Values are numbered as PHP's `unserialize`
/// numbers them: every value in order, from 1 on; keys and `R:` do not count,
/// `r:` does. The result as a whole obeys `limits`, so that no chain of
/// references multiplies.
///
/// What cannot be copied becomes `R:0;`, which leads nowhere: a reference to
/// nothing, to an array or object that it stands in, or to what comes after a
/// `C:` object, whose own bytes may have numbered values. Passing it is no error;
/// reading it is, so that only who needs it is without it.
///
/// # Errors
///
/// As [`skip_value`], and when the result is over `limits`.
pub fn normalize(input: &[u8], limits: &Limits) -> Result<Vec<u8>, PhpError> {
    let mut budget = Budget::new(limits);
    let mut walk = Walk {
        input,
        cursor: Cursor::new(input),
        out: Vec::with_capacity(input.len().min(limits.bytes)),
        most: limits.bytes,
        slots: Vec::new(),
        places: Vec::new(),
        open: Vec::new(),
        sure: None,
    };
    budget.admit(input).and_then(|()| walk.run(&mut budget)).map_err(|fault| located(fault, input))?;
    skip_value(&walk.out, &mut Budget::new(limits))?;
    Ok(walk.out)
}

/// A reference that leads nowhere: PHP counts from 1.
const NOWHERE: &[u8] = b"R:0;";

/// Where PHP keeps a value, and what of it stands in the output.
#[derive(Clone, Copy)]
enum Place {
    Unfinished,
    Done { start: usize, end: usize },
}

struct Open<'a> {
    left: usize,
    place: usize,
    start: usize,
    /// A key that comes again keeps its place: what was numbered there before
    /// is then the new value.
    keys: HashMap<KeyRef<'a>, usize>,
}

struct Walk<'a> {
    input: &'a [u8],
    cursor: Cursor<'a>,
    out: Vec<u8>,
    most: usize,
    /// The place of each numbered value.
    slots: Vec<usize>,
    places: Vec<Place>,
    open: Vec<Open<'a>>,
    /// How many values are numbered as PHP does: all, until a `C:` comes.
    sure: Option<usize>,
}

impl Walk<'_> {
    fn run(&mut self, budget: &mut Budget) -> Result<(), Fault> {
        self.places.push(Place::Unfinished);
        let mut place = 0;
        loop {
            self.value(place, budget)?;
            loop {
                let Some(last) = self.open.last_mut() else {
                    return Ok(());
                };
                if let Some(left) = last.left.checked_sub(1) {
                    last.left = left;
                    place = self.key()?;
                    break;
                }
                let (outer, start) = (last.place, last.start);
                self.cursor.close()?;
                self.out.push(b'}');
                budget.leave();
                self.finish(outer, start);
                self.open.pop();
            }
        }
    }

    /// Copies the next key, and tells the place of its value.
    fn key(&mut self) -> Result<usize, Fault> {
        let from = self.cursor.offset();
        let key = self.cursor.key()?;
        self.copy(from);
        let new = self.places.len();
        let place = match self.open.last_mut() {
            Some(last) => *last.keys.entry(key).or_insert(new),
            None => new,
        };
        match self.places.get_mut(place) {
            Some(known) => *known = Place::Unfinished,
            None => self.places.push(Place::Unfinished),
        }
        Ok(place)
    }

    fn value(&mut self, place: usize, budget: &mut Budget) -> Result<(), Fault> {
        let from = self.cursor.offset();
        let fault = |kind| Fault { kind, offset: from };
        let token = self.cursor.token()?;
        if !budget.spend() {
            return Err(fault(PhpErrorKind::Nodes));
        }
        if !matches!(token, Token::Reference { counts: false, .. }) {
            self.slots.push(place);
        }
        let start = self.out.len();
        match token {
            Token::Reference { to, .. } => self.refer(to).map_err(fault)?,
            _ => self.copy(from),
        }
        if let Token::Custom(_) = token {
            self.sure.get_or_insert(self.slots.len());
        }
        if let Some(count) = token.pairs() {
            if !budget.enter() {
                return Err(fault(PhpErrorKind::Depth));
            }
            self.open.push(Open { left: count, place, start, keys: HashMap::new() });
        } else {
            self.finish(place, start);
        }
        if self.out.len() > self.most {
            return Err(fault(PhpErrorKind::Bytes));
        }
        Ok(())
    }

    /// Appends the value numbered `to`, from 1 on.
    fn refer(&mut self, to: usize) -> Result<(), PhpErrorKind> {
        let Some((start, end)) = self.find(to) else {
            self.out.extend_from_slice(NOWHERE);
            return Ok(());
        };
        let length = end.saturating_sub(start);
        if self.out.len().saturating_add(length) > self.most {
            return Err(PhpErrorKind::Bytes);
        }
        self.out.extend_from_within(start..end);
        Ok(())
    }

    /// Where the value numbered `to` stands in the output, if all of it does.
    fn find(&self, to: usize) -> Option<(usize, usize)> {
        if self.sure.is_some_and(|sure| to > sure) {
            return None;
        }
        let place = *self.slots.get(to.checked_sub(1)?)?;
        match *self.places.get(place)? {
            Place::Done { start, end } => Some((start, end)),
            Place::Unfinished => None,
        }
    }

    fn finish(&mut self, place: usize, start: usize) {
        let end = self.out.len();
        if let Some(place) = self.places.get_mut(place) {
            *place = Place::Done { start, end };
        }
    }

    /// Appends what was read since `from`, as it stands.
    fn copy(&mut self, from: usize) {
        let read = self.input.get(from..self.cursor.offset());
        self.out.extend_from_slice(read.unwrap_or_default());
    }
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
