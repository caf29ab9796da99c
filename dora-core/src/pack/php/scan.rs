//! Walking over serialized bytes without building anything.

use std::borrow::Cow;

use super::budget::Budget;
use super::error::{Fault, PhpError, PhpErrorKind};
use super::levels::Levels;
use super::path::located;
use super::token::{Cursor, Token, unescape};
use crate::pack::limits::Limits;
use crate::pack::value::KeyRef;

/// Checks the value that `input` starts with, and tells where it ends.
///
/// What stands after it is not looked at. Does not allocate for values nested
/// up to 16 levels, and only for the levels beyond that.
///
/// # Errors
///
/// When the bytes are not a serialized value, or over the limits. With
/// [`PhpError::is_reference`], [`normalize`](super::normalize()) may help. What
/// passes is read by [`decode`](super::decode()), but for references that
/// `normalize` could not resolve.
pub fn skip_value(input: &[u8], budget: &mut Budget) -> Result<usize, PhpError> {
    let mut cursor = Cursor::new(input);
    budget.admit(input).and_then(|()| skip(&mut cursor, budget)).map_err(|fault| located(fault, input))?;
    Ok(cursor.offset())
}

/// The integer that `input` starts with.
///
/// # Errors
///
/// When it starts with anything else.
pub fn read_int(input: &[u8]) -> Result<i64, PhpError> {
    scalar(input, |token| match token {
        Token::Int(int) => Some(int),
        _ => None,
    })
}

/// The boolean that `input` starts with.
///
/// # Errors
///
/// When it starts with anything else.
pub fn read_bool(input: &[u8]) -> Result<bool, PhpError> {
    scalar(input, |token| match token {
        Token::Bool(bool) => Some(bool),
        _ => None,
    })
}

/// The string that `input` starts with. Owned only if it has escapes (`S:`).
///
/// # Errors
///
/// When it starts with anything else.
pub fn read_str(input: &[u8]) -> Result<Cow<'_, [u8]>, PhpError> {
    scalar(input, |token| match token {
        Token::Str(bytes) => Some(Cow::Borrowed(bytes)),
        Token::Escaped(raw) => Some(unescape(raw)),
        _ => None,
    })
}

/// Whether `input` starts with an array.
#[must_use]
pub fn is_array(input: &[u8]) -> bool {
    input.starts_with(b"a:")
}

/// One pair of an array: its key, and its value unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: KeyRef<'a>,
    /// The serialized value: checked, and nothing else.
    pub value: &'a [u8],
    /// Where `value` starts in what was given to [`Pairs::new`].
    pub offset: usize,
}

/// The pairs of an array, each value checked as it is passed and left unread.
///
/// The iterator ends after the last pair, or after the first error. Only when
/// it has ended without an error is the whole array known to be good. A key may
/// come twice: in PHP the last one wins.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    input: &'a [u8],
    cursor: Cursor<'a>,
    budget: Budget,
    left: usize,
    open: bool,
    /// How many values over the limits may be passed.
    forgives: usize,
}

/// A pair of [`Pairs::next_forgiving`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed<'a> {
    /// The pair.
    pub pair: Pair<'a>,
    /// Why its value must not be read: it is over [`Limits::depth`] or
    /// [`Limits::nodes`]. The path and the offset are those within the value.
    pub over: Option<PhpError>,
}

impl<'a> Pairs<'a> {
    /// Starts on the array that `input` starts with.
    ///
    /// # Errors
    ///
    /// When it starts with anything else, or is over the limits.
    pub fn new(input: &'a [u8], limits: &Limits) -> Result<Self, PhpError> {
        let mut cursor = Cursor::new(input);
        let mut budget = Budget::new(limits);
        let left = Self::open(input, &mut cursor, &mut budget).map_err(|f| located(f, input))?;
        Ok(Self { input, cursor, budget, left, open: true, forgives: limits.calls })
    }

