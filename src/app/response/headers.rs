//! Header fields of responses: a response's own, and before them perhaps some that many responses share.

use std::fmt;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// The header fields of a response, in order. A few are held without allocating.
#[derive(Clone, Default)]
pub struct Headers {
    /// Come first.
    shared: Option<SharedHeaders>,
    own: List,
}

type List = SmallVec<[(HeaderName, HeaderValue); 3]>;

/// Header fields that were put together once, for many responses: a response that begins with them costs no more than
/// one without, however many they are.
///
/// ```
/// use rws::http::{HeaderName, HeaderValue, StatusCode, header};
/// use rws::app::response::{Response, SharedHeaders};
///
/// let shared = SharedHeaders::new([
///     (header::CONTENT_TYPE, HeaderValue::from_static("text/css")),
///     (header::CACHE_CONTROL, HeaderValue::from_static("max-age=60")),
/// ]);
/// let response = Response::new(StatusCode::OK).with_headers(shared.clone()).with_body("body {}");
/// assert_eq!(response.headers().get(&header::CACHE_CONTROL).unwrap(), "max-age=60");
/// ```
#[derive(Clone, Debug)]
pub struct SharedHeaders(Arc<Block>);

#[derive(Debug)]
struct Block {
    list: Vec<(HeaderName, HeaderValue)>,
    /// The same as they are sent.
    lines: Vec<u8>,
}

impl SharedHeaders {
    /// These fields in this order, without those that only the server writes.
    pub fn new(fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        let list: Vec<_> = fields.into_iter().filter(|(name, _)| !is_servers_own(name)).collect();
        let mut lines =
            Vec::with_capacity(list.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum());
        for (name, value) in &list {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                lines.extend_from_slice(piece);
            }
        }
        SharedHeaders(Arc::new(Block { list, lines }))
    }

    fn list(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.list
    }
}

fn is_servers_own(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE].contains(name) || name == "x-request-id"
}

impl From<SharedHeaders> for Headers {
    fn from(shared: SharedHeaders) -> Self {
        Headers { shared: Some(shared), own: List::new() }
    }
}

impl Headers {
    /// No fields, and room for `fields` of them in one allocation at most.
    pub fn with_capacity(fields: usize) -> Self {
        Headers { shared: None, own: List::with_capacity(fields) }
    }

    /// The first field called `name`.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
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
        self.own.push((name, value));
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
        if self.shared_list().iter().any(|(n, _)| n == name) {
            self.own_all();
        }
        self.own.retain(|(n, _)| n != name);
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.shared_list().iter().chain(&self.own).map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.shared_list().len() + self.own.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fields as the server sends them: lines that are written already, and the others.
    pub(crate) fn as_sent(&self) -> (&[u8], impl Iterator<Item = (&HeaderName, &HeaderValue)>) {
        let lines = self.shared.as_ref().map_or(&[][..], |shared| &shared.0.lines);
        (lines, self.own.iter().map(|(name, value)| (name, value)))
    }

    fn shared_list(&self) -> &[(HeaderName, HeaderValue)] {
        self.shared.as_ref().map_or(&[], SharedHeaders::list)
    }

    /// Makes the shared fields its own.
    fn own_all(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.own.insert_many(0, shared.list().iter().cloned());
        }
    }
}

impl IntoIterator for Headers {
    type Item = (HeaderName, HeaderValue);
    type IntoIter = smallvec::IntoIter<[(HeaderName, HeaderValue); 3]>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.own_all();
        self.own.into_iter()
    }
}

/// As fields, wherever they are kept.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::header::{ETAG, SET_COOKIE, VARY};

    use super::*;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn texts(headers: &Headers) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn fields_keep_their_order_and_insert_replaces_all() {
        let mut headers = Headers::default();
        for (name, text) in [(SET_COOKIE, "a"), (ETAG, "b"), (SET_COOKIE, "c"), (VARY, "d")] {
            headers.append(name, value(text));
        }
        headers.insert(SET_COOKIE, value("e"));
        assert_eq!(format!("{headers:?}"), r#"{"etag": "b", "vary": "d", "set-cookie": "e"}"#);
        let all: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.to_str().unwrap().to_owned())).collect();
        assert_eq!(all, [(ETAG, "b".to_owned()), (VARY, "d".to_owned()), (SET_COOKIE, "e".to_owned())]);
    }

    #[test]
    fn a_map_is_added_with_all_its_values() {
        let mut map = HeaderMap::new();
        map.append(SET_COOKIE, value("a"));
        map.append(SET_COOKIE, value("b"));
        let mut headers = Headers::default();
        headers.append(SET_COOKIE, value("first"));
        headers.append_map(map);
        assert_eq!(texts(&headers), [("set-cookie", "first"), ("set-cookie", "a"), ("set-cookie", "b")]);
    }

    #[test]
    fn shared_fields_are_like_any_others_and_stay_as_they_are() {
        let shared = SharedHeaders::new([(ETAG, value("1")), (SET_COOKIE, value("a")), (SET_COOKIE, value("b"))]);
        let mut headers = Headers::from(shared.clone());
        headers.append(VARY, value("c"));
        headers.append(SET_COOKIE, value("d"));
        assert_eq!((headers.len(), headers.is_empty(), headers.contains(&VARY)), (5, false, true));
        assert_eq!(headers.get(&SET_COOKIE).unwrap(), "a");
        assert_eq!(
            texts(&headers),
            [("etag", "1"), ("set-cookie", "a"), ("set-cookie", "b"), ("vary", "c"), ("set-cookie", "d")]
        );
        headers.remove(&HeaderName::from_static("absent"));
        headers.insert(SET_COOKIE, value("e"));
        assert_eq!(texts(&headers), [("etag", "1"), ("vary", "c"), ("set-cookie", "e")]);
        let all = Headers::from(shared).into_iter().map(|(name, _)| name);
        assert_eq!(all.collect::<Vec<_>>(), [ETAG, SET_COOKIE, SET_COOKIE]);
    }

    #[test]
    fn shared_fields_are_sent_as_lines_and_never_those_that_are_the_servers() {
        let own = ["content-length", "transfer-encoding", "connection", "date", "x-request-id"];
        let own = own.map(|name| (HeaderName::from_static(name), value("theirs")));
        let shared = SharedHeaders::new(own.into_iter().chain([(ETAG, value("1")), (VARY, value("x, y"))]));
        let mut headers = Headers::from(shared);
        headers.append(SET_COOKIE, value("a"));
        let (lines, others) = headers.as_sent();
        assert_eq!(lines, b"etag: 1\r\nvary: x, y\r\n");
        assert_eq!(others.map(|(name, _)| name).collect::<Vec<_>>(), [SET_COOKIE]);
        assert_eq!(headers.len(), 3);
    }
}
