//! Values to bytes.

use super::write;
use crate::pack::value::Value;

/// Appends `value` as PHP's `serialize` writes it. Does not recurse.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    let mut open = Vec::new();
    let mut next = Some(value);
    while let Some(value) = next {
        match value {
            Value::Null => write::null(out),
            Value::Bool(value) => write::bool(out, *value),
            Value::Int(value) => write::int(out, *value),
            Value::Float(value) => write::float(out, *value),
            Value::Str(value) => write::string(out, value),
            Value::Array(array) => {
                write::array(out, array.len());
                open.push(array.iter());
            }
        }
        next = None;
        while let Some(pairs) = open.last_mut() {
            if let Some((key, value)) = pairs.next() {
                write::key(out, key);
                next = Some(value);
                break;
            }
            write::end(out);
            open.pop();
        }
    }
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
