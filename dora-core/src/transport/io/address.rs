//! Where a server is, the way users write it.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Where a server is, or listens.
///
/// Written `host:port`, `127.0.0.1:9567`, `[::1]:9567` or `unix:/run/x.sock`.
///
/// ```
/// use dora::Address;
///
/// let address: Address = "[::1]:9567".parse()?;
/// assert_eq!(address.to_string(), "[::1]:9567");
/// let error = "http://a:9567".parse::<Address>().unwrap_err();
/// assert!(error.to_string().ends_with("write \"a:9567\""));
/// # Ok::<(), dora::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP port of a host.
    Tcp {
        /// A name, or an IP address without brackets.
        host: Arc<str>,
        /// The port. 0, for a server that listens: any that is free.
        port: u16,
    },
    /// A Unix socket in the file system.
    Unix(Arc<Path>),
}

/// What is no address, and what to write in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address of a server: {mend}")]
pub struct AddressError {
    text: String,
    mend: String,
}

impl AddressError {
    fn new(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { text: text.into(), mend: mend.into() }
    }
}

impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Address {
    /// Whether it can be connected to, not only listened on.
    ///
    /// # Errors
    /// Its port is 0.
    pub(crate) fn check_dialable(&self) -> Result<(), AddressError> {
        match self {
            Self::Tcp { port: 0, .. } => Err(AddressError::new(
                self.to_string(),
                "port 0 means any free port, for a server; write the port it has got",
            )),
            _ => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(text, path);
        }
        let no = |mend: String| Err(AddressError::new(text, mend));
        if let Some((scheme, rest)) = text.split_once("://") {
            let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return no(format!("it takes no scheme ({scheme}); write {rest:?}"));
        }
        if let Some((_, host)) = text.rsplit_once('@') {
            return no(format!("it takes no user; write {host:?}, and send credentials as metadata"));
        }
        if let Some((host, _)) = text.split_once('/') {
            return no(format!("it takes no path; write {host:?}, or \"unix:/path\" for a Unix socket"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return no(format!("an IPv6 address stands in brackets; write \"[{text}]:port\""));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            let host = if text.is_empty() { "127.0.0.1" } else { text };
            return no(format!("there is no port; write \"{host}:9567\""));
        };
        if text.ends_with(']') {
            return no(format!("there is no port; write \"{text}:9567\""));
        }
        let Ok(port) = port.parse::<u16>() else {
            return no(format!("{port:?} is no port; write a number up to 65535 behind the colon"));
        };
        match host_of(host) {
            Ok(host) => Ok(Self::Tcp { host: host.into(), port }),
            Err(mend) => no(mend),
        }
    }
}

/// The host of a `host:port`, without brackets; else the mend.
fn host_of(host: &str) -> Result<&str, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or_default();
        let (address, _zone) = inner.split_once('%').unwrap_or((inner, ""));
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(inner),
            Err(_) => Err("in brackets stands an IPv6 address; write \"[::1]:9567\"".to_owned()),
        };
    }
    if host.is_empty() {
        return Err(
            "there is no host; write \"127.0.0.1\" before the colon, or \"0.0.0.0\" to listen on all"
                .to_owned(),
        );
    }
    if host.contains(':') {
        return Err("an IPv6 address stands in brackets; write \"[::1]:9567\"".to_owned());
    }
    let odd = host.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
    match odd {
        Some(c) => Err(format!("{c:?} cannot stand in the name of a host; write \"host:port\" alone")),
        None => Ok(host),
    }
}

fn unix(text: &str, path: &str) -> Result<Address, AddressError> {
    let path = match path.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => {
            let mend = format!("a Unix socket has no host; write \"unix:/{rest}\"");
            return Err(AddressError::new(text, mend));
        }
        Some(rest) => rest,
        None => path,
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(AddressError::new(text, "there is no path; write \"unix:/run/name.sock\""));
    }
    Ok(Address::Unix(Path::new(path).into()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            _ => address.ip().to_string(),
        };
        Self::Tcp { host: host.into(), port: address.port() }
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from(address: (IpAddr, u16)) -> Self {
        SocketAddr::from(address).into()
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path.into())
    }
}

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for Address {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        text.parse().map_err(|error: AddressError| error.to_string())
    }

    #[test]
    fn addresses_are_read_and_written_the_way_users_write_them() {
        for text in ["a:1", "10.0.2.15:9567", "[::1]:9567", "[fe80::1%eth0]:9567", "my_host-1.local.:65535"] {
            let address = parse(text).expect(text);
            assert_eq!(address.to_string(), text);
            assert_eq!(address.check_dialable(), Ok(()));
        }
        for text in ["unix:/run/x.sock", "unix:///run/x.sock"] {
            assert_eq!(parse(text).expect(text), Address::from(PathBuf::from("/run/x.sock")));
            assert_eq!(parse(text).expect(text).to_string(), "unix:/run/x.sock");
        }
        assert_eq!(parse("unix:x.sock").expect("relative"), Address::from(PathBuf::from("x.sock")));
        let v6: SocketAddr = "[::1]:9567".parse().expect("an address");
        assert_eq!(Address::from(v6), parse("[::1]:9567").expect("an address"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_mend() {
        for (text, mend) in [
            ("http://a:1", "write \"a:1\""),
            ("tcp://a:1/path?x", "write \"a:1\""),
            ("user@a:1", "write \"a:1\""),
            ("a b:1", "' ' cannot stand in the name of a host"),
            ("a:1/path", "write \"a:1\""),
            ("a", "write \"a:9567\""),
            ("a:", "\"\" is no port"),
            ("a:65536", "up to 65535"),
            ("a:-1", "\"-1\" is no port"),
            (":9567", "there is no host; write \"127.0.0.1\" before the colon"),
            ("", "there is no port; write \"127.0.0.1:9567\""),
            ("[::1]", "there is no port; write \"[::1]:9567\""),
            ("::1", "write \"[::1]:port\""),
            ("::1:x", "is no port"),
            ("a:b:1", "in brackets"),
            ("[a]:1", "write \"[::1]:9567\""),
            ("[::1:1", "write \"[::1]:9567\""),
            ("b\u{fc}ro:1", "cannot stand in the name"),
            ("unix:", "write \"unix:/run/name.sock\""),
            ("unix://run/x.sock", "write \"unix:/run/x.sock\""),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(mend), "{error}");
        }
        let any = parse("127.0.0.1:0").expect("a server may listen on it");
        let error = any.check_dialable().expect_err("not dialable").to_string();
        assert!(error.contains("write the port it has got"), "{error}");
    }
}
