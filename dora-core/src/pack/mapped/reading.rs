//! What counts as nothing.

/// What a message takes for "not there" beside null and a missing key.
///
/// PHP has several words for it: `false` is what `fetch()`, `get()` and `find()`
/// of most libraries return, `""` what a form or a database column has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// `false` and `""`, where they could mean nothing else: a message or an
    /// `optional` is not set, a number is 0, a list is empty. The default.
    #[default]
    Lenient,
    /// Nothing: they are errors where they are no value of the type.
    Strict,
}
