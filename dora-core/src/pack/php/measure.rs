//! How long values will be.

use crate::pack::value::{Iter, KeyRef, Object, Value};

/// What a float is taken for: most have fewer digits than this has room for, and
/// counting them would be to write them.
const FLOAT: usize = 20;

/// About how many bytes [`encode`](super::encode()) appends: exact but for floats. Does
/// not recurse.
pub fn measure(value: &Value) -> usize {
    let mut open = Vec::new();
    let mut len = one(value, &mut open);
    while let Some(pairs) = open.last_mut() {
        let Some((key, value)) = pairs.next() else {
            open.pop();
            continue;
        };
        let key = match key {
            KeyRef::Int(key) => int(key),
            KeyRef::Str(key) => string(key.len()),
        };
        len = len.saturating_add(key).saturating_add(one(value, &mut open));
    }
    len
}

fn one<'a>(value: &'a Value, open: &mut Vec<Iter<'a>>) -> usize {
    match value {
        Value::Null => "N;".len(),
        Value::Bool(_) => "b:1;".len(),
        Value::Int(value) => int(*value),
        Value::Float(_) => FLOAT,
        Value::Str(value) => string(value.len()),
        Value::Array(array) => {
            open.push(array.iter());
            "a::{}".len() + digits(array.len() as u64)
        }
        Value::Object(object) => begun(object, open),
    }
}

fn begun<'a>(object: &'a Object, open: &mut Vec<Iter<'a>>) -> usize {
    let class = string(object.class().len());
    let within = match (object.case(), object.payload(), object.properties()) {
        // One string of both, with a colon between.
        (Some(case), ..) => return string(object.class().len() + 1 + case.len()),
        (_, Some(payload), _) => payload.len() + digits(payload.len() as u64),
        (.., Some(properties)) => {
            open.push(properties.iter());
            digits(properties.len() as u64)
        }
        _ => 0,
    };
    class + "::{}".len() - 1 + within
}

/// `i:..;`
fn int(value: i64) -> usize {
    "i:;".len() + usize::from(value < 0) + digits(value.unsigned_abs())
}

/// `s:..:"..";`
fn string(len: usize) -> usize {
    "s::\"\";".len() + digits(len as u64) + len
}

const fn digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(log) => log as usize + 1,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::measure;
    use crate::pack::php::encode;
    use crate::pack::value::{Array, Object, Value};
    use crate::value;

    #[test]
    fn only_floats_are_not_known() {
        let properties =
            || -> Array { [("id", Value::from(7)), ("name", "x".repeat(1000).into())].into_iter().collect() };
        let values = [
            Value::Null,
            Value::from(true),
            Value::from(0),
            Value::from(i64::MIN),
            Value::from(i64::MAX),
            Value::from(""),
            Value::from("x".repeat(12_345)),
            value!({ "a" => [1, -25, null, true, [[], {}]], 7 => {}, "long" => "0123456789" }),
            Value::from(Object::new("App\\User", properties())),
            Value::from(Object::std_class(properties())),
            Value::from(Object::enum_case("Suit", "Hearts")),
            Value::from(Object::custom("Own", "bytes")),
            Value::from_iter(0..2000_i64),
        ];
        for value in values {
            let mut out = Vec::new();
            encode(&value, &mut out);
            assert_eq!(measure(&value), out.len(), "{}", out.escape_ascii());
        }
        let floats = value!([0.5, -1.25, 1e300, 3.0]);
        let mut out = Vec::new();
        encode(&floats, &mut out);
        assert!(measure(&floats) >= out.len(), "{}", out.escape_ascii());
    }
}
