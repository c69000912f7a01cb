//! Header fields as types.

use headers::Header;
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::{FromRequestParts, OptionalFromRequestParts};
use crate::app::context::Context;
use crate::app::into_response::{IntoResponse, ResponseParts};
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::{Headers, Response};

/// A header field that is read as a type of the crate [`headers`](crate::headers), and written as a part of a response.
///
/// One that is missing or malformed makes a 400 that names it. `Option<TypedHeader<T>>` is `None` where it is missing, and
/// a malformed one is a 400 as well. In a response it takes the place of other fields of its name, except that
/// `Set-Cookie` adds to them (RFC 6265 section 3).
///
/// ```
/// use std::time::Duration;
///
/// use rws::app::{App, TestClient, TypedHeader, get};
/// use rws::headers::{Authorization, CacheControl, authorization::Bearer};
///
/// fn show(TypedHeader(sent): TypedHeader<Authorization<Bearer>>) -> (TypedHeader<CacheControl>, String) {
///     (TypedHeader(CacheControl::new().with_max_age(Duration::from_secs(60))), sent.token().to_owned())
/// }
///
/// let client = TestClient::new(App::new().route("/", get(show)))?;
/// let response = client.get("/").header("authorization", "Bearer abc").send();
/// assert_eq!((response.text(), response.header("cache-control")), ("abc", Some("max-age=60")));
/// let refused = client.get("/").send();
/// assert_eq!(refused.status(), 400);
/// assert_eq!(refused.json::<serde_json::Value>()["errors"][0]["field"], "authorization");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypedHeader<T>(pub T);

impl<T: Header> FromRequestParts for TypedHeader<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        read(request)?.map(TypedHeader).ok_or_else(|| refused::<T>("is missing"))
    }
}

impl<T: Header> OptionalFromRequestParts for TypedHeader<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Problem> {
        read(request).map(|value| value.map(TypedHeader))
    }
}

fn read<T: Header>(request: &Request) -> Result<Option<T>, Problem> {
    let malformed = || refused::<T>("is malformed");
    let sent = request.head().values(T::name().as_str()).map(HeaderValue::from_bytes);
    let values: SmallVec<[HeaderValue; 2]> = sent.collect::<Result<_, _>>().map_err(|_| malformed())?;
    if values.is_empty() {
        return Ok(None);
    }
    T::decode(&mut values.iter()).map(Some).map_err(|_| malformed())
}

fn refused<T: Header>(why: &str) -> Problem {
    let name = T::name().as_str();
    Problem::new(StatusCode::BAD_REQUEST).with_detail(format!("header field `{name}`: {why}")).with_field(name, why)
}

impl<T: Header> ResponseParts for TypedHeader<T> {
    fn apply(self, headers: &mut Headers) -> Result<(), Problem> {
        let name = T::name();
        let mut values: Vec<HeaderValue> = Vec::new();
        self.0.encode(&mut values);
        if *name != SET_COOKIE {
            headers.remove(name);
        }
        values.into_iter().for_each(|value| headers.append(name.clone(), value));
        Ok(())
    }
}

/// An empty 200 with this field.
impl<T: Header> IntoResponse for TypedHeader<T> {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use headers::{Authorization, ContentLength, ETag, IfMatch, SetCookie, authorization::Basic};
    use serde_json::{Value, json};

    use super::*;
    use crate::app::{App, Handler, TestClient, get};

    fn client<H: Handler<M>, M: 'static>(handler: H) -> TestClient {
        TestClient::new(App::new().route("/", get(handler))).unwrap()
    }

    fn of<T: Header + std::fmt::Debug + 'static>() -> TestClient {
        let given = |TypedHeader(value): TypedHeader<T>| format!("{value:?}");
        let optional = |value: Option<TypedHeader<T>>| value.map_or("none", |_| "some");
        TestClient::new(App::new().route("/given", get(given)).route("/optional", get(optional))).unwrap()
    }

    #[test]
    fn missing_and_malformed_fields_are_named() {
        for (client, name, sent, why) in [
            (of::<Authorization<Basic>>(), "authorization", None, "is missing"),
            (of::<ContentLength>(), "content-length", None, "is missing"),
            (of::<Authorization<Basic>>(), "authorization", Some("Bearer x"), "is malformed"),
            (of::<Authorization<Basic>>(), "authorization", Some("Basic %"), "is malformed"),
            (of::<ETag>(), "etag", Some("no tag"), "is malformed"),
        ] {
            let send = |path| sent.iter().fold(client.get(path), |request, value| request.header(name, value)).send();
            let given: Value = send("/given").json();
            assert_eq!(given["status"], 400, "{name}");
            assert_eq!(given["detail"], format!("header field `{name}`: {why}"));
            assert_eq!(given["errors"], json!([{"field": name, "detail": why}]));
            let optional = send("/optional");
            match sent {
                None => assert_eq!(optional.text(), "none", "{name}"),
                Some(_) => assert_eq!(optional.json::<Value>(), given),
            }
        }
    }

    #[test]
    fn a_field_that_comes_several_times_is_read_as_a_whole() {
        let matches = |TypedHeader(tags): TypedHeader<IfMatch>| {
            let tag: ETag = "\"b\"".parse().unwrap();
            tags.precondition_passes(&tag).to_string()
        };
        let request = client(matches).get("/").header("if-match", "\"a\"").header("If-Match", "\"b\"").send();
        assert_eq!(request.text(), "true");
    }

    #[test]
    fn in_a_response_it_replaces_others_but_cookies_add_up() {
        let tag = || TypedHeader("\"new\"".parse::<ETag>().unwrap());
        let replaced = client(move || (tag(), [("etag", "\"old\"")], "")).get("/").send();
        let tags = replaced.headers().iter().filter(|(name, _)| *name == "etag");
        assert_eq!(tags.map(|(_, value)| value).collect::<Vec<_>>(), ["\"new\""]);
        assert_eq!(client(tag).get("/").send().header("etag"), Some("\"new\""));

        let first = HeaderValue::from_static("a=1");
        let mut first = [&first].into_iter();
        let set = SetCookie::decode(&mut first).unwrap();
        let both = (TypedHeader(set), [("set-cookie", "b=2")], "").into_response();
        let sent: Vec<_> = both.headers().iter().filter(|(name, _)| *name == SET_COOKIE).map(|(_, v)| v).collect();
        assert_eq!(sent, ["b=2", "a=1"]);
    }
}
