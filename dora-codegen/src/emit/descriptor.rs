//! What is known of a service and its rpcs, as statics.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Method, Service, docs};
use crate::naming;
use crate::options::Mode;

pub(super) fn module(service: &Service<'_>) -> TokenStream {
    let model = service.model;
    let module = &model.names.descriptor_module;
    let docs = format!(" What is known of `{}`.", model.full_name);
    let service_docs = format!(" `{}`, version {}.", model.full_name, docs::code(&model.version));
    let (full_name, version) = (&model.full_name, &model.version);
    let group = option(model.group.as_ref());
    let interface = option(model.interface.as_ref());
    let names = model.methods.iter().map(|m| naming::method_const(&m.name));
    let methods = service.methods.iter().map(|m| method(service, m));
    let allow = service.allow();
    quote! {
        #[doc = #docs]
        #allow
        pub mod #module {
            use ::dora::codegen;

            #[doc = #service_docs]
            pub static SERVICE: codegen::ServiceDescriptor = codegen::ServiceDescriptor {
                name: #full_name,
                version: #version,
                group: #group,
                interface: #interface,
                methods: &[#(#names),*],
            };

            #(#methods)*
        }
    }
}

fn method(service: &Service<'_>, method: &Method<'_>) -> TokenStream {
    let model = method.model;
    let constant = naming::method_const(&model.name);
    let docs = format!(" `{}`.", model.path);
    let service = &service.model.full_name;
    let (name, path, aliases) = (&model.name, &model.path, &model.aliases);
    let idempotent = model.idempotent;
    let timeout = option(model.timeout_ms.map(|ms| {
        let ms = Literal::u32_unsuffixed(ms);
        quote!(::core::time::Duration::from_millis(#ms))
    }));
    let mode = match model.mode {
        Mode::Wait => quote!(Wait),
        Mode::NoResult => quote!(NoResult),
        Mode::Deferred => quote!(Deferred),
    };
    quote! {
        #[doc = #docs]
        pub const #constant: codegen::Method = codegen::Method {
            service: #service,
            name: #name,
            path: #path,
            aliases: &[#(#aliases),*],
            idempotent: #idempotent,
            timeout: #timeout,
            mode: codegen::Mode::#mode,
        };
    }
}

fn option(value: Option<impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(Some(#value)),
        None => quote!(None),
    }
}
