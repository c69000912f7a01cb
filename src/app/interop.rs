//! Conversions to and from the messages of the `http` crate, for code that is written against those.

use http::header::HOST;
use http::uri::InvalidUri;
use http::{StatusCode, Uri, Version};

use super::body::Body;
use super::context::Context;
use super::extract::{FromRequest, FromRequestParts};
use super::into_response::IntoResponse;
use super::problem::Problem;
use super::request::Request;
use super::response::{Headers, Response};
use super::service::BodyUse;
use super::testing::{TestClient, TestResponse};

impl<B: Into<Body>> IntoResponse for http::Response<B> {
    fn into_response(self) -> Response {
        self.into()
    }
}

impl<B: Into<Body>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let mut headers = Headers::default();
        headers.append_map(head.headers);
        Response { status: head.status, headers, body: body.into() }
    }
}

impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        let mut converted = http::Response::new(response.body);
        *converted.status_mut() = response.status;
        for (name, value) in response.headers {
            converted.headers_mut().append(name, value);
        }
        converted
    }
}

/// Fails where the target is none that [`http::Uri`] understands.
impl TryFrom<Request> for http::Request<Body> {
    type Error = InvalidUri;

    fn try_from(request: Request) -> Result<Self, InvalidUri> {
        let mut converted = http::Request::new(request.body);
        let head = &request.received.head;
        *converted.uri_mut() = head.target().parse()?;
        *converted.method_mut() = head.method().clone();
        *converted.version_mut() = head.version();
        *converted.headers_mut() = head.to_header_map();
        *converted.extensions_mut() = request.extensions;
        Ok(converted)
    }
}

/// The request target, as it came. 400 where [`Uri`] does not understand it.
impl FromRequestParts for Uri {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        request.head().target().parse().map_err(|error| bad_target(&error))
    }
}

impl FromRequestParts for Version {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        Ok(request.head().version())
    }
}

/// The whole request, with a body that is still to be read. 400 where [`Uri`] does not understand the target.
impl FromRequest for http::Request<Body> {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Stream;

    fn from_request(request: Request, _: &Context) -> Result<Self, Problem> {
        request.try_into().map_err(|error| bad_target(&error))
    }
}

fn bad_target(error: &InvalidUri) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_detail(format!("the request target is no URI: {error}"))
}

impl TestClient {
    /// Sends a request of the `http` crate. Without a `Host` the authority of its URI becomes it; extensions are not sent.
    ///
    /// ```
    /// use rws::app::{App, TestClient, get};
    ///
    /// let client = TestClient::new(App::new().route("/", get(|| "hello")))?;
    /// let request = rws::http::Request::get("http://notes.example/").body("")?;
    /// assert_eq!(client.send(request).text(), "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send<B: Into<Body>>(&self, request: http::Request<B>) -> TestResponse {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut sent = self.request(head.method, target).body(body);
        if let Some(authority) = head.uri.authority().filter(|_| !head.headers.contains_key(HOST)) {
            sent = sent.header("host", authority.as_str());
        }
        head.headers.iter().fold(sent, |sent, (name, value)| sent.header(name.as_str(), value)).send()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::header::{ETAG, SET_COOKIE};

    use super::*;
    use crate::app::{App, TestClient, post};

    #[test]
    fn responses_go_there_and_back() {
        let original = http::Response::builder()
            .status(201)
            .header(SET_COOKIE, "a=1")
            .header(SET_COOKIE, "b=2")
            .header(ETAG, "\"x\"")
            .body("text")
            .unwrap();
        let ours = original.into_response();
        assert_eq!((ours.status().as_u16(), ours.headers().len()), (201, 3));
        let theirs: http::Response<Body> = ours.into();
        let cookies: Vec<_> =
            theirs.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!((theirs.status().as_u16(), cookies), (201, vec!["a=1", "b=2"]));
        assert_eq!(theirs.into_body().into_bytes().unwrap(), "text");
    }

    #[test]
    fn a_request_becomes_one_of_http() {
        fn handler(mut request: Request) -> String {
            request.extensions_mut().insert(7u8);
            let theirs = http::Request::try_from(request).unwrap();
            let (head, body) = theirs.into_parts();
            let header = head.headers["x-name"].to_str().unwrap();
            let body = body.into_bytes().unwrap().len();
            format!("{} {} {:?} {header} {:?} {body}", head.method, head.uri, head.version, head.extensions.get::<u8>())
        }
        let client = TestClient::new(App::new().route("/x", post(handler))).unwrap();
        let response = client.post("/x?a=b").header("X-Name", "value").body("text").send();
        assert_eq!(response.text(), "POST /x?a=b HTTP/1.1 value Some(7) 4");
    }

    #[test]
    fn handlers_take_and_tests_send_what_http_has() {
        fn handler(uri: Uri, version: Version, request: http::Request<Body>) -> http::Response<Body> {
            let (head, body) = request.into_parts();
            let said = format!("{uri} {version:?} {:?} {:?} ", head.headers.get(HOST), head.headers.get("x-name"));
            http::Response::new([said.into_bytes(), body.into_bytes().unwrap().to_vec()].concat().into())
        }
        let client = TestClient::new(App::new().route("/x", post(handler))).unwrap();
        let cases = [
            (None, r#"/x?a=b HTTP/1.1 Some("notes.example") Some("value") text"#),
            (Some("other.example"), r#"/x?a=b HTTP/1.1 Some("other.example") Some("value") text"#),
        ];
        for (host, expected) in cases {
            let request = http::Request::post("http://notes.example/x?a=b").header("x-name", "value");
            let request = host.into_iter().fold(request, |request, host| request.header(HOST, host));
            assert_eq!(client.send(request.body("text").unwrap()).text(), expected);
        }
    }

    #[test]
    fn a_target_that_is_no_uri_is_the_clients_mistake() {
        let client = TestClient::new(App::new().route("/{*path}", post(|uri: Uri| uri.to_string()))).unwrap();
        let long = format!("/{}", "a".repeat(usize::from(u16::MAX)));
        let refused = client.post(&long).send();
        assert_eq!(
            (refused.status(), refused.content_type()),
            (StatusCode::BAD_REQUEST, Some("application/problem+json"))
        );
    }
}
