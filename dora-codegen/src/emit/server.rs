//! The server side of a service.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Method, Service, docs};
use crate::config::Place;

pub(super) fn module(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let module = &names.server_module;
    let module_docs = format!(" The server side of `{}`.", service.model.full_name);
    let server_trait = server_trait(service);
    let server = server(service);
    let mount = mount(service);
    let tower = tower(service);
    let allow = service.allow();
    let attributes = service.attributes(Place::ServerModule);
    quote! {
        #[doc = #module_docs]
        #allow
        #attributes
        pub mod #module {
            use ::dora::codegen;

            #server_trait
            #server
            #mount
            #tower
        }
    }
}

fn server_trait(service: &Service<'_>) -> TokenStream {
    let name = &service.model.names.server_trait;
    let full_name = &service.model.full_name;
    let docs = docs::lines(&service.docs, &format!("Serves `{full_name}`."));
    let methods = service.methods.iter().map(|method| {
        let Method { model, input, output, .. } = method;
        let name = &model.rust_name;
        let docs = docs::lines(&method.docs, &format!("Answers `{}`.", model.name));
        let end = match service.config.default_stubs {
            true => quote!({ codegen::unimplemented(request) }),
            false => quote!(;),
        };
        quote! {
            #docs
            fn #name(
                &self,
                request: codegen::Request<#input>,
            ) -> impl ::core::future::Future<
                Output = ::core::result::Result<codegen::Response<#output>, codegen::Status>,
            > + ::core::marker::Send #end
        }
    });
    let message = format!("`{{Self}}` does not serve `{full_name}`");
    let note = format!(
        "write `impl {}::{name} for {{Self}}`, with one `async fn` per rpc",
        service.model.names.server_module
    );
    let attributes = service.attributes(Place::Trait);
    quote! {
        #docs
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        #attributes
        pub trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
    }
}

fn server(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let (server, server_trait, t) = (&names.server, &names.server_trait, &names.handler);
    let docs = format!(" Mounts a [`{server_trait}`] on a server, or serves a client in this process.");
    quote! {
        #[doc = #docs]
        #[derive(Debug)]
        pub struct #server<#t> {
            inner: ::std::sync::Arc<#t>,
        }

        impl<#t: #server_trait> #server<#t> {
            /// Serves with `inner`.
            pub fn new(inner: #t) -> Self {
                Self::from_arc(::std::sync::Arc::new(inner))
            }

            /// Serves with `inner`, which others hold too.
            pub fn from_arc(inner: ::std::sync::Arc<#t>) -> Self {
                Self { inner }
            }

            /// Puts a tower layer around this service alone; what comes out can
            /// be mounted, and called in this process, as this can.
            pub fn layer<L>(self, layer: L) -> codegen::Layered<L::Service>
            where
                L: codegen::tower::Layer<codegen::Methods<Self>>,
            {
                codegen::Layered::new(self, layer)
            }
        }

        impl<#t> ::core::clone::Clone for #server<#t> {
            fn clone(&self) -> Self {
                Self { inner: ::std::sync::Arc::clone(&self.inner) }
            }
        }
    }
}

fn mount(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let (server, server_trait, t) = (&names.server, &names.server_trait, &names.handler);
    let descriptors = &names.descriptor_module;
    let arms = service.methods.iter().enumerate().map(|(index, method)| {
        let index = Literal::usize_unsuffixed(index);
        let name = &method.model.rust_name;
        quote! {
            #index => codegen::slot(move |request| async move {
                <#t as #server_trait>::#name(&inner, request).await
            })
        }
    });
    // Without methods there is none.
    let slot = (!service.methods.is_empty()).then(|| {
        quote! {
            fn slot(&self, method: usize) -> ::core::option::Option<codegen::BoxSlot> {
                let inner = ::std::sync::Arc::clone(&self.inner);
                ::core::option::Option::Some(match method {
                    #(#arms,)*
                    _ => return ::core::option::Option::None,
                })
            }
        }
    });
    quote! {
        impl<#t: #server_trait> codegen::Mount for #server<#t> {
            fn descriptor(&self) -> &'static codegen::ServiceDescriptor {
                &super::#descriptors::SERVICE
            }

            fn call(
                &self,
                method: usize,
                request: codegen::Request,
            ) -> codegen::BoxFuture<codegen::Response> {
                match codegen::Mount::slot(self, method) {
                    ::core::option::Option::Some(slot) => codegen::call_in(slot, request),
                    ::core::option::Option::None => codegen::unknown_method(method, request),
                }
            }

            #slot
        }
    }
}

fn tower(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let (server, server_trait, t) = (&names.server, &names.server_trait, &names.handler);
    quote! {
        impl<#t: #server_trait> codegen::tower::Service<codegen::Request> for #server<#t> {
            type Response = codegen::Response;
            type Error = codegen::Status;
            type Future = codegen::BoxFuture<codegen::Response>;

            fn poll_ready(
                &mut self,
                _: &mut ::core::task::Context<'_>,
            ) -> ::core::task::Poll<::core::result::Result<(), codegen::Status>> {
                ::core::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: codegen::Request) -> Self::Future {
                codegen::dispatch(self, request)
            }
        }
    }
}
