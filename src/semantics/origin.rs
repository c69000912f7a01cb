//! Origins as browsers write them (RFC 6454, HTML "ASCII serialisation of an origin"), and patterns that they are held
//! against. Knows no CORS; what follows from a match is the caller's business.
//!
//! A browser sends scheme, host and port in one spelling: in lower case, without a default port, without anything
//! behind. A pattern is brought into that spelling once, so that a comparison of bytes is the comparison of section 5.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// Ports that are left out of an origin (URL standard, "special scheme").
const DEFAULT_PORTS: [(&str, u16); 5] = [("https", 443), ("http", 80), ("wss", 443), ("ws", 80), ("ftp", 21)];

/// One origin, or all origins on the subdomains of a name.
///
/// - `https://app.example`, `http://localhost:3000`, `https://[::1]:8443`: this one. The default port may be written.
/// - `https://*.example.com`: any depth of subdomains, on that port, but not `https://example.com` itself.
/// - `null`: what browsers send for `file:` pages, sandboxed frames and some redirects. Anybody can make a page that has
///   it, so it is nearly as wide as all origins.
///
/// ```
/// use rws::semantics::origin::OriginPattern;
///
/// let pattern: OriginPattern = "https://*.Example.com:443".parse()?;
/// assert_eq!(pattern.to_string(), "https://*.example.com");
/// assert!(pattern.matches(b"https://a.b.example.com"));
/// assert!(!pattern.matches(b"https://example.com"));
/// assert!(!pattern.matches(b"http://a.example.com"));
///
/// let error = "example.com".parse::<OriginPattern>().unwrap_err();
/// assert_eq!(error.to_string(), "\"example.com\" has no scheme: write https://example.com");
/// # Ok::<(), rws::semantics::origin::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// What stands before and after the labels: `https://` and `.example.com:8443`.
    Subdomains {
        before: String,
        after: String,
    },
}

/// A text that is no origin: the text, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError {
    text: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Everything,
    NoScheme,
    Scheme,
    File,
    User,
    /// What it would be without its end.
    Path(String),
    NotAscii,
    Host,
    Address,
    Port,
    Wildcard,
}

impl OriginPattern {
    /// Whether `origin`, the value of an `Origin` field, is the one or one of those that are meant.
    pub fn matches(&self, origin: &[u8]) -> bool {
        match &self.0 {
            Pattern::Exact(exact) => exact.as_bytes() == origin,
            Pattern::Subdomains { before, after } => {
                let labels =
                    origin.strip_prefix(before.as_bytes()).and_then(|rest| rest.strip_suffix(after.as_bytes()));
                labels.is_some_and(are_labels)
            }
        }
    }

    /// The origin, if it is only one.
    pub fn exact(&self) -> Option<&str> {
        match &self.0 {
            Pattern::Exact(exact) => Some(exact),
            Pattern::Subdomains { .. } => None,
        }
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        parse(text).map(OriginPattern).map_err(|fault| OriginError { text: text.to_owned(), fault })
    }
}

fn parse(text: &str) -> Result<Pattern, Fault> {
    match text {
        "null" => return Ok(Pattern::Exact("null".to_owned())),
        "*" => return Err(Fault::Everything),
        _ if !text.is_ascii() => return Err(Fault::NotAscii),
        _ => {}
    }
    let (scheme, rest) = text.split_once("://").ok_or(Fault::NoScheme)?;
    let scheme = scheme_of(scheme)?;
    if let Some(end) = rest.find(['/', '?', '#', '\\']) {
        return Err(Fault::Path(format!("{scheme}://{}", rest[..end].escape_debug())));
    }
    if rest.contains('@') {
        return Err(Fault::User);
    }
    let (host, port) = split_port(rest)?;
    let port = match port {
        Some(port) if !DEFAULT_PORTS.contains(&(&*scheme, port)) => format!(":{port}"),
        _ => String::new(),
    };
    match host.strip_prefix("*.") {
        Some(name) if is_address(name) => Err(Fault::Wildcard),
        Some(name) => {
            Ok(Pattern::Subdomains { before: format!("{scheme}://"), after: format!(".{}{port}", host_of(name)?) })
        }
        None => Ok(Pattern::Exact(format!("{scheme}://{}{port}", host_of(host)?))),
    }
}

/// scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 section 3.1), in lower case.
fn scheme_of(text: &str) -> Result<String, Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = text.bytes().all(fits) && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    match text.to_ascii_lowercase() {
        _ if !is_scheme => Err(Fault::Scheme),
        file if file == "file" => Err(Fault::File),
        scheme => Ok(scheme),
    }
}

/// Host and port. The colons within brackets are the address's own.
fn split_port(text: &str) -> Result<(&str, Option<u16>), Fault> {
    let end_of_address = text.find(']').map_or(0, |end| end + 1);
    let Some(colon) = text[end_of_address..].find(':') else { return Ok((text, None)) };
    let (host, port) = text.split_at(end_of_address + colon);
    let digits = &port[1..];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| is_number && *port > 0).ok_or(Fault::Port)?;
    Ok((host, Some(port)))
}

/// A host in the one spelling that browsers have for it.
fn host_of(text: &str) -> Result<String, Fault> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().map(|address| format!("[{address}]")).map_err(|_| Fault::Address);
    }
    if text.contains('*') {
        return Err(Fault::Wildcard);
    }
    let name = text.to_ascii_lowercase();
    if !are_labels(name.strip_suffix('.').unwrap_or(&name).as_bytes()) {
        return Err(Fault::Host);
    }
    if is_address(&name) && name.parse::<Ipv4Addr>().is_err() {
        return Err(Fault::Address);
    }
    Ok(name)
}

/// Whether browsers take a host for an IPv4 address (URL standard, "ends in a number"), or it is an IPv6 address.
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').find(|label| !label.is_empty()).unwrap_or_default();
    let is_hexadecimal =
        |label: &str| label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    host.starts_with('[')
        || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
        || is_hexadecimal(last)
}

/// Whether these are labels of a name in lower case, one at least, with dots between them.
fn are_labels(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte);
    bytes.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(plain))
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Exact(exact) => f.write_str(exact),
            Pattern::Subdomains { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.text)?;
        match &self.fault {
            Fault::Everything => f.write_str("is every origin, which is a setting of its own"),
            Fault::NoScheme => {
                let host = self.text.trim_start_matches('/').escape_debug();
                write!(f, "has no scheme: write https://{host}")
            }
            Fault::Scheme => f.write_str("has no valid scheme before ://, such as https"),
            Fault::File => f.write_str("is no origin: browsers send null for pages from files"),
            Fault::User => f.write_str("has a user name, and an origin has none"),
            Fault::Path(without) => {
                write!(f, "has something behind the host, and an origin has no path: write {without}")
            }
            Fault::NotAscii => f.write_str("must be ASCII: write the name as browsers send it, with xn--"),
            Fault::Host => f.write_str("has no valid host name"),
            Fault::Address => f.write_str("has an IP address that is not well-formed"),
            Fault::Port => f.write_str("has no valid port: 1 to 65535"),
            Fault::Wildcard => {
                f.write_str("has a * that is not the whole first label of a name: write https://*.example.com")
            }
        }
    }
}

