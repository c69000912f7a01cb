//! Errors that clients can read: problem details (RFC 9457).
//!
//! Every rejection of a built-in extractor is a [`Problem`], and handlers may return one. Knows nothing of routes.

use std::borrow::Cow;
use std::fmt;
use std::io;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::body::{Body, BodyError};
use super::into_response::IntoResponse;
#[cfg(feature = "multipart")]
use super::multipart::MultipartError;
use super::response::{Headers, Response};

/// An error response as `application/problem+json` (RFC 9457).
///
/// Each member with invalid input goes into the extension member `errors`, which is a list of objects with a `detail` and,
/// where the place is known, either `field` (the name of a parameter of path, query or form, or of a header field) or `pointer`
/// (a JSON pointer into the request body, as a URI fragment, RFC 6901 section 6).
///
/// ```
/// use http::StatusCode;
/// use rws::app::{IntoResponse, Problem};
///
/// fn buy(amount: u32) -> Result<&'static str, Problem> {
///     if amount > 10 {
///         return Err(Problem::new(StatusCode::CONFLICT).with_detail("only 10 are left").with_member("left", 10));
///     }
///     Ok("bought")
/// }
/// assert_eq!(buy(11).into_response().status(), 409);
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct Problem(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    status: StatusCode,
    kind: Cow<'static, str>,
    title: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
    instance: Option<String>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Headers,
}

/// One invalid member of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    place: Place,
    detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Unknown,
    Field(String),
    Pointer(String),
}

impl Problem {
    /// A problem of type `about:blank`: its title is the status' reason phrase.
    pub fn new(status: StatusCode) -> Self {
        Problem(Box::new(Details {
            status,
            kind: Cow::Borrowed("about:blank"),
            title: None,
            detail: None,
            instance: None,
            errors: Vec::new(),
            members: Map::new(),
            headers: Headers::default(),
        }))
    }

    /// A 500 whose cause goes to the diagnostic log and not to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same problem with a type: a URI that identifies it. Goes with [`Problem::with_title`].
    pub fn with_type(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = uri.into();
        self
    }

    /// The same problem with a title: what all problems of this type have in common.
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// The same problem with an explanation of this occurrence.
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same problem with a URI that identifies this occurrence.
    pub fn with_instance(mut self, uri: impl Into<String>) -> Self {
        self.0.instance = Some(uri.into());
        self
    }

    /// The same problem with one more entry in `errors`: a parameter of path, query or form, or a header field, by name.
    pub fn with_field(self, name: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_error(Place::Field(name.into()), detail.into())
    }

    /// The same problem with one more entry in `errors`: a member of a JSON body, by pointer (`#/items/0/name`).
    pub fn with_pointer(self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_error(Place::Pointer(pointer.into()), detail.into())
    }

    /// The same problem with one more entry in `errors` that has no place.
    pub(crate) fn with_unplaced(self, detail: impl Into<String>) -> Self {
        self.with_error(Place::Unknown, detail.into())
    }

    /// The same problem with an extension member. The names of RFC 9457 and `errors` are taken: those are ignored.
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// The same problem with a header field added to its response.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The explanation of this occurrence.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The invalid members of the request.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn with_error(mut self, place: Place, detail: String) -> Self {
        self.0.errors.push(FieldError { place, detail });
        self
    }
}

impl FieldError {
    /// The name of a parameter of path, query or form, or of a header field.
    pub fn field(&self) -> Option<&str> {
        match &self.place {
            Place::Field(name) => Some(name),
            _ => None,
        }
    }

    /// The place in a JSON body, `#/items/0/name`.
    pub fn pointer(&self) -> Option<&str> {
        match &self.place {
            Place::Pointer(pointer) => Some(pointer),
            _ => None,
        }
    }

    /// What is wrong with it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Strings, numbers and JSON values: serialising them into memory cannot fail.
        let body = serde_json::to_vec(&self).map_or_else(|_| Body::empty(), Body::from);
        let mut response = Response { status: self.0.status, headers: self.0.headers, body };
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// The names a problem's own members have (RFC 9457 section 3.1, and `errors`).
const MEMBERS: [&str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let details = &*self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &details.kind)?;
        if let Some(title) = details.title.as_deref().or(details.status.canonical_reason()) {
            map.serialize_entry("title", title)?;
        }
        map.serialize_entry("status", &details.status.as_u16())?;
        if let Some(detail) = &details.detail {
            map.serialize_entry("detail", detail)?;
        }
        if let Some(instance) = &details.instance {
            map.serialize_entry("instance", instance)?;
        }
        if !details.errors.is_empty() {
            map.serialize_entry("errors", &details.errors)?;
        }
        for (name, value) in details.members.iter().filter(|(name, _)| !MEMBERS.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for FieldError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.place {
            Place::Unknown => {}
            Place::Field(name) => map.serialize_entry("field", name)?,
            Place::Pointer(pointer) => map.serialize_entry("pointer", pointer)?,
        }
        map.serialize_entry("detail", &self.detail)?;
        map.end()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.status)?;
        self.0.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        Problem::new(status)
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLate => Problem::internal(error),
            _ => Problem::new(error.status()).with_detail(error.to_string()),
        }
    }
}

