//! What is seen in the terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dora::{BreakerChange, BreakerState, Channel, Fleet, Status};

use crate::prices::Price;

/// How calls ended.
#[derive(Default)]
pub struct Ends {
    by_instances: AtomicU64,
    by_fallback: AtomicU64,
    failed: AtomicU64,
}

/// The same at a moment.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub by_instances: u64,
    pub by_fallback: u64,
    pub failed: u64,
}

impl Ends {
    pub fn count(&self, result: &Result<Price, Status>) {
        let count = match result {
            Ok(price) if price.source == "fallback" => &self.by_fallback,
            Ok(_) => &self.by_instances,
            Err(_) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            by_instances: self.by_instances.load(Ordering::Relaxed),
            by_fallback: self.by_fallback.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Who hears of breakers' changes.
pub fn change(change: &BreakerChange) {
    let BreakerChange { instance, from, to, cause, .. } = change;
    println!("       breaker of {}: {from:?} -> {to:?}, {cause}", instance.as_deref().unwrap_or("?"));
}

pub fn heading() {
    println!("{:>6} {:>12} {:>12} {:>8}   breakers", "time", "by instances", "by fallback", "failed");
}

/// What happened in the time since `before`, and how the breakers are.
pub fn line(time: Duration, before: Counts, now: Counts, fleet: &Fleet<Channel>) {
    print!(
        "{:>5.1}s {:>12} {:>12} {:>8}  ",
        time.as_secs_f64(),
        now.by_instances - before.by_instances,
        now.by_fallback - before.by_fallback,
        now.failed - before.failed,
    );
    for instance in fleet.instances() {
        let state = match instance.breaker {
            Some(BreakerState::Closed) => "closed",
            Some(BreakerState::HalfOpen) => "half open",
            Some(_) => "OPEN",
            None => "none",
        };
        print!(" {}: {state:<10}", instance.name);
    }
    println!();
}
