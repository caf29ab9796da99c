//! What a server says about trying again.

use std::time::Duration;

use super::status::Status;

/// The metadata key of an error that says when to try again, in milliseconds; what
/// is no such number says never, as gRPC's `grpc-retry-pushback-ms` does.
const KEY: &str = "retry-pushback-ms";

/// What a server says about trying again a call that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushback {
    /// Not before this time has passed.
    After(Duration),
    /// Not at all.
    Never,
}

impl Status {
    /// The same, and callers that try again wait for so long before. It travels
    /// with the error, in whole milliseconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dora::{Pushback, Status};
    ///
    /// let status = Status::resource_exhausted("a quota").with_pushback(Pushback::After(Duration::from_secs(2)));
    /// assert_eq!(status.pushback(), Some(Pushback::After(Duration::from_secs(2))));
    /// ```
    #[must_use]
    pub fn with_pushback(mut self, pushback: Pushback) -> Self {
        let value = match pushback {
            Pushback::After(time) => time.as_millis().to_string(),
            Pushback::Never => "-1".to_owned(),
        };
        self.metadata_mut().insert(KEY, value);
        self
    }

    /// What the server said about trying again, if it said anything.
    #[must_use]
    pub fn pushback(&self) -> Option<Pushback> {
        let value = self.metadata().get(KEY)?;
        let time = value.parse().map(Duration::from_millis);
        Some(time.map_or(Pushback::Never, Pushback::After))
    }
}
