//! What is sent of a file: all of it, parts of it, or only that it has not changed.

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::encoding::Variant;
use super::multipart;
use super::refusal::{Refusal, plain};
use crate::app::response::{Headers, Response};
use crate::semantics::conditional::{self, Outcome};
use crate::semantics::head::RequestHead;
use crate::semantics::range::{self, ByteRange, Selection};

/// Room for all fields of an answer, the server's own not counted.
const FIELDS: usize = 8;

/// What was chosen to be sent, and what is said about it.
pub(super) struct Representation<'a> {
    variant: &'a Variant,
    cache_control: Option<&'a HeaderValue>,
}

impl<'a> Representation<'a> {
    pub(super) fn new(variant: &'a Variant, cache_control: Option<&'a HeaderValue>) -> Representation<'a> {
        Representation { variant, cache_control }
    }

    /// The answer to a GET or HEAD request.
    pub(super) fn answer(&self, head: &RequestHead) -> Result<Response, Refusal> {
        let length = self.variant.entry.length;
        match conditional::evaluate(head, &self.variant.entry.stamp.validators()) {
            Outcome::NotModified => Ok(Response::new(StatusCode::NOT_MODIFIED).with_headers(self.cache_fields())),
            Outcome::PreconditionFailed => Ok(plain(StatusCode::PRECONDITION_FAILED)),
            Outcome::Proceed { range: None } => self.whole(head),
            Outcome::Proceed { range: Some(value) } => match range::resolve(value, length) {
                Selection::Whole => self.whole(head),
                Selection::Parts(parts) => match parts[..] {
                    [part] => self.part(part),
                    _ => self.parts(&parts),
                },
                Selection::Unsatisfiable => Ok(plain(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header(header::CONTENT_RANGE, ascii(range::unsatisfied(length)))),
            },
        }
    }

    pub(super) fn whole(&self, head: &RequestHead) -> Result<Response, Refusal> {
        let headers = self.fields_of_whole();
        let entry = &self.variant.entry;
        let body = if head.method() == Method::HEAD || self.variant.stream.is_some() {
            // The server sends the length and drops the rest, so there is no need to read anything.
            entry.body_later(0, entry.length)
        } else {
            entry.body(0, entry.length)?
        };
        let body = match &self.variant.stream {
            Some(stream) => stream.of(body),
            None => body,
        };
        Ok(Response::new(StatusCode::OK).with_headers(headers).with_body(body))
    }

    fn part(&self, part: ByteRange) -> Result<Response, Refusal> {
        let entry = &self.variant.entry;
        let mut headers = self.fields(entry.media_type.clone());
        headers.append(header::CONTENT_RANGE, ascii(part.content_range(entry.length)));
        let body = entry.body(part.first, part.len())?;
        Ok(Response::new(StatusCode::PARTIAL_CONTENT).with_headers(headers).with_body(body))
    }

    fn parts(&self, parts: &[ByteRange]) -> Result<Response, Refusal> {
        let boundary = multipart::boundary();
        let headers = self.fields(ascii(format!("multipart/byteranges; boundary={boundary}")));
        let body = multipart::body(&self.variant.entry, &self.variant.entry.media_type, parts, &boundary)?;
        Ok(Response::new(StatusCode::PARTIAL_CONTENT).with_headers(headers).with_body(body))
    }

    /// The fields of 200. Those of the file are ready.
    fn fields_of_whole(&self) -> Headers {
        let mut headers = Headers::from(self.variant.entry.fields.clone());
        self.append_policy(&mut headers);
        headers
    }

    /// The fields of 206.
    fn fields(&self, content_type: HeaderValue) -> Headers {
        const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
        let mut headers = self.cache_fields();
        headers.append(header::CONTENT_TYPE, content_type);
        headers.append(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.append(NOSNIFF, HeaderValue::from_static("nosniff"));
        headers
    }

    /// The fields a cache needs, and the only ones of 304 (RFC 9110 section 15.4.5).
    fn cache_fields(&self) -> Headers {
        let mut headers = Headers::with_capacity(FIELDS);
        let entry = &self.variant.entry;
        headers.append(header::ETAG, entry.etag.clone());
        if let Some(date) = &entry.last_modified {
            headers.append(header::LAST_MODIFIED, date.clone());
        }
        self.append_policy(&mut headers);
        headers
    }

    /// What is not known of the file alone.
    fn append_policy(&self, headers: &mut Headers) {
        if let Some(value) = self.cache_control {
            headers.append(header::CACHE_CONTROL, value.clone());
        }
        if self.variant.varies {
            headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
    }
}

/// A field value made of words and numbers.
fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("words and numbers are visible ASCII")
}
