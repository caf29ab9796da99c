//! Refuses what would not compile, or would not be found at run time.

mod names;
mod services;
mod types;

use prost_reflect::DescriptorPool;

use crate::error::Problem;
use crate::model::Service;
use crate::resolve::Includes;

/// All that is wrong with `services`, and with the types whose full name
/// `is_ours`.
pub(crate) fn all(
    services: &[&Service],
    pool: &DescriptorPool,
    includes: &Includes,
    is_ours: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut problems = services::check(services);
    problems.extend(types::check(pool, includes, &is_ours));
    problems.extend(names::check(services, pool, includes, is_ours));
    problems
}
