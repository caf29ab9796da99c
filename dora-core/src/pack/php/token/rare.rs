//! What bodies seldom have: objects, references, and strings with escapes.

use std::borrow::Cow;

use super::{Cursor, Token};
use crate::pack::php::error::{Fault, PhpErrorKind};

impl<'a> Cursor<'a> {
    #[cold]
    pub(super) fn rare_token(&mut self) -> Result<Token<'a>, Fault> {
        match self.rest {
            [b'S', b':', rest @ ..] => {
                self.rest = rest;
                self.escaped_string()
            }
            [mark @ (b'R' | b'r'), b':', rest @ ..] => {
                self.rest = rest;
                let to = self.unsigned(b';')?;
                Ok(Token::Reference { to, counts: *mark == b'r' })
            }
            [b'O', b':', rest @ ..] => {
                self.rest = rest;
                self.object()
            }
            [b'E', b':', rest @ ..] => {
                self.rest = rest;
                self.case()
            }
            [b'C', b':', rest @ ..] => {
                self.rest = rest;
                self.custom()
            }
            [] | [b'N' | b'b' | b'i' | b'd' | b's' | b'S' | b'a' | b'R' | b'r' | b'O' | b'E' | b'C'] => {
                Err(self.fault(PhpErrorKind::UnexpectedEnd))
            }
            [b'b', b':'] | [b'b', b':', b'0' | b'1'] => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            _ => Err(self.fault(PhpErrorKind::Syntax)),
        }
    }

    /// `3:"Foo":2:{`, of which the pairs follow.
    fn object(&mut self) -> Result<Token<'a>, Fault> {
        let class = self.class()?;
        self.eat(b':')?;
        let count = self.array()?;
        match u32::try_from(count) {
            Ok(count) => Ok(Token::Object { class, count }),
            Err(_) => Err(self.fault(PhpErrorKind::Count)),
        }
    }

    /// `7:"Suit:Up";`
    fn case(&mut self) -> Result<Token<'a>, Fault> {
        let start = self.offset();
        let both = self.string()?;
        match both.iter().position(|byte| *byte == b':') {
            Some(at) if is_class(both.get(..at).unwrap_or_default()) => Ok(Token::Case(both)),
            _ => Err(Fault { kind: PhpErrorKind::Syntax, offset: start }),
        }
    }

    /// `3:"Foo":5:{bytes}`
    fn custom(&mut self) -> Result<Token<'a>, Fault> {
        let both = self.rest;
        self.class()?;
        self.eat(b':')?;
        let length = self.unsigned(b':')?;
        self.eat(b'{')?;
        let Some((_, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.fault(PhpErrorKind::UnexpectedEnd));
        };
        let end = both.len().saturating_sub(rest.len());
        self.rest = rest;
        self.eat(b'}').map_err(|fault| match fault.kind {
            PhpErrorKind::Syntax => Fault { kind: PhpErrorKind::Length, ..fault },
            _ => fault,
        })?;
        Ok(Token::Custom(both.get(..end).unwrap_or_default()))
    }

    /// `3:"Foo"`
    fn class(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.unsigned(b':')?;
        self.eat(b'"')?;
        match self.rest.split_at_checked(length) {
            Some((class, [b'"', ..])) if !is_class(class) => Err(self.fault(PhpErrorKind::Syntax)),
            Some((class, [b'"', rest @ ..])) => {
                self.rest = rest;
                Ok(class)
            }
            Some((_, [])) | None => Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            Some(_) => Err(self.fault(PhpErrorKind::Length)),
        }
    }

    fn escaped_string(&mut self) -> Result<Token<'a>, Fault> {
        let length = self.unsigned(b':')?;
        self.eat(b'"')?;
        let start = self.rest;
        let mut escaped = false;
        for _ in 0..length {
            self.rest = match self.rest {
                [b'\\', high, low, rest @ ..] => {
                    if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
                        return Err(self.fault(PhpErrorKind::Escape));
                    }
                    escaped = true;
                    rest
                }
                [b'\\', ..] | [] => return Err(self.fault(PhpErrorKind::UnexpectedEnd)),
                [_, rest @ ..] => rest,
            };
        }
        let taken = start.len().saturating_sub(self.rest.len());
        let raw = start.get(..taken).unwrap_or_default();
        match self.rest {
            [b'"', b';', rest @ ..] => self.rest = rest,
            [] | [b'"'] => return Err(self.fault(PhpErrorKind::UnexpectedEnd)),
            _ => return Err(self.fault(PhpErrorKind::Length)),
        }
        Ok(if escaped { Token::Escaped(raw) } else { Token::Str(raw) })
    }
}

/// What PHP takes for the name of a class, namespaces included.
fn is_class(name: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\\' | 0x7f..);
    !name.is_empty() && name.iter().all(is_part)
}

/// The class and the case of a [`Token::Case`].
pub(in crate::pack::php) fn split_case(both: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = both.splitn(2, |byte| *byte == b':');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The class and the payload of a [`Token::Custom`]: no class has a quote.
pub(in crate::pack::php) fn split_custom(both: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = both.splitn(3, |byte| *byte == b'"');
    let (_, class, rest) = (parts.next(), parts.next(), parts.next());
    let payload = rest.and_then(|rest| rest.splitn(2, |byte| *byte == b'{').nth(1));
    (class.unwrap_or_default(), payload.unwrap_or_default())
}

/// The bytes of an [`Token::Escaped`].
pub(in crate::pack::php) fn unescape(raw: &[u8]) -> Cow<'static, [u8]> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [b'\\', high, low, rest @ ..] => {
                bytes.push(nibble(*high) << 4 | nibble(*low));
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
            [] => return Cow::Owned(bytes),
        };
    }
}

fn nibble(hex: u8) -> u8 {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}
