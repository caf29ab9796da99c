//! Positional parameters, and the fields of a message that they are.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::method::Method;
use dora_core::pack::envelope::json_pairs;
use dora_core::pack::limits::Limits;

use crate::json::put_str;

/// The message of `method` that `params` mean: the first is the field of the lowest
/// number, and so on; those beyond the last are left out, as PHP does. An object, alone
/// or in place of the list, is the message itself when all its keys are fields of it.
///
/// # Errors
/// They are no JSON, or over a limit.
pub(super) fn message(params: &Bytes, method: &Method, limits: &Limits) -> Result<Bytes, String> {
    let fields = method.fields();
    if is_object(params) && fields != [""] {
        return Ok(params.clone());
    }
    let pairs = json_pairs(params, limits)?.unwrap_or_default();
    if fields == [""] {
        // The request is one value.
        let first = pairs.into_iter().next().map(|(_, value)| value);
        return Ok(first.unwrap_or_else(|| Bytes::from_static(b"null")));
    }
    if let [(_, only)] = &pairs[..]
        && is_object(only)
    {
        let keys = json_pairs(only, limits)?.unwrap_or_default();
        let is_field = |key: &CallKey| fields.iter().any(|field| *key == (*field).into());
        if !keys.is_empty() && keys.iter().all(|(key, _)| is_field(key)) {
            return Ok(only.clone());
        }
    }
    let mut out = vec![b'{'];
    for (place, (field, (_, value))) in fields.iter().zip(&pairs).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_str(field, &mut out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(out.into())
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use dora_core::call::method::ServiceDescriptor;

    use super::*;

    static USERS: ServiceDescriptor = ServiceDescriptor::new("t.Users", &[&FIND, &LENGTH]);
    static LENGTH: Method = Method::new(&USERS, "Length", "/t.Users/Length").with_fields(&[""]);
    static FIND: Method = Method::new(&USERS, "Find", "/t.Users/Find").with_fields(&["id", "tags", "near"]);

    #[test]
    fn places_are_fields_in_the_order_of_their_numbers() {
        let said = |params: &'static str| {
            let message = message(&Bytes::from_static(params.as_bytes()), &FIND, &Limits::default());
            String::from_utf8(message.expect("JSON").to_vec()).expect("text")
        };
        assert_eq!(said("[]"), "{}");
        assert_eq!(said("[7]"), r#"{"id":7}"#);
        assert_eq!(said(r#" [7, ["a"], {"x":1}, "more"]"#), r#"{"id":7,"tags":["a"],"near":{"x":1}}"#);
        assert_eq!(said(r#"[{"id":7}]"#), r#"{"id":7}"#, "the message itself");
        assert_eq!(said(r#"[{"x":1}]"#), r#"{"id":{"x":1}}"#, "of other keys, the first field");
        assert_eq!(said("[{}]"), r#"{"id":{}}"#);
        assert_eq!(said(r#"[{"id":7}, []]"#), r#"{"id":{"id":7},"tags":[]}"#);
        assert_eq!(said(r#"{"near":null}"#), r#"{"near":null}"#);
        let said = |params: &'static str| {
            message(&Bytes::from_static(params.as_bytes()), &LENGTH, &Limits::default()).expect("JSON")
        };
        assert_eq!(said(r#"["text", 1]"#), r#""text""#, "a request of one value");
        assert_eq!(said("[]"), "null");
    }
}
