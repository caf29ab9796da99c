//! What is known of a service and its rpcs, as statics.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Method, Service, docs};
use crate::options::{Mode, Priority};
use crate::{naming, output};

pub(super) fn module(service: &Service<'_>) -> TokenStream {
    let model = service.model;
    let module = &model.names.descriptor_module;
    let docs = format!(" What is known of `{}`.", model.full_name);
    let service_docs = format!(" `{}`, version {}.", model.full_name, docs::code(&model.version));
    let (full_name, version) = (&model.full_name, &model.version);
    let group = model.group.as_ref().map(|group| quote!(.with_group(#group)));
    let interface = model.interface.as_ref().map(|interface| quote!(.with_interface(#interface)));
    let set = service.config.build_server.then(|| {
        let file = output::descriptors(&model.package);
        quote!(.with_file_descriptor_set(include_bytes!(#file)))
    });
    let names = model.methods.iter().map(|m| naming::method_const(&m.name));
    let methods = service.methods.iter().map(|rpc| method(rpc, interface.is_some()));
    let allow = service.allow();
    quote! {
        #[doc = #docs]
        #allow
        pub mod #module {
            use ::dora::codegen;

            #[doc = #service_docs]
            pub static SERVICE: codegen::ServiceDescriptor =
                codegen::ServiceDescriptor::new(#full_name, &[#(&#names),*])
                    .with_version(#version)
                    #group
                    #interface
                    #set;

            #(#methods)*
        }
    }
}

/// `positional`: whether callers say what they mean by places.
fn method(method: &Method<'_>, positional: bool) -> TokenStream {
    let model = method.model;
    let constant = naming::method_const(&model.name);
    let docs = format!(" `{}`.", model.path);
    let (name, path) = (&model.name, &model.path);
    let aliases = (!model.aliases.is_empty()).then(|| {
        let aliases = &model.aliases;
        quote!(.with_aliases(&[#(#aliases),*]))
    });
    let idempotent = model.idempotent.then(|| quote!(.with_idempotent()));
    let timeout = model.timeout_ms.map(|ms| {
        let ms = Literal::u32_unsuffixed(ms);
        quote!(.with_timeout(::core::time::Duration::from_millis(#ms)))
    });
    let mode = match model.mode {
        Mode::Wait => None,
        Mode::NoResult => Some(quote!(.with_mode(codegen::Mode::NoResult))),
        Mode::Deferred => Some(quote!(.with_mode(codegen::Mode::Deferred))),
    };
    let priority = model.priority.map(|priority| match priority {
        Priority::Low => quote!(.with_priority(codegen::Priority::Low)),
        Priority::Normal => quote!(.with_priority(codegen::Priority::Normal)),
        Priority::High => quote!(.with_priority(codegen::Priority::High)),
        Priority::Critical => quote!(.with_priority(codegen::Priority::Critical)),
    });
    let fields = (positional && !model.fields.is_empty()).then(|| {
        let fields = &model.fields;
        quote!(.with_fields(&[#(#fields),*]))
    });
    quote! {
        #[doc = #docs]
        pub static #constant: codegen::Method = codegen::Method::new(&SERVICE, #name, #path)
            #aliases
            #idempotent
            #timeout
            #mode
            #priority
            #fields;
    }
}