impl std::error::Error for OriginError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn patterns_have_the_spelling_of_browsers() {
        for (written, sent) in [
            ("null", "null"),
            ("https://a.example", "https://a.example"),
            ("HTTPS://A.Example:443", "https://a.example"),
            ("http://a.example:80", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("http://localhost:03000", "http://localhost:3000"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://[2001:DB8:0:0:0:0:0:1]", "https://[2001:db8::1]"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("https://a.example.", "https://a.example."),
            ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("https://*.Example.com:8443", "https://*.example.com:8443"),
        ] {
            assert_eq!(pattern(written).to_string(), sent, "{written}");
        }
    }

    #[test]
    fn what_is_no_origin_is_explained() {
        for (text, reason) in [
            ("*", "is every origin, which is a setting of its own"),
            ("", "has no scheme: write https://"),
            ("example.com", "has no scheme: write https://example.com"),
            ("//example.com", "has no scheme: write https://example.com"),
            ("localhost:3000", "has no scheme: write https://localhost:3000"),
            ("https://a.example/", "has something behind the host, and an origin has no path: write https://a.example"),
            (
                "https://a.example:1/x?y",
                "has something behind the host, and an origin has no path: write https://a.example:1",
            ),
            (
                "https://a.example#x",
                "has something behind the host, and an origin has no path: write https://a.example",
            ),
            ("1https://a", "has no valid scheme before ://, such as https"),
            ("://a", "has no valid scheme before ://, such as https"),
            ("file://", "is no origin: browsers send null for pages from files"),
            ("https://u:p@a.example", "has a user name, and an origin has none"),
            ("https://münchen.example", "must be ASCII: write the name as browsers send it, with xn--"),
            ("https://", "has no valid host name"),
            ("https://a..b", "has no valid host name"),
            ("https://a b", "has no valid host name"),
            ("https://a%2eb", "has no valid host name"),
            ("https://a.example:", "has no valid port: 1 to 65535"),
            ("https://a.example:0", "has no valid port: 1 to 65535"),
            ("https://a.example:+1", "has no valid port: 1 to 65535"),
            ("https://a.example:65536", "has no valid port: 1 to 65535"),
            ("https://::1", "has no valid port: 1 to 65535"),
            ("https://127.1", "has an IP address that is not well-formed"),
            ("https://0x7f000001", "has an IP address that is not well-formed"),
            ("https://[::1", "has no valid port: 1 to 65535"),
            ("https://[1.2.3.4]", "has an IP address that is not well-formed"),
            ("https://*", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://a.*.example", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://*.*.example", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://*a.example", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://*.0.0.1", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://*.[::1]", "has a * that is not the whole first label of a name: write https://*.example.com"),
            ("https://*.", "has no valid host name"),
        ] {
            let error = text.parse::<OriginPattern>().expect_err(text);
            assert_eq!(error.to_string(), format!("{text:?} {reason}"));
        }
    }

    #[test]
    fn subdomains_are_whole_labels_of_the_same_scheme_and_port() {
        let cases = [
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b-c.example.com", true),
            ("https://*.example.com", "https://xn--a_1.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://a..example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "https://evil.example/.example.com", false),
            ("https://*.example.com", "https://evil.example:1.example.com", false),
            ("https://*.example.com", "https://u@a.example.com", false),
            ("https://*.example.com", "https://evil.example#.example.com", false),
            ("https://*.example.com", "https://a.example.com.evil.example", false),
            ("https://*.example.com", "https://a.example.com:8443", false),
            ("https://*.example.com", "https://A.example.com", false),
            ("https://*.example.com", "http://a.example.com", false),
            ("https://*.example.com:8443", "https://a.example.com:8443", true),
            ("https://*.example.com:8443", "https://a.example.com", false),
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://a.example:443", false),
            ("https://a.example", "https://a.example.evil.example", false),
            ("https://a.example", "null", false),
            ("null", "null", true),
            ("null", "", false),
        ];
        for (given, origin, wanted) in cases {
            assert_eq!(pattern(given).matches(origin.as_bytes()), wanted, "{given} {origin}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_origin_or_explained(text: String) {
            match text.parse::<OriginPattern>() {
                Ok(pattern) => prop_assert_eq!(pattern.to_string().parse::<OriginPattern>().unwrap(), pattern),
                Err(error) => prop_assert!(error.to_string().len() > text.len()),
            }
        }

        #[test]
        fn an_exact_pattern_matches_itself_alone(host in "[a-z]{1,5}(\\.[a-z][a-z0-9-]{0,4}x){0,2}", other: Vec<u8>) {
            let text = format!("https://{host}");
            let pattern = pattern(&text);
            prop_assert!(pattern.matches(text.as_bytes()));
            prop_assert_eq!(pattern.matches(&other), other == text.as_bytes());
        }
    }
}
