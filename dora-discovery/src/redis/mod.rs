//! Redis: our own keys, and those of PHP's Dora-RPC.
//!
//! | key | what |
//! | --- | --- |
//! | `dora:instance:<address>` | the record of who has the address, with its term, until its lease ends |
//! | `dora:term` | the term that a run was given last |
//! | `dora:group:<group>` | a sorted set of addresses, by the ends of their leases |
//! | `dora:revision:<group>` | changes when a list does other than by the end of a lease |
//! | `dora:changes:<group>` | a channel: a hint that it has |
//! | `dora:php` | a hash: what we wrote into `dora.serverlist`, by address |
//! | `dora.serverlist`, `dora.servertime.<ip>.<port>.time` | PHP's, see [`php`] |
//!
//! All times are the server's. A term says which of two runs is the later one: the server
//! gives one to each run when it is first announced, and the run keeps it, so that neither
//! the clock of a machine nor that of a server which takes over from another is believed.
//! What has another type below `dora:` is replaced; PHP's keys are not ours, and left.

mod connect;
mod discover;
mod group;
mod php;
mod register;
mod script;
mod sentinel;
mod value;

#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "../without/redis_tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use dora_core::discovery::directory::Directory;
use dora_core::discovery::register::{DEFAULT_LEASE, Registries};

use self::connect::Node;
use self::discover::RedisDiscover;
use self::register::RedisRegister;
use self::value::RedisKey;
use crate::backend::Backend;
use crate::config::source::BoxSource;
use crate::error::TargetError;
use crate::url::TargetUrl;

/// The longest lease: servers renew at a third of it, and PHP drops who was silent for 20 s.
const MAX_LEASE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Redis {
    nodes: Vec<Arc<Node>>,
    settings: Settings,
}

/// What holds for all servers of a target.
#[derive(Clone, Debug)]
struct Settings {
    prefix: String,
    lease: Duration,
    /// Whether PHP's keys are read and written.
    php: bool,
}

pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    let lease = url.take_lease("lease")?.unwrap_or(DEFAULT_LEASE);
    if lease > MAX_LEASE {
        return Err(TargetError::new("a lease over 30 s: PHP would not see who renews it every 10 s"));
    }
    let php = match url.take("php")?.as_deref() {
        None | Some("on") => true,
        Some("off") => false,
        Some(other) => {
            return Err(TargetError::new(format!("php={other:?}; write \"php=on\" or \"php=off\"")));
        }
    };
    let prefix = url.take("prefix")?.unwrap_or_else(|| "dora".to_owned());
    let nodes = connect::nodes(url)?.into_iter().map(Arc::new).collect();
    Ok(Arc::new(Redis { nodes, settings: Settings { prefix, lease, php } }))
}

/// A key that a configuration is read from.
pub(crate) fn key(url: &mut TargetUrl, key: String) -> Result<BoxSource, TargetError> {
    let mut nodes = connect::nodes(url)?;
    match (nodes.pop(), nodes.is_empty()) {
        (Some(node), true) => Ok(BoxSource::new(RedisKey::new(node, key))),
        _ => Err(TargetError::new(
            "several servers may have different values; name one, or the Sentinels of one: \
             \"redis+sentinel://a,b,c/mymaster?key=..\"",
        )),
    }
}

impl Backend for Redis {
    fn directory(&self, group: Option<&str>) -> Directory {
        let sources =
            self.nodes.iter().map(|node| RedisDiscover::new(node, &self.settings, group.map(str::to_owned)));
        sources.fold(Directory::default(), Directory::and).lease(self.settings.lease)
    }

    fn registries(&self) -> Registries {
        let registries = self.nodes.iter().map(|node| RedisRegister::new(node, &self.settings));
        registries.fold(Registries::default(), Registries::and)
    }
}
