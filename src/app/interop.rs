//! Conversions to and from the messages of the `http` crate, for code that is written against those.

use http::uri::InvalidUri;

use super::body::Body;
use super::into_response::IntoResponse;
use super::request::Request;
use super::response::{Headers, Response};

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
}
