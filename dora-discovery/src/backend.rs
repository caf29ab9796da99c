//! What stands behind each scheme.

use std::fmt;
use std::sync::Arc;

use dora_core::discovery::directory::Directory;
use dora_core::discovery::register::Registries;

use crate::error::TargetError;
use crate::url::TargetUrl;
use crate::{dns, etcd, file, list, redis};

/// A kind of registry, with what a target says of it.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Where instances of `group` are found; `None`: all of them. Which of them are taken is
    /// the target's to say: this one may look for no others, if that is less work.
    fn directory(&self, group: Option<&str>) -> Directory;

    /// Where servers are announced: nowhere, for a backend that is written by somebody else.
    fn registries(&self) -> Registries {
        Registries::default()
    }
}

/// The backend of a target. It takes the parameters that it knows.
pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    match &*url.scheme {
        "" | "list" => list::open(url),
        "dns" => dns::open(url),
        "etcd" => etcd::open(url),
        "file" => file::open(url),
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" => redis::open(url),
        other => Err(TargetError::new(format!(
            "there is no backend {other:?}; write redis://, rediss://, redis+sentinel://, etcd://, dns://, file:///path, or addresses"
        ))),
    }
}
