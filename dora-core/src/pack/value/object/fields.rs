//! Properties by their plain names.

use std::borrow::Cow;

use crate::pack::value::Value;
use crate::pack::value::array::Array;
use crate::pack::value::iter::Iter;
use crate::pack::value::key::KeyRef;

/// Who may use a property in PHP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// The class and those derived from it.
    Protected,
    /// The class that declares it.
    Private,
}

/// A property of an [`Object`](super::Object).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Field<'a> {
    /// Its plain name. One such as `"5"` is the integer, as in arrays.
    pub name: KeyRef<'a>,
    /// Who may use it.
    pub visibility: Visibility,
    /// What it holds.
    pub value: &'a Value,
}

/// The properties of an [`Object`](super::Object), in order.
#[derive(Clone, Debug)]
pub struct Fields<'a>(Option<Iter<'a>>);

impl<'a> Fields<'a> {
    pub(super) fn of(properties: Option<&'a Array>) -> Self {
        Self(properties.map(Array::iter))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (name, value) = self.0.as_mut()?.next()?;
        let (name, visibility) = plain(name);
        Some(Field { name, visibility, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The last property that is not public and has this plain name, and its place.
pub(super) fn last_hidden<'a>(properties: &'a Array, name: &KeyRef<'_>) -> Option<(usize, &'a Value)> {
    let hidden = properties.iter().enumerate().filter(|(_, (mangled, _))| {
        matches!(plain(mangled.clone()), (plain, Visibility::Protected | Visibility::Private) if plain == *name)
    });
    hidden.last().map(|(position, (_, value))| (position, value))
}

/// The plain name that PHP made `mangled` of, and what the mangling says.
pub(in crate::pack) fn plain(mangled: KeyRef<'_>) -> (KeyRef<'_>, Visibility) {
    let KeyRef::Str(bytes) = &mangled else {
        return (mangled, Visibility::Public);
    };
    let Some((class, start)) = split(bytes) else {
        return (mangled, Visibility::Public);
    };
    let visibility = if class == b"*" { Visibility::Protected } else { Visibility::Private };
    let name = match mangled {
        KeyRef::Str(Cow::Borrowed(bytes)) => KeyRef::from_bytes(bytes.get(start..).unwrap_or_default()),
        KeyRef::Str(Cow::Owned(mut bytes)) => {
            bytes.drain(..start.min(bytes.len()));
            KeyRef::from_bytes(bytes)
        }
        KeyRef::Int(int) => KeyRef::Int(int),
    };
    (name, visibility)
}

/// The class in a mangled name, and where the plain name starts.
fn split(mangled: &[u8]) -> Option<(&[u8], usize)> {
    let rest = mangled.strip_prefix(b"\0")?;
    let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end > 0)?;
    Some((rest.get(..end)?, end.saturating_add(2)))
}
