//! Keeps secrets in URLs out of the log: values of the query keys in RWS_CONFIG_LOG_REDACT_QUERY, and user information.
//!
//! When in doubt it hides too much. It looks at keys however they are spelled (case, percent-encoding, brackets), but not
//! into values: a URL that is itself percent-encoded in a value keeps its query.
//!
//! What holds no secret is returned as it is; only a redaction allocates.

use std::borrow::Cow;

use memchr::{memchr, memrchr};
use percent_encoding::percent_decode;

/// What stands in a secret's place.
const REDACTED: &[u8] = b"[redacted]";

/// The keys whose values are secret.
#[derive(Debug)]
pub(super) struct Redactor {
    keys: Vec<Vec<u8>>,
}

impl Redactor {
    pub(super) fn new(keys: &[String]) -> Self {
        Redactor { keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect() }
    }

    /// A query without its secrets.
    pub(super) fn query<'a>(&self, query: &'a [u8]) -> Cow<'a, [u8]> {
        if pairs(query).all(|pair| self.secret(pair).is_none()) {
            return Cow::Borrowed(query);
        }
        let mut clean = Vec::with_capacity(query.len());
        for pair in pairs(query) {
            match self.secret(pair) {
                None => clean.extend_from_slice(pair),
                Some(start) => {
                    clean.extend_from_slice(&pair[..start]);
                    clean.extend_from_slice(REDACTED);
                    clean.extend(pair.last().filter(|&byte| is_separator(byte)));
                }
            }
        }
        Cow::Owned(clean)
    }

    /// A URL without user information and without the secrets of its query and fragment.
    pub(super) fn url<'a>(&self, url: &'a [u8]) -> Cow<'a, [u8]> {
        let user = user_information(url);
        let tail_at = url.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
        let (front, tail) = url.split_at(tail_at);
        let tail = self.query(tail);
        match (user, tail) {
            (None, Cow::Borrowed(_)) => Cow::Borrowed(url),
            (None, Cow::Owned(tail)) => [front, &tail].concat().into(),
            (Some((start, end)), tail) => [&front[..start], REDACTED, &front[end..], &tail].concat().into(),
        }
    }

    /// The host and port of an authority.
    pub(super) fn authority<'a>(&self, authority: &'a [u8]) -> &'a [u8] {
        memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..])
    }

    /// Where in `pair` a secret value starts. Some servers take `;` for a separator too, and a second `?` often starts
    /// a query that somebody forgot to encode; but neither ends a secret.
    fn secret(&self, pair: &[u8]) -> Option<usize> {
        let mut start = 0;
        for part in pair.split(|byte| matches!(byte, b';' | b'?')) {
            if let Some(equals) = memchr(b'=', part)
                && self.is_secret(&part[..equals])
            {
                return Some(start + equals + 1);
            }
            start += part.len() + 1;
        }
        None
    }

    fn is_secret(&self, key: &[u8]) -> bool {
        let spelled_plainly = key.iter().all(|byte| !matches!(byte, b'%' | b'+' | b'[' | b']'));
        if spelled_plainly {
            return self.is_listed(key);
        }
        let key: Vec<u8> = percent_decode(key).map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        // `user[password]` and `token[]` are how some frameworks nest.
        key.split(|byte| matches!(byte, b'[' | b']')).any(|part| self.is_listed(part.trim_ascii()))
    }

    fn is_listed(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|listed| listed.eq_ignore_ascii_case(key))
    }
}

/// The pairs of a query with the separators that end them.
fn pairs(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split_inclusive(is_separator)
}

/// `#` starts a URL's fragment, in which some sign-in flows return tokens.
fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'&' | b'#')
}

