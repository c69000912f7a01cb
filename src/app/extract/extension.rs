//! Values that middleware attached to the request.

use super::{FromRequestParts, OptionalFromRequestParts, short_name};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

/// A clone of a value that middleware put into [`Request::extensions_mut`].
///
/// A missing one is a mistake in the program and makes a 500; take `Option<Extension<T>>` for what may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRequestParts for Extension<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
        <Option<Self> as FromRequestParts>::from_request_parts(request, context)?.ok_or_else(|| {
            Problem::internal(format_args!("no middleware of {} attaches an {}", context.route(), short_name::<Self>()))
        })
    }
}

impl<T: Clone + Send + Sync + 'static> OptionalFromRequestParts for Extension<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Problem> {
        Ok(request.extensions().get::<T>().cloned().map(Extension))
    }
}
