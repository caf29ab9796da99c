//! PHP objects, as data.

use std::fmt;

use super::key::KeyRef;
use super::{Array, PhpString, Value};

mod fields;

pub(in crate::pack) use fields::plain;
pub use fields::{Field, Fields, Visibility};

/// A PHP object: what `serialize` wrote of it. No class is ever looked up.
///
/// It is written as it was read, byte for byte, unless it held references: those
/// become copies.
///
/// ```
/// use dora::Limits;
/// # use dora_core::pack::php::{decode, encode};
/// use dora::Value;
///
/// let bytes = b"O:8:\"App\\User\":2:{s:2:\"id\";i:7;s:7:\"\0*\0name\";s:3:\"Ada\";}";
/// let user = decode(bytes, &Limits::default())?;
/// assert_eq!(user.get("id"), Some(&Value::from(7)));
/// assert_eq!(user.get("name"), Some(&Value::from("Ada")), "protected, by its plain name");
/// assert_eq!(user.as_object().map(|user| user.class().to_string_lossy()), Some("App\\User".into()));
///
/// let mut again = Vec::new();
/// encode(&user, &mut again);
/// assert_eq!(again, bytes);
/// # Ok::<(), dora_core::pack::php::PhpError>(())
/// ```
#[derive(Clone)]
pub struct Object(Box<Inner>);

#[derive(Clone)]
struct Inner {
    class: PhpString,
    state: State,
}

/// The three forms in which `serialize` writes objects.
#[derive(Clone)]
enum State {
    /// `O:`
    Properties(Array, IntNames),
    /// `E:`
    Case(PhpString),
    /// `C:`
    Payload(PhpString),
}

/// How a property whose name is an integer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pack) enum IntNames {
    /// As a string: what has properties.
    Strings,
    /// As an integer: what a class with `__serialize` returns.
    Ints,
}

impl Object {
    /// An object of `class` with `properties`, whose names are as PHP mangles
    /// them: as they are when public, `"\0*\0name"` when protected,
    /// `"\0Class\0name"` when private.
    #[must_use]
    pub fn new(class: impl Into<PhpString>, properties: Array) -> Self {
        Self::with(class.into(), properties, IntNames::Strings)
    }

    /// A `stdClass` with these properties: what PHP has for a map.
    #[must_use]
    pub fn std_class(properties: Array) -> Self {
        Self::new("stdClass", properties)
    }

    /// The case called `case` of the enum `class`.
    #[must_use]
    pub fn enum_case(class: impl Into<PhpString>, case: impl Into<PhpString>) -> Self {
        Self(Box::new(Inner { class: class.into(), state: State::Case(case.into()) }))
    }

    /// An object of a class that serializes itself to bytes of its own (`C:`).
    #[must_use]
    pub fn custom(class: impl Into<PhpString>, payload: impl Into<PhpString>) -> Self {
        Self(Box::new(Inner { class: class.into(), state: State::Payload(payload.into()) }))
    }

    pub(in crate::pack) fn with(class: PhpString, properties: Array, names: IntNames) -> Self {
        Self(Box::new(Inner { class, state: State::Properties(properties, names) }))
    }

    /// The name of its class, with its namespace: `App\User`.
    #[must_use]
    pub fn class(&self) -> &PhpString {
        &self.0.class
    }

    /// Whether it is a `stdClass`: what PHP has for a map.
    #[must_use]
    pub fn is_std_class(&self) -> bool {
        *self.0.class == *b"stdClass"
    }

    /// The name of the case, if this is one of an enum. The value of a backed
    /// enum is not in the bytes.
    #[must_use]
    pub fn case(&self) -> Option<&PhpString> {
        match &self.0.state {
            State::Case(case) => Some(case),
            _ => None,
        }
    }

    /// The bytes that its class alone can read (`C:`), if it is of that kind.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        match &self.0.state {
            State::Payload(payload) => Some(payload),
            _ => None,
        }
    }

    /// The properties under their names as PHP mangles them, if it has any to
    /// show: neither the case of an enum nor an opaque object does.
    #[must_use]
    pub fn properties(&self) -> Option<&Array> {
        match &self.0.state {
            State::Properties(properties, _) => Some(properties),
            _ => None,
        }
    }

    /// As [`properties`](Self::properties), to be changed.
    pub fn properties_mut(&mut self) -> Option<&mut Array> {
        match &mut self.0.state {
            State::Properties(properties, _) => Some(properties),
            _ => None,
        }
    }

    /// The properties by their plain names, those that are not public included.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::of(self.properties())
    }

    /// The property of this plain name.
    ///
    /// Of several (a private one of a parent class, and one of its own) the last
    /// counts: PHP writes those of parents first.
    #[must_use]
    pub fn get<'k>(&self, name: impl Into<KeyRef<'k>>) -> Option<&Value> {
        let name = name.into();
        let properties = self.properties()?;
        let hidden = || fields::last_hidden(properties, &name).map(|(_, value)| value);
        properties.get(name.clone()).or_else(hidden)
    }

    /// As [`get`](Self::get), to be changed.
    pub fn get_mut<'k>(&mut self, name: impl Into<KeyRef<'k>>) -> Option<&mut Value> {
        let name = name.into();
        let properties = self.properties()?;
        let position = match properties.contains_key(name.clone()) {
            true => return self.properties_mut()?.get_mut(name),
            false => fields::last_hidden(properties, &name).map(|(position, _)| position),
        };
        self.properties_mut()?.value_at_mut(position?)
    }

    /// How its properties are named on the wire.
    pub(in crate::pack) fn int_names(&self) -> IntNames {
        match self.0.state {
            State::Properties(_, names) => names,
            _ => IntNames::Strings,
        }
    }

    /// The same without its properties: a place for copies of them.
    pub(super) fn shell(&self) -> Self {
        match &self.0.state {
            State::Properties(_, names) => Self::with(self.0.class.clone(), Array::new(), *names),
            _ => self.clone(),
        }
    }

    /// Whether both are the same but for the values of their properties.
    pub(super) fn same_shell(&self, other: &Self) -> bool {
        self.0.class == other.0.class
            && match (&self.0.state, &other.0.state) {
                (State::Properties(_, ours), State::Properties(_, theirs)) => ours == theirs,
                (State::Case(ours), State::Case(theirs)) => ours == theirs,
                (State::Payload(ours), State::Payload(theirs)) => ours == theirs,
                _ => false,
            }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class().escape_ascii();
        match &self.0.state {
            State::Properties(properties, _) => write!(f, "{class} {properties:?}"),
            State::Case(case) => write!(f, "{class}::{}", case.escape_ascii()),
            State::Payload(payload) => write!(f, "{class} {payload:?}"),
        }
    }
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
