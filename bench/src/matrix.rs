//! The points at which peers are compared.

use std::{fmt, str::FromStr};

use anyhow::{Context, ensure};

/// The most payload that may be under way at once: 128 MiB.
const MAX_OUTSTANDING: usize = 128 * 1024 * 1024;
const PAYLOADS: [usize; 4] = [64, 1024, 64 * 1024, 1024 * 1024];
const LOADS: [(usize, usize); 5] = [(1, 1), (64, 1), (64, 64), (1024, 1), (1024, 64)];
const QUICK_PAYLOADS: [usize; 2] = [64, 64 * 1024];
const QUICK_LOADS: [(usize, usize); 3] = [(64, 1), (64, 64), (1024, 64)];

/// One point, written `payload:concurrency/connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Bytes of payload in a message.
    pub(crate) payload: usize,
    /// Calls outstanding over all connections.
    pub(crate) concurrency: usize,
    /// Connections.
    pub(crate) connections: usize,
}

/// Every point that makes sense.
pub(crate) fn full() -> Vec<Point> {
    points(&PAYLOADS, &LOADS)
}

/// A few points that tell most.
pub(crate) fn quick() -> Vec<Point> {
    points(&QUICK_PAYLOADS, &QUICK_LOADS)
}

fn points(payloads: &[usize], loads: &[(usize, usize)]) -> Vec<Point> {
    let points = payloads.iter().flat_map(|&payload| {
        let load =
            move |&(concurrency, connections): &(usize, usize)| Point { payload, concurrency, connections };
        loads.iter().map(load)
    });
    points.filter(|point| point.payload.saturating_mul(point.concurrency) <= MAX_OUTSTANDING).collect()
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, unit) = match self.payload {
            size if size >= 1 << 20 && size % (1 << 20) == 0 => (size >> 20, "MiB"),
            size if size >= 1 << 10 && size % (1 << 10) == 0 => (size >> 10, "KiB"),
            size => (size, "B"),
        };
        write!(f, "{size} {unit} {}/{}", self.concurrency, self.connections)
    }
}

impl FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(point: &str) -> anyhow::Result<Self> {
        let (payload, load) = point.split_once(':').context("no ':' in the point")?;
        let (concurrency, connections) = load.split_once('/').context("no '/' in the point")?;
        let point = Self {
            payload: payload.parse()?,
            concurrency: concurrency.parse()?,
            connections: connections.parse()?,
        };
        ensure!((1..=point.concurrency).contains(&point.connections), "each connection needs a call");
        Ok(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_reads_and_shows() {
        let point: Point = "65536:64/1".parse().unwrap();
        assert_eq!(point.to_string(), "64 KiB 64/1");
        assert!("64:1/64".parse::<Point>().is_err());
        assert!("64".parse::<Point>().is_err());
    }

    #[test]
    fn no_point_asks_for_too_much_memory() {
        assert_eq!(full().len(), 18);
        assert!(quick().iter().all(|point| full().contains(point)));
    }
}
