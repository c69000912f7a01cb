//! The request target (RFC 9112 section 3.2, RFC 3986): its four forms, its parts, and the decoding of path segments.
//!
//! Knows the grammar of targets and authorities. It neither normalises (`.`, `..`, `//`) nor decodes a whole path:
//! a decoded slash must not become a separator, so decoding happens segment by segment.

use std::borrow::Cow;
use std::fmt;

use http::Method;
use memchr::memchr;
use percent_encoding::percent_decode_str;

use super::head::Span;

/// The form of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`, what clients send to servers (RFC 9112 section 3.2.1).
    Origin,
    /// `http://host/path?query`, what clients send to proxies and every server must accept (section 3.2.2).
    Absolute,
    /// `host:port`, for CONNECT only (section 3.2.3).
    Authority,
    /// `*`, for OPTIONS only (section 3.2.4).
    Asterisk,
}

/// A request target and the places of its parts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which of the four forms it has.
    pub form: Form,
    /// The path. Empty for `*`, for CONNECT and for OPTIONS on an absolute target without a path;
    /// any other absolute target without a path has the path `/`, which is the last slash of its `://`.
    pub path: Span,
    /// The query without its `?`.
    pub query: Option<Span>,
    /// Host and port of an absolute or authority form.
    pub authority: Option<Span>,
}

/// Why a request target was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// Nothing there, or none of the four forms.
    Form,
    /// A space, a control, a byte that is not ASCII, one of `"<>`, or a backslash in the path.
    Byte,
    /// A `#`: fragments are not sent (RFC 9110 section 7.1).
    Fragment,
    /// A scheme other than `http` and `https`.
    Scheme,
    /// A bad host or port.
    Authority,
    /// `user@host` (RFC 9110 section 4.2.4).
    UserInfo,
    /// `*` with a method other than OPTIONS.
    Asterisk,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetError::Form => "the request target is neither a path nor an http URL",
            TargetError::Byte => "the request target has a byte that must be percent-encoded",
            TargetError::Fragment => "the request target has a fragment",
            TargetError::Scheme => "the request target's scheme is neither http nor https",
            TargetError::Authority => "the request target's host or port is invalid",
            TargetError::UserInfo => "the request target carries user information",
            TargetError::Asterisk => "the request target * is for OPTIONS only",
        })
    }
}

impl std::error::Error for TargetError {}

/// Bytes a target may have. RFC 3986 has fewer: browsers also send `[ ] ^ ` { | }` as they are, and in queries `\`.
const TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = !matches!(byte as u8, b'"' | b'#' | b'<' | b'>');
        byte += 1;
    }
    table
};

/// How many bytes of a target `bytes` begin with.
pub fn target_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !TARGET[usize::from(byte)]).unwrap_or(bytes.len())
}

/// Splits a whole target into its parts and checks them. Spans are relative to `target`.
///
/// The bytes of the target are checked too; percent-escapes are not, [`decode_segment`] does that.
pub fn split(method: &Method, target: &[u8]) -> Result<Target, TargetError> {
    match target.get(target_len(target)) {
        None => split_checked(method, target),
        Some(b'#') => Err(TargetError::Fragment),
        Some(_) => Err(TargetError::Byte),
    }
}

/// [`split`] for a target all of whose bytes [`target_len`] has accepted.
pub(crate) fn split_checked(method: &Method, target: &[u8]) -> Result<Target, TargetError> {
    match target {
        _ if *method == Method::CONNECT => authority_form(target),
        [b'/', ..] => {
            let (path, query) = path_and_query(target, 0)?;
            Ok(Target { form: Form::Origin, path, query, authority: None })
        }
        b"*" if *method == Method::OPTIONS => {
            Ok(Target { form: Form::Asterisk, path: Span::default(), query: None, authority: None })
        }
        b"*" => Err(TargetError::Asterisk),
        _ => absolute_form(method, target),
    }
}

fn authority_form(target: &[u8]) -> Result<Target, TargetError> {
    check_authority(target)?;
    let authority = Some(Span::new(0, target.len()));
    Ok(Target { form: Form::Authority, path: Span::default(), query: None, authority })
}

