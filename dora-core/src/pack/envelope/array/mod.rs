//! The envelope of PHP's arrays, written and read once for every packing that
//! has arrays: `serialize` and JSON differ only in what [`ArrayFormat`] asks.

mod read;
mod write;

use bytes::Bytes;

use crate::call::batch::CallKey;
use crate::call::packer::Packer;
use crate::pack::limits::Limits;

pub(super) use self::read::{decode_request, decode_response};
pub(super) use self::write::{encode_request, encode_response};

/// A packing that has arrays. A value is a slice of the body it came in.
pub(super) trait ArrayFormat {
    /// The packing.
    const PACKER: Packer;
    /// Null, packed.
    const NULL: &'static [u8];
    /// The empty array, packed.
    const EMPTY: &'static [u8];

    /// The pairs of an array in order, the last of equal keys winning; `None`
    /// when `value` is something else.
    fn pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Bytes)>>, String>;
    /// The same, for arrays of which each value is somebody's own: one over the
    /// limits of depth and number is passed, and nobody may read it. A packing that
    /// cannot tell one value from the next without reading both refuses the whole.
    fn forgiving_pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Passed)>>, String> {
        let passed = |(key, bytes)| (key, Passed { bytes, over: None });
        Ok(Self::pairs(value, limits)?.map(|pairs| pairs.into_iter().map(passed).collect()))
    }
    /// What is tried once with a body that does not decode: the same body in
    /// other words, or why there is none.
    fn second_chance(_body: &Bytes, _limits: &Limits) -> Option<Result<Bytes, String>> {
        None
    }
    /// An integer.
    fn int(value: &Bytes) -> Option<i64>;
    /// The bytes of a string.
    fn string(value: &Bytes) -> Option<Bytes>;
    /// Whether the value is the boolean true.
    fn is_true(value: &Bytes) -> bool;

    /// Begins an array of `len` pairs.
    fn open(len: usize, out: &mut Vec<u8>);
    /// Writes a key; `first` of its array or not.
    fn key(key: &CallKey, first: bool, out: &mut Vec<u8>);
    /// Writes a key that needs no escaping.
    fn name(name: &str, first: bool, out: &mut Vec<u8>);
    /// Ends an array.
    fn close(out: &mut Vec<u8>);
    /// Writes an integer.
    fn put_int(value: i64, out: &mut Vec<u8>);
    /// Writes a string.
    fn put_string(value: &[u8], out: &mut Vec<u8>);
}

/// A value that was passed.
pub(super) struct Passed {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// Why they must not be read.
    pub(super) over: Option<String>,
}

/// Of equal keys the last one stands, in the place of the first. Keys are an
/// attacker's choice: long lists are compared through a seeded hash.
pub(super) fn last_of_equals<V>(pairs: Vec<(CallKey, V)>) -> Vec<(CallKey, V)> {
    let mut kept: Vec<(CallKey, V)> = Vec::with_capacity(pairs.len());
    let mut places: Option<foldhash::HashMap<CallKey, usize>> = (pairs.len() > 8).then(Default::default);
    for (key, value) in pairs {
        let place = match &places {
            Some(places) => places.get(&key).copied(),
            None => kept.iter().position(|(known, _)| *known == key),
        };
        if let Some(pair) = place.and_then(|place| kept.get_mut(place)) {
            pair.1 = value;
            continue;
        }
        if let Some(places) = &mut places {
            places.insert(key.clone(), kept.len());
        }
        kept.push((key, value));
    }
    kept
}
