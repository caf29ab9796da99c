//! The parts of a target.
#![allow(dead_code, reason = "no backend uses all of it, and each is a feature")]

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::TargetError;

/// A target in its parts: `scheme://rest?key=value&..`.
#[derive(Debug)]
pub(crate) struct TargetUrl {
    /// Empty for a bare list of addresses.
    pub(crate) scheme: String,
    /// What stands between the scheme and the parameters, as it was written.
    pub(crate) rest: String,
    /// Decoded; who knows a parameter takes it out.
    params: Vec<(String, String)>,
}

/// `user:password@a:1,b:2/path`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) hosts: Vec<Host>,
    /// Behind the hosts' slash, decoded; empty if there is none.
    pub(crate) path: String,
}

/// Files for TLS, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// Whose signatures are trusted.
    pub(crate) ca: Option<String>,
    /// What is shown: a certificate, and its key.
    pub(crate) identity: Option<(String, String)>,
}

/// One of several servers, and who is known there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl TargetUrl {
    /// # Errors
    /// A parameter is none.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if rest.is_empty() {
            return Err(TargetError::new("it names no address; write \"redis://host:6379?group=shop\", say"));
        }
        let params = query.split('&').filter(|param| !param.is_empty()).map(|param| {
            let (key, value) = param.split_once('=').ok_or_else(|| {
                TargetError::new(format!("parameter {param:?} has no value; write \"{param}=..\""))
            })?;
            Ok((decoded(key)?, decoded(value)?))
        });
        let params = params.collect::<Result<_, TargetError>>()?;
        Ok(Self { scheme: scheme.to_ascii_lowercase(), rest: rest.to_owned(), params })
    }

    /// Takes a parameter that may be there once.
    ///
    /// # Errors
    /// It is there twice.
    pub(crate) fn take(&mut self, key: &str) -> Result<Option<String>, TargetError> {
        let mut values = self.take_all(key);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(TargetError::new(format!("parameter {key:?} is there twice"))),
        }
    }

    /// Takes a parameter that may be there several times.
    pub(crate) fn take_all(&mut self, key: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.params).into_iter().partition(|(name, _)| name == key);
        self.params = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes a parameter in seconds (`10s`, or `10`) or milliseconds (`500ms`).
    ///
    /// # Errors
    /// It is not written so, or not from 1 s to 1 h.
    pub(crate) fn take_lease(&mut self, key: &str) -> Result<Option<Duration>, TargetError> {
        let Some(text) = self.take(key)? else { return Ok(None) };
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, 1),
            None => (text.strip_suffix('s').unwrap_or(&text), 1000),
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let millis = millis.filter(|millis| (1000..=3_600_000).contains(millis)).ok_or_else(|| {
            TargetError::new(format!("{key}={text} is no time from 1 s to an hour; write \"{key}=10s\""))
        })?;
        Ok(Some(Duration::from_millis(millis)))
    }

    /// Takes `ca`, `cert` and `cert_key`.
    ///
    /// # Errors
    /// One of them is there without the other.
    pub(crate) fn take_tls(&mut self) -> Result<TlsFiles, TargetError> {
        let ca = self.take("ca")?;
        let identity = match (self.take("cert")?, self.take("cert_key")?) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            _ => return Err(TargetError::new("cert and cert_key go together")),
        };
        Ok(TlsFiles { ca, identity })
    }

    /// # Errors
    /// A parameter is left that nobody knew.
    pub(crate) fn finish(self) -> Result<(), TargetError> {
        match self.params.first() {
            None => Ok(()),
            Some((key, _)) => {
                Err(TargetError::new(format!("parameter {key:?} is unknown to {}://", self.scheme)))
            }
        }
    }

    /// The servers: `user:password@a:1,b:2/path`. The user of the first one is that of all
    /// that have none of their own.
    ///
    /// # Errors
    /// A host or port is none.
    pub(crate) fn authority(&self, default_port: u16) -> Result<Authority, TargetError> {
        let (hosts, path) = self.rest.split_once('/').unwrap_or((&self.rest, ""));
        let hosts = hosts.split(',').map(|text| Host::parse(text, default_port));
        let mut hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if let Some(first) = hosts.first().cloned() {
            for host in hosts.iter_mut().filter(|host| host.user.is_none() && host.password.is_none()) {
                host.user.clone_from(&first.user);
                host.password.clone_from(&first.password);
            }
        }
        Ok(Authority { hosts, path: decoded(path)? })
    }

    /// The target without passwords, for people.
    pub(crate) fn redacted(text: &str) -> String {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), text),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (hosts, tail) = rest.split_at(end);
        // A password may hold what ends the hosts, if somebody forgot to encode it: then
        // nothing of the target is shown.
        if tail.contains('@') {
            return format!("{scheme}..");
        }
        let hosts: Vec<_> =
            hosts.split(',').map(|host| host.rsplit_once('@').map_or(host, |(_, host)| host)).collect();
        let shown = |param: &str| match param.split_once('=') {
            Some((key, _)) if key.ends_with("password") => format!("{key}=.."),
            _ => param.to_owned(),
        };
        let tail = match tail.split_once('?') {
            Some((path, query)) => {
                format!("{path}?{}", query.split('&').map(shown).collect::<Vec<_>>().join("&"))
            }
            None => tail.to_owned(),
        };
        format!("{scheme}{}{tail}", hosts.join(","))
    }
}

