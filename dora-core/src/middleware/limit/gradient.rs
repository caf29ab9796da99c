//! A limit that follows latency: a state machine that is told the time.

use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use tokio::time::Instant;

use crate::call::name::MethodName;

use super::policy::AdaptivePolicy;

/// Calls without which nothing is concluded.
const ENOUGH: u32 = 10;
/// Methods with a baseline of their own; others share one.
const MOST_METHODS: usize = 256;
/// How much a baseline moves towards what is seen while the limit is not half used.
const DRIFT: f64 = 0.1;
/// The part of the limit that is let in while baselines are measured anew.
const PROBED: f64 = 0.25;
/// The first probe comes after this time, each later one after twice the time.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// A window that calls do not fill ends after so many lengths.
const LONGEST_WINDOW: u32 = 20;

/// How a call ended, as far as latency is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Well: it took as long as such calls take.
    Well,
    /// At its deadline, or given up by its caller: it would have taken longer.
    Late,
    /// With an error, which may be quicker than the work.
    Failed,
}

/// How many calls may run at once, by how long they take.
#[derive(Debug)]
pub(super) struct Gradient {
    policy: AdaptivePolicy,
    limit: f64,
    phase: Phase,
    window: Window,
    methods: HashMap<MethodName, Latency, foldhash::fast::RandomState>,
    /// When baselines are measured anew, if the limit is what keeps calls out, and how long
    /// after that again.
    probe: (Instant, Duration),
    /// When a call was last kept out.
    refused: Option<Instant>,
}

/// What the limit is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// It follows latency.
    Following,
    /// Nobody is let in until few enough calls run, but no longer than until then.
    Emptying { until: Instant },
    /// Few are let in; those that began by now tell the baselines.
    Probing,
}

/// What was seen since the limit was last changed.
#[derive(Debug)]
struct Window {
    since: Instant,
    calls: u32,
    /// The most calls that ran at once.
    most: usize,
}

/// How long the calls of one method take, in seconds.
#[derive(Debug, Default)]
struct Latency {
    sum: f64,
    calls: u32,
    /// The mean of the last window that had enough of them.
    mean: f64,
    /// The least such mean.
    baseline: Option<f64>,
}

impl Gradient {
    pub(super) fn new(policy: AdaptivePolicy, now: Instant) -> Self {
        Self {
            limit: policy.first() as f64,
            phase: Phase::Following,
            window: Window { since: now, calls: 0, most: 0 },
            methods: HashMap::default(),
            probe: (now + FIRST_PROBE, FIRST_PROBE),
            refused: None,
            policy,
        }
    }

    /// The calls that may run at once by what is known, probes aside.
    pub(super) fn limit(&self) -> usize {
        // Within the policy's bounds, so neither negative nor too large.
        self.limit as usize
    }

    /// The calls that may run now.
    pub(super) fn admitted(&self) -> usize {
        match self.phase {
            Phase::Following => self.limit(),
            Phase::Emptying { .. } => 0,
            Phase::Probing => self.probed(),
        }
    }

    fn probed(&self) -> usize {
        ((self.limit * PROBED) as usize).max(1)
    }

    /// A call wants to begin while `running` others run: time may have ended a phase in
    /// which none ends.
    pub(super) fn asked(&mut self, running: usize, now: Instant) {
        if let Phase::Emptying { until } = self.phase {
            if running <= self.probed() {
                self.enter(Phase::Probing, now);
            } else if now >= until {
                // They take too long to be waited for.
                self.enter(Phase::Following, now);
            }
        } else if self.is_overdue(now) && self.phase == Phase::Probing {
            self.enter(Phase::Following, now);
        }
    }

    /// A call has begun, one of `running`.
    pub(super) fn began(&mut self, running: usize) {
        self.window.most = self.window.most.max(running);
    }

