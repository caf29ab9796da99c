//! A line that says where instances are found and announced.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dora_core::discovery::directory::Directory;
use dora_core::discovery::record::DEFAULT_GROUP;
use dora_core::discovery::register::Registries;

use crate::backend::{self, Backend};
use crate::error::TargetError;
use crate::url::TargetUrl;

/// A line that says where instances are found and announced, and in which group: for
/// clients ([`Channel::to`](dora_core::transport::client::channel::Channel::to)), for
/// servers ([`Server::register`](dora_core::server::Server::register)), and for
/// configuration files.
///
#[doc = include_str!("targets.md")]
///
/// ```
/// use dora::discovery::Target;
/// use dora::{Channel, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Target::new("redis://10.0.0.1:6379,10.0.0.2:6379?group=shop")?;
/// let server = Server::builder().register(registry.clone());
/// let fleet = Channel::to(registry);
/// # drop((server, fleet));
///
/// let error = Target::new("redis://10.0.0.1:6379?grup=shop").unwrap_err();
/// assert!(error.to_string().contains("parameter \"grup\" is unknown"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Target {
    shown: String,
    groups: Vec<String>,
    service: Option<String>,
    backend: Arc<dyn Backend>,
}

impl Target {
    /// Reads the line. Nothing is connected yet.
    ///
    /// # Errors
    /// It is none; its backend's feature is off; a parameter is unknown.
    pub fn new(text: &str) -> Result<Self, TargetError> {
        let shown = TargetUrl::redacted(text);
        Self::parse(text, &shown).map_err(|error| error.of(shown))
    }

    fn parse(text: &str, shown: &str) -> Result<Self, TargetError> {
        let mut url = TargetUrl::parse(text)?;
        let groups =
            url.take_all("group").iter().flat_map(|groups| groups.split(',').map(str::to_owned)).collect();
        let service = url.take("service")?;
        let backend = backend::open(&mut url)?;
        url.finish()?;
        let target = Self { shown: shown.to_owned(), groups, service, backend };
        match target.groups.iter().any(String::is_empty) {
            true => Err(TargetError::new("a group has no name; write \"group=shop\"")),
            false => Ok(target),
        }
    }

    /// The group that clients look in: the first one that the line names.
    #[must_use]
    pub fn group(&self) -> &str {
        self.groups.first().map_or(DEFAULT_GROUP, String::as_str)
    }

    /// The instances of all groups: for tools that show or copy a whole fleet.
    #[must_use]
    pub fn all_groups(&self) -> Directory {
        self.serving(self.backend.directory(None))
    }

    fn serving(&self, directory: Directory) -> Directory {
        match &self.service {
            Some(service) => directory.service(service.as_str()),
            None => directory,
        }
    }
}

impl From<Target> for Directory {
    fn from(target: Target) -> Self {
        let group = target.group();
        target.serving(target.backend.directory(Some(group)).group(group))
    }
}

impl From<Target> for Registries {
    fn from(target: Target) -> Self {
        target.groups.into_iter().fold(target.backend.registries(), Self::group)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::new(text)
    }
}

/// As it was written, without passwords.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_found_in_any_group() {
        let target = Target::new("10.0.2.15:9567,unix:/run/x.sock?group=shop").expect("a target");
        assert_eq!(target.group(), "shop");
        let mut watch = Directory::from(target).watch();
        let addresses: Vec<_> =
            watch.changed().await.iter().map(|instance| instance.address.clone()).collect();
        assert_eq!(addresses, ["10.0.2.15:9567", "unix:/run/x.sock"]);
    }

    #[test]
    fn what_is_no_target_is_named_without_its_password() {
        for (text, word) in [
            ("", "no address"),
            ("10.0.2.15", "no port"),
            ("zookeeper://a", "no backend \"zookeeper\""),
            ("file:///a.json?group=", "a group has no name"),
            ("file://u:secret@a.json", "no host"),
            ("file:///a.json?x=y", "\"x\" is unknown"),
            ("redis://u:secret@a?lease=1h", "lease=1h"),
            ("redis://u:secret@a?lease=60s", "over 30 s"),
            ("redis://u:secret@a/x?group=y", "database"),
            ("redis://u:secret@a?php=no", "php=\"no\""),
            ("10.0.2.15:9567?lease=3s", "\"lease\" is unknown"),
        ] {
            let error = Target::new(text).expect_err(text).to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
