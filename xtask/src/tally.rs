//! Adding up what the test runners say.

use std::fmt;
use std::time::Duration;

/// What the runners of a `cargo test` came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    runners: u64,
}

impl Tally {
    /// Takes a line of output into account, if it is the last one of a runner:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; ..`.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((_, counts)) =
            line.trim_start().strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.runners += 1;
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// The run failed. If no runner said that a test did, then one died or did
    /// not compile: that counts as a failure.
    pub(crate) fn run_failed(&mut self) {
        self.failed = self.failed.max(1);
    }

    /// Whether every test passed, and there were some.
    pub(crate) fn is_good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// What stands before the closing line.
    pub(crate) fn details(self, took: Duration) -> String {
        let Self { runners, ignored, .. } = self;
        let (minutes, seconds) = (took.as_secs() / 60, took.as_secs() % 60);
        let ignored = if ignored == 0 { String::new() } else { format!(", {ignored} ignored") };
        format!("{runners} test runners in {minutes} min {seconds:02} s{ignored}")
    }
}

/// The closing line. Programs read it: its form is fixed.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn the_last_lines_of_all_runners_are_summed() {
        let tally = tally(
            "running 2 tests\n\
             test a ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             \n\
             test result: FAILED. 40 passed; 1 failed; 3 ignored; 0 measured; 7 filtered out; finished in 1.20s\n\
             a test that prints: 9 passed; 9 failed\n",
        );
        assert_eq!(tally.to_string(), "42 passed, 1 failed");
        assert_eq!(tally.details(Duration::from_secs(64)), "2 test runners in 1 min 04 s, 3 ignored");
        assert!(!tally.is_good());
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_is_one_failure() {
        let mut died = tally("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured");
        died.run_failed();
        assert_eq!(died.to_string(), "2 passed, 1 failed");

        let mut said_so = tally("test result: FAILED. 0 passed; 5 failed; 0 ignored; 0 measured");
        said_so.run_failed();
        assert_eq!(said_so.to_string(), "0 passed, 5 failed");
    }

    #[test]
    fn no_tests_at_all_is_not_good() {
        assert!(!Tally::default().is_good());
        assert!(tally("test result: ok. 1 passed; 0 failed; 0 ignored").is_good());
    }
}
