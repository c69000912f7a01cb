//! What the application was given with `App::state`.

use super::{FromRequestParts, short_name};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

/// A clone of the application's state of type `T`; put what is costly to clone into an `Arc`.
///
/// An application without that state cannot be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRequestParts for State<T> {
    type Rejection = Problem;

    fn from_request_parts(_: &mut Request, context: &Context) -> Result<Self, Problem> {
        context.state::<T>().cloned().map(State).ok_or_else(|| Problem::internal(missing::<T>()))
    }

    fn check(context: &Context) -> Result<(), String> {
        context.state::<T>().map(|_| ()).ok_or_else(missing::<T>)
    }
}

fn missing<T>() -> String {
    let name = short_name::<T>();
    format!("it takes State<{name}>, but the application has no such state; add `.state(…)` with a {name}")
}
