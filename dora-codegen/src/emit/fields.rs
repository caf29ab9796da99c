//! `impl Fields` for a message.

use proc_macro2::TokenStream;
use prost_reflect::MessageDescriptor;
use quote::quote;
use syn::{Attribute, Ident, Item, ItemEnum, ItemStruct, Path};

use super::prost_attr::ProstAttr;

/// A message, with the names that prost gave it and its fields.
pub(super) struct Message<'a> {
    ident: &'a Ident,
    full_name: &'a str,
    /// In the order of the `.proto`.
    fields: Vec<Field>,
}

/// A field of the struct.
struct Field {
    ident: Ident,
    deprecated: bool,
    kind: Kind,
}

enum Kind {
    Plain(Value),
    /// The variants of a oneof.
    Oneof(Vec<(Path, Value)>),
}

/// What is written under one name.
struct Value {
    /// As in the `.proto`.
    name: String,
    /// The enum it is of.
    enumeration: Option<Path>,
}

impl<'a> Message<'a> {
    /// `siblings` are the items beside `item`: oneofs lie in a module there.
    pub(super) fn new(
        item: &'a ItemStruct,
        siblings: &[Item],
        descriptor: &'a MessageDescriptor,
    ) -> syn::Result<Self> {
        let mut fields = vec![];
        for field in &item.fields {
            let (Some(attr), Some(ident)) = (ProstAttr::of(&field.attrs), &field.ident) else {
                continue;
            };
            let mut deprecated = is_deprecated(&field.attrs);
            let kind = match &attr.oneof {
                None => Kind::Plain(Value::new(&attr, descriptor, None)?),
                Some(oneof) => {
                    let oneof: Path = syn::parse_str(oneof)?;
                    let item = oneof_enum(&oneof, siblings)?;
                    deprecated = item.variants.iter().any(|v| is_deprecated(&v.attrs));
                    Kind::Oneof(variants(&oneof, item, descriptor)?)
                }
            };
            let field = Field { ident: ident.clone(), deprecated, kind };
            fields.push((place(&attr, descriptor), field));
        }
        fields.sort_by_key(|(place, _)| *place);
        Ok(Self {
            ident: &item.ident,
            full_name: descriptor.full_name(),
            fields: fields.into_iter().map(|(_, field)| field).collect(),
        })
    }

