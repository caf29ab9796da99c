//! The client of a service.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Method, Service, docs};
use crate::config::Place;
use crate::options::Mode;

pub(super) fn module(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let (module, client) = (&names.client_module, &names.client);
    let module_docs = format!(" The client of `{}`.", service.model.full_name);
    let docs = docs::lines(&service.docs, module_docs.trim());
    let methods = service.methods.iter().map(|m| method(service, m));
    let allow = service.allow();
    let on_module = service.attributes(Place::ClientModule);
    let on_client = service.attributes(Place::Client);
    quote! {
        #[doc = #module_docs]
        #allow
        #on_module
        pub mod #module {
            use ::dora::codegen;

            #docs
            #on_client
            #[derive(Clone, Debug)]
            pub struct #client<S = codegen::Channel> {
                service: S,
            }

            impl<S: codegen::Caller> #client<S> {
                /// Calls through `service`: a channel, layers over one, or a
                /// server in this process.
                pub fn new(service: S) -> Self {
                    Self { service }
                }

                #(#methods)*
            }
        }
    }
}

fn method(service: &Service<'_>, method: &Method<'_>) -> TokenStream {
    let Method { model, input, output, .. } = method;
    let name = &model.rust_name;
    let docs = docs::lines(&method.docs, &format!("Calls `{}`.", model.name));
    let options = docs::options(method);
    let deprecated = model.deprecated.then(|| quote!(#[deprecated]));
    let mode = match model.mode {
        Mode::Wait => None,
        Mode::NoResult => Some(quote!(, codegen::NoResult)),
        Mode::Deferred => Some(quote!(, codegen::Deferred)),
    };
    let descriptor = service.descriptor_of(method);
    quote! {
        #docs
        #options
        #deprecated
        pub fn #name(
            &self,
            request: impl codegen::IntoRequest<#input>,
        ) -> codegen::Call<S, #input, #output #mode> {
            codegen::Call::new(
                self.service.clone(),
                &#descriptor,
                request,
            )
        }
    }
}
