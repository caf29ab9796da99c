//! Which calls are refused first.

use std::fmt;
use std::str::FromStr;

use super::head::RequestHead;
use super::method::Method;

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

    /// What the call says of itself, and of one that says nothing what its method's option
    /// `priority` says. A method that has the option bounds its calls: they may say that they
    /// matter less, not that they matter more. Where callers are not to be trusted with the
    /// others either, ask who they are: see
    /// [`ConcurrencyLimitLayer::priority`](crate::middleware::limit::concurrency::ConcurrencyLimitLayer::priority).
    ///
    /// ```
    /// use dora::limit::Priority;
    /// use dora::{Method, Request, ServiceDescriptor};
    ///
    /// // Generated, of an rpc with `option (dora.method).priority = LOW`.
    /// static REPORTS: ServiceDescriptor = ServiceDescriptor::new("reports.v1.Reports", &[&MONTH]);
    /// static MONTH: Method =
    ///     Method::new(&REPORTS, "Month", "/reports.v1.Reports/Month").with_priority(Priority::Low);
    ///
    /// let mut request = Request::new(());
    /// request.head_mut().resolve(&MONTH);
    /// assert_eq!(Priority::of(request.head()), Priority::Low);
    /// request.metadata_mut().insert(Priority::KEY, Priority::Critical.to_string());
    /// assert_eq!(Priority::of(request.head()), Priority::Low);
    /// ```
    #[must_use]
    pub fn of(call: &RequestHead) -> Self {
        let said = call.metadata().get(Self::KEY).and_then(|word| word.parse().ok());
        match (said, call.descriptor().and_then(Method::priority)) {
            (Some(said), Some(most)) => most.min(said),
            (said, most) => said.or(most).unwrap_or_default(),
        }
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
    use crate::call::method::ServiceDescriptor;

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
    fn a_method_says_it_for_its_calls_and_bounds_what_they_say() {
        static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&GET]);
        static GET: Method = Method::new(&WORK, "Get", "/t.Work/Get").with_priority(Priority::High);
        let said = [None, Some("low"), Some("normal"), Some("critical"), Some("urgent")];
        let of = said.map(|word| {
            let mut head = RequestHead::default();
            head.resolve(&GET);
            word.into_iter().for_each(|word| head.metadata_mut().insert(Priority::KEY, word));
            Priority::of(&head)
        });
        assert_eq!(of, [Priority::High, Priority::Low, Priority::Normal, Priority::High, Priority::High]);
    }
}
