//! Bytes to values.

use super::budget::Budget;
use super::error::{Fault, PhpError, PhpErrorKind};
use super::float;
use super::path::located;
use super::token::{Cursor, Token, split_case, split_custom, unescape};
use crate::pack::limits::Limits;
use crate::pack::value::object::IntNames;
use crate::pack::value::{Array, Key, Object, Value};

/// No array gets more room ahead than this: its count is only a claim.
const MOST_AHEAD: usize = 64;

/// Reads the value that `input` starts with. What stands after it is ignored,
/// as PHP does. Does not recurse.
///
/// # Errors
///
/// When the bytes are not a serialized value, hold references, or are over
/// `limits`.
pub fn decode(input: &[u8], limits: &Limits) -> Result<Value, PhpError> {
    let mut budget = Budget::new(limits);
    budget
        .admit(input)
        .and_then(|()| read(&mut Cursor::new(input), &mut budget))
        .map_err(|fault| located(fault, input))
}

/// An array or object that is still being read, and the key that its next value
/// is for.
struct Open<'a> {
    array: Array,
    left: usize,
    key: Key,
    object: Option<(&'a [u8], IntNames)>,
}

impl<'a> Open<'a> {
    /// Of `left` more pairs, with the next key at `cursor`.
    fn next_key(&mut self, left: usize, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        self.left = left;
        if let (Some((_, names)), [b'i', ..]) = (&mut self.object, cursor.rest()) {
            *names = IntNames::Ints;
        }
        self.key = cursor.key()?.into();
        Ok(())
    }

    fn into_value(self) -> Value {
        match self.object {
            Some((class, names)) => Object::with(class.into(), self.array, names).into(),
            None => self.array.into(),
        }
    }
}

fn read<'a>(cursor: &mut Cursor<'a>, budget: &mut Budget) -> Result<Value, Fault> {
    let mut open: Vec<Open<'a>> = Vec::new();
    loop {
        let start = cursor.offset();
        let token = cursor.value(budget)?;
        let mut value = match token.pairs() {
            Some(count) => {
                if !budget.enter() {
                    return Err(Fault { kind: PhpErrorKind::Depth, offset: start });
                }
                let object = match token {
                    Token::Object { class, .. } => Some((class, IntNames::Strings)),
                    _ => None,
                };
                let array = Array::with_capacity(count.min(MOST_AHEAD));
                let mut opened = Open { array, left: 0, key: Key::Int(0), object };
                if let Some(left) = count.checked_sub(1) {
                    opened.next_key(left, cursor)?;
                    open.push(opened);
                    continue;
                }
                cursor.close()?;
                budget.leave();
                opened.into_value()
            }
            None => scalar(token).map_err(|kind| Fault { kind, offset: start })?,
        };
        loop {
            let Some(last) = open.last_mut() else {
                return Ok(value);
            };
            let key = std::mem::replace(&mut last.key, Key::Int(0));
            last.array.insert(key, value);
            if let Some(left) = last.left.checked_sub(1) {
                last.next_key(left, cursor)?;
                break;
            }
            cursor.close()?;
            budget.leave();
            value = open.pop().map_or(Value::Null, Open::into_value);
        }
    }
}

fn scalar(token: Token<'_>) -> Result<Value, PhpErrorKind> {
    Ok(match token {
        Token::Bool(value) => value.into(),
        Token::Int(value) => value.into(),
        Token::Float(text) => float::parse(text).into(),
        Token::Str(bytes) => bytes.into(),
        Token::Escaped(raw) => unescape(raw).into(),
        Token::Case(both) => {
            let (class, case) = split_case(both);
            Object::enum_case(class, case).into()
        }
        Token::Custom(both) => {
            let (class, payload) = split_custom(both);
            Object::custom(class, payload).into()
        }
        Token::Reference { .. } => return Err(PhpErrorKind::DanglingReference),
        Token::Null | Token::Array(_) | Token::Object { .. } => Value::Null,
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
