//! Making a [`RequestHead`] from its parts instead of from the wire: for tests and for clients in the same process.

use std::fmt;

use http::{Method, Version};

use super::head::{Field, RequestHead, Span};
use super::target::{self, TargetError};
use super::token;

/// Why the parts do not make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssembleError {
    /// The target is invalid.
    Target(TargetError),
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// A field name that is not a token.
    FieldName,
    /// A control character in a field value, or white space at its ends.
    FieldValue,
    /// A Host that is not a host with an optional port, or a second one.
    Host,
    /// More than 4 GiB.
    TooLarge,
}

impl fmt::Display for AssembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AssembleError::Target(error) => error.fmt(f),
            AssembleError::Version => f.write_str("the version is neither HTTP/1.0 nor HTTP/1.1"),
            AssembleError::FieldName => f.write_str("a field name is not a token"),
            AssembleError::FieldValue => {
                f.write_str("a field value has a control character or white space at its ends")
            }
            AssembleError::Host => f.write_str("the Host field is invalid or repeated"),
            AssembleError::TooLarge => f.write_str("the head is larger than 4 GiB"),
        }
    }
}

impl std::error::Error for AssembleError {}

impl From<TargetError> for AssembleError {
    fn from(error: TargetError) -> Self {
        AssembleError::Target(error)
    }
}

impl RequestHead {
    /// The head that the wire parser would have made of these parts, `Host` being optional.
    ///
    /// # Errors
    /// When a part could not have come over the wire; nothing is repaired.
    pub fn assemble(
        method: &Method,
        target: &str,
        version: Version,
        fields: &[(&str, &[u8])],
    ) -> Result<RequestHead, AssembleError> {
        let version_text = match version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_11 => "HTTP/1.1",
            _ => return Err(AssembleError::Version),
        };
        let parts = target::split(method, target.as_bytes())?;
        let mut raw = Vec::new();
        push(&mut raw, method.as_str());
        push(&mut raw, " ");
        let target = push(&mut raw, target);
        for text in [" ", version_text, "\r\n"] {
            push(&mut raw, text);
        }
        let mut head = RequestHead {
            method: method.clone(),
            version,
            target,
            path: within(parts.path, target),
            query: parts.query.map(|span| within(span, target)),
            host: parts.authority.map(|span| within(span, target)),
            fields: Vec::with_capacity(fields.len()),
            raw,
        };
        let mut hosts = 0;
        for &(name, value) in fields {
            let field = head.push_field(name, value)?;
            if name.eq_ignore_ascii_case("host") {
                hosts += 1;
                if hosts > 1 || !target::is_authority(value) {
                    return Err(AssembleError::Host);
                }
                head.host = head.host.or(Some(field.value));
            }
        }
        push(&mut head.raw, "\r\n");
        u32::try_from(head.raw.len()).map_err(|_| AssembleError::TooLarge)?;
        Ok(head)
    }

    fn push_field(&mut self, name: &str, value: &[u8]) -> Result<Field, AssembleError> {
        if !token::is_token(name.as_bytes()) {
            return Err(AssembleError::FieldName);
        }
        if token::value_len(value) < value.len() || token::trim(value) != value {
            return Err(AssembleError::FieldValue);
        }
        let name = push(&mut self.raw, name);
        push(&mut self.raw, ": ");
        let value = push(&mut self.raw, value);
        push(&mut self.raw, "\r\n");
        let field = Field { name, value };
        self.fields.push(field);
        Ok(field)
    }
}

/// Appends `bytes` and says where they are.
fn push(raw: &mut Vec<u8>, bytes: impl AsRef<[u8]>) -> Span {
    let start = raw.len();
    raw.extend_from_slice(bytes.as_ref());
    Span::new(start, raw.len())
}

fn within(part: Span, whole: Span) -> Span {
    Span { start: whole.start + part.start, end: whole.start + part.end }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn assemble(target: &str, fields: &[(&str, &[u8])]) -> Result<RequestHead, AssembleError> {
        RequestHead::assemble(&Method::GET, target, Version::HTTP_11, fields)
    }

    #[test]
    fn it_is_what_the_wire_would_have_brought() {
        let head =
            assemble("/a/b?c", &[("Host", b"a.example:80"), ("X-Two", "ä b".as_bytes()), ("x-empty", b"")]).unwrap();
        let wire = "GET /a/b?c HTTP/1.1\r\nHost: a.example:80\r\nX-Two: ä b\r\nx-empty: \r\n\r\n";
        assert_eq!(head.raw, wire.as_bytes());
        assert_eq!((head.target(), head.path(), head.query()), ("/a/b?c", "/a/b", Some("c")));
        assert_eq!(head.host(), Some("a.example:80"));
        assert_eq!(head.field_str("x-two"), Some("ä b"));
        assert_eq!(head.field("X-Empty"), Some(&b""[..]));
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let head = assemble("http://b.example/x", &[("Host", b"a.example")]).unwrap();
        assert_eq!((head.path(), head.host()), ("/x", Some("b.example")));
        assert_eq!(assemble("/", &[]).unwrap().host(), None);
    }

    #[test]
    fn what_could_not_come_over_the_wire_is_refused() {
        type Fields<'a> = &'a [(&'a str, &'a [u8])];
        let cases: [(&str, Fields<'_>, AssembleError); 10] = [
            ("a", &[], AssembleError::Target(TargetError::Form)),
            ("/a b", &[], AssembleError::Target(TargetError::Byte)),
            ("/a\r\nX: y", &[], AssembleError::Target(TargetError::Byte)),
            ("*", &[], AssembleError::Target(TargetError::Asterisk)),
            ("/", &[("", b"x")], AssembleError::FieldName),
            ("/", &[("a b", b"x")], AssembleError::FieldName),
            ("/", &[("a", b"x\r\ny: z")], AssembleError::FieldValue),
            ("/", &[("a", b" x")], AssembleError::FieldValue),
            ("/", &[("host", b"a b")], AssembleError::Host),
            ("/", &[("host", b"a"), ("Host", b"a")], AssembleError::Host),
        ];
        for (target, fields, wanted) in cases {
            assert_eq!(assemble(target, fields).unwrap_err(), wanted, "{target:?} {fields:?}");
        }
        let http2 = RequestHead::assemble(&Method::GET, "/", Version::HTTP_2, &[]);
        assert_eq!(http2.unwrap_err(), AssembleError::Version);
    }
}