fn absolute_form(method: &Method, target: &[u8]) -> Result<Target, TargetError> {
    let colon = memchr(b':', target).ok_or(TargetError::Form)?;
    let start = colon + 3;
    if target.get(colon..start) != Some(b"://") {
        return Err(TargetError::Form);
    }
    let scheme = &target[..colon];
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(TargetError::Scheme);
    }
    let rest = &target[start..];
    let end = start + rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    check_authority(&target[start..end])?;
    let (mut path, query) = path_and_query(target, end)?;
    let whole_server = *method == Method::OPTIONS && query.is_none();
    if path.start == path.end && !whole_server {
        path = Span::new(start - 1, start);
    }
    Ok(Target { form: Form::Absolute, path, query, authority: Some(Span::new(start, end)) })
}

fn path_and_query(target: &[u8], start: usize) -> Result<(Span, Option<Span>), TargetError> {
    let mark = memchr(b'?', &target[start..]).map(|at| start + at);
    let end = mark.unwrap_or(target.len());
    if memchr(b'\\', &target[start..end]).is_some() {
        return Err(TargetError::Byte);
    }
    Ok((Span::new(start, end), mark.map(|mark| Span::new(mark + 1, target.len()))))
}

fn check_authority(authority: &[u8]) -> Result<(), TargetError> {
    if memchr(b'@', authority).is_some() {
        Err(TargetError::UserInfo)
    } else if is_authority(authority) {
        Ok(())
    } else {
        Err(TargetError::Authority)
    }
}

/// Whether `text` is a host with an optional port, as in `Host` (RFC 9110 section 7.2, RFC 3986 section 3.2.2):
/// a name, an IPv4 address or an IPv6 address in brackets. An empty host, user information, zone ids and
/// `IPvFuture` are not accepted; an empty port is, as the grammar has it.
pub fn is_authority(text: &[u8]) -> bool {
    let (host, rest) = match text {
        [b'[', inside @ ..] => match memchr(b']', inside) {
            Some(end) if is_ipv6(&inside[..end]) => (&inside[..end], &inside[end + 1..]),
            _ => return false,
        },
        _ => {
            let end = memchr(b':', text).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            if !is_reg_name(name) {
                return false;
            }
            (name, rest)
        }
    };
    !host.is_empty() && (rest.is_empty() || is_port(rest))
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
}

fn is_reg_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        let ok = match byte {
            b'%' => is_hex(bytes.next()) && is_hex(bytes.next()),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                true
            }
            _ => byte.is_ascii_alphanumeric(),
        };
        if !ok {
            return false;
        }
    }
    true
}

fn is_hex(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_hexdigit)
}

fn is_port(colon_port: &[u8]) -> bool {
    match colon_port {
        [b':'] => true,
        [b':', digits @ ..] => {
            digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
        }
        _ => false,
    }
}

/// Why a path segment could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A `%` without two hexadecimal digits after it.
    Escape,
    /// The decoded bytes are not UTF-8.
    Utf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::Escape => "a % is not followed by two hexadecimal digits",
            DecodeError::Utf8 => "the percent-decoded text is not UTF-8",
        })
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the percent-escapes of one path segment. A `+` stays a plus; it is a space only in forms.
/// The result may contain any character, `/` and NUL included.
pub fn decode_segment(segment: &str) -> Result<Cow<'_, str>, DecodeError> {
    let bytes = segment.as_bytes();
    let escapes = memchr::memchr_iter(b'%', bytes);
    for at in escapes {
        if !is_hex(bytes.get(at + 1)) || !is_hex(bytes.get(at + 2)) {
            return Err(DecodeError::Escape);
        }
    }
    percent_decode_str(segment).decode_utf8().map_err(|_| DecodeError::Utf8)
}

