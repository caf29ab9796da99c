//! A server that is told what to expect, for tests.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use super::{Method, Service};
use crate::config::Place;

pub(super) fn module(service: &Service<'_>) -> TokenStream {
    let names = &service.model.names;
    let (module, mock, handle) = (&names.mock_module, &names.mock, &names.mock_handle);
    let (server_module, server_trait) = (&names.server_module, &names.server_trait);
    let module_docs = format!(" A mock of `{}`.", service.model.full_name);
    let mock_docs = format!(" Answers calls as its [`{handle}`] was told.");
    let handle_docs = format!(" Says what calls a [`{mock}`] expects, and answers them.");
    let expects = service.methods.iter().map(|method| expect(service, method));
    let answers = service.methods.iter().map(|method| answer(service, method));
    let allow = service.allow();
    let attributes = service.attributes(Place::MockModule);
    quote! {
        #[doc = #module_docs]
        #allow
        #attributes
        pub mod #module {
            use ::dora::codegen;

            #[doc = #mock_docs]
            #[derive(Clone, Debug)]
            pub struct #mock {
                mock: codegen::Mock,
            }

            impl #mock {
                /// A mock that expects nothing yet, and its handle.
                pub fn new() -> (Self, #handle) {
                    let (mock, expectations) = codegen::Mock::new();
                    (Self { mock }, #handle { expectations })
                }
            }

            #[doc = #handle_docs]
            ///
            /// Calls of one method are answered in the order in which they were
            /// expected. When the handle is dropped it panics if a call that
            /// was expected did not come, or another one did.
            #[derive(Debug)]
            pub struct #handle {
                expectations: codegen::Expectations,
            }

            impl #handle {
                #(#expects)*

                /// Ends the test of what was expected, as dropping this does.
                ///
                /// # Panics
                ///
                /// If a call that was expected did not come, or another one did.
                pub fn verify(self) {
                    self.expectations.verify();
                }
            }

            impl super::#server_module::#server_trait for #mock {
                #(#answers)*
            }
        }
    }
}

fn expect(service: &Service<'_>, method: &Method<'_>) -> TokenStream {
    let Method { model, input, output, .. } = method;
    let name = format_ident!("expect_{}", model.rust_name.unraw());
    let docs = format!(" Expects a call of `{}`, and answers it.", model.name);
    let descriptor = service.descriptor_of(method);
    quote! {
        #[doc = #docs]
        pub fn #name<A: codegen::IntoAnswer<#output>>(
            &mut self,
            answer: impl FnOnce(codegen::Request<#input>) -> A + Send + 'static,
        ) -> &mut Self {
            self.expectations.expect(&#descriptor, answer);
            self
        }
    }
}

fn answer(service: &Service<'_>, method: &Method<'_>) -> TokenStream {
    let Method { model, input, output, .. } = method;
    let name = &model.rust_name;
    let descriptor = service.descriptor_of(method);
    quote! {
        fn #name(
            &self,
            request: codegen::Request<#input>,
        ) -> impl ::core::future::Future<
            Output = Result<codegen::Response<#output>, codegen::Status>,
        > + Send {
            self.mock.call(&#descriptor, request)
        }
    }
}
