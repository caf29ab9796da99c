//! Messages as PHP arrays and JSON values: an `impl Fields` per message and an
//! `impl Enumeration` per enum.
//!
//! prost names messages, fields and enums; we read the names off its output,
//! by the numbers of the fields, so that they cannot differ.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Literal, TokenStream};
use prost_build::Module;
use prost_reflect::{DescriptorPool, EnumDescriptor, MessageDescriptor};
use quote::quote;
use syn::{Item, ItemEnum};

use super::fields::Message;
use super::serde;
use crate::error::{Error, Problem};
use crate::naming;

/// Adds impls to what prost made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping<'a> {
    pub(crate) pool: &'a DescriptorPool,
    /// Whether to add serde's traits.
    pub(crate) serde: bool,
    /// Whether null alone is nothing.
    pub(crate) strict: bool,
}

impl Mapping<'_> {
    /// Adds the impls to `file`, which prost made of the package `module`.
    pub(crate) fn add(self, file: &mut syn::File, module: &Module) -> Result<(), Error> {
        let is_ours = |package: &str| Module::from_protobuf_package_name(package) == *module;
        let messages = self.pool.all_messages().filter(|message| !message.is_map_entry());
        let messages = messages.filter(|message| is_ours(message.package_name()));
        let enums = self.pool.all_enums().filter(|enumeration| is_ours(enumeration.package_name()));
        let types = Types {
            messages: messages.map(|it| (rust_path(it.parent_message(), it.name()), it)).collect(),
            enums: enums.map(|it| (rust_path(it.parent_message(), it.name()), it)).collect(),
            serde: self.serde,
            strict: self.strict,
        };
        types
            .add(&mut file.items, "")
            .map_err(|error| Problem::new(format!("cannot read what prost generated: {error}")).into())
    }
}

/// The types of a package by their Rust path: `order::Item`.
struct Types {
    messages: HashMap<String, MessageDescriptor>,
    enums: HashMap<String, EnumDescriptor>,
    serde: bool,
    strict: bool,
}

impl Types {
    /// Adds impls to the items of the module `path`, which ends in `::`.
    fn add(&self, items: &mut Vec<Item>, path: &str) -> syn::Result<()> {
        let mut done: Vec<Item> = Vec::with_capacity(items.len() * 2);
        // An enum's impl goes behind the one that prost made.
        let mut waiting = None;
        for index in 0..items.len() {
            let impls = match &items[index] {
                Item::Struct(item) => match self.messages.get(&format!("{path}{}", item.ident)) {
                    Some(message) => {
                        let mut impls = Message::new(item, items, message)?.tokens(self.strict);
                        impls.extend(self.serde.then(|| serde::message(&item.ident)));
                        Some(impls)
                    }
                    None => None,
                },
                Item::Enum(item) => {
                    waiting = self.enums.get(&format!("{path}{}", item.ident)).map(|descriptor| {
                        let mut impls = enumeration_impl(item, descriptor);
                        impls.extend(self.serde.then(|| serde::enumeration(&item.ident)));
                        impls
                    });
                    None
                }
                Item::Impl(_) => waiting.take(),
                _ => None,
            };
            done.push(items[index].clone());
            if let Some(impls) = impls {
                done.extend(syn::parse2::<syn::File>(impls)?.items);
            }
        }
        for item in &mut done {
            if let Item::Mod(module) = item
                && let Some((_, items)) = &mut module.content
            {
                self.add(items, &format!("{path}{}::", module.ident))?;
            }
        }
        *items = done;
        Ok(())
    }
}

/// Where prost puts what is called `name` and lies in `parent`.
fn rust_path(parent: Option<MessageDescriptor>, name: &str) -> String {
    let mut path = naming::type_name(name).to_string();
    let mut parent = parent;
    while let Some(message) = parent {
        path = format!("{}::{path}", naming::message_module(message.name()));
        parent = message.parent_message();
    }
    path
}

/// The numbers of an enum by their names.
fn enumeration_impl(item: &ItemEnum, descriptor: &EnumDescriptor) -> TokenStream {
    let ident = &item.ident;
    let full_name = descriptor.full_name();
    let known = quote!(Self::from_str_name(name).map(i32::from));
    // prost knows each number by one name only.
    let mut numbers = HashSet::new();
    let values = &descriptor.enum_descriptor_proto().value;
    let aliases: Vec<_> = values
        .iter()
        .filter(|value| !numbers.insert(value.number()))
        .map(|value| {
            let name = value.name();
            let number = Literal::i32_unsuffixed(value.number());
            quote!(#name => ::core::option::Option::Some(#number))
        })
        .collect();
    let number = if aliases.is_empty() { known } else { quote!(match name { #(#aliases,)* name => #known }) };
    quote! {
        impl ::dora::codegen::Enumeration for #ident {
            const NAME: &'static str = #full_name;

            fn number(name: &str) -> ::core::option::Option<i32> {
                #number
            }
        }
    }
}