/// What the server answers before it reads a body, or in place of the rest of it.
impl From<BodyError> for Response {
    fn from(error: BodyError) -> Self {
        Problem::from(error).into_response()
    }
}

/// For `?` where a request's body, or a field of a form, is read: 413, 408 or 400 if the client is to blame ([`BodyError`],
/// `MultipartError`). Any other error is [`internal`](Problem::internal): the client learns nothing of it.
///
/// ```
/// use std::io;
/// use rws::app::{App, Body, Problem, TestClient, post};
///
/// fn keep(mut body: Body) -> Result<String, Problem> {
///     let length = io::copy(&mut body, &mut io::sink())?;
///     Ok(format!("{length} bytes"))
/// }
///
/// let client = TestClient::new(App::new().route("/", post(keep).body_limit(4)))?;
/// assert_eq!(client.post("/").body("four").send().text(), "4 bytes");
/// assert_eq!(client.post("/").body(Body::reader(&b"five!"[..], None)).send().status(), 413);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        if let Some(reason) = BodyError::of(&error) {
            return reason.into();
        }
        #[cfg(feature = "multipart")]
        let error = match error.downcast::<MultipartError>() {
            Ok(reason) => return reason.into(),
            Err(other) => other,
        };
        Problem::internal(error)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(problem: Problem) -> Value {
        let mut response = problem.into_response();
        assert_eq!(response.headers().get(&CONTENT_TYPE).unwrap(), "application/problem+json");
        let mut text = String::new();
        io::Read::read_to_string(response.body_mut(), &mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_plain_problem_has_type_title_and_status() {
        let json = rendered(StatusCode::NOT_FOUND.into());
        assert_eq!(json, json!({"type": "about:blank", "title": "Not Found", "status": 404}));
    }

    #[test]
    fn every_member_is_rendered_once() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .with_type("https://example.com/problems/order")
            .with_title("Bad order")
            .with_detail("two things are wrong")
            .with_instance("/orders/7")
            .with_field("page", "too large")
            .with_pointer("#/items/0", "is missing")
            .with_unplaced("in general")
            .with_member("left", 3)
            .with_member("status", "mine");
        let expected = json!({
            "type": "https://example.com/problems/order",
            "title": "Bad order",
            "status": 422,
            "detail": "two things are wrong",
            "instance": "/orders/7",
            "errors": [
                {"field": "page", "detail": "too large"},
                {"pointer": "#/items/0", "detail": "is missing"},
                {"detail": "in general"},
            ],
            "left": 3,
        });
        assert_eq!(rendered(problem), expected);
    }

    #[test]
    fn a_status_without_a_reason_phrase_has_no_title() {
        let json = rendered(Problem::new(StatusCode::from_u16(499).unwrap()));
        assert_eq!(json, json!({"type": "about:blank", "status": 499}));
    }

    #[test]
    fn errors_of_reading_are_the_clients_and_all_others_ours() {
        let too_large = || io::Error::from(BodyError::TooLarge);
        let cases = [
            (too_large(), 413),
            (io::Error::from(BodyError::Timeout), 408),
            (io::ErrorKind::NotFound.into(), 500),
            (io::Error::other("secret"), 500),
            #[cfg(feature = "multipart")]
            (MultipartError::from(too_large()).into(), 413),
            #[cfg(feature = "multipart")]
            (io::Error::from(MultipartError::Body(BodyError::TooLarge)), 413),
        ];
        for (error, status) in cases {
            let problem = Problem::from(error);
            assert_eq!(problem.status(), status, "{problem:?}");
            assert!(!problem.detail().unwrap_or_default().contains("secret"), "{problem:?}");
        }
    }

    #[test]
    fn header_fields_reach_the_response() {
        let name = HeaderName::from_static("retry-after");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_header(name.clone(), 3.into());
        assert_eq!(problem.into_response().headers().get(&name).unwrap(), "3");
    }
}
