//! The response a handler returns.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

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
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same response with another body.
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
}

/// The header fields of a response, in order. A few are held without allocating.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: SmallVec<[(HeaderName, HeaderValue); 3]>,
}

impl Headers {
    /// No fields, and room for `fields` of them in one allocation at most.
    pub fn with_capacity(fields: usize) -> Self {
        Headers { list: SmallVec::with_capacity(fields) }
    }

    /// The first field called `name`.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Whether there is a field called `name`.
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// Sets a field, in place of all others of that name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.append(name, value);
    }

    /// Adds a field after any others of that name.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.list.push((name, value));
    }

    /// Adds all fields of `map` after any others of the same names.
    pub fn append_map(&mut self, map: HeaderMap) {
        let mut last = None;
        for (name, value) in map {
            // The map names a field once and leaves the name out for its further values.
            last = name.or(last);
            if let Some(name) = &last {
                self.append(name.clone(), value);
            }
        }
    }

    /// Removes all fields called `name`.
    pub fn remove(&mut self, name: &HeaderName) {
        self.list.retain(|(n, _)| n != name);
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.list.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl IntoIterator for Headers {
    type Item = (HeaderName, HeaderValue);
    type IntoIter = smallvec::IntoIter<[(HeaderName, HeaderValue); 3]>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::header::{ETAG, SET_COOKIE, VARY};

    use super::*;

    #[test]
    fn fields_keep_their_order_and_insert_replaces_all() {
        let mut headers = Headers::default();
        for (name, value) in [(SET_COOKIE, "a"), (ETAG, "b"), (SET_COOKIE, "c"), (VARY, "d")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.insert(SET_COOKIE, HeaderValue::from_static("e"));
        let all: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.to_str().unwrap().to_owned())).collect();
        assert_eq!(all, [(ETAG, "b".to_owned()), (VARY, "d".to_owned()), (SET_COOKIE, "e".to_owned())]);
    }

    #[test]
    fn a_map_is_added_with_all_its_values() {
        let mut map = HeaderMap::new();
        map.append(SET_COOKIE, HeaderValue::from_static("a"));
        map.append(SET_COOKIE, HeaderValue::from_static("b"));
        let mut headers = Headers::default();
        headers.append(SET_COOKIE, HeaderValue::from_static("first"));
        headers.append_map(map);
        let values: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(values, [("set-cookie", "first"), ("set-cookie", "a"), ("set-cookie", "b")]);
    }
}
