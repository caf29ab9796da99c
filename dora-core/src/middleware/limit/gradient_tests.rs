use super::*;

const METHOD: MethodName = MethodName::from_static("/t.Work/Get");

/// A service that does so many calls at once, one after the other beyond that: how long a
/// call takes by how many run.
fn took(running: usize, capacity: usize, each: Duration) -> Duration {
    each.mul_f64((running as f64 / capacity as f64).max(1.0))
}

struct Simulation {
    gradient: Gradient,
    now: Instant,
    capacity: usize,
    each: Duration,
    least: usize,
}

impl Simulation {
    fn new(capacity: usize, each: Duration) -> Self {
        let now = Instant::now();
        let gradient = Gradient::new(AdaptivePolicy::new(), now);
        Self { gradient, now, capacity, each, least: usize::MAX }
    }

    /// Lets `offered` calls run at once, or as many as may, for so long.
    fn run(&mut self, offered: usize, time: Duration) {
        let end = self.now + time;
        self.least = usize::MAX;
        while self.now < end {
            self.gradient.asked(0, self.now);
            let running = self.gradient.admitted().min(offered);
            self.least = self.least.min(running);
            if running < offered {
                self.gradient.refused(self.now);
            }
            let began = self.now;
            (0..running).for_each(|running| self.gradient.began(running + 1));
            self.now += took(running, self.capacity, self.each).max(Duration::from_millis(1));
            for left in (0..running).rev() {
                self.gradient.ended(&METHOD, began, Ended::Well, left, self.now);
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const TEN_MS: Duration = Duration::from_millis(10);

#[test]
fn under_load_the_limit_settles_a_little_over_the_capacity() {
    for capacity in [2, 20, 200] {
        let mut service = Simulation::new(capacity, TEN_MS);
        service.run(10_000, 60 * SECOND);
        let limit = service.gradient.limit();
        let (least, most) = (capacity, capacity * 2 + 8);
        assert!((least..=most).contains(&limit), "{limit} calls for a capacity of {capacity}");
    }
}

#[test]
fn a_limit_that_is_not_used_does_not_move() {
    let mut service = Simulation::new(20, TEN_MS);
    service.run(5, 60 * SECOND);
    assert_eq!(service.gradient.limit(), 20);
}

#[test]
fn what_has_become_slower_for_good_is_measured_anew() {
    let mut service = Simulation::new(20, TEN_MS);
    service.run(10_000, 10 * SECOND);
    service.each = 5 * TEN_MS;
    service.run(10_000, SECOND);
    let at_first = service.gradient.limit();
    assert!(at_first < 20, "{at_first}: it takes all calls for slow");
    service.run(10_000, 120 * SECOND);
    let later = service.gradient.limit();
    assert!((20..=48).contains(&later), "{later}");
}

#[test]
fn what_began_overloaded_finds_its_baseline() {
    // 20 calls at first, where there is room for one.
    let mut service = Simulation::new(1, TEN_MS);
    service.run(10_000, 60 * SECOND);
    let limit = service.gradient.limit();
    assert!(limit <= 10, "{limit}");
}

#[test]
fn a_cheap_method_does_not_make_a_dear_one_look_slow() {
    let start = Instant::now();
    let mut gradient = Gradient::new(AdaptivePolicy::new(), start);
    let cheap = MethodName::from_static("/t.Work/Cheap");
    for round in 0..1_000 {
        let now = start + Duration::from_millis(100) * round;
        gradient.asked(0, now);
        (1..=20).for_each(|running| gradient.began(running));
        for _ in 0..20 {
            gradient.ended(&cheap, now, Ended::Well, 0, now + Duration::from_millis(1));
            gradient.ended(&METHOD, now, Ended::Well, 0, now + Duration::from_millis(90));
        }
    }
    assert!(gradient.limit() >= 20, "{}", gradient.limit());
}

#[test]
fn errors_say_nothing_and_late_calls_that_it_takes_longer() {
    let start = Instant::now();
    let mut gradient = Gradient::new(AdaptivePolicy::new(), start);
    let mut now = start;
    let mut window = |gradient: &mut Gradient, took: Duration, ended: Ended| {
        gradient.began(20);
        for _ in 0..50 {
            gradient.ended(&METHOD, now, ended, 0, now + took);
        }
        now += took + Duration::from_millis(200);
        gradient.asked(0, now);
    };
    window(&mut gradient, 10 * TEN_MS, Ended::Well);
    let before = gradient.limit();
    // As a refused token: far quicker than the work.
    for _ in 0..3 {
        window(&mut gradient, Duration::from_micros(10), Ended::Failed);
        window(&mut gradient, Duration::from_micros(10), Ended::Late);
    }
    assert_eq!(gradient.limit(), before);
    for _ in 0..3 {
        window(&mut gradient, 100 * TEN_MS, Ended::Late);
    }
    assert!(gradient.limit() < before, "{} of {before}", gradient.limit());
}

#[test]
fn a_probe_does_not_wait_for_calls_that_never_end() {
    let start = Instant::now();
    let mut gradient = Gradient::new(AdaptivePolicy::new(), start);
    gradient.began(20);
    let now = start + SECOND;
    gradient.refused(now);
    (0..20).for_each(|_| gradient.ended(&METHOD, now - TEN_MS, Ended::Well, 19, now));
    assert_eq!(gradient.admitted(), 0, "it waits until few enough run");
    gradient.asked(19, now + 2 * SECOND);
    assert!(gradient.admitted() >= 20, "they took too long");
}

#[test]
fn names_from_outside_do_not_grow_without_end() {
    let start = Instant::now();
    let mut gradient = Gradient::new(AdaptivePolicy::new(), start);
    for name in 0..MOST_METHODS + 100 {
        gradient.ended(&format!("/{name}").into(), start, Ended::Well, 0, start + TEN_MS);
    }
    assert_eq!(gradient.methods.len(), MOST_METHODS + 1);
}
