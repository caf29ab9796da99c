//! Points and spans of time: a string to PHP, and read from numbers too.

use std::ops::RangeInclusive;
use std::str;

use prost_types::{Duration, Timestamp};
use serde::Deserializer;
use serde::ser::{self, Serializer};

use crate::pack::mapped::input::{self, Input, Scalar};
use crate::pack::mapped::number;
use crate::pack::mapped::{Mapped, Reading};

/// From 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const TIMESTAMP_SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years to either side, as protobuf has it.
const DURATION_SECONDS: RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;
const NANOS: i32 = 1_000_000_000;

impl Scalar for Timestamp {
    const EXPECTED: &'static str = "a timestamp";

    fn from_input(input: Input<'_>, _: bool) -> Option<Self> {
        let timestamp = match input {
            // Of prost's parser only four digits of year are wanted.
            Input::Text(text) if text.get(4) == Some(&b'-') && text.len() < 64 => {
                str::from_utf8(text).ok()?.parse().ok()?
            }
            Input::Bool(_) => return None,
            input => {
                let (seconds, nanos) = seconds(input)?;
                Self { seconds, nanos }.normalized()
            }
        };
        TIMESTAMP_SECONDS.contains(&timestamp.seconds).then_some(timestamp)
    }
}

impl Mapped for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_valid = TIMESTAMP_SECONDS.contains(&self.seconds) && (0..NANOS).contains(&self.nanos);
        if !is_valid {
            return Err(ser::Error::custom("a timestamp out of range"));
        }
        serializer.collect_str(self)
    }

    fn deserialize<'de, D: Deserializer<'de>>(d: D, reading: Reading) -> Result<Self, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        d: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration";

    fn from_input(input: Input<'_>, _: bool) -> Option<Self> {
        let duration: Self = match input {
            Input::Text(text) if text.ends_with(b"s") && text.len() < 64 => {
                str::from_utf8(text).ok()?.parse().ok()?
            }
            Input::Bool(_) => return None,
            input => {
                let (seconds, nanos) = seconds(input)?;
                Self { seconds, nanos }
            }
        };
        DURATION_SECONDS.contains(&duration.seconds).then(|| duration.normalized())
    }
}

impl Mapped for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_valid = DURATION_SECONDS.contains(&self.seconds) && (-NANOS..NANOS).contains(&self.nanos);
        if !is_valid {
            return Err(ser::Error::custom("a duration out of range"));
        }
        serializer.collect_str(&self.normalized())
    }

    fn deserialize<'de, D: Deserializer<'de>>(d: D, reading: Reading) -> Result<Self, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        d: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }
}

/// A number of seconds, its fraction as nanoseconds of the same sign.
fn seconds(input: Input<'_>) -> Option<(i64, i32)> {
    if let Some(seconds) = number::int(input) {
        return Some((seconds, 0));
    }
    let exact = number::float(input)?;
    // Beyond, `as` would saturate; what is in range of no type is refused.
    if exact.abs() > 1e15 || exact.is_nan() {
        return None;
    }
    let nanos = (exact.fract() * f64::from(NANOS)).round();
    Some((exact.trunc() as i64, nanos as i32))
}
