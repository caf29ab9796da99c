//! Values that layers hand to one another along a call.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

type Values = HashMap<TypeId, Box<dyn Extension>, foldhash::fast::FixedState>;

/// Values of this process by type: what a layer learned about a call (who the
/// caller is, say), or whoever accepted a connection about that. They never
/// cross the wire. Costs nothing while empty.
///
/// Values are cloned with the request that carries them: put what is large into
/// an `Arc`.
///
/// ```
/// use dora::Extensions;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Tenant(u64);
///
/// let mut extensions = Extensions::default();
/// extensions.insert(Tenant(7));
/// assert_eq!(extensions.get::<Tenant>(), Some(&Tenant(7)));
/// ```
#[derive(Clone, Default)]
pub struct Extensions(Option<Box<Values>>);

/// A value of any type that can be cloned.
trait Extension: Any + Send + Sync {
    fn boxed_clone(&self) -> Box<dyn Extension>;
}

impl<T: Any + Clone + Send + Sync> Extension for T {
    fn boxed_clone(&self) -> Box<dyn Extension> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Extension> {
    fn clone(&self) -> Self {
        // Of the value, not of the box around it.
        (**self).boxed_clone()
    }
}

fn unboxed<T: Any>(value: Box<dyn Extension>) -> Option<T> {
    let value: Box<dyn Any> = value;
    value.downcast().ok().map(|value| *value)
}

impl Extensions {
    /// Puts a value, and gives back the one of its type that was there.
    pub fn insert<T: Any + Clone + Send + Sync>(&mut self, value: T) -> Option<T> {
        let values = self.0.get_or_insert_default();
        unboxed(values.insert(TypeId::of::<T>(), Box::new(value))?)
    }

    /// Takes clones of those values of `other` whose types have none here.
    pub(crate) fn inherit(&mut self, other: &Self) {
        let Some(values) = &other.0 else { return };
        let own = self.0.get_or_insert_default();
        for (id, value) in values.iter() {
            own.entry(*id).or_insert_with(|| value.clone());
        }
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        let value: &dyn Any = &**self.0.as_ref()?.get(&TypeId::of::<T>())?;
        value.downcast_ref()
    }

    /// Takes the value of type `T` out.
    pub fn remove<T: Any + Send + Sync>(&mut self) -> Option<T> {
        unboxed(self.0.as_mut()?.remove(&TypeId::of::<T>())?)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extensions({})", self.0.as_ref().map_or(0, |values| values.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_each_type() {
        let mut extensions = Extensions::default();
        assert_eq!(extensions.get::<u8>(), None);
        assert_eq!(extensions.insert(1u8), None);
        assert_eq!(extensions.insert(2u8), Some(1));
        assert_eq!(extensions.insert("name"), None);
        assert_eq!(extensions.get::<u8>(), Some(&2));
        let copy = extensions.clone();
        assert_eq!(extensions.remove::<&str>(), Some("name"));
        assert_eq!(extensions.remove::<&str>(), None);
        assert_eq!(copy.get::<&str>(), Some(&"name"), "a clone has values of its own");
    }
}
