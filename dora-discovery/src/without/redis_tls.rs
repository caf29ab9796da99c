//! Redis without the feature `tls`.

use redis::{Client, RedisConnectionInfo};
use tower::BoxError;

use crate::error::TargetError;
use crate::url::TargetUrl;

/// There is none.
#[derive(Clone)]
pub(super) enum Tls {}

impl Tls {
    pub(super) fn take(_: &mut TargetUrl) -> Result<Self, TargetError> {
        Err(TargetError::feature("tls"))
    }

    pub(super) fn client(&self, _: &str, _: u16, _: &RedisConnectionInfo) -> Result<Client, BoxError> {
        match *self {}
    }
}
