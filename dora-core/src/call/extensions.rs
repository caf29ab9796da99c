//! Values that layers hand to one another along a call.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

type Values = HashMap<TypeId, Box<dyn Any + Send + Sync>, foldhash::fast::FixedState>;

/// Values of this process by type: what a layer learned about a call (who the
/// caller is, say). They never cross the wire. Costs nothing while empty.
#[derive(Default)]
pub struct Extensions(Option<Box<Values>>);

impl Extensions {
    /// Puts a value, and gives back the one of its type that was there.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) -> Option<T> {
        let values = self.0.get_or_insert_default();
        let old = values.insert(TypeId::of::<T>(), Box::new(value))?;
        old.downcast().ok().map(|old| *old)
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_ref()?.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// Takes the value of type `T` out.
    pub fn remove<T: Any + Send + Sync>(&mut self) -> Option<T> {
        let value = self.0.as_mut()?.remove(&TypeId::of::<T>())?;
        value.downcast().ok().map(|value| *value)
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
        assert_eq!(extensions.remove::<&str>(), Some("name"));
        assert_eq!(extensions.remove::<&str>(), None);
    }
}
