use super::Array;
use crate::pack::value::{Key, Value};
use crate::value;

#[test]
fn a_list_stays_packed_until_a_key_breaks_it() {
    let mut array = Array::new();
    array.push(1);
    array.insert(1, 2);
    array.insert("2", 3);
    assert_eq!(array.as_slice(), Some(&[1.into(), 2.into(), 3.into()][..]));
    array.insert("x", 4);
    assert!(!array.is_list());
    assert_eq!(array.as_slice(), None);
    array.push(5);
    assert_eq!(array.get(3), Some(&Value::Int(5)));
    assert_eq!(array.len(), 5);
}

#[test]
fn a_key_set_again_keeps_its_place() {
    let array: Array = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
    assert_eq!(Value::from(array), value!({ "a" => 3, "b" => 2 }));
    let mut array = Array::new();
    array.insert("5", 1);
    assert_eq!(array.insert(5, 2), Some(Value::Int(1)));
    assert_eq!(array.insert(Key::Str("5".into()), 3), Some(Value::Int(2)));
    assert_eq!(array.len(), 1);
}

#[test]
fn large_maps_find_every_key_after_inserts_and_removals() {
    let mut array: Array = (0..1000).map(|n| (format!("k{n}"), n)).collect();
    for n in (0..1000).step_by(3) {
        assert_eq!(array.remove(&format!("k{n}")), Some(Value::Int(n)));
    }
    for n in 0..1000 {
        let expected = (n % 3 != 0).then_some(Value::Int(n));
        assert_eq!(array.get(&format!("k{n}")), expected.as_ref());
    }
    assert_eq!(array.len(), 666);
}

#[test]
fn removal_leaves_keys_and_the_next_key_alone() {
    let mut array = Array::from(vec![10.into(), 11.into(), 12.into()]);
    assert_eq!(array.remove(2), Some(Value::Int(12)));
    assert!(array.is_list());
    array.push(13);
    assert_eq!(array.get(3), Some(&Value::Int(13)));
    assert_eq!(array.remove("nothing"), None);
}

#[test]
fn pushing_past_the_largest_key_loses_nothing() {
    let mut array = Array::new();
    array.insert(i64::MAX, 1);
    array.push(2);
    array.push(3);
    assert_eq!(array.get(i64::MAX), Some(&Value::Int(1)));
    assert_eq!(array.get(i64::MAX - 1), Some(&Value::Int(2)));
    assert_eq!(array.len(), 3);
}

#[test]
fn equality_does_not_see_how_an_array_is_kept() {
    let mut map: Array = [("x", 0)].into_iter().collect();
    map.insert(0, 1);
    map.remove("x");
    assert_eq!(map.as_slice(), None);
    assert_eq!(map, Array::from(vec![1.into()]));
}

#[test]
fn a_million_levels_drop_compare_and_copy_without_recursion() {
    let deep = |levels: usize| {
        let mut value = Value::Null;
        for level in 0..levels {
            let mut array = Array::new();
            if level % 2 == 0 {
                array.push(value);
            } else {
                array.insert("k", value);
            }
            value = array.into();
        }
        value
    };
    let (one, other) = (deep(1_000_000), deep(1_000_000));
    assert!(one == other);
    drop(other);
    assert!(one.clone() == one);
}

#[test]
fn a_copy_keeps_keys_nested_values_and_the_next_key() {
    let mut value = value!({ "a" => [1, [2, { "b" => [] }], []], "c" => { 3 => [4] }, 9 => 1 });
    value.as_array_mut().unwrap().remove(9);
    let mut copy = value.clone();
    assert_eq!(copy, value);
    copy.as_array_mut().unwrap().push(5);
    assert_eq!(copy.get(10), Some(&Value::Int(5)));
    assert_eq!(value.get(10), None);
}
