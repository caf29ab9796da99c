//! Equality of values, without recursion.

use super::{Array, Object, Value};

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            _ => same_scalar(self, other),
        }
    }
}

impl Eq for Value {}

/// The same keys with equal values in the same order.
impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        let mut open = vec![(self, other)];
        while let Some((one, other)) = open.pop() {
            if one.len() != other.len() {
                return false;
            }
            for ((one_key, one), (other_key, other)) in one.iter().zip(other) {
                if one_key != other_key {
                    return false;
                }
                match (one, other) {
                    (Value::Array(one), Value::Array(other)) => open.push((one, other)),
                    (Value::Object(one), Value::Object(other)) => {
                        if !one.same_shell(other) {
                            return false;
                        }
                        open.extend(one.properties().zip(other.properties()));
                    }
                    _ if same_scalar(one, other) => {}
                    _ => return false,
                }
            }
        }
        true
    }
}

impl Eq for Array {}

/// The same class, with equal properties in the same order.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.same_shell(other) && self.properties() == other.properties()
    }
}

impl Eq for Object {}

fn same_scalar(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one), Value::Int(other)) => one == other,
        (Value::Float(one), Value::Float(other)) => one == other || one.is_nan() && other.is_nan(),
        (Value::Str(one), Value::Str(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::pack::value::Value;
    use crate::value;

    #[test]
    fn types_and_order_count_and_not_a_number_equals_itself() {
        assert_ne!(value!(1), value!(1.0));
        assert_ne!(value!("1"), value!(1));
        assert_ne!(value!(null), value!([]));
        assert_eq!(Value::Float(f64::NAN), Value::Float(-f64::NAN));
        assert_eq!(value!(0.0), value!(-0.0));
        assert_ne!(value!({ "a" => 1, "b" => 2 }), value!({ "b" => 2, "a" => 1 }));
    }
}
