//! Markdown tables.

use std::fmt::Write;

use crate::{load::Measured, matrix::Point, peers::PeerName};

/// A number of a run.
type Number = fn(&Measured) -> Option<f64>;

/// What is told of each run, and how it is headed.
const NUMBERS: [(&str, Number); 5] = [
    ("calls/s", |run| Some(run.calls_per_second)),
    ("p50 µs", |run| Some(run.p50)),
    ("p99 µs", |run| Some(run.p99)),
    ("server CPU µs/call", |run| run.server_cpu),
    ("client CPU µs/call", |run| Some(run.client_cpu)),
];

/// All runs of one peer at one point, in the order of rounds.
pub(crate) struct Row {
    pub(crate) point: Point,
    pub(crate) peer: PeerName,
    pub(crate) runs: Vec<Measured>,
}

/// A table of the median of each number.
pub(crate) fn medians(rows: &[Row]) -> String {
    let mut table = Table::new("peer", |name| name.to_owned());
    for row in rows {
        let cells = NUMBERS.map(|(_, number)| median(row.runs.iter().filter_map(number)));
        table.row(row.point, &row.peer.to_string(), cells.map(plain));
    }
    table.0
}

/// A table of the ratios of `first` to every other peer: the median over rounds, since runs of one
/// round stood next to each other in time.
pub(crate) fn ratios(rows: &[Row], first: PeerName) -> String {
    let mut table =
        Table::new("ratio", |name| name.split_once(" µs").map_or(name, |(name, _)| name).to_owned());
    for row in rows.iter().filter(|row| row.peer != first) {
        let base = rows.iter().find(|base| base.peer == first && base.point == row.point);
        let Some(base) = base else { continue };
        let cells = NUMBERS.map(|(_, number)| {
            let pairs = base.runs.iter().zip(&row.runs);
            median(pairs.filter_map(|(base, other)| Some(number(base)? / number(other)?)))
        });
        table.row(row.point, &format!("{first}/{}", row.peer), cells.map(ratio));
    }
    table.0
}

/// The median of `values`; none if there are none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

struct Table(String);

impl Table {
    fn new(what: &str, heading: impl Fn(&str) -> String) -> Self {
        let mut table = format!("| payload, outstanding/connections | {what} |");
        for (name, _) in NUMBERS {
            table.push_str(&format!(" {} |", heading(name)));
        }
        table.push_str("\n| --- | --- |");
        table.push_str(&" ---: |".repeat(NUMBERS.len()));
        table.push('\n');
        Self(table)
    }

    fn row(&mut self, point: Point, what: &str, cells: [String; NUMBERS.len()]) {
        let cells = cells.join(" | ");
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "| {point} | {what} | {cells} |");
    }
}

fn plain(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 10_000.0 => format!("{:.1}k", value / 1e3),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([f64::NAN].into_iter()), None);
    }
}
