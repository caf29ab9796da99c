//! The path of the runtime, where it is not `::dora`.

use syn::visit_mut::{self, VisitMut};
use syn::{ExprPath, Ident, ItemUse, Path, PathSegment, QSelf, TypePath, UseTree};

use crate::error::Problem;

/// What all generated code says.
const DEFAULT: &str = "::dora";

/// Where generated code finds the runtime.
#[derive(Clone)]
pub(crate) struct Runtime(Path);

impl Runtime {
    /// Reads `::mydora`, `mydora`, or `crate::rpc::dora`.
    pub(crate) fn new(path: &str) -> Result<Self, Problem> {
        let wrong = |_| {
            Problem::new(format!("the runtime {path:?} is no path"))
                .help("give one such as \"::mydora\" or \"crate::rpc::dora\"")
        };
        let mut path: Path = syn::parse_str(path).map_err(wrong)?;
        let is_crate = path.segments.first().is_some_and(|first| first.ident == "crate");
        if !is_crate {
            path.leading_colon = Some(Default::default());
        }
        Ok(Self(path))
    }

    /// The module that has all names.
    pub(crate) fn codegen(&self) -> String {
        let segments: Vec<String> = self.0.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let start = if self.0.leading_colon.is_some() { "::" } else { "" };
        format!("{start}{}::codegen", segments.join("::"))
    }

    /// Puts the path in the place of `::dora` everywhere in `file`.
    pub(crate) fn put(&self, file: &mut syn::File) {
        if self.codegen() != format!("{DEFAULT}::codegen") {
            Writer(&self.0).visit_file_mut(file);
        }
    }
}

struct Writer<'a>(&'a Path);

impl Writer<'_> {
    /// Puts the path in the place of `::dora`; how many segments that adds.
    fn put(&self, path: &mut Path) -> usize {
        let mut start = path.segments.iter().map(|segment: &PathSegment| &segment.ident);
        if path.leading_colon.is_none() || !is_codegen(start.next(), start.next()) {
            return 0;
        }
        let rest = path.segments.iter().skip(1).cloned();
        path.segments = self.0.segments.iter().cloned().chain(rest).collect();
        path.leading_colon = self.0.leading_colon;
        self.0.segments.len() - 1
    }

    /// Likewise in `<T as ::dora::codegen::Trait>::item`.
    fn put_qualified(&self, trait_of: &mut Option<QSelf>, path: &mut Path) {
        let added = self.put(path);
        if let Some(trait_of) = trait_of.as_mut().filter(|it| it.position > 0) {
            trait_of.position += added;
        }
    }
}

impl VisitMut for Writer<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        self.put(path);
    }

    fn visit_expr_path_mut(&mut self, expr: &mut ExprPath) {
        self.put_qualified(&mut expr.qself, &mut expr.path);
        visit_mut::visit_expr_path_mut(self, expr);
    }

    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        self.put_qualified(&mut ty.qself, &mut ty.path);
        visit_mut::visit_type_path_mut(self, ty);
    }

    fn visit_item_use_mut(&mut self, item: &mut ItemUse) {
        if let (Some(_), UseTree::Path(first)) = (item.leading_colon, &item.tree)
            && let UseTree::Name(second) = &*first.tree
            && is_codegen(Some(&first.ident), Some(&second.ident))
        {
            let path = self.0;
            *item = syn::parse_quote!(use #path::codegen;);
        }
    }
}

fn is_codegen(first: Option<&Ident>, second: Option<&Ident>) -> bool {
    first.is_some_and(|first| first == "dora") && second.is_some_and(|second| second == "codegen")
}
