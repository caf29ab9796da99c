//! Who may call, and who may command.

use std::fmt;

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap};

use crate::web::page::is_foreign;

/// Who may call, and who may command.
#[derive(Clone, Default)]
pub(super) struct Access {
    pub(super) token: Option<String>,
    pub(super) commands: Commands,
    pub(super) any_origin: bool,
}

/// To whom control commands are answered.
#[derive(Clone, Default)]
pub(super) enum Commands {
    #[default]
    ToNobody,
    With(String),
    ToAll,
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// A browser sends it for a page of another site.
    Foreign,
    /// The secret is missing, or another one.
    Token,
}

impl Access {
    /// Whether a request may be looked at; `command`: whether it is for the commands.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap, command: bool) -> Result<(), Denied> {
        if !self.any_origin && is_foreign(uri, headers, false) {
            return Err(Denied::Foreign);
        }
        let token = match (command, &self.commands) {
            (true, Commands::With(token)) => Some(token),
            (true, Commands::ToAll | Commands::ToNobody) | (false, _) => self.token.as_ref(),
        };
        match token {
            Some(token) if !says(headers, token) => Err(Denied::Token),
            _ => Ok(()),
        }
    }

    /// Whether commands are known at all.
    pub(super) const fn has_commands(&self) -> bool {
        !matches!(self.commands, Commands::ToNobody)
    }
}

fn says(headers: &HeaderMap, token: &str) -> bool {
    let said = headers.get(AUTHORIZATION).map_or(&b""[..], |said| said.as_bytes());
    let said = match said.split_at_checked(7) {
        Some((scheme, said)) if scheme.eq_ignore_ascii_case(b"bearer ") => said.trim_ascii(),
        _ => return false,
    };
    // As long for a secret that is nearly right as for one that is not.
    let differing = said.iter().zip(token.as_bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
    said.len() == token.len() && differing == 0
}

/// Never a secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands = match self.commands {
            Commands::ToNobody => "to nobody",
            Commands::With(_) => "with a token",
            Commands::ToAll => "to all",
        };
        f.debug_struct("Access")
            .field("token", &self.token.is_some())
            .field("commands", &commands)
            .field("any_origin", &self.any_origin)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(said: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        said.iter().map(pair).collect()
    }

    #[test]
    fn forms_of_foreign_pages_are_told_from_calls() {
        let foreign = headers(&[("host", "shop.example:9566"), ("origin", "http://evil.example")]);
        let uri = Uri::from_static("/api/multisync");
        assert_eq!(Access::default().check(&uri, &foreign, false), Err(Denied::Foreign));
        let any = Access { any_origin: true, ..Access::default() };
        assert_eq!(any.check(&uri, &foreign, false), Ok(()));
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let access = Access {
            token: Some("calls".into()),
            commands: Commands::With("commands".into()),
            any_origin: false,
        };
        let uri = Uri::from_static("/");
        let check = |said, command| access.check(&uri, &headers(&[("authorization", said)]), command);
        assert_eq!(check("Bearer calls", false), Ok(()));
        assert_eq!(check("bearer  calls ", false), Ok(()));
        assert_eq!(check("Bearer commands", true), Ok(()));
        for wrong in ["Bearer call", "Bearer callss", "Bearer Calls", "Basic calls", "calls", "Bearer ", ""] {
            assert_eq!(check(wrong, false), Err(Denied::Token), "{wrong:?}");
        }
        assert_eq!(check("Bearer calls", true), Err(Denied::Token));
        assert_eq!(access.check(&uri, &HeaderMap::new(), false), Err(Denied::Token));
        let shown = format!("{access:?}");
        assert!(!shown.contains("calls") && !shown.contains("commands\""), "{shown}");
    }
}
