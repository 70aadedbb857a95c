//! Powers beyond the trait, found by the trait that describes them.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Holds a provider's extensions by the type of their trait.
///
/// ```
/// use openlattice::{Extensions, Files, Metrics};
///
/// let extensions = Extensions::default();
/// assert!(extensions.get::<dyn Files>().is_none());
/// assert!(extensions.get::<dyn Metrics>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct Extensions(BTreeMap<TypeId, Entry>);

#[derive(Clone)]
struct Entry {
    name: &'static str,
    handle: Arc<dyn Any + Send + Sync>,
}

impl Extensions {
    /// Adds an extension, replacing one of the same trait.
    #[must_use]
    pub fn with<T: ?Sized + Send + Sync + 'static>(mut self, handle: Arc<T>) -> Self {
        let entry = Entry { name: type_name::<T>(), handle: Arc::new(handle) };
        self.0.insert(TypeId::of::<T>(), entry);
        self
    }

    /// Returns the extension of a trait (`get::<dyn Files>()`), or `None` where the provider has none.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.handle.downcast_ref::<Arc<T>>().cloned()
    }

    /// Says whether the provider has the extension.
    pub fn has<T: ?Sized + 'static>(&self) -> bool {
        self.0.contains_key(&TypeId::of::<T>())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values().map(|entry| entry.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Greets: Send + Sync {
        fn greet(&self) -> &'static str;
    }

    struct Polite;

    impl Greets for Polite {
        fn greet(&self) -> &'static str {
            "good day"
        }
    }

    #[test]
    fn m29_what_is_there_is_found_and_what_is_not_is_none() {
        let extensions = Extensions::default().with::<dyn Greets>(Arc::new(Polite));
        assert_eq!(extensions.get::<dyn Greets>().unwrap().greet(), "good day");
        assert!(extensions.get::<dyn crate::Metrics>().is_none());
        assert!(format!("{extensions:?}").contains("Greets"));
    }
}
