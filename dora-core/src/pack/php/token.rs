//! The serialized format, one value's head at a time.
//!
//! Everything that reads goes through [`Cursor`], so that all of it accepts
//! the same bytes.

use super::budget::Budget;
use super::error::{Fault, PhpErrorKind};
use crate::pack::value::KeyRef;

mod rare;

pub(super) use rare::{split_case, split_custom, unescape};

/// The shortest pair of an array: `i:0;N;`.
const SHORTEST_PAIR: usize = 6;

/// What stands at a position: a scalar, or the head of an array or object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// The text of a number in a grammar that [`super::float::parse`] reads.
    Float(&'a [u8]),
    Str(&'a [u8]),
    /// An `S:` string that has escapes, all of them valid.
    Escaped(&'a [u8]),
    /// As many pairs follow, then [`Cursor::close`].
    Array(usize),
    /// As [`Token::Array`], of an object of this class (`O:`).
    Object {
        class: &'a [u8],
        count: u32,
    },
    /// A case of an enum (`E:`): `Class:Case`.
    Case(&'a [u8]),
    /// An object in words of its own (`C:`): see [`split_custom`].
    Custom(&'a [u8]),
    /// To the n-th value, from 1 on. Its own value counts if it is `r:`. To the
    /// 0th, it is what is left of one that cannot be resolved.
    Reference {
        to: usize,
        counts: bool,
    },
}

impl Token<'_> {
    /// How many pairs follow, if this is the head of an array or object.
    #[inline]
    pub(super) fn pairs(&self) -> Option<usize> {
        match self {
            Self::Array(count) => Some(*count),
            Self::Object { count, .. } => Some(*count as usize),
            _ => None,
        }
    }
}

/// A position in serialized bytes.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, total: input.len() }
    }

    pub(super) fn offset(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn fault(&self, kind: PhpErrorKind) -> Fault {
        Fault { kind, offset: self.offset() }
    }

    /// The next value. A reference that could still be resolved is refused: what
    /// it leads to may be outside of what is read here.
    #[inline]
    pub(super) fn value(&mut self, budget: &mut Budget) -> Result<Token<'a>, Fault> {
        let start = self.offset();
        let token = self.token()?;
        if !budget.spend() {
            return Err(Fault { kind: PhpErrorKind::Nodes, offset: start });
        }
        match token {
            Token::Reference { to: 1.., .. } => Err(Fault { kind: PhpErrorKind::Reference, offset: start }),
            token => Ok(token),
        }
    }

    #[inline]
    pub(super) fn token(&mut self) -> Result<Token<'a>, Fault> {
        match self.rest {
            [b's', b':', rest @ ..] => {
                self.rest = rest;
                self.string().map(Token::Str)
            }
            [b'i', b':', rest @ ..] => {
                self.rest = rest;
                self.int().map(Token::Int)
            }
            [b'a', b':', rest @ ..] => {
                self.rest = rest;
                self.array().map(Token::Array)
            }
            [b'N', b';', rest @ ..] => {
                self.rest = rest;
                Ok(Token::Null)
            }
            [b'b', b':', flag @ (b'0' | b'1'), b';', rest @ ..] => {
                self.rest = rest;
                Ok(Token::Bool(*flag == b'1'))
            }
            [b'd', b':', rest @ ..] => {
                self.rest = rest;
                self.float().map(Token::Float)
            }
            _ => self.rare_token(),
        }
    }

    /// The key of a pair, as it stands.
    #[inline]
    pub(super) fn skip_key(&mut self) -> Result<(), Fault> {
        match self.key_token()? {
            Token::Int(_) | Token::Str(_) | Token::Escaped(_) => Ok(()),
            _ => Err(self.fault(PhpErrorKind::Key)),
        }
    }

    /// The key of a pair, as PHP takes it.
    #[inline]
    pub(super) fn key(&mut self) -> Result<KeyRef<'a>, Fault> {
        match self.key_token()? {
            Token::Int(int) => Ok(KeyRef::Int(int)),
            Token::Str(bytes) => Ok(KeyRef::from_bytes(bytes)),
            Token::Escaped(raw) => Ok(KeyRef::from_bytes(unescape(raw))),
            _ => Err(self.fault(PhpErrorKind::Key)),
        }
    }

    /// The end of an array.
    #[inline]
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        match self.rest {
            [b'}', rest @ ..] => {
                self.rest = rest;
                Ok(())
            }
            [] => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            _ => Err(self.fault(PhpErrorKind::Count)),
        }
    }

    #[inline]
    fn key_token(&mut self) -> Result<Token<'a>, Fault> {
        match self.rest {
            [b's' | b'i' | b'S', ..] => self.token(),
            [] => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            [b'}', ..] => Err(self.fault(PhpErrorKind::Count)),
            _ => Err(self.fault(PhpErrorKind::Key)),
        }
    }

    #[inline]
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.unsigned(b':')?;
        self.eat(b'"')?;
        match self.rest.split_at_checked(length) {
            Some((string, [b'"', b';', rest @ ..])) => {
                self.rest = rest;
                Ok(string)
            }
            Some((_, [] | [b'"'])) | None => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            Some(_) => Err(self.fault(PhpErrorKind::Length)),
        }
    }

    #[inline]
    fn array(&mut self) -> Result<usize, Fault> {
        let count = self.unsigned(b':')?;
        self.eat(b'{')?;
        if count > self.rest.len() / SHORTEST_PAIR {
            return Err(self.fault(PhpErrorKind::Count));
        }
        Ok(count)
    }

    #[inline]
    fn int(&mut self) -> Result<i64, Fault> {
        let negative = self.sign();
        let start = self.rest;
        let mut rest = start;
        let mut value = Some(0_i64);
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            // Downwards, because i64::MIN has no positive counterpart.
            value = value
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_sub(i64::from(digit & 0x0f)));
            rest = more;
        }
        self.end_number(start, rest, b';')?;
        let value = if negative { value } else { value.and_then(i64::checked_neg) };
        value.ok_or_else(|| self.fault(PhpErrorKind::IntOverflow))
    }

    fn float(&mut self) -> Result<&'a [u8], Fault> {
        let end = self.rest.iter().position(|byte| *byte == b';');
        let Some((text, [_, rest @ ..])) = end.and_then(|end| self.rest.split_at_checked(end)) else {
            return Err(self.fault(PhpErrorKind::UnexpectedEnd));
        };
        if !super::float::is_float(text) {
            return Err(self.fault(PhpErrorKind::Float));
        }
        self.rest = rest;
        Ok(text)
    }

    /// Digits and then `end`: lengths, counts, slots. PHP knows no sign here.
    #[inline]
    fn unsigned(&mut self, end: u8) -> Result<usize, Fault> {
        let start = self.rest;
        let mut rest = start;
        let mut value = Some(0_usize);
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            value = value
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_add(usize::from(digit & 0x0f)));
            rest = more;
        }
        self.end_number(start, rest, end)?;
        value.ok_or_else(|| self.fault(PhpErrorKind::IntOverflow))
    }

    /// Passes the digits from `start` to `rest`, of which there must be one, and
    /// `end`.
    #[inline]
    fn end_number(&mut self, start: &'a [u8], rest: &'a [u8], end: u8) -> Result<(), Fault> {
        self.rest = rest;
        match rest {
            [byte, more @ ..] if *byte == end && rest.len() < start.len() => {
                self.rest = more;
                Ok(())
            }
            [] => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            _ => Err(self.fault(PhpErrorKind::Syntax)),
        }
    }

    #[inline]
    fn sign(&mut self) -> bool {
        match self.rest {
            [b'-', rest @ ..] => {
                self.rest = rest;
                true
            }
            [b'+', rest @ ..] => {
                self.rest = rest;
                false
            }
            _ => false,
        }
    }

    #[inline]
    fn eat(&mut self, wanted: u8) -> Result<(), Fault> {
        match self.rest {
            [byte, rest @ ..] if *byte == wanted => {
                self.rest = rest;
                Ok(())
            }
            [] => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            _ => Err(self.fault(PhpErrorKind::Syntax)),
        }
    }
}
