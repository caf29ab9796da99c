//! What a server's methods take and give, from the descriptors of its services.

use std::collections::HashMap;

use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mode::Mode;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor, MethodDescriptor};
use thiserror::Error;

use super::rules::{RuleError, Rules};

/// What a server's methods take and give.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) rpcs: Vec<Rpc>,
    by_path: HashMap<&'static str, usize>,
    pub(super) rules: Rules,
}

/// A method, and its messages.
#[derive(Debug)]
pub(super) struct Rpc {
    pub(super) method: &'static Method,
    pub(super) descriptor: MethodDescriptor,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
}

/// Why services cannot be had over HTTP.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The descriptors of a service are broken.
    #[error("the descriptors of {service} are broken: {source}")]
    Broken {
        /// The service.
        service: &'static str,
        /// What is wrong with them.
        source: DescriptorError,
    },
    /// A method is not in the descriptors of its service.
    #[error("{path} is not in the descriptors of its service")]
    Missing {
        /// The method.
        path: &'static str,
    },
    /// What `google.api.http` says of a method cannot be meant.
    #[error("google.api.http of {path}: {source}")]
    Rule {
        /// The method.
        path: &'static str,
        /// What is wrong with it.
        source: RuleError,
    },
}

impl Schema {
    /// Reads the descriptors of `services`; those that have none are left out.
    pub(super) fn new(services: &[&'static ServiceDescriptor]) -> Result<Self, SchemaError> {
        let mut schema = Self::default();
        let mut pools: Vec<(&'static [u8], DescriptorPool)> = Vec::new();
        for service in services {
            let set = service.file_descriptor_set();
            if set.is_empty() {
                continue;
            }
            let known = pools.iter().find(|(bytes, _)| *bytes == set).map(|(_, pool)| pool.clone());
            let pool = match known {
                Some(pool) => pool,
                None => {
                    let broken = |source| SchemaError::Broken { service: service.name(), source };
                    let pool = pool(set).map_err(broken)?;
                    pools.push((set, pool.clone()));
                    pool
                }
            };
            schema.add(service, &pool)?;
        }
        schema.rules.sort();
        Ok(schema)
    }

    fn add(&mut self, service: &'static ServiceDescriptor, pool: &DescriptorPool) -> Result<(), SchemaError> {
        let described = pool.get_service_by_name(service.name());
        for method in service.methods() {
            let path = method.path();
            let descriptor = described
                .iter()
                .flat_map(|service| service.methods())
                .find(|descriptor| descriptor.name() == method.name())
                .ok_or(SchemaError::Missing { path })?;
            let place = self.rpcs.len();
            let rule = |source| SchemaError::Rule { path, source };
            self.rules.add(place, &descriptor).map_err(rule)?;
            self.by_path.insert(path, place);
            let (input, output) = (descriptor.input(), descriptor.output());
            self.rpcs.push(Rpc { method, descriptor, input, output });
        }
        Ok(())
    }

    /// The method of a path `/package.Service/Method`.
    pub(super) fn rpc(&self, path: &str) -> Option<&Rpc> {
        self.by_path.get(path).and_then(|place| self.rpcs.get(*place))
    }
}

impl Rpc {
    /// Whether a call changes nothing, so that it may be a GET.
    pub(super) fn is_safe(&self) -> bool {
        let options = self.descriptor.method_descriptor_proto().options.as_ref();
        options.is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects)
    }

    /// Whether nobody waits for the result who does not say so.
    pub(super) fn has_no_result(&self) -> bool {
        self.method.mode() == Mode::NoResult
    }
}

/// The files of `set`, and those of Google's that generated code leaves out.
fn pool(set: &[u8]) -> Result<DescriptorPool, DescriptorError> {
    let known = DescriptorPool::global();
    let known = known.file_descriptor_protos().filter(|file| file.name().starts_with("google/protobuf/"));
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(known.cloned())?;
    pool.decode_file_descriptor_set(set)?;
    Ok(pool)
}
