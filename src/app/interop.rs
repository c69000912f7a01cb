//! Conversions to and from the messages of the `http` crate, for code that is written against those.

use http::request::Parts;

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
    type Error = http::Error;

    fn try_from(request: Request) -> Result<Self, Self::Error> {
        let head = request.head();
        let converted = http::Request::builder()
            .method(head.method())
            .uri(head.target())
            .version(head.version())
            .body(request.received.head.to_header_map())?;
        let (Parts { method, uri, version, .. }, headers) = converted.into_parts();
        let mut whole = http::Request::new(request.body);
        *whole.method_mut() = method;
        *whole.uri_mut() = uri;
        *whole.version_mut() = version;
        *whole.headers_mut() = headers;
        *whole.extensions_mut() = request.extensions;
        Ok(whole)
    }
}