/// Whether `path` is `prefix` or begins with its segments: `/api` has `/api/users`, and not `/apiary`. A slash at the end
/// of `prefix` means nothing. Both are compared as they are written, without decoding.
pub fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_connect_has_the_authority_form() {
        let connect = |target: &str| split(&Method::CONNECT, target.as_bytes());
        let target = connect("a.example:443").unwrap();
        assert_eq!((target.form, target.authority), (Form::Authority, Some(Span::new(0, 13))));
        assert_eq!(connect("/path"), Err(TargetError::Authority));
        assert_eq!(connect("u@a:443"), Err(TargetError::UserInfo));
        assert_eq!(split(&Method::GET, b"a.example:443"), Err(TargetError::Form));
    }

    #[test]
    fn forms() {
        let form = |method: &Method, target: &str| split(method, target.as_bytes()).map(|target| target.form);
        assert_eq!(form(&Method::GET, "/a?b"), Ok(Form::Origin));
        assert_eq!(form(&Method::OPTIONS, "*"), Ok(Form::Asterisk));
        assert_eq!(form(&Method::GET, "*"), Err(TargetError::Asterisk));
        assert_eq!(form(&Method::GET, "http://a/b"), Ok(Form::Absolute));
        assert_eq!(form(&Method::GET, "gopher://a/b"), Err(TargetError::Scheme));
        assert_eq!(form(&Method::GET, ""), Err(TargetError::Form));
        assert_eq!(form(&Method::GET, "/a b"), Err(TargetError::Byte));
        assert_eq!(form(&Method::GET, "/a#b"), Err(TargetError::Fragment));
    }

    #[test]
    fn segments_are_decoded() {
        let cases = [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("a%20b", Ok("a b")),
            ("%e2%82%ac%E2%82%AC", Ok("€€")),
            ("a+b", Ok("a+b")),
            ("%2F%2e%00", Ok("/.\0")),
            ("%25zz", Ok("%zz")),
            ("%", Err(DecodeError::Escape)),
            ("%4", Err(DecodeError::Escape)),
            ("%zz", Err(DecodeError::Escape)),
            ("a%2", Err(DecodeError::Escape)),
            ("%+1", Err(DecodeError::Escape)),
            ("%ff", Err(DecodeError::Utf8)),
            ("%c0%af", Err(DecodeError::Utf8)),
        ];
        for (segment, wanted) in cases {
            assert_eq!(decode_segment(segment).as_deref(), wanted.as_ref().map(|text| *text), "{segment}");
        }
        assert!(matches!(decode_segment("plain"), Ok(Cow::Borrowed(_))), "nothing to decode, nothing to copy");
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_target(target: Vec<u8>, method in prop::sample::select(vec![Method::GET, Method::OPTIONS, Method::CONNECT])) {
            if let Ok(parts) = split(&method, &target) {
                for span in [Some(parts.path), parts.query, parts.authority].into_iter().flatten() {
                    prop_assert!(span.start <= span.end && span.end as usize <= target.len());
                }
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(text: String) {
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decode_segment(&encoded), Ok(Cow::Borrowed(&*text)));
        }

        #[test]
        fn addresses_and_names_are_authorities(v6: core::net::Ipv6Addr, v4: core::net::Ipv4Addr, port: u16, name in "[a-z0-9.-]{1,30}") {
            for text in [format!("[{v6}]"), format!("[{v6}]:{port}"), format!("{v4}:{port}"), name.clone(), format!("{name}:{port}")] {
                prop_assert!(is_authority(text.as_bytes()), "{}", text);
            }
        }
    }

    #[test]
    fn prefixes_are_compared_by_segments() {
        let cases = [
            ("/api", "/api", true),
            ("/api", "/api/", true),
            ("/api/", "/api", true),
            ("/api/users/1", "/api", true),
            ("/api/users/1", "/api/", true),
            ("/apiary", "/api", false),
            ("/v1/api", "/api", false),
            ("/", "/api", false),
            ("", "/api", false),
            ("/anything", "/", true),
        ];
        for (path, prefix, expected) in cases {
            assert_eq!(is_below(path, prefix), expected, "{path} below {prefix}");
        }
    }
}
