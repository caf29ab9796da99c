//! Writes Rust.

mod client;
mod descriptor;
mod docs;
mod fields;
mod lints;
mod mapped;
mod mock;
mod prost_attr;
mod runtime;
mod serde;
mod server;

use proc_macro2::TokenStream;
use prost_build::ServiceGenerator;
use quote::quote;

use crate::config::{Config, Place};
use crate::{model, naming};

pub(crate) use lints::allow;
pub(crate) use mapped::Mapping;
pub(crate) use runtime::Runtime;

/// Called by prost for every service.
pub(crate) struct ServiceEmitter {
    services: Vec<model::Service>,
    config: Config,
    /// The runtime's names, as prost writes them.
    codegen: String,
}

impl ServiceEmitter {
    pub(crate) fn new(config: &Config, runtime: &Runtime, services: Vec<model::Service>) -> Self {
        Self { services, config: config.clone(), codegen: format!("{}::", runtime.codegen()) }
    }
}

impl ServiceEmitter {
    /// The type that prost calls `rust`, as a module below its own calls it.
    fn child_path(&self, rust: &str, proto: &str) -> TokenStream {
        let is_absolute = rust.starts_with("::") || rust.starts_with("crate::");
        // Google's wrappers are `i32`, `()` and the like.
        let is_builtin = proto.starts_with(".google.protobuf.");
        let path = match rust.strip_prefix(&self.codegen) {
            Some(ours) => format!("codegen::{ours}"),
            None if is_absolute || is_builtin => rust.to_owned(),
            None => format!("super::{rust}"),
        };
        path.parse().expect("prost names types in valid Rust")
    }
}

impl ServiceGenerator for ServiceEmitter {
    fn generate(&mut self, prost: prost_build::Service, buf: &mut String) {
        let known = self
            .services
            .iter()
            .find(|model| model.name == prost.proto_name && model.package == prost.package);
        let Some(model) = known else { return };
        let service = Service::new(model, &prost, self);
        let mut modules = vec![];
        if self.config.build_client {
            modules.push(client::module(&service));
        }
        if self.config.build_server {
            modules.push(server::module(&service));
            if self.config.mocks {
                modules.push(mock::module(&service));
            }
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
    config: &'a Config,
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
    fn new(model: &'a model::Service, prost: &prost_build::Service, emitter: &'a ServiceEmitter) -> Self {
        // Both come from the descriptor, in its order.
        let methods = model.methods.iter().zip(&prost.methods);
        Self {
            model,
            config: &emitter.config,
            docs: docs::of(&prost.comments),
            methods: methods
                .map(|(model, prost)| Method {
                    model,
                    docs: docs::of(&prost.comments),
                    input: emitter.child_path(&prost.input_type, &prost.input_proto_type),
                    output: emitter.child_path(&prost.output_type, &prost.output_proto_type),
                })
                .collect(),
        }
    }

    /// The static that describes `method`, as a module beside it names it.
    fn descriptor_of(&self, method: &Method<'_>) -> TokenStream {
        let module = &self.model.names.descriptor_module;
        let name = naming::method_const(&method.model.name);
        quote!(super::#module::#name)
    }

    /// What the lints of its user's package need not look at.
    fn allow(&self) -> TokenStream {
        let is_like_std = |method: &Method<'_>| {
            let name = method.model.rust_name.to_string();
            name == "cmp" || name.starts_with("into_") || name.starts_with("from_")
        };
        let names = self.methods.iter().any(is_like_std);
        let names = names.then(|| quote!(, clippy::should_implement_trait, clippy::wrong_self_convention));
        // A program may use one half of a service only.
        quote!(#[allow(dead_code #names)])
    }

    /// The attributes that the user wants there.
    fn attributes(&self, on: Place) -> TokenStream {
        let wanted = self.config.attributes.iter();
        let wanted = wanted.filter(|it| it.on == on && Config::matches(&it.path, &self.model.full_name));
        wanted.map(|it| it.text.parse::<TokenStream>().expect("it was parsed before")).collect()
    }
}
