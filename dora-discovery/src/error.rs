//! What is no target.

use std::fmt;

/// What is no target, and what to write in its place. Passwords are not among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError {
    target: Option<String>,
    fault: String,
}

impl TargetError {
    pub(crate) fn new(fault: impl Into<String>) -> Self {
        Self { target: None, fault: fault.into() }
    }

    /// A scheme whose backend was not compiled.
    #[allow(dead_code, reason = "all backends may be there")]
    pub(crate) fn feature(name: &str) -> Self {
        Self::new(format!("the feature `{name}` of dora-rpc is off; in Cargo.toml: features = [\"{name}\"]"))
    }

    pub(crate) fn of(self, target: String) -> Self {
        Self { target: Some(target), ..self }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{target:?} is no target of discovery: {}", self.fault),
            None => f.write_str(&self.fault),
        }
    }
}

impl std::error::Error for TargetError {}