    /// A call was refused.
    pub(super) fn refused(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// Whether the limit is what keeps calls out.
    fn is_in_the_way(&self, now: Instant) -> bool {
        self.refused.is_some_and(|refused| now <= refused + self.window_length())
    }

    /// A call has ended, and `running` others run.
    pub(super) fn ended(
        &mut self,
        method: &MethodName,
        began: Instant,
        ended: Ended,
        running: usize,
        now: Instant,
    ) {
        self.asked(running, now);
        let stale = self.phase != Phase::Following && began < self.window.since;
        if ended == Ended::Failed || stale {
            return;
        }
        let took = now.saturating_duration_since(began).as_secs_f64();
        let latency = self.latency(method);
        if ended == Ended::Late && latency.baseline.is_none_or(|baseline| took <= baseline) {
            return;
        }
        latency.sum += took;
        latency.calls += 1;
        self.window.calls += 1;
        if self.window.calls >= ENOUGH && now >= self.window.since + self.window_length() {
            self.conclude(now);
        }
    }

    fn latency(&mut self, method: &MethodName) -> &mut Latency {
        let known = self.methods.contains_key(method);
        let name = match known || self.methods.len() < MOST_METHODS {
            // A copy: the name may be a slice of a large frame.
            true if !known => MethodName::from_bytes(Bytes::copy_from_slice(method.as_bytes())),
            true => method.clone(),
            false => MethodName::default(),
        };
        self.methods.entry(name).or_default()
    }

    /// The length of a window: calls that begin in it should mostly end in it.
    fn window_length(&self) -> Duration {
        let longest = self.methods.values().map(|latency| latency.mean).fold(0.0, f64::max);
        let twice = Duration::try_from_secs_f64(2.0 * longest).unwrap_or(Duration::MAX);
        twice.clamp(self.policy.window, self.policy.window.saturating_mul(LONGEST_WINDOW))
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let longest = self.policy.window.saturating_mul(LONGEST_WINDOW);
        now.saturating_duration_since(self.window.since) > longest
    }

    /// Changes the limit by what the window has shown.
    fn conclude(&mut self, now: Instant) {
        let Some(gradient) = self.gradient() else { return };
        if self.phase == Phase::Probing {
            self.enter(Phase::Following, now);
            return;
        }
        // A limit that is not used says nothing about what lies beyond it.
        if self.is_used() {
            let aim = gradient * self.limit + self.limit.sqrt();
            let bounds = (self.policy.least as f64, self.policy.most as f64);
            self.limit = ((self.limit + aim) / 2.0).clamp(bounds.0, bounds.1);
            let (due, after) = self.probe;
            if now >= due && self.is_in_the_way(now) {
                let after = (after * 2).min(self.policy.probe_every);
                self.probe = (now + after, after);
                let until = now + self.window_length();
                self.enter(Phase::Emptying { until }, now);
                return;
            }
        }
        self.enter(Phase::Following, now);
    }

    fn is_used(&self) -> bool {
        self.window.most.saturating_mul(2) >= self.limit()
    }

    /// How much faster calls should be, from 0.5 to 1, as the mean over the methods that
    /// were called often enough.
    fn gradient(&mut self) -> Option<f64> {
        let (probing, used) = (self.phase == Phase::Probing, self.is_used());
        let tolerance = self.policy.tolerance;
        let (mut sum, mut calls) = (0.0, 0.0);
        for latency in self.methods.values_mut() {
            if latency.calls < ENOUGH {
                continue;
            }
            let weight = f64::from(latency.calls);
            let baseline = latency.learn(probing, used);
            let gradient = (tolerance * baseline / latency.mean.max(f64::MIN_POSITIVE)).clamp(0.5, 1.0);
            sum += weight * gradient;
            calls += weight;
        }
        (calls > 0.0).then(|| sum / calls)
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        if phase == Phase::Probing {
            // What they took before is what is in doubt.
            self.methods.values_mut().for_each(|latency| (latency.sum, latency.calls) = (0.0, 0));
        }
        self.phase = phase;
        self.window = Window { since: now, calls: 0, most: 0 };
    }
}

impl Latency {
    /// Closes a window, and gives the baseline since.
    fn learn(&mut self, probing: bool, used: bool) -> f64 {
        self.mean = self.sum / f64::from(self.calls);
        (self.sum, self.calls) = (0.0, 0);
        let baseline = match self.baseline {
            Some(baseline) if !probing && !used => baseline + DRIFT * (self.mean - baseline),
            Some(baseline) if !probing => baseline.min(self.mean),
            _ => self.mean,
        };
        *self.baseline.insert(baseline)
    }
}

#[cfg(test)]
#[path = "gradient_tests.rs"]
mod tests;
