//! How long caches may keep an answer of which the handler has not said it (RFC 9111).
//!
//! Knows methods, statuses and media types; how a Cache-Control field is written is in `semantics`.

use std::fmt;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};

use super::{Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::cache_control;
use crate::semantics::token::is_token;

/// Middleware that sets `Cache-Control` where the handler has not: by status, else by media type, else one for all
/// (RFC 9111 section 5.2, [MDN](https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Cache-Control)).
///
/// Without the field caches use their own judgement (section 4.2.2), and keep for instance a 404 that is over.
///
/// | an answer | gets |
/// |---|---|
/// | with `Cache-Control`, `Expires` or `Set-Cookie` | nothing: the handler has said it, or it is for one client |
/// | to another method than GET and HEAD | nothing: caches keep none of them |
/// | whose status was [named](Self::for_status) | that value |
/// | with a status of 400 and above | the value for [errors](Self::for_errors), if there is one |
/// | with 200, 203 or 206 | the value of its [media type](Self::for_media_type), else that of [`new`](Self::new) |
/// | with 304 | the same; if it has no `Content-Type`, and types have values of their own, nothing: the cache keeps what it has |
/// | with another status, such as a redirect | nothing |
///
/// `public` lets shared caches keep what was asked for with credentials (section 3.5): behind authentication, say `private`.
///
/// ```
/// use rws::StatusCode;
/// use rws::app::middleware::CacheControl;
/// use rws::app::{App, Html, Json, TestClient, get};
///
/// let cache = CacheControl::new("no-cache")?
///     .for_media_type("application/json", "private, max-age=5")?
///     .for_media_type("image/*", "public, max-age=86400")?
///     .for_status(StatusCode::NOT_FOUND, "max-age=10")?
///     .for_errors("no-store")?;
/// let app = App::new().route("/", get(|| Html("hello"))).route("/items", get(|| Json([1, 2]))).layer(cache);
/// let client = TestClient::new(app).unwrap();
/// assert_eq!(client.get("/").send().header("cache-control"), Some("no-cache"));
/// assert_eq!(client.get("/items").send().header("cache-control"), Some("private, max-age=5"));
/// assert_eq!(client.get("/nowhere").send().header("cache-control"), Some("max-age=10"));
/// # Ok::<(), rws::app::middleware::CacheControlError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheControl {
    others: HeaderValue,
    /// The most specific first.
    types: Vec<(MediaRange, HeaderValue)>,
    statuses: Vec<(StatusCode, HeaderValue)>,
    errors: Option<HeaderValue>,
}

/// Why there cannot be such a middleware.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheControlError {
    /// A text that is not made of directives, separated by commas.
    Directives(String),
    /// A text that is neither `type/subtype` nor `type/*`.
    MediaType(String),
}

/// One media type, or all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MediaRange {
    One(String),
    /// With the slash at the end.
    Kind(String),
}

impl CacheControl {
    /// With `value` for every answer that has no other one.
    ///
    /// # Errors
    ///
    /// When `value` is not made of directives, separated by commas: `no-cache`, `public, max-age=3600`.
    pub fn new(value: &str) -> Result<Self, CacheControlError> {
        Ok(CacheControl { others: directives(value)?, types: Vec::new(), statuses: Vec::new(), errors: None })
    }

    /// `value` for a media type, `text/css`, or for all of a kind, `image/*`. The type itself goes before its kind;
    /// parameters such as `charset` are not compared. A later value for the same takes the place of an earlier one.
    ///
    /// # Errors
    ///
    /// When `media_type` is neither, or `value` is not made of directives.
    pub fn for_media_type(mut self, media_type: &str, value: &str) -> Result<Self, CacheControlError> {
        let range = MediaRange::of(media_type).ok_or_else(|| CacheControlError::MediaType(media_type.to_owned()))?;
        let value = directives(value)?;
        self.types.retain(|(other, _)| *other != range);
        match range {
            MediaRange::One(_) => self.types.insert(0, (range, value)),
            MediaRange::Kind(_) => self.types.push((range, value)),
        }
        Ok(self)
    }

    /// `value` for a status, whatever the media type.
    ///
    /// # Errors
    ///
    /// When `value` is not made of directives.
    pub fn for_status(mut self, status: StatusCode, value: &str) -> Result<Self, CacheControlError> {
        let value = directives(value)?;
        self.statuses.retain(|(other, _)| *other != status);
        self.statuses.push((status, value));
        Ok(self)
    }

