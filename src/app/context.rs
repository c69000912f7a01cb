//! What extractors may know besides the request: the route that was taken and the application's states.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use super::request::Request;

/// The route a request took and the states of the application; handed to extractors, and to middleware by
/// [`Next::context`](super::middleware::Next::context).
///
/// Made once for each route when the application is built, so nothing in it costs a request anything.
#[derive(Clone, Debug)]
pub struct Context {
    route: Arc<str>,
    params: Arc<[Box<str>]>,
    states: Arc<States>,
}

impl Context {
    pub(super) fn new(route: Arc<str>, params: Arc<[Box<str>]>, states: Arc<States>) -> Self {
        Context { route, params, states }
    }

    /// The pattern of the route, `/users/{id}`; `_unmatched` where there is none.
    pub fn route(&self) -> &str {
        &self.route
    }

    pub(super) fn shared_route(&self) -> Arc<str> {
        Arc::clone(&self.route)
    }

    /// The names of the path parameters, in the order of the pattern.
    pub fn param_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.params.iter().map(|name| &**name)
    }

    /// The value of the path parameter called `name`, still percent-encoded.
    pub fn param<'r>(&self, request: &'r Request, name: &str) -> Option<&'r str> {
        let index = self.params.iter().position(|param| **param == *name)?;
        request.raw_params().nth(index)
    }

    pub(super) fn states(&self) -> Arc<States> {
        Arc::clone(&self.states)
    }

    /// The state of type `T`, if the application has one.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.states.get()
    }
}

/// The application's states, one of each type.
#[derive(Default)]
pub struct States {
    // A handful at most: comparing type ids one after the other is faster than hashing one.
    values: Vec<(TypeId, &'static str, Box<dyn Any + Send + Sync>)>,
}

impl States {
    /// Adds a value. A second one of the same type is refused: the answer is whether it was taken.
    pub(super) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        let free = self.get::<T>().is_none();
        if free {
            self.values.push((TypeId::of::<T>(), type_name::<T>(), Box::new(value)));
        }
        free
    }

    /// The value of type `T`.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        self.values.iter().find(|(id, ..)| *id == wanted).and_then(|(_, _, value)| value.downcast_ref())
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(_, name, _)| name)).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_state_of_each_type() {
        let mut states = States::default();
        assert!(states.insert(7u32) && states.insert("text"));
        assert!(!states.insert(8u32));
        assert_eq!((states.get::<u32>(), states.get::<&str>(), states.get::<u64>()), (Some(&7), Some(&"text"), None));
        assert_eq!(format!("{states:?}"), r#"["u32", "&str"]"#);
    }
}
