//! What a client that connects again has seen (HTML Living Standard section 9.2.4).

use std::fmt::Display;
use std::str::FromStr;

use http::StatusCode;

use crate::app::context::Context;
use crate::app::extract::{FromRequestParts, OptionalFromRequestParts};
use crate::app::problem::Problem;
use crate::app::request::Request;

/// The field `Last-Event-ID`: the [id](super::Event::id) of the last event that a client has seen before it lost the connection.
/// Take it as an `Option`: the first time there is none.
///
/// One that is not a `T` makes a 400 that names the field; so does none at all, without the `Option`. A browser that gets a 400
/// gives up for good: where ids may have changed their form between two versions of the program, take a `String`.
///
/// ```
/// use rws::app::sse::LastEventId;
/// use rws::app::{App, TestClient, get};
///
/// fn from(last: Option<LastEventId<u64>>) -> String {
///     last.map_or(0, |LastEventId(id)| id + 1).to_string()
/// }
///
/// let client = TestClient::new(App::new().route("/", get(from)))?;
/// assert_eq!(client.get("/").send().text(), "0");
/// assert_eq!(client.get("/").header("Last-Event-ID", "41").send().text(), "42");
/// assert_eq!(client.get("/").header("Last-Event-ID", "x").send().status(), 400);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEventId<T = String>(pub T);

const FIELD: &str = "Last-Event-ID";

impl<T: FromStr<Err: Display>> OptionalFromRequestParts for LastEventId<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Problem> {
        let Some(value) = request.head().field("last-event-id").filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value).map_err(|_| refused("must be UTF-8".to_owned()))?;
        text.parse().map(|id| Some(LastEventId(id))).map_err(|error| refused(format!("is none of ours: {error}")))
    }
}

impl<T: FromStr<Err: Display>> FromRequestParts for LastEventId<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
        let found: Option<Self> = OptionalFromRequestParts::from_request_parts(request, context)?;
        found.ok_or_else(|| refused("is missing".to_owned()))
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST)
        .with_detail("the field Last-Event-ID is not as expected")
        .with_field(FIELD, detail)
}
