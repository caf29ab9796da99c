//! The [`value!`](crate::value!) macro.

/// Builds a [`Value`](crate::pack::value::Value) the way it looks in PHP.
///
/// ```
/// use dora::value;
///
/// let user = value!({
///     "id" => 7,
///     "tags" => ["a", "b", null],
///     "address" => { "city" => "Beijing" },
/// });
/// assert_eq!(user.get("id").and_then(|id| id.as_int()), Some(7));
/// ```
#[macro_export]
macro_rules! value {
    (@list $array:ident) => {};
    (@list $array:ident null $(, $($rest:tt)*)?) => {
        $array.push($crate::value!(null));
        $($crate::value!(@list $array $($rest)*);)?
    };
    (@list $array:ident { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $array.push($crate::value!({ $($inner)* }));
        $($crate::value!(@list $array $($rest)*);)?
    };
    (@list $array:ident [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $array.push($crate::value!([ $($inner)* ]));
        $($crate::value!(@list $array $($rest)*);)?
    };
    (@list $array:ident $item:expr $(, $($rest:tt)*)?) => {
        $array.push($crate::value!($item));
        $($crate::value!(@list $array $($rest)*);)?
    };
    (@map $array:ident) => {};
    (@map $array:ident $key:expr => null $(, $($rest:tt)*)?) => {
        $array.insert($key, $crate::value!(null));
        $($crate::value!(@map $array $($rest)*);)?
    };
    (@map $array:ident $key:expr => { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $array.insert($key, $crate::value!({ $($inner)* }));
        $($crate::value!(@map $array $($rest)*);)?
    };
    (@map $array:ident $key:expr => [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $array.insert($key, $crate::value!([ $($inner)* ]));
        $($crate::value!(@map $array $($rest)*);)?
    };
    (@map $array:ident $key:expr => $item:expr $(, $($rest:tt)*)?) => {
        $array.insert($key, $crate::value!($item));
        $($crate::value!(@map $array $($rest)*);)?
    };
    (null) => { $crate::pack::value::Value::Null };
    ([]) => { $crate::pack::value::Value::Array($crate::pack::value::Array::new()) };
    ({}) => { $crate::pack::value::Value::Array($crate::pack::value::Array::new()) };
    ([ $($items:tt)+ ]) => {{
        let mut array = $crate::pack::value::Array::new();
        $crate::value!(@list array $($items)+);
        $crate::pack::value::Value::Array(array)
    }};
    ({ $($pairs:tt)+ }) => {{
        let mut array = $crate::pack::value::Array::new();
        $crate::value!(@map array $($pairs)+);
        $crate::pack::value::Value::Array(array)
    }};
    ($other:expr) => { $crate::pack::value::Value::from($other) };
}

#[cfg(test)]
mod tests {
    use crate::pack::value::{Array, Value};

    #[test]
    fn nests_lists_maps_and_expressions() {
        let n = 3;
        let value = value!({
            "list" => [1, n + 1, [true], { "x" => null }, null,],
            n => {},
            "empty" => [],
            format!("k{n}") => "text",
        });
        let array = value.as_array().unwrap();
        assert_eq!(array.len(), 4);
        assert_eq!(value.get(3), Some(&Array::new().into()));
        assert_eq!(value.get("k3").and_then(Value::as_str), Some("text"));
        let list = value.get("list").unwrap();
        assert_eq!(list.get(1), Some(&Value::Int(4)));
        assert_eq!(list.get(2).and_then(|v| v.get(0)), Some(&Value::Bool(true)));
        assert_eq!(list.get(3).and_then(|v| v.get("x")), Some(&Value::Null));
        assert_eq!(list.as_array().map(Array::len), Some(5));
    }
}
