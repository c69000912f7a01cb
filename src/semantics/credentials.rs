//! The Authorization and WWW-Authenticate fields (RFC 9110 section 11) with the schemes Basic (RFC 7617) and Bearer
//! (RFC 6750).
//!
//! Strict: one spelling of everything, and what is malformed is no credentials at all. Knows nobody's password.

#[cfg(feature = "auth")]
mod user_pass;

use http::HeaderValue;

use super::head::RequestHead;
use super::token::is_token;
#[cfg(feature = "auth")]
pub use user_pass::UserPass;

/// The credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// There is no Authorization field.
    None,
    /// There are several, or something that is not `scheme SP token68`.
    Malformed,
    /// One token68 and its scheme.
    Of {
        /// In whichever case it was written; compare it as [`str::eq_ignore_ascii_case`] does.
        scheme: &'a str,
        /// What proves who it is.
        token: &'a str,
    },
}

/// The credentials that `head` holds.
pub fn credentials(head: &RequestHead) -> Credentials<'_> {
    let mut values = head.values("authorization");
    match (values.next(), values.next()) {
        (None, _) => Credentials::None,
        (Some(value), None) => parse(value).unwrap_or(Credentials::Malformed),
        // A proxy and the server behind it might each believe another one.
        (Some(_), Some(_)) => Credentials::Malformed,
    }
}

/// credentials = auth-scheme 1*SP token68
fn parse(value: &[u8]) -> Option<Credentials<'_>> {
    let (scheme, rest) = core::str::from_utf8(value).ok()?.split_once(' ')?;
    let token = rest.trim_start_matches(' ');
    (is_token(scheme.as_bytes()) && is_token68(token)).then_some(Credentials::Of { scheme, token })
}

/// token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
pub fn is_token68(text: &str) -> bool {
    let character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(character)
}

/// Whether `text` can be the name of a realm: up to 128 characters of printable ASCII.
pub fn is_realm(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A challenge: `scheme realm="…"` and further parameters, which are written as they are. `None` if that is no realm.
pub fn challenge(scheme: &str, realm: &str, parameters: &str) -> Option<HeaderValue> {
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let value = HeaderValue::try_from(format!("{scheme} realm=\"{quoted}\"{parameters}"));
    value.ok().filter(|_| is_realm(realm))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::super::head::{Field, Span};
    use super::*;

    fn head(values: &[&[u8]]) -> RequestHead {
        let mut head = RequestHead::default();
        for value in values {
            let mut span = |bytes: &[u8]| {
                let start = head.raw.len();
                head.raw.extend_from_slice(bytes);
                Span::new(start, head.raw.len())
            };
            let (name, value) = (span(b"AUTHORIZATION"), span(value));
            head.fields.push(Field { name, value });
        }
        head
    }

    #[test]
    fn credentials_are_one_scheme_and_one_token() {
        type Case<'a> = (&'a [&'a [u8]], Option<(&'a str, &'a str)>);
        let cases: [Case<'_>; 15] = [
            (&[b"Basic QTpi"], Some(("Basic", "QTpi"))),
            (&[b"basic   QTpi=="], Some(("basic", "QTpi=="))),
            (&[b"BEARER a-._~+/9=="], Some(("BEARER", "a-._~+/9=="))),
            (&[b"Basic QTpi", b"Basic QTpi"], None),
            (&[b""], None),
            (&[b"Basic"], None),
            (&[b"Basic "], None),
            (&[b"Basic\tQTpi"], None),
            (&[b" QTpi"], None),
            (&[b"Ba(sic QTpi"], None),
            (&[b"Basic QTpi QTpi"], None),
            (&[b"Basic QT,pi"], None),
            (&[b"Basic ="], None),
            (&[b"Basic Q=Q"], None),
            (&[b"Digest username=\"a\", realm=\"b\""], None),
        ];
        for (values, expected) in cases {
            let expected = expected.map_or(Credentials::Malformed, |(scheme, token)| Credentials::Of { scheme, token });
            assert_eq!(credentials(&head(values)), expected, "{values:?}");
        }
        assert_eq!(credentials(&head(&[])), Credentials::None);
    }

    #[test]
    fn realms_are_quoted() {
        let shown = |realm| challenge("Basic", realm, ", charset=\"UTF-8\"");
        assert_eq!(shown("a \"b\" \\c").unwrap(), r#"Basic realm="a \"b\" \\c", charset="UTF-8""#);
        for realm in ["", "é", "a\r\nX: y", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(shown(realm), None, "{realm:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_credentials_or_none(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Credentials::Of { token, .. } = credentials(&head(&[&value])) {
                prop_assert!(is_token68(token));
            }
        }
    }
}