    /// `value` for the statuses from 400 on that have none of their own.
    ///
    /// # Errors
    ///
    /// When `value` is not made of directives.
    pub fn for_errors(mut self, value: &str) -> Result<Self, CacheControlError> {
        self.errors = Some(directives(value)?);
        Ok(self)
    }

    fn value(&self, response: &Response) -> Option<&HeaderValue> {
        let status = response.status();
        if response.headers().iter().any(|(name, _)| [CACHE_CONTROL, EXPIRES, SET_COOKIE].contains(name)) {
            return None;
        }
        if let Some((_, value)) = self.statuses.iter().find(|(named, _)| *named == status) {
            return Some(value);
        }
        match status.as_u16() {
            400.. => self.errors.as_ref(),
            200 | 203 | 206 => Some(self.by_type(response)),
            304 if self.types.is_empty() || response.headers().contains(&CONTENT_TYPE) => Some(self.by_type(response)),
            _ => None,
        }
    }

    fn by_type(&self, response: &Response) -> &HeaderValue {
        let field = response.headers().get(&CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let essence = field.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let known = self.types.iter().find(|(range, _)| range.has(essence));
        known.map_or(&self.others, |(_, value)| value)
    }
}

impl MediaRange {
    fn of(text: &str) -> Option<Self> {
        let (kind, subtype) = text.split_once('/')?;
        let lower = text.to_ascii_lowercase();
        match (is_token(kind.as_bytes()) && kind != "*", subtype) {
            (true, "*") => Some(MediaRange::Kind(lower.trim_end_matches('*').to_owned())),
            (true, subtype) if is_token(subtype.as_bytes()) && !subtype.contains('*') => Some(MediaRange::One(lower)),
            _ => None,
        }
    }

    fn has(&self, essence: &[u8]) -> bool {
        match self {
            MediaRange::One(name) => essence.eq_ignore_ascii_case(name.as_bytes()),
            MediaRange::Kind(kind) => {
                essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
            }
        }
    }
}

fn directives(text: &str) -> Result<HeaderValue, CacheControlError> {
    cache_control::parse(text).ok_or_else(|| CacheControlError::Directives(text.to_owned()))
}

impl Middleware for CacheControl {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        let is_kept = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = next.run(request);
        if let Some(value) = self.value(&response).filter(|_| is_kept).cloned() {
            response.headers_mut().append(CACHE_CONTROL, value);
        }
        response
    }
}

impl fmt::Display for CacheControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheControlError::Directives(text) => write!(
                f,
                "{text:?} must be directives of a Cache-Control field, separated by commas, such as \"public, max-age=60\""
            ),
            CacheControlError::MediaType(text) => {
                write!(f, "{text:?} must be a media type, such as text/css, or all of a kind, such as image/*")
            }
        }
    }
}

