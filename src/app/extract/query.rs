//! The query of the target.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{FromRequestParts, OptionalFromRequestParts, urlencoded};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

/// The query, `?page=2&size=10`, as a `T`: mostly a struct with a member for each parameter.
///
/// A query that is none makes a 400 that names the parameter. No query at all is an empty one; `Option<Query<T>>` is `None` then.
/// A member that is a list takes all values of its name, in their order; give it `#[serde(default)]` if there may be none.
///
/// ```
/// use rws::{App, Query, TestClient, get};
///
/// #[derive(serde::Deserialize)]
/// struct Search {
///     page: Option<u32>,
///     #[serde(default)]
///     tag: Vec<String>,
/// }
///
/// let search = |Query(search): Query<Search>| format!("{:?} {:?}", search.page, search.tag);
/// let client = TestClient::new(App::new().route("/", get(search)))?;
/// assert_eq!(client.get("/?tag=cup&page=2&tag=blue").send().text(), r#"Some(2) ["cup", "blue"]"#);
/// assert_eq!(client.get("/").send().text(), "None []");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts for Query<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        let query = request.head().query().unwrap_or_default();
        urlencoded::decode(query.as_bytes(), "the query", StatusCode::BAD_REQUEST).map(Query)
    }
}

impl<T: DeserializeOwned> OptionalFromRequestParts for Query<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Option<Self>, Problem> {
        match request.head().query() {
            None => Ok(None),
            Some(_) => FromRequestParts::from_request_parts(request, context).map(Some),
        }
    }
}
