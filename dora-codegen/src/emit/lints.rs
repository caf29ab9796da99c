//! Lints of clippy that names and sizes of a `.proto` meet, and whose mend would
//! change what its peers see.

use heck::ToSnakeCase;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Ident, ItemEnum, ItemMod};

/// Allows what `file`, the module `name`, cannot do otherwise.
pub(crate) fn allow(file: &mut syn::File, name: Option<&str>) {
    Writer { parent: name.map(str::to_owned) }.visit_file_mut(file);
}

struct Writer {
    /// The module around.
    parent: Option<String>,
}

impl VisitMut for Writer {
    fn visit_item_mod_mut(&mut self, item: &mut ItemMod) {
        let name = item.ident.to_string();
        if self.parent.as_ref() == Some(&name) {
            insert(&mut item.attrs, syn::parse_quote!(#[allow(clippy::module_inception)]));
        }
        let parent = self.parent.replace(name);
        visit_mut::visit_item_mod_mut(self, item);
        self.parent = parent;
    }

    fn visit_item_enum_mut(&mut self, item: &mut ItemEnum) {
        let variants: Vec<&Ident> = item.variants.iter().map(|variant| &variant.ident).collect();
        if are_alike(&item.ident, &variants) {
            insert(&mut item.attrs, syn::parse_quote!(#[allow(clippy::enum_variant_names)]));
        }
        if item.variants.len() > 1 && item.variants.iter().any(|variant| !variant.fields.is_empty()) {
            insert(&mut item.attrs, syn::parse_quote!(#[allow(clippy::large_enum_variant)]));
        }
    }
}

/// Whether the names of the variants have something in common.
fn are_alike(name: &Ident, variants: &[&Ident]) -> bool {
    let words = |ident: &Ident| ident.to_string().to_snake_case();
    let first = |ident: &Ident| words(ident).split('_').next().map(str::to_owned);
    let last = |ident: &Ident| words(ident).rsplit('_').next().map(str::to_owned);
    let is_same = |word: &dyn Fn(&Ident) -> Option<String>| {
        variants.windows(2).all(|pair| matches!(pair, [a, b] if word(a) == word(b)))
    };
    let name = words(name);
    let has_name = |variant: &&Ident| words(variant).starts_with(&name) || words(variant).ends_with(&name);
    variants.len() > 2 && (is_same(&first) || is_same(&last) || variants.iter().any(has_name))
}

/// Behind the docs.
fn insert(attrs: &mut Vec<Attribute>, attr: Attribute) {
    let docs = attrs.iter().take_while(|attr| attr.path().is_ident("doc")).count();
    attrs.insert(docs, attr);
}
