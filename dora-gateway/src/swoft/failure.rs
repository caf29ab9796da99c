//! Why there is no result.

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::status::Status;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is no JSON, or over a limit.
    NotJson(String),
    /// It is JSON, and no request.
    NotARequest(&'static str),
    /// The params are neither list, object nor null.
    Params,
    /// No interface is called so, or has this version.
    NoRoute { interface: String, version: String, method: String },
    /// The interface has no such method.
    NoMethod { interface: String, version: String, method: String },
    /// The call ended with it.
    Status(Status),
    /// The result has no form that a frame could hold.
    Unwritable(String),
}

impl Failure {
    /// The same as a status, for those who count refusals; `None` of what a call ended
    /// with.
    pub(super) fn refusal(&self) -> Option<Status> {
        let message = match self {
            Self::Status(_) | Self::Unwritable(_) => return None,
            Self::NotJson(reason) => format!("a request is no JSON: {reason}"),
            Self::NotARequest(reason) => format!("no request: {reason}"),
            Self::Params => "params that are neither list, object nor null".to_owned(),
            Self::NoRoute { interface, version, method } | Self::NoMethod { interface, version, method } => {
                let name = format!("{version}::{interface}::{method}");
                return Some(Status::unimplemented(format!("no method is called {name:?}")));
            }
        };
        Some(Status::invalid_argument(message))
    }
}

/// Whether a status has the code that its kind has, and none of business's own.
pub(super) fn is_plain(status: &Status, code: Code) -> bool {
    status.code() == code && status.raw_code() == dora_code::CANONICAL + i64::from(code.number())
}
