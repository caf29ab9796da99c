//! Values to bytes.

use super::write;
use crate::pack::value::object::IntNames;
use crate::pack::value::{Iter, KeyRef, Object, Value};

/// Appends `value` as PHP's `serialize` writes it. Does not recurse.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    let mut open = Vec::new();
    begin(value, &mut open, out);
    finish(open, out);
}

/// As [`encode`].
pub(super) fn encode_object(object: &Object, out: &mut Vec<u8>) {
    let mut open = Vec::new();
    open.extend(begin_object(object, out));
    finish(open, out);
}

/// The pairs still to be written of an array or object.
type Open<'a> = (Iter<'a>, IntNames);

/// Writes what is begun, and all that is within.
fn finish<'a>(mut open: Vec<Open<'a>>, out: &mut Vec<u8>) {
    while let Some((pairs, names)) = open.last_mut() {
        let Some((key, value)) = pairs.next() else {
            write::end(out);
            open.pop();
            continue;
        };
        match (key, *names) {
            (KeyRef::Int(name), IntNames::Strings) => write::string(out, name.to_string()),
            (key, _) => write::key(out, key),
        }
        begin(value, &mut open, out);
    }
}

#[inline]
fn begin<'a>(value: &'a Value, open: &mut Vec<Open<'a>>, out: &mut Vec<u8>) {
    match value {
        Value::Null => write::null(out),
        Value::Bool(value) => write::bool(out, *value),
        Value::Int(value) => write::int(out, *value),
        Value::Float(value) => write::float(out, *value),
        Value::Str(value) => write::string(out, value),
        Value::Array(array) => {
            write::array(out, array.len());
            open.push((array.iter(), IntNames::Ints));
        }
        Value::Object(object) => open.extend(begin_object(object, out)),
    }
}

fn begin_object<'a>(object: &'a Object, out: &mut Vec<u8>) -> Option<Open<'a>> {
    let class = object.class();
    if let Some(case) = object.case() {
        write::enum_case(out, class, case);
    } else if let Some(payload) = object.payload() {
        write::custom(out, class, payload);
    } else if let Some(properties) = object.properties() {
        write::object(out, class, properties.len());
        return Some((properties.iter(), object.int_names()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::encode;
    use crate::value;

    #[test]
    fn writes_what_php_writes() {
        let mut out = Vec::new();
        encode(&value!({ "a" => [1, -2.5, null, true], 7 => {}, "5" => "x\"" }), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a:3:{s:1:\"a\";a:4:{i:0;i:1;i:1;d:-2.5;i:2;N;i:3;b:1;}i:7;a:0:{}i:5;s:2:\"x\"\";}"
        );
    }
}
