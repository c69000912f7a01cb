//! The Authorization and WWW-Authenticate fields (RFC 9110 section 11) with the schemes Basic (RFC 7617) and Bearer
//! (RFC 6750).
//!
//! Strict: one spelling of everything, and what is malformed is no credentials at all. Knows nobody's password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use smallvec::SmallVec;

use super::head::RequestHead;
use super::token::is_token;

/// Bytes that a user and a password may have together: what is hashed for a stranger must not be long.
const LONGEST: usize = 768;

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

/// The user and the password in the token68 of the scheme Basic.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPass {
    text: SmallVec<[u8; 96]>,
    colon: usize,
}

impl UserPass {
    /// Base64 in the one spelling that RFC 4648 section 4 allows, of UTF-8 without control characters, with a colon behind
    /// the user; the password may have more of them.
    pub fn decode(token: &str) -> Option<Self> {
        let mut text = SmallVec::from_elem(0, (token.len() / 4 + 1) * 3);
        if text.len() > LONGEST {
            return None;
        }
        let length = STANDARD.decode_slice(token, &mut text).ok()?;
        text.truncate(length);
        let decoded = core::str::from_utf8(&text).ok()?;
        let colon = decoded.find(':')?;
        let is_fine = !decoded.chars().any(char::is_control);
        is_fine.then_some(UserPass { text, colon })
    }

    /// Who it is said to be; may be empty.
    pub fn user(&self) -> &str {
        core::str::from_utf8(&self.text[..self.colon]).unwrap_or_default()
    }

    /// What proves it; may be empty.
    pub fn password(&self) -> &str {
        core::str::from_utf8(&self.text[self.colon + 1..]).unwrap_or_default()
    }
}

impl core::fmt::Debug for UserPass {
    /// Without the password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UserPass").field("user", &self.user()).finish_non_exhaustive()
    }
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
    fn basic_credentials_have_one_spelling() {
        let cases = [
            // The example of RFC 7617 section 2, and that of section 2.1 with a pound sign.
            ("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("dGVzdDoxMjPCow==", Some(("test", "123£"))),
            ("YTpiOmM6", Some(("a", "b:c:"))),
            ("Og==", Some(("", ""))),
            // No colon; ISO 8859-1; a line break; NUL; DEL.
            ("YWJj", None),
            ("dGVzdDoxMjOj", None),
            ("YTpiCg==", None),
            ("YTpiAA==", None),
            ("YTpifw==", None),
            // Without padding, with too much, with bits that are not zero, of the URL's alphabet, nothing.
            ("Og", None),
            ("Og=", None),
            ("Og===", None),
            ("Oh==", None),
            ("YTo_Pz8_", None),
            ("", None),
        ];
        for (token, expected) in cases {
            let decoded = UserPass::decode(token);
            assert_eq!(decoded.as_ref().map(|both| (both.user(), both.password())), expected, "{token}");
        }
    }

    #[test]
    fn a_password_is_not_shown_and_not_of_any_length() {
        let both = UserPass::decode("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert!(!format!("{both:?}").contains("sesame"));
        let long = |length: usize| UserPass::decode(&STANDARD.encode(format!("a:{}", "b".repeat(length))));
        assert!(long(700).is_some());
        assert!(long(LONGEST).is_none() && long(1 << 20).is_none());
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
        fn what_was_encoded_is_decoded(user in "[^:\\p{Cc}]{0,40}", password in "\\P{Cc}{0,80}") {
            let both = UserPass::decode(&STANDARD.encode(format!("{user}:{password}"))).unwrap();
            prop_assert_eq!((both.user(), both.password()), (&*user, &*password));
        }

        #[test]
        fn any_bytes_are_credentials_or_none(value in proptest::collection::vec(any::<u8>(), 0..200), token: String) {
            if let Credentials::Of { token, .. } = credentials(&head(&[&value])) {
                prop_assert!(is_token68(token));
                let _ = UserPass::decode(token);
            }
            let _ = UserPass::decode(&token);
        }
    }
}
