//! The response that a test looks at.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::app::body::Body;
use crate::app::compression::{Coding, decompressed};
use crate::app::response::{Headers, Response};

/// The response to a test's request.
#[derive(Clone, Debug)]
pub struct TestResponse {
    status: StatusCode,
    headers: Headers,
    body: Bytes,
}

/// Says how long the body is, and returns it as far as it is sent.
pub(super) fn framed(method: &Method, response: &mut Response) -> Body {
    let without_body = response.status().is_informational()
        || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = std::mem::take(response.body_mut());
    if let (Some(length), false) = (body.length(), without_body) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if without_body || method == Method::HEAD { Body::empty() } else { body }
}

impl TestResponse {
    pub(super) fn whole(method: &Method, mut response: Response) -> Self {
        let body = framed(method, &mut response).into_bytes().expect("the response's body can be read");
        TestResponse { status: response.status, headers: response.headers, body }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The first header field called `name`, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(&name)?.to_str().ok()
    }

    /// `Content-Type`, if there is one.
    pub fn content_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body without the coding that `Content-Encoding` names, if there is one.
    ///
    /// ```
    /// use rws::app::middleware::Compression;
    /// use rws::{App, Html, TestClient, get};
    ///
    /// let page = "<p>Hello</p>".repeat(1000);
    /// let app = App::new().route("/", get(|| Html("<p>Hello</p>".repeat(1000)))).layer(Compression::new());
    /// let answer = TestClient::new(app)?.get("/").header("accept-encoding", "gzip").send();
    /// assert!(answer.bytes().len() < 200);
    /// assert_eq!(answer.decoded(), page);
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the coding is not one of [`Coding::AVAILABLE`], and if the body is not in it.
    pub fn decoded(&self) -> Bytes {
        let Some(name) = self.header(CONTENT_ENCODING.as_str()) else { return self.body.clone() };
        let coding = Coding::AVAILABLE.iter().find(|coding| coding.name().eq_ignore_ascii_case(name));
        let coding = *coding.expect("the response is in a coding that this build has");
        decompressed(coding, &self.body, usize::MAX - 1).expect("the response's body is in its coding").into()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the response's body is UTF-8")
    }

    /// The body read as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).expect("the response's body is JSON of the expected shape")
    }
}
