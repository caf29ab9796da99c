//! serde's traits for messages and enums, in the form of Dora's JSON.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

/// The impls for the message `ident`.
pub(super) fn message(ident: &Ident) -> TokenStream {
    let mapped = quote!(::dora::codegen::Mapped::<::dora::codegen::Plain>);
    let reading = reading();
    impls(
        ident,
        &quote!(#mapped::serialize(self, serializer)),
        &quote!(#mapped::deserialize(deserializer, #reading)),
    )
}

/// The impls for the enum `ident`: its number; read from a number or a name.
pub(super) fn enumeration(ident: &Ident) -> TokenStream {
    let mapped = quote!(<i32 as ::dora::codegen::Mapped<::dora::codegen::Enum<Self>>>);
    let reading = reading();
    impls(
        ident,
        &quote!(#mapped::serialize(&i32::from(*self), serializer)),
        &quote! {
            let number = #mapped::deserialize(deserializer, #reading)?;
            Self::try_from(number).map_err(::dora::codegen::serde::de::Error::custom)
        },
    )
}

fn impls(ident: &Ident, write: &TokenStream, read: &TokenStream) -> TokenStream {
    quote! {
        impl ::dora::codegen::serde::Serialize for #ident {
            fn serialize<S: ::dora::codegen::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                #write
            }
        }

        impl<'de> ::dora::codegen::serde::Deserialize<'de> for #ident {
            fn deserialize<D: ::dora::codegen::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                #read
            }
        }
    }
}

/// A message has its own way to read; an enum takes what PHP takes.
fn reading() -> TokenStream {
    quote!(<::dora::codegen::Reading as ::core::default::Default>::default())
}
