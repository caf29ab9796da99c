//! Writes Rust.

mod client;
mod descriptor;
mod docs;
mod fields;
pub(crate) mod mapped;
mod prost_attr;
mod server;

use proc_macro2::TokenStream;
use prost_build::ServiceGenerator;

use crate::config::Config;
use crate::model;

/// Called by prost for every service.
pub(crate) struct ServiceEmitter {
    services: Vec<model::Service>,
    build_client: bool,
    build_server: bool,
}

impl ServiceEmitter {
    pub(crate) fn new(config: &Config, services: Vec<model::Service>) -> Self {
        Self { services, build_client: config.build_client, build_server: config.build_server }
    }
}

impl ServiceGenerator for ServiceEmitter {
    fn generate(&mut self, prost: prost_build::Service, buf: &mut String) {
        let known = self
            .services
            .iter()
            .find(|model| model.name == prost.proto_name && model.package == prost.package);
        let Some(model) = known else { return };
        let service = Service::new(model, &prost);
        let mut modules = vec![];
        if self.build_client {
            modules.push(client::module(&service));
        }
        if self.build_server {
            modules.push(server::module(&service));
        }
        modules.push(descriptor::module(&service));
        for module in modules {
            buf.push_str(&module.to_string());
            buf.push('\n');
        }
    }
}

/// A service: what our options say of it, and prost's names.
struct Service<'a> {
    model: &'a model::Service,
    docs: Vec<String>,
    methods: Vec<Method<'a>>,
}

/// An rpc of it.
struct Method<'a> {
    model: &'a model::Method,
    docs: Vec<String>,
    /// As seen from a module beside the messages.
    input: TokenStream,
    output: TokenStream,
}

impl<'a> Service<'a> {
    fn new(model: &'a model::Service, prost: &prost_build::Service) -> Self {
        // Both come from the descriptor, in its order.
        let methods = model.methods.iter().zip(&prost.methods);
        Self {
            model,
            docs: docs::of(&prost.comments),
            methods: methods
                .map(|(model, prost)| Method {
                    model,
                    docs: docs::of(&prost.comments),
                    input: from_child_module(&prost.input_type, &prost.input_proto_type),
                    output: from_child_module(&prost.output_type, &prost.output_proto_type),
                })
                .collect(),
        }
    }
}

/// The type that prost calls `rust`, as a module below its own calls it.
fn from_child_module(rust: &str, proto: &str) -> TokenStream {
    let is_absolute = rust.starts_with("::") || rust.starts_with("crate::");
    // Google's wrappers are `i32`, `()` and the like.
    let is_builtin = proto.starts_with(".google.protobuf.");
    let path = match rust.strip_prefix("::dora::codegen::") {
        Some(ours) => format!("codegen::{ours}"),
        None if is_absolute || is_builtin => rust.to_owned(),
        None => format!("super::{rust}"),
    };
    path.parse().expect("prost names types in valid Rust")
}