/// The place of `user:password` in a URL, if there is an `@` in its authority. As lenient as browsers are.
fn user_information(url: &[u8]) -> Option<(usize, usize)> {
    let scheme = url.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let after_scheme = if url.get(scheme) == Some(&b':') { scheme + 1 } else { 0 };
    let slashes = url[after_scheme..].iter().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
    let start = after_scheme + slashes;
    let authority = url[start..].split(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#')).next()?;
    memrchr(b'@', authority).map(|at| (start, start + at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(&["token", "password", "Code"].map(String::from))
    }

    fn text(bytes: Cow<'_, [u8]>) -> String {
        String::from_utf8(bytes.into_owned()).expect("UTF-8")
    }

    #[test]
    fn values_of_listed_keys_are_replaced() {
        let cases = [
            ("token=s3cret", "token=[redacted]"),
            ("a=1&token=s3cret&b=2", "a=1&token=[redacted]&b=2"),
            ("TOKEN=s3cret&code=s3cret", "TOKEN=[redacted]&code=[redacted]"),
            ("%74oke%6E=s3cret", "%74oke%6E=[redacted]"),
            ("token=a=b=s3cret", "token=[redacted]"),
            ("token=&x", "token=[redacted]&x"),
            ("token[]=s3cret&user%5Bpassword%5d=s3cret", "token[]=[redacted]&user%5Bpassword%5d=[redacted]"),
            ("a=1;token=s3cret;s3cret", "a=1;token=[redacted]"),
            ("next=/login?token=s3cret", "next=/login?token=[redacted]"),
            ("+token=s3cret", "+token=[redacted]"),
        ];
        for (query, expected) in cases {
            assert_eq!(text(redactor().query(query.as_bytes())), expected, "{query}");
        }
    }

    #[test]
    fn everything_else_is_left_alone_and_not_copied() {
        for query in ["", "a=1&b=2", "token", "tokens=1", "postcode=1", "x=token", "=token", "%zz=1", "a%3Dtoken=1"] {
            assert!(
                matches!(redactor().query(query.as_bytes()), Cow::Borrowed(same) if same == query.as_bytes()),
                "{query}"
            );
        }
    }

    #[test]
    fn urls_lose_user_information_and_secrets() {
        let cases = [
            ("https://example.com/a?b=1", "https://example.com/a?b=1"),
            ("https://me:s3cret@example.com/a", "https://[redacted]@example.com/a"),
            ("https://me:s3@cret@example.com", "https://[redacted]@example.com"),
            ("//me:s3cret@example.com?token=s3cret", "//[redacted]@example.com?token=[redacted]"),
            ("http:\\\\me:s3cret@example.com\\", "http:\\\\[redacted]@example.com\\"),
            ("https://example.com/@me", "https://example.com/@me"),
            ("https://example.com/?mail=me@example.com", "https://example.com/?mail=me@example.com"),
            ("https://example.com/#token=s3cret&x=1", "https://example.com/#token=[redacted]&x=1"),
            ("https://example.com/?a=1#code=s3cret", "https://example.com/?a=1#code=[redacted]"),
            ("/relative?password=s3cret", "/relative?password=[redacted]"),
            ("", ""),
        ];
        for (url, expected) in cases {
            assert_eq!(text(redactor().url(url.as_bytes())), expected, "{url}");
        }
    }

    #[test]
    fn an_authority_loses_its_user() {
        assert_eq!(redactor().authority(b"me:s3cret@example.com:80"), b"example.com:80");
        assert_eq!(redactor().authority(b"example.com:80"), b"example.com:80");
    }

    proptest! {
        #[test]
        fn a_secret_never_shows_whatever_is_around_it(before in ".{0,20}", after in ".{0,20}") {
            let query = format!("{before}&ToKen=s3cret&{after}");
            prop_assert!(!text(redactor().query(query.as_bytes())).contains("s3cret"));
            let url = format!("https://example.com/?{query}");
            prop_assert!(!text(redactor().url(url.as_bytes())).contains("s3cret"));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            redactor().query(&bytes);
            redactor().url(&bytes);
        }
    }
}
