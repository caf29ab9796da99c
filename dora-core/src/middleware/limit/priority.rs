//! Which calls are refused first.

use std::fmt;
use std::str::FromStr;

use crate::call::head::RequestHead;

/// How much a call matters, where not all can be served.
///
/// It travels in the metadata, under [`Priority::KEY`], as the word that it is displayed
/// as:
///
/// ```
/// use dora::Request;
/// use dora::limit::Priority;
///
/// let mut request = Request::new(());
/// request.metadata_mut().insert(Priority::KEY, Priority::Low.to_string());
/// assert_eq!(Priority::of(request.head()), Priority::Low);
/// assert!(Priority::Low < Priority::Normal);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Can be done later as well: reports, warming of caches. It may use 70 % of a limit.
    Low,
    /// A call that says nothing. It may use 85 % of a limit.
    #[default]
    Normal,
    /// Somebody waits for it. It may use 95 % of a limit.
    High,
    /// Nothing works without it: health checks, payments. It may use all of a limit.
    Critical,
}

impl Priority {
    /// The key of the metadata that says the priority of a call.
    pub const KEY: &str = "priority";

    /// All of them, the one that is refused first at the front.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// What the call says of itself. Where callers are not to be trusted with that, ask
    /// who they are: see
    /// [`ConcurrencyLimitLayer::priority`](super::concurrency::ConcurrencyLimitLayer::priority).
    #[must_use]
    pub fn of(call: &RequestHead) -> Self {
        call.metadata().get(Self::KEY).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    /// The part of a limit that calls of this priority may fill, with those above it.
    pub(super) fn share_of(self, limit: usize) -> usize {
        let percent = match self {
            Self::Low => 70,
            Self::Normal => 85,
            Self::High => 95,
            Self::Critical => 100,
        };
        // Of a small limit everybody may have at least one.
        limit.saturating_mul(percent).div_ceil(100)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A word that is no priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a priority is one of low, normal, high, critical")]
pub struct UnknownPriority;

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(word: &str) -> Result<Self, UnknownPriority> {
        match word {
            "low" => Ok(Self::Low),
            "normal" => Ok(Self::Normal),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err(UnknownPriority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_others_are_normal() {
        for priority in Priority::ALL {
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
        let mut head = RequestHead::default();
        assert_eq!(Priority::of(&head), Priority::Normal);
        head.metadata_mut().insert(Priority::KEY, "CRITICAL!");
        assert_eq!(Priority::of(&head), Priority::Normal);
    }

    #[test]
    fn the_shares_grow_with_the_priority() {
        assert_eq!(Priority::ALL.map(|priority| priority.share_of(100)), [70, 85, 95, 100]);
        assert_eq!(Priority::ALL.map(|priority| priority.share_of(1)), [1; 4]);
    }
}