impl Host {
    fn parse(text: &str, default_port: u16) -> Result<Self, TargetError> {
        let (user, address) = match text.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, text),
        };
        let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (String::new(), String::new()),
        };
        let no_host = || TargetError::new(format!("{address:?} is no server; write \"host:{default_port}\""));
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(no_host)?;
                (host, port.strip_prefix(':'))
            }
            None => match address.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        if host.is_empty() || (host.contains(':') && !address.starts_with('[')) {
            return Err(no_host());
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| no_host())?,
            None => default_port,
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self { host: host.to_owned(), port, user: some(user), password: some(password) })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn decoded(text: &str) -> Result<String, TargetError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| TargetError::new("what is percent-encoded must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: u16, user: Option<&str>, password: Option<&str>) -> Host {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Host { host: host.to_owned(), port, user: owned(user), password: owned(password) }
    }

    #[test]
    fn each_part_is_found() {
        let mut url =
            TargetUrl::parse("redis://me:p%40ss@a:1,b,:other@[::1]:3/2?group=a%26b&group=c&lease=500ms")
                .expect("a target");
        let authority = url.authority(6379).expect("servers");
        assert_eq!(
            authority.hosts,
            [
                host("a", 1, Some("me"), Some("p@ss")),
                host("b", 6379, Some("me"), Some("p@ss")),
                host("::1", 3, None, Some("other")),
            ]
        );
        assert_eq!((authority.path.as_str(), authority.hosts[2].address()), ("2", "[::1]:3".to_owned()));
        assert_eq!(url.take_all("group"), ["a&b", "c"]);
        assert!(url.take_lease("lease").unwrap_err().to_string().contains("lease=500ms"));
        url.finish().expect("all were taken");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parse = |text: &str| -> Result<(), TargetError> {
            let mut url = TargetUrl::parse(text)?;
            url.authority(6379)?;
            url.take("group")?;
            url.finish()
        };
        for (text, word) in [
            ("redis://", "no address"),
            ("redis://a:port", "\"a:port\""),
            ("redis://a,,b", "\"\" is no server"),
            ("redis://::1", "\"::1\""),
            ("redis://a?group", "\"group\" has no value"),
            ("redis://a?group=a&group=b", "twice"),
            ("redis://a?grup=b", "\"grup\" is unknown to redis://"),
            ("redis://a?group=%ff", "UTF-8"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("redis://me:secret@a:1,:secret@b:2/1?group=x", "redis://a:1,b:2/1?group=x"),
            ("a+b://a/m?sentinel_password=secret&group=x", "a+b://a/m?sentinel_password=..&group=x"),
            ("redis://me:sec/ret@a:1", "redis://.."),
            ("redis://me:sec?ret@a:1", "redis://.."),
            ("10.0.2.15:9567", "10.0.2.15:9567"),
        ] {
            assert_eq!(TargetUrl::redacted(text), shown);
        }
    }
}
