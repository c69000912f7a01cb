//! The response a handler returns.

mod file;
mod headers;

use http::{HeaderName, HeaderValue, StatusCode};

pub use self::file::NamedFile;
pub use self::headers::{Headers, SharedHeaders};
use super::body::Body;

/// Status, header fields and body.
///
/// `Content-Length`, `Transfer-Encoding`, `Connection`, `Date` and `X-Request-Id` are the server's to write.
#[derive(Debug, Default)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

impl Response {
    /// An empty response.
    pub fn new(status: StatusCode) -> Self {
        Response { status, ..Response::default() }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Changes the status.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to be changed or taken.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The same response with a field added, after any others of that name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same response with other fields in place of all it has.
    #[must_use]
    pub fn with_headers(mut self, headers: impl Into<Headers>) -> Self {
        self.headers = headers.into();
        self
    }

    /// The same response with another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
}
