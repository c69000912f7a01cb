//! The head of a request as it was received: one buffer and the places of its parts in it.
//!
//! The wire parser fills it and everybody else reads it, so nothing is copied twice. A head is reused
//! for the next request of the same reactor when nobody kept it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// A range of bytes within [`RequestHead`]'s buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`, in bytes.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    /// The bytes of `buffer` this span names.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// One header field: the spans of its name and of its value (without surrounding white space).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The field name, in the case the client sent.
    pub name: Span,
    /// The field value.
    pub value: Span,
}

/// Method, target, version and header fields of one request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The bytes of the head; all spans refer to it. Target and field names are ASCII.
    pub(crate) raw: Vec<u8>,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) target: Span,
    /// Path part of the target; empty for `*` and for CONNECT.
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    /// `Host`, or the authority of an absolute-form target, which takes precedence (RFC 9112 section 3.2.2).
    pub(crate) host: Option<Span>,
    pub(crate) fields: Vec<Field>,
}

impl Default for RequestHead {
    fn default() -> Self {
        RequestHead {
            raw: Vec::new(),
            method: Method::GET,
            version: Version::HTTP_11,
            target: Span::default(),
            path: Span::default(),
            query: None,
            host: None,
            fields: Vec::new(),
        }
    }
}

impl RequestHead {
    /// The request method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// HTTP/1.0 or HTTP/1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request target as it was received.
    pub fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The path of the target, still percent-encoded. Starts with `/`, or is empty for `OPTIONS *`.
    pub fn path(&self) -> &str {
        self.text(self.path)
    }

    /// The query of the target without the `?`, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.text(span))
    }

    /// The host the client asked for, with its port if there was one.
    pub fn host(&self) -> Option<&str> {
        self.host.map(|span| self.text(span))
    }

    /// The first field called `name` (in any case) as bytes.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|field| self.is_called(field, name))?;
        Some(field.value.of(&self.raw))
    }

    /// The first field called `name`, if it is valid UTF-8.
    pub fn field_str(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields called `name` (in any case), in order.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.iter().filter(move |field| self.is_called(field, name)).map(|field| field.value.of(&self.raw))
    }

    /// All fields in order: name as received, value as bytes.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.text(field.name), field.value.of(&self.raw)))
    }

    /// All fields in order, names and values as the bytes that were received.
    pub fn raw_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(&self.raw), field.value.of(&self.raw)))
    }

    /// A copy of the fields as the `http` crate's map.
    pub fn to_header_map(&self) -> HeaderMap {
        self.fields()
            .filter_map(|(name, value)| {
                Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?))
            })
            .collect()
    }

    fn is_called(&self, field: &Field, name: &str) -> bool {
        field.name.of(&self.raw).eq_ignore_ascii_case(name.as_bytes())
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.raw)).unwrap_or_default()
    }
}
