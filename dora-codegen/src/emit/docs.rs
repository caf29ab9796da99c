//! Doc comments.

use proc_macro2::TokenStream;
use prost_build::Comments;
use quote::quote;

use super::Method;
use crate::options::Mode;

/// The lines of a comment: a number that stands for it, if it has one.
pub(super) fn of(comments: &Comments) -> Vec<String> {
    comments.leading.clone()
}

/// `text` as code, whatever it holds.
pub(super) fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    match longest {
        0 => format!("`{text}`"),
        _ => {
            let marks = "`".repeat(longest + 1);
            format!("{marks} {text} {marks}")
        }
    }
}

/// Doc attributes of `own`, or of `otherwise` if there are none.
pub(super) fn lines(own: &[String], otherwise: &str) -> TokenStream {
    if own.is_empty() {
        let line = format!(" {otherwise}");
        quote!(#[doc = #line])
    } else {
        quote!(#(#[doc = #own])*)
    }
}

/// What the options say of an rpc, for a caller: nothing for a plain rpc.
pub(super) fn options(method: &Method<'_>) -> TokenStream {
    let method = method.model;
    let mut facts = vec![];
    if !method.aliases.is_empty() {
        let names: Vec<_> = method.aliases.iter().map(|name| code(name)).collect();
        facts.push(format!(" Known to PHP as {}.", names.join(", ")));
    }
    if let Some(timeout) = method.timeout_ms {
        facts.push(format!(" Time limit: {timeout} ms."));
    }
    if method.idempotent {
        facts.push(" Idempotent: may be retried.".to_owned());
    }
    match method.mode {
        Mode::Wait => {}
        Mode::NoResult => facts.push(" Does not wait for the result.".to_owned()),
        Mode::Deferred => facts.push(" Does not wait; the result is collected later.".to_owned()),
    }
    if let Some(priority) = method.priority {
        facts.push(format!(" Priority: {}, at most.", priority.word()));
    }
    if facts.is_empty() {
        return TokenStream::new();
    }
    quote!(#[doc = ""] #(#[doc = #facts])*)
}