impl std::error::Error for CacheControlError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::app::{App, TestClient, any};

    fn policy() -> CacheControl {
        CacheControl::new("no-cache")
            .and_then(|cache| cache.for_media_type("image/*", "max-age=1"))
            .and_then(|cache| cache.for_media_type("image/png", "max-age=2"))
            .and_then(|cache| cache.for_media_type("Text/CSS", "max-age=3"))
            .and_then(|cache| cache.for_status(StatusCode::NOT_FOUND, "max-age=4"))
            .and_then(|cache| cache.for_status(StatusCode::PERMANENT_REDIRECT, "max-age=5"))
            .and_then(|cache| cache.for_errors("no-store"))
            .unwrap()
    }

    /// What the answer says to GET, if the handler answers with this.
    fn told(cache: CacheControl, status: u16, fields: &[(HeaderName, &'static str)]) -> Option<String> {
        answer(cache, Method::GET, status, fields)
    }

    fn answer(
        cache: CacheControl,
        method: Method,
        status: u16,
        fields: &[(HeaderName, &'static str)],
    ) -> Option<String> {
        let mut made = Response::new(StatusCode::from_u16(status).unwrap());
        for (name, value) in fields {
            made = made.with_header(name.clone(), HeaderValue::from_static(value));
        }
        let (status, headers) = (made.status(), made.headers().clone());
        let handler = move || Response::new(status).with_headers(headers.clone());
        let client = TestClient::new(App::new().route("/", any(handler)).layer(cache)).unwrap();
        let answer = client.request(method, "/").send();
        let values = answer.headers().iter().filter(|(name, _)| *name == CACHE_CONTROL);
        let values: Vec<&str> = values.map(|(_, value)| value.to_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join("|"))
    }

    #[test]
    fn status_goes_before_type_and_the_type_before_its_kind() {
        for (status, media_type, wanted) in [
            (200, "text/html; charset=utf-8", Some("no-cache")),
            (200, "image/png", Some("max-age=2")),
            (200, "IMAGE/PNG ; x=y", Some("max-age=2")),
            (200, "image/webp", Some("max-age=1")),
            (200, "imagery/webp", Some("no-cache")),
            (200, "text/css; charset=utf-8", Some("max-age=3")),
            (200, "", Some("no-cache")),
            (203, "image/webp", Some("max-age=1")),
            (206, "image/webp", Some("max-age=1")),
            (304, "image/webp", Some("max-age=1")),
            (404, "image/png", Some("max-age=4")),
            (410, "image/png", Some("no-store")),
            (500, "image/png", Some("no-store")),
            (308, "text/plain", Some("max-age=5")),
            (302, "text/plain", None),
            (201, "text/plain", None),
        ] {
            let wanted = wanted.map(str::to_owned);
            assert_eq!(told(policy(), status, &[(CONTENT_TYPE, media_type)]), wanted, "{status} {media_type}");
        }
    }

    /// RFC 9111 section 4.3.4: what a 304 says takes the place of what the cache has.
    #[test]
    fn a_304_of_unknown_type_takes_nothing_back() {
        assert_eq!(told(policy(), 304, &[]), None);
        assert_eq!(told(CacheControl::new("max-age=9").unwrap(), 304, &[]).as_deref(), Some("max-age=9"));
    }

    #[test]
    fn what_the_handler_has_said_stays_and_what_is_for_one_client_is_left_alone() {
        assert_eq!(told(policy(), 200, &[(CACHE_CONTROL, "private")]).as_deref(), Some("private"));
        assert_eq!(told(policy(), 404, &[(CACHE_CONTROL, "private")]).as_deref(), Some("private"));
        assert_eq!(told(policy(), 200, &[(EXPIRES, "0")]), None);
        assert_eq!(told(policy(), 200, &[(SET_COOKIE, "a=b")]), None);
    }

    #[test]
    fn only_answers_that_caches_keep_are_marked() {
        for (method, wanted) in [
            (Method::GET, Some("no-cache")),
            (Method::HEAD, Some("no-cache")),
            (Method::POST, None),
            (Method::OPTIONS, None),
            (Method::DELETE, None),
        ] {
            assert_eq!(answer(policy(), method.clone(), 200, &[]).as_deref(), wanted, "{method}");
        }
    }

    #[test]
    fn without_values_of_their_own_errors_stay_as_they_are() {
        assert_eq!(told(CacheControl::new("max-age=9").unwrap(), 404, &[]), None);
    }

    #[test]
    fn a_later_value_takes_the_place_of_an_earlier_one() {
        let cache = policy().for_media_type("IMAGE/png", "max-age=7").unwrap();
        let cache = cache.for_status(StatusCode::NOT_FOUND, "max-age=8").unwrap();
        assert_eq!(told(cache.clone(), 200, &[(CONTENT_TYPE, "image/png")]).as_deref(), Some("max-age=7"));
        assert_eq!(told(cache, 404, &[]).as_deref(), Some("max-age=8"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |text: &str| CacheControlError::Directives(text.to_owned());
        for text in ["", "max-age: 60", "no-cache; private", "a\r\nb"] {
            assert_eq!(CacheControl::new(text).unwrap_err(), wrong(text));
            assert_eq!(policy().for_errors(text).unwrap_err(), wrong(text));
            assert_eq!(policy().for_status(StatusCode::OK, text).unwrap_err(), wrong(text));
            assert_eq!(policy().for_media_type("a/b", text).unwrap_err(), wrong(text));
        }
        for text in ["", "image", "image/", "/png", "*/*", "*/png", "image/p*", "text/html; charset=utf-8"] {
            let error = policy().for_media_type(text, "no-cache").unwrap_err();
            assert_eq!(error, CacheControlError::MediaType(text.to_owned()));
        }
        let text = policy().for_media_type("image", "no-cache").unwrap_err().to_string();
        assert_eq!(text, "\"image\" must be a media type, such as text/css, or all of a kind, such as image/*");
    }
}
