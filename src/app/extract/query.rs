//! The query of the target.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{FromRequestParts, OptionalFromRequestParts, urlencoded};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

/// The query, `?page=2&size=10`, as a `T`: mostly a struct with a member for each parameter.
///
/// A parameter that does not fit makes a 400 that names it. No query at all is an empty one. A parameter that comes several
/// times is for a member that is a list; for any other member of a struct it is an error, and a map has the last. Flattened
/// members (`#[serde(flatten)]`) are text, since serde does not tell then what they should be.
///
/// ```
/// use rws::{App, Query, TestClient, get};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Search {
///     page: Option<u32>,
///     #[serde(default)]
///     tag: Vec<String>,
/// }
///
/// let search = |Query(search): Query<Search>| format!("{:?} {:?}", search.page, search.tag);
/// let client = TestClient::new(App::new().route("/", get(search)))?;
/// assert_eq!(client.get("/?tag=new&page=2&tag=red").send().text(), r#"Some(2) ["new", "red"]"#);
/// assert_eq!(client.get("/").send().text(), "None []");
/// assert_eq!(client.get("/?page=1&page=2").send().status(), 400);
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
