//! Bytes to values.

use super::budget::Budget;
use super::error::{Fault, PhpError, PhpErrorKind};
use super::float;
use super::path::located;
use super::token::{Cursor, Token, unescape};
use crate::pack::limits::Limits;
use crate::pack::value::{Array, Key, Value};

/// No array gets more room ahead than this: its count is only a claim.
const MOST_AHEAD: usize = 64;

/// Reads the value that `input` starts with. What stands after it is ignored,
/// as PHP does. Does not recurse.
///
/// # Errors
///
/// When the bytes are not a serialized value, hold objects or references, or
/// are over `limits`.
pub fn decode(input: &[u8], limits: &Limits) -> Result<Value, PhpError> {
    let mut budget = Budget::new(limits);
    budget
        .admit(input)
        .and_then(|()| read(&mut Cursor::new(input), &mut budget))
        .map_err(|fault| located(fault, input))
}

/// An array that is still being read, and the key that its next value is for.
struct Open {
    array: Array,
    left: usize,
    key: Key,
}

fn read(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<Value, Fault> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let start = cursor.offset();
        let mut value = match cursor.value(budget)? {
            Token::Array(count) => {
                if !budget.enter() {
                    return Err(Fault { kind: PhpErrorKind::Depth, offset: start });
                }
                if count > 0 {
                    open.push(Open {
                        array: Array::with_capacity(count.min(MOST_AHEAD)),
                        left: count.saturating_sub(1),
                        key: cursor.key()?.into(),
                    });
                    continue;
                }
                cursor.close()?;
                budget.leave();
                Value::Array(Array::new())
            }
            token => scalar(token),
        };
        loop {
            let Some(last) = open.last_mut() else {
                return Ok(value);
            };
            let key = std::mem::replace(&mut last.key, Key::Int(0));
            last.array.insert(key, value);
            if let Some(left) = last.left.checked_sub(1) {
                last.left = left;
                last.key = cursor.key()?.into();
                break;
            }
            cursor.close()?;
            budget.leave();
            value = Value::Array(std::mem::take(&mut last.array));
            open.pop();
        }
    }
}

fn scalar(token: Token<'_>) -> Value {
    match token {
        Token::Bool(value) => value.into(),
        Token::Int(value) => value.into(),
        Token::Float(text) => float::parse(text).into(),
        Token::Str(bytes) => bytes.into(),
        Token::Escaped(raw) => unescape(raw).into(),
        Token::Null | Token::Array(_) | Token::Reference { .. } => Value::Null,
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
