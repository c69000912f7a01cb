//! What is sent of a file: all of it, parts of it, or only that it has not changed.

use std::fs::File;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use rustix::fs::Stat;

use super::multipart;
use super::refusal::{Refusal, plain};
use super::stamp::Stamp;
use crate::app::body::Body;
use crate::app::response::{Headers, Response};
use crate::semantics::conditional::{self, Outcome};
use crate::semantics::head::RequestHead;
use crate::semantics::media_type;
use crate::semantics::range::{self, ByteRange, Selection};

/// Up to this many bytes are read at once, so that head and body leave in one write; more is left to sendfile.
pub(super) const IN_MEMORY: u64 = 64 * 1024;

/// Room for all fields of an answer, the server's own not counted.
const FIELDS: usize = 8;

/// An open regular file and what is said about it.
pub(super) struct Representation<'a> {
    file: File,
    /// In bytes, as it was when the file was opened.
    length: u64,
    stamp: &'a Stamp,
    media_type: HeaderValue,
    cache_control: Option<&'a HeaderValue>,
}

impl<'a> Representation<'a> {
    pub(super) fn new(
        file: File,
        stat: &Stat,
        stamp: &'a Stamp,
        name: &[u8],
        cache_control: Option<&'a HeaderValue>,
    ) -> Representation<'a> {
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        Representation { file, length, stamp, media_type: media_type::of_name(name), cache_control }
    }

    /// The answer to a GET or HEAD request.
    pub(super) fn answer(self, head: &RequestHead) -> Result<Response, Refusal> {
        match conditional::evaluate(head, &self.stamp.validators()) {
            Outcome::NotModified => {
                Ok(Response { status: StatusCode::NOT_MODIFIED, headers: self.cache_fields(), body: Body::empty() })
            }
            Outcome::PreconditionFailed => Ok(plain(StatusCode::PRECONDITION_FAILED)),
            Outcome::Proceed { range: None } => self.whole(head),
            Outcome::Proceed { range: Some(value) } => match range::resolve(value, self.length) {
                Selection::Whole => self.whole(head),
                Selection::Parts(parts) => match parts[..] {
                    [part] => self.part(part),
                    _ => self.parts(&parts),
                },
                Selection::Unsatisfiable => Ok(plain(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header(header::CONTENT_RANGE, ascii(range::unsatisfied(self.length)))),
            },
        }
    }

    fn whole(self, head: &RequestHead) -> Result<Response, Refusal> {
        let headers = self.fields(self.media_type.clone());
        let body = if head.method() == Method::HEAD {
            // The server sends the length and drops the rest, so there is no need to read anything.
            Body::file(self.file, 0, self.length)
        } else {
            content(self.file, 0, self.length)?
        };
        Ok(Response { status: StatusCode::OK, headers, body })
    }

    fn part(self, part: ByteRange) -> Result<Response, Refusal> {
        let mut headers = self.fields(self.media_type.clone());
        headers.append(header::CONTENT_RANGE, ascii(part.content_range(self.length)));
        let body = content(self.file, part.first, part.len())?;
        Ok(Response { status: StatusCode::PARTIAL_CONTENT, headers, body })
    }

    fn parts(self, parts: &[ByteRange]) -> Result<Response, Refusal> {
        let boundary = multipart::boundary();
        let headers = self.fields(ascii(format!("multipart/byteranges; boundary={boundary}")));
        let body = multipart::body(self.file, self.length, &self.media_type, parts, &boundary)?;
        Ok(Response { status: StatusCode::PARTIAL_CONTENT, headers, body })
    }

    /// The fields of 200 and 206.
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
        headers.append(header::ETAG, self.stamp.etag());
        if let Some(date) = self.stamp.last_modified() {
            headers.append(header::LAST_MODIFIED, date);
        }
        if let Some(value) = self.cache_control {
            headers.append(header::CACHE_CONTROL, value.clone());
        }
        headers
    }
}

/// `length` bytes of the file from `offset`: read now if they are few, else when they are sent.
fn content(file: File, offset: u64, length: u64) -> Result<Body, Refusal> {
    match length {
        0 => Ok(Body::empty()),
        1..=IN_MEMORY => read(&file, offset, length as usize).map(Body::from),
        _ => Ok(Body::file(file, offset, length)),
    }
}

fn read(file: &File, mut offset: u64, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut content), offset)? {
            0 => return Err(Refusal::Shrunk),
            count => offset += count as u64,
        }
    }
    // The capacity may be more than was asked for, and the file may have grown.
    content.truncate(length);
    Ok(content)
}

/// A field value made of words and numbers.
fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("words and numbers are visible ASCII")
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn a_file_is_read_as_long_as_it_was_when_it_was_opened() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.rewind().unwrap();
        assert_eq!(read(&file, 0, 10).unwrap(), b"0123456789");
        assert_eq!(read(&file, 2, 3).unwrap(), b"234", "it has grown since");
        assert_eq!(read(&file, 8, 3), Err(Refusal::Shrunk));
        assert_eq!(read(&file, 20, 1), Err(Refusal::Shrunk));
    }
}
