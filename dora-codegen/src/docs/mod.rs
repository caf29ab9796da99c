//! Doc comments: from the `.proto` to the generated Rust, past prost.
//!
//! prost knows where a comment goes, and puts it there as it stands. So it gets
//! numbers for comments, and the text takes their places afterwards.

mod markdown;

use proc_macro2::Span;
use prost_types::FileDescriptorProto;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, ExprLit, Fields, ItemEnum, ItemStruct, Lit, LitStr, Meta, Visibility};

use markdown::Markdown;

/// What a line that stands for a comment begins with.
const MARK: &str = " dora:doc:";

/// The comments of all files.
#[derive(Debug, Default)]
pub(crate) struct Comments(Vec<Markdown>);

impl Comments {
    /// Takes the comments out of `file`, and leaves numbers for them.
    pub(crate) fn take(&mut self, file: &mut FileDescriptorProto) {
        for location in file.source_code_info.iter_mut().flat_map(|info| &mut info.location) {
            location.leading_detached_comments.clear();
            let parts = [location.leading_comments.take(), location.trailing_comments.take()];
            let parts: Vec<Markdown> = parts
                .into_iter()
                .flatten()
                .map(|comment| Markdown::new(&comment))
                .filter(|comment| !comment.text.is_empty())
                .collect();
            if parts.is_empty() {
                continue;
            }
            location.leading_comments = Some(format!("{MARK}{}", self.0.len()));
            let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
            self.0.push(Markdown {
                text: texts.join("\n\n"),
                has_blocks: parts.iter().any(|part| part.has_blocks),
            });
        }
    }

    /// Puts the comments in the places of their numbers, and says of the rest
    /// that it needs none.
    pub(crate) fn put(&self, file: &mut syn::File) {
        Writer(&self.0).visit_file_mut(file);
    }
}

struct Writer<'a>(&'a [Markdown]);

impl Writer<'_> {
    fn comment(&self, attr: &Attribute) -> Option<&Markdown> {
        let index = doc(attr)?.strip_prefix(MARK)?.parse::<usize>().ok()?;
        self.0.get(index)
    }
}

impl VisitMut for Writer<'_> {
    fn visit_attributes_mut(&mut self, attrs: &mut Vec<Attribute>) {
        let mut done = Vec::with_capacity(attrs.len());
        let mut has_blocks = false;
        for attr in attrs.drain(..) {
            let Some(comment) = self.comment(&attr) else {
                done.push(attr);
                continue;
            };
            has_blocks |= comment.has_blocks;
            for line in comment.text.lines() {
                let line = if line.is_empty() { String::new() } else { format!(" {line}") };
                let line = LitStr::new(&line, Span::call_site());
                done.push(syn::parse_quote!(#[doc = #line]));
            }
        }
        if has_blocks {
            done.push(syn::parse_quote! {
                #[allow(clippy::doc_lazy_continuation, clippy::doc_overindented_list_items)]
            });
        }
        *attrs = done;
    }

    fn visit_item_struct_mut(&mut self, item: &mut ItemStruct) {
        visit_mut::visit_item_struct_mut(self, item);
        if !is_documented(&item.attrs) || !are_documented(&item.fields) {
            need_no_docs(&mut item.attrs);
        }
    }

    fn visit_item_enum_mut(&mut self, item: &mut ItemEnum) {
        visit_mut::visit_item_enum_mut(self, item);
        let variants = item.variants.iter().all(|variant| is_documented(&variant.attrs));
        if !is_documented(&item.attrs) || !variants {
            need_no_docs(&mut item.attrs);
        }
    }
}

/// Whether all fields that are public have docs.
fn are_documented(fields: &Fields) -> bool {
    let mut public = fields.iter().filter(|field| matches!(field.vis, Visibility::Public(_)));
    public.all(|field| is_documented(&field.attrs))
}

fn is_documented(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| doc(attr).is_some())
}

/// The author of the `.proto` need not meet the lints of who compiles it.
fn need_no_docs(attrs: &mut Vec<Attribute>) {
    let docs = attrs.iter().take_while(|attr| doc(attr).is_some()).count();
    attrs.insert(docs, syn::parse_quote!(#[allow(missing_docs)]));
}

/// The line of a doc attribute.
fn doc(attr: &Attribute) -> Option<String> {
    match &attr.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    }
}
