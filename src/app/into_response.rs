//! What handlers may return.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::io::Read;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde::Serialize;

use super::body::Body;
use super::extract::Json;
use super::problem::Problem;
use super::response::{Headers, Response};

/// Anything that can be made a response.
///
/// Text and bytes are 200 with a fitting `Content-Type`, `()` is an empty 200, `StatusCode` an empty response of that status.
/// A `HeaderMap` and an array of header fields are an empty 200 that has them. Tuples add to their last member:
/// `(StatusCode, T)`, `([(name, value); N], T)`, `(StatusCode, [(name, value); N], T)`; see [`ResponseParts`] for what else
/// can stand in the place of the array. A header field that is not valid makes a 500.
///
/// ```
/// use rws::http::{StatusCode, header::ETAG};
/// use rws::app::{Html, IntoResponse, Redirect};
///
/// fn page() -> impl IntoResponse {
///     (StatusCode::OK, [(ETAG, "\"v1\"")], Html("<p>Hello</p>"))
/// }
/// fn old_page() -> impl IntoResponse {
///     Redirect::permanent("/page")
/// }
/// assert_eq!(page().into_response().headers().get(&ETAG).unwrap(), "\"v1\"");
/// assert_eq!(old_page().into_response().status(), 308);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something a handler can return",
    label = "not a response",
    note = "text, bytes, `StatusCode`, `Json`, `Html`, `Redirect`, `Problem`, `Body` and `Response` are, and tuples that end in one, and `Result`s of them",
    note = "wrap a value that implements `Serialize` in `Json(…)`; implement `IntoResponse` for your own error types",
    note = "what an `async fn` returns is a future: handlers and middleware are plain functions that may block"
)]
pub trait IntoResponse {
    /// Makes it one.
    fn into_response(self) -> Response;
}

/// Header fields in a tuple before the response they are added to: an array of pairs, a `HeaderMap`, or an own type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand before a response in a tuple",
    label = "neither a `StatusCode` in the first place nor header fields",
    note = "write header fields as an array of pairs: `[(header::ETAG, \"abc\")]`, `[(\"x-name\", value)]`"
)]
pub trait ResponseParts {
    /// Adds them, in place of others of the same name. An error is the response instead.
    fn apply(self, headers: &mut Headers) -> Result<(), Problem>;
}

/// A page of HTML.
#[derive(Clone, Copy, Debug)]
pub struct Html<T>(pub T);

/// Sends the client elsewhere.
///
/// Characters that are not ASCII and spaces are percent-encoded; a location with control characters makes a 500.
#[derive(Clone, Debug)]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

impl Redirect {
    /// 303 See Other: the client fetches `location` with GET. For the answer to a form.
    pub fn to(location: impl Into<String>) -> Self {
        Redirect { status: StatusCode::SEE_OTHER, location: location.into() }
    }

    /// 307 Temporary Redirect: the client repeats the same request at `location`.
    pub fn temporary(location: impl Into<String>) -> Self {
        Redirect { status: StatusCode::TEMPORARY_REDIRECT, location: location.into() }
    }

    /// 308 Permanent Redirect: the client repeats the same request at `location`, and will ask there from now on.
    pub fn permanent(location: impl Into<String>) -> Self {
        Redirect { status: StatusCode::PERMANENT_REDIRECT, location: location.into() }
    }
}

impl Response {
    /// 200 with a body that is read from `reader` while it is sent, chunked.
    pub fn stream(reader: impl Read + Send + 'static) -> Self {
        Response::default().with_body(Body::reader(reader, None))
    }

    fn of(content_type: &'static str, body: impl Into<Body>) -> Self {
        Response::default().with_header(CONTENT_TYPE, HeaderValue::from_static(content_type)).with_body(body)
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

/// Types that are a body with a content type of their own.
macro_rules! as_body {
    ($($type:ty => $content_type:expr),* $(,)?) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Response {
                Response::of($content_type, self)
            }
        }
    )*};
}

as_body! {
    &'static str => TEXT,
    String => TEXT,
    &'static [u8] => OCTETS,
    Vec<u8> => OCTETS,
    Bytes => OCTETS,
}

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Response {
        match self {
            Cow::Borrowed(text) => text.into_response(),
            Cow::Owned(text) => text.into_response(),
        }
    }
}

impl IntoResponse for Box<str> {
    fn into_response(self) -> Response {
        String::from(self).into_response()
    }
}

/// What `b"bytes"` is.
impl<const N: usize> IntoResponse for &'static [u8; N] {
    fn into_response(self) -> Response {
        self.as_slice().into_response()
    }
}

impl<const N: usize> IntoResponse for [u8; N] {
    fn into_response(self) -> Response {
        Vec::from(self).into_response()
    }
}

/// An empty 200 that has them.
impl IntoResponse for HeaderMap {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// An empty 200 that has them.
impl<K, V, const N: usize> IntoResponse for [(K, V); N]
where
    Self: ResponseParts,
{
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::default()
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::default().with_body(self)
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        Response::of("text/html; charset=utf-8", self.0)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => Response::of("application/json", json),
            Err(error) => Problem::internal(format_args!("a response is no JSON: {error}")).into_response(),
        }
    }
}

/// What [`Redirect`] encodes besides everything outside of ASCII.
const UNSAFE_IN_LOCATION: &AsciiSet = &AsciiSet::EMPTY.add(b' ');

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let location = utf8_percent_encode(&self.location, UNSAFE_IN_LOCATION).to_string();
        ([(LOCATION, location)], self.status).into_response()
    }
}

impl<K, V, const N: usize> ResponseParts for [(K, V); N]
where
    K: TryInto<HeaderName>,
    K::Error: fmt::Display,
    V: TryInto<HeaderValue>,
    V::Error: fmt::Display,
{
    fn apply(self, headers: &mut Headers) -> Result<(), Problem> {
        for (name, value) in self {
            let name = name.try_into().map_err(Problem::internal)?;
            let value =
                value.try_into().map_err(|error| Problem::internal(format_args!("header field {name}: {error}")))?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

impl ResponseParts for HeaderMap {
    fn apply(self, headers: &mut Headers) -> Result<(), Problem> {
        for name in self.keys() {
            headers.remove(name);
        }
        headers.append_map(self);
        Ok(())
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        response.set_status(self.0);
        response
    }
}

impl<P: ResponseParts, T: IntoResponse> IntoResponse for (P, T) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        match self.0.apply(response.headers_mut()) {
            Ok(()) => response,
            Err(problem) => problem.into_response(),
        }
    }
}

impl<P: ResponseParts, T: IntoResponse> IntoResponse for (StatusCode, P, T) {
    fn into_response(self) -> Response {
        (self.1, (self.0, self.2)).into_response()
    }
}

impl<P: ResponseParts, Q: ResponseParts, T: IntoResponse> IntoResponse for (P, Q, T) {
    fn into_response(self) -> Response {
        (self.0, (self.1, self.2)).into_response()
    }
}

impl<P: ResponseParts, Q: ResponseParts, T: IntoResponse> IntoResponse for (StatusCode, P, Q, T) {
    fn into_response(self) -> Response {
        (self.1, (self.2, (self.0, self.3))).into_response()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
