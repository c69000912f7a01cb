//! JSON bodies.

use http::StatusCode;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::{FromRequest, OptionalFromRequest, ViaRequest, media_type, unsupported, whole_body};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::service::BodyUse;

/// A body of JSON, read as a `T` by a handler's last argument and written from a `T` as a response.
///
/// A request must have the type `application/json` or one that ends in `+json`, or is 415. What is no JSON is 400, JSON that
/// does not fit `T` is 422 with a pointer to the place. A `T` that cannot be written makes a 500.
///
/// `Option<Json<T>>` is `None` for a request with neither a type nor a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ViaRequest> for Json<T> {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(request: Request, _: &Context) -> Result<Self, Problem> {
        if !is_json(&media_type(&request)) {
            return Err(unsupported("application/json"));
        }
        parse(&whole_body(request.into_body())?).map(Json)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest for Json<T> {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(mut request: Request, context: &Context) -> Result<Option<Self>, Problem> {
        let body = whole_body(request.take_body())?;
        if body.is_empty() && request.head().field("content-type").is_none() {
            return Ok(None);
        }
        *request.body_mut() = body.into();
        <Self as FromRequest>::from_request(request, context).map(Some)
    }
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.contains('/') && media_type.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST).with_detail("the request body is empty and should be JSON"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        refused(error.inner(), pointer)
    })?;
    json.end().map_err(|error| refused(&error, "#".to_owned()))?;
    Ok(value)
}

fn refused(error: &serde_json::Error, pointer: String) -> Problem {
    match error.classify() {
        Category::Data => Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .with_detail("the request body is JSON, but not what is expected here")
            .with_pointer(pointer, error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(StatusCode::BAD_REQUEST).with_detail(format!("the request body is not JSON: {error}"))
        }
    }
}

/// What may not stand in a URI fragment as it is (RFC 3986 section 3.5).
const NOT_IN_FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A JSON pointer as a URI fragment (RFC 6901 section 6).
fn pointer(path: &Path) -> String {
    let mut pointer = String::from("#");
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            // A variant with anything inside is a member of an object.
            Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push(pointer: &mut String, key: &str) {
    let key = key.replace('~', "~0").replace('/', "~1");
    pointer.push('/');
    pointer.extend(utf8_percent_encode(&key, NOT_IN_FRAGMENT));
}
