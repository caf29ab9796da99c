//! A reader of PHP's `serialize()` format, written only to check recordings:
//! trusting, recursive, and independent of the framework's own.

use anyhow::{Context as _, bail, ensure};

use crate::exact::Exact;

/// Reads the value that `bytes` start with; like PHP, it ignores what follows.
///
/// # Errors
///
/// When the bytes are not what `serialize()` writes or `unserialize()` reads.
pub fn read(bytes: &[u8]) -> anyhow::Result<Exact> {
    let mut reader = Reader { rest: bytes, slots: Vec::new() };
    reader.value().with_context(|| format!("{} bytes from the end", reader.rest.len()))
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Values in the order they began, which `r:` and `R:` count from 1.
    slots: Vec<Exact>,
}

impl Reader<'_> {
    fn value(&mut self) -> anyhow::Result<Exact> {
        let kind = self.byte()?;
        if kind == b'N' {
            self.expect(b';')?;
            return Ok(self.keep(Exact::Null));
        }
        self.expect(b':')?;
        match kind {
            b'a' | b'O' | b'C' => self.compound(kind),
            b'r' | b'R' => {
                let slot: usize = self.until(b';')?.parse()?;
                let value = self.slots.get(slot.wrapping_sub(1));
                let value = value.context("a reference to nothing")?.clone();
                // An `r` is a value of its own, an `R` another name of one.
                if kind == b'r' {
                    self.slots.push(value.clone());
                }
                Ok(value)
            }
            _ => {
                let value = self.scalar(kind)?;
                Ok(self.keep(value))
            }
        }
    }

    fn compound(&mut self, kind: u8) -> anyhow::Result<Exact> {
        let slot = self.slots.len();
        self.slots.push(Exact::Null);
        let mut class = Vec::new();
        if kind != b'a' {
            class = self.string()?;
            self.expect(b':')?;
        }
        let count: usize = self.until(b':')?.parse()?;
        self.expect(b'{')?;
        let mut entries = Vec::new();
        if kind == b'C' {
            self.take(count)?;
        } else {
            self.entries(count, &mut entries)?;
        }
        self.expect(b'}')?;
        let value = match kind {
            b'a' => Exact::Array(entries),
            _ => Exact::Object { class, properties: entries },
        };
        self.slots[slot] = value.clone();
        Ok(value)
    }

    fn entries(&mut self, count: usize, entries: &mut Vec<(Exact, Exact)>) -> anyhow::Result<()> {
        for _ in 0..count {
            let kind = self.byte()?;
            self.expect(b':')?;
            let key = normal_key(self.scalar(kind)?);
            let value = self.value()?;
            match entries.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        Ok(())
    }

    fn scalar(&mut self, kind: u8) -> anyhow::Result<Exact> {
        Ok(match kind {
            b'b' => Exact::Bool(self.until(b';')? == "1"),
            b'i' => Exact::Int(self.until(b';')?.parse()?),
            b'd' => {
                let value: f64 = self.until(b';')?.parse()?;
                // PHP's NAN is the positive one, whatever the machine makes.
                let value = if value.is_nan() { f64::NAN } else { value };
                value.into()
            }
            b's' => {
                let string = self.string()?;
                self.expect(b';')?;
                Exact::Str(string)
            }
            other => bail!("unknown kind {:?}", other as char),
        })
    }

    /// `<length>:"<bytes>"`
    fn string(&mut self) -> anyhow::Result<Vec<u8>> {
        let length = self.until(b':')?.parse()?;
        self.expect(b'"')?;
        let string = self.take(length)?.to_vec();
        self.expect(b'"')?;
        Ok(string)
    }

    fn keep(&mut self, value: Exact) -> Exact {
        self.slots.push(value.clone());
        value
    }

    fn byte(&mut self) -> anyhow::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn expect(&mut self, wanted: u8) -> anyhow::Result<()> {
        let byte = self.byte()?;
        ensure!(byte == wanted, "{:?} where {:?} must stand", byte as char, wanted as char);
        Ok(())
    }

    fn take(&mut self, count: usize) -> anyhow::Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).context("cut short")?;
        self.rest = rest;
        Ok(taken)
    }

    fn until(&mut self, end: u8) -> anyhow::Result<&str> {
        let length = self.rest.iter().position(|byte| *byte == end);
        let length = length.with_context(|| format!("no {:?}", end as char))?;
        let (taken, rest) = self.rest.split_at(length);
        self.rest = &rest[1..];
        Ok(str::from_utf8(taken)?)
    }
}

/// PHP makes an int of a key like "5", not of "05", "+5" or "-0".
fn normal_key(key: Exact) -> Exact {
    let Exact::Str(text) = &key else {
        return key;
    };
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match number {
        Some(number) if i64::to_string(&number).as_bytes() == text => Exact::Int(number),
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_keys_and_references() {
        let value = read(br#"a:4:{i:0;a:1:{s:1:"5";d:0.5;}s:1:"n";N;i:7;R:2;s:2:"05";r:4;}"#);
        let inner = Exact::Array(vec![(5.into(), 0.5.into())]);
        assert_eq!(
            value.expect("it reads"),
            Exact::Array(vec![
                (0.into(), inner.clone()),
                ("n".into(), Exact::Null),
                (7.into(), inner),
                ("05".into(), Exact::Null),
            ])
        );
    }

    #[test]
    fn broken_bytes_are_errors() {
        for bytes in [&b""[..], b"i:5", b"s:9:\"short\";", b"a:2:{i:0;i:1;}", b"x:1;"] {
            read(bytes).expect_err("not a value");
        }
    }
}