    /// How many pairs are still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left
    }

    /// Where the walk stands. Once it has ended, where the array ends.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.cursor.offset()
    }

    /// As `next`, but for values over [`Limits::depth`] or [`Limits::nodes`]: such a
    /// one is passed, with its error, as if it were not there, so that it takes
    /// nothing from those behind it. As many are as there may be calls in a packet
    /// ([`Limits::calls`]); the next one is an error of the whole.
    ///
    /// What is passed is walked over twice, and takes a word of memory for each
    /// array around the innermost: both are bounded by its bytes.
    ///
    /// # Errors
    ///
    /// As the iterator's.
    pub fn next_forgiving(&mut self) -> Option<Result<Passed<'a>, PhpError>> {
        let (cursor, budget, left) = (self.cursor.clone(), self.budget, self.left);
        let fault = match self.step()? {
            Ok(pair) => return Some(Ok(Passed { pair, over: None })),
            Err(fault) => fault,
        };
        let forgives = match fault.kind {
            PhpErrorKind::Depth | PhpErrorKind::Nodes => self.forgives.checked_sub(1),
            _ => None,
        };
        let Some(forgives) = forgives else { return Some(Err(located(fault, self.input))) };
        *self = Self { input: self.input, cursor, budget: Budget::ENDLESS, left, open: true, forgives };
        let passed = self.step()?;
        self.budget = budget;
        Some(match passed {
            Ok(pair) => {
                let within = Fault { offset: fault.offset.saturating_sub(pair.offset), ..fault };
                let over = Some(located(within, pair.value));
                Ok(Passed { pair, over })
            }
            Err(fault) => Err(located(fault, self.input)),
        })
    }

    /// The next pair; the walk ends with an error.
    fn step(&mut self) -> Option<Result<Pair<'a>, Fault>> {
        if !self.open {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.open = false;
        }
        pair.transpose()
    }

    fn open(input: &[u8], cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<usize, Fault> {
        budget.admit(input)?;
        let Token::Array(count) = cursor.value(budget)? else {
            return Err(Fault { kind: PhpErrorKind::Type, offset: 0 });
        };
        if !budget.enter() {
            return Err(Fault { kind: PhpErrorKind::Depth, offset: 0 });
        }
        Ok(count)
    }

    fn pair(&mut self) -> Result<Option<Pair<'a>>, Fault> {
        let Some(left) = self.left.checked_sub(1) else {
            self.open = false;
            return self.cursor.close().map(|()| None);
        };
        self.left = left;
        let key = self.cursor.key()?;
        let offset = self.cursor.offset();
        let start = self.cursor.rest();
        skip(&mut self.cursor, &mut self.budget)?;
        let length = self.cursor.offset().saturating_sub(offset);
        Ok(Some(Pair { key, value: start.get(..length).unwrap_or_default(), offset }))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, PhpError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step()?;
        Some(step.map_err(|fault| located(fault, self.input)))
    }
}

/// Passes one value.
pub(super) fn skip(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<(), Fault> {
    let start = cursor.offset();
    let Some(mut left) = cursor.value(budget)?.pairs() else {
        return Ok(());
    };
    if budget.depth == 0 {
        return Err(Fault { kind: PhpErrorKind::Depth, offset: start });
    }
    // The innermost count stands in `left`, those around it in `levels`.
    let mut levels = Levels::default();
    loop {
        while let Some(fewer) = left.checked_sub(1) {
            left = fewer;
            cursor.skip_key()?;
            let start = cursor.offset();
            if let Some(count) = cursor.value(budget)?.pairs() {
                levels.push(left);
                left = count;
                if levels.depth() >= budget.depth {
                    return Err(Fault { kind: PhpErrorKind::Depth, offset: start });
                }
            }
        }
        cursor.close()?;
        match levels.pop() {
            Some(outer) => left = outer,
            None => return Ok(()),
        }
    }
}

fn scalar<'a, T>(input: &'a [u8], pick: impl FnOnce(Token<'a>) -> Option<T>) -> Result<T, PhpError> {
    let token = Cursor::new(input).token()?;
    pick(token).ok_or_else(|| PhpError::from(Fault { kind: PhpErrorKind::Type, offset: 0 }))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
