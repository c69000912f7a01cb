//! The query of the target.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{FromRequestParts, OptionalFromRequestParts, urlencoded};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

/// The query, `?page=2&size=10`, as a `T`: mostly a struct with a member for each parameter.
///
/// A query that is none makes a 400 that names the parameter. No query at all is an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts for Query<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        let query = request.head().query().unwrap_or_default();
        urlencoded::decode(query.as_bytes(), "the query", StatusCode::BAD_REQUEST).map(Query)
    }
}

/// `None` if there is no query at all.
impl<T: DeserializeOwned> OptionalFromRequestParts for Query<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Option<Self>, Problem> {
        match request.head().query() {
            None => Ok(None),
            Some(_) => FromRequestParts::from_request_parts(request, context).map(Some),
        }
    }
}