    /// `strict`: what PHP has for nothing beside null is an error.
    pub(super) fn tokens(&self, strict: bool) -> TokenStream {
        let (ident, full_name) = (self.ident, self.full_name);
        let allow = self.fields.iter().any(|field| field.deprecated);
        let allow = allow.then(|| quote!(#[allow(deprecated)]));
        let reading = strict.then(|| {
            quote!(
                const READING: ::dora::codegen::Reading = ::dora::codegen::Reading::Strict;
            )
        });
        let writes = self.fields.iter().map(Field::write);
        let reads = self.fields.iter().flat_map(Field::reads);
        let (fields, name, read) = if self.fields.is_empty() {
            (quote!(_), quote!(_), quote!(value.skip()))
        } else {
            let read = quote!(match name { #(#reads,)* _ => value.skip() });
            (quote!(fields), quote!(name), read)
        };
        quote! {
            #allow
            impl ::dora::codegen::Fields for #ident {
                const NAME: &'static str = #full_name;
                #reading

                fn write<W: ::dora::codegen::WriteFields>(
                    &self,
                    #fields: &mut W,
                ) -> ::core::result::Result<(), W::Error> {
                    #(#writes)*
                    Ok(())
                }

                fn read<V: ::dora::codegen::ReadField>(
                    &mut self,
                    #name: &str,
                    value: V,
                ) -> ::core::result::Result<(), V::Error> {
                    #read
                }
            }
        }
    }
}

impl Field {
    fn write(&self) -> TokenStream {
        let ident = &self.ident;
        match &self.kind {
            Kind::Plain(value) => {
                let write = value.write(&quote!(&self.#ident));
                quote!(#write?;)
            }
            Kind::Oneof(variants) => {
                let arms = variants.iter().map(|(variant, value)| {
                    let write = value.write(&quote!(value));
                    quote!(Some(#variant(value)) => #write?)
                });
                quote!(match &self.#ident { #(#arms,)* None => {} })
            }
        }
    }

    fn reads(&self) -> Vec<TokenStream> {
        let ident = &self.ident;
        match &self.kind {
            Kind::Plain(value) => {
                let name = &value.name;
                vec![match &value.enumeration {
                    None => quote!(#name => value.read(&mut self.#ident)),
                    Some(path) => {
                        quote!(#name => value.enumeration::<#path>(&mut self.#ident))
                    }
                }]
            }
            Kind::Oneof(variants) => variants
                .iter()
                .map(|(variant, value)| {
                    let name = &value.name;
                    match &value.enumeration {
                        None => quote!(#name => value.member(&mut self.#ident, #variant)),
                        Some(path) => quote! {
                            #name => value.enum_member::<#path, _>(&mut self.#ident, #variant)
                        },
                    }
                })
                .collect(),
        }
    }
}

impl Value {
    /// `within` is the module that the attribute stands in, if not the
    /// message's.
    fn new(attr: &ProstAttr, message: &MessageDescriptor, within: Option<&Path>) -> syn::Result<Self> {
        let number = attr.tags.first().copied().unwrap_or_default();
        let field = u32::try_from(number).ok().and_then(|n| message.get_field(n));
        let Some(field) = field else {
            return Err(error(&format!("{} has no field {number}", message.full_name())));
        };
        let path: Option<Path> = attr.enumeration.as_deref().map(syn::parse_str).transpose()?;
        Ok(Self {
            name: field.name().to_owned(),
            enumeration: path.map(|path| match within {
                // Not to be taken for the type parameter of `write` or `read`.
                None if path.is_ident("W") || path.is_ident("V") => syn::parse_quote!(self::#path),
                None => path,
                Some(module) => outside(path, module),
            }),
        })
    }

    fn write(&self, value: &TokenStream) -> TokenStream {
        let name = &self.name;
        match &self.enumeration {
            None => quote!(fields.field(#name, #value)),
            Some(path) => quote!(fields.enumeration::<#path>(#name, #value)),
        }
    }
}

/// The variants of a oneof, as the message's module names them.
fn variants(oneof: &Path, item: &ItemEnum, message: &MessageDescriptor) -> syn::Result<Vec<(Path, Value)>> {
    let mut module = oneof.clone();
    module.segments.pop();
    module.segments.pop_punct();
    let mut variants = vec![];
    for variant in &item.variants {
        let Some(attr) = ProstAttr::of(&variant.attrs) else {
            continue;
        };
        let ident = &variant.ident;
        let path = syn::parse_quote!(#oneof::#ident);
        variants.push((path, Value::new(&attr, message, Some(&module))?));
    }
    Ok(variants)
}

/// The enum that prost made of the oneof `path`.
fn oneof_enum<'a>(path: &Path, siblings: &'a [Item]) -> syn::Result<&'a ItemEnum> {
    let mut idents = path.segments.iter().map(|segment| &segment.ident);
    let (module, name) = (idents.next(), idents.next());
    siblings
        .iter()
        .filter_map(|item| match item {
            Item::Mod(item) if Some(&item.ident) == module => item.content.as_ref(),
            _ => None,
        })
        .flat_map(|(_, items)| items)
        .find_map(|item| match item {
            Item::Enum(item) if Some(&item.ident) == name => Some(item),
            _ => None,
        })
        .ok_or_else(|| error("a oneof without its enum"))
}

/// What `path` is called one module up from `module`, where it is used.
fn outside(path: Path, module: &Path) -> Path {
    let first = path.segments.first().map(|segment| segment.ident.to_string());
    match first.as_deref() {
        _ if path.leading_colon.is_some() => path,
        Some("crate") => path,
        Some("super") => Path { leading_colon: None, segments: path.segments.into_iter().skip(1).collect() },
        _ => syn::parse_quote!(#module::#path),
    }
}

/// Where a field stands in its message, a oneof at its first member.
fn place(attr: &ProstAttr, message: &MessageDescriptor) -> Option<usize> {
    let fields = &message.descriptor_proto().field;
    fields.iter().position(|field| attr.tags.contains(&field.number()))
}

fn is_deprecated(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("deprecated"))
}

fn error(message: &str) -> syn::Error {
    syn::Error::new(proc_macro2::Span::call_site(), message)
}
