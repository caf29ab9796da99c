//! Without the feature `redis`.

use std::sync::Arc;

use crate::backend::Backend;
use crate::config::source::BoxSource;
use crate::error::TargetError;
use crate::url::TargetUrl;

pub(crate) fn open(_: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    Err(off())
}

pub(crate) fn key(_: &mut TargetUrl, _: String) -> Result<BoxSource, TargetError> {
    Err(off())
}

fn off() -> TargetError {
    TargetError::feature("redis")
}
