//! Refuses what would not compile, or would not be found at run time.

mod choices;
mod names;
mod routes;
mod services;
mod types;

use prost_reflect::DescriptorPool;

use crate::config::Config;
use crate::error::Problem;
use crate::model::Service;
use crate::resolve::Includes;

/// All that is wrong with `services`, and with the types that are generated.
pub(crate) fn all(
    services: &[&Service],
    pool: &DescriptorPool,
    includes: &Includes,
    config: &Config,
) -> Vec<Problem> {
    let mut problems = services::check(services);
    problems.extend(types::check(pool, includes, config));
    problems.extend(names::check(services, pool, includes, config));
    problems.extend(routes::check(pool, includes, config));
    problems.extend(choices::check(pool, config));
    problems
}
