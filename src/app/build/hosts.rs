//! Sites by the host that a request names: what a host may be called, and which one a request means.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::Ipv6Addr;

use super::built::Site;

/// Whom a site is for: one name, or all names with one more label than a domain (as in RFC 9525 section 6.3 and in an
/// Ingress of Kubernetes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Host {
    /// In lower case, as the one below.
    Exact(String),
    /// Without the `*.`.
    Under(String),
}

/// The sites of an application that are not for all hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<String, Site>,
    under: HashMap<String, Site>,
}

impl Host {
    /// Reads `api.example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`; an error in a sentence.
    pub(in crate::app) fn parse(text: &str) -> Result<Self, String> {
        let name = canonical(text).into_owned();
        if without_port(text) != text {
            return Err(format!("requests are told apart by name alone; write {:?}", without_port(text)));
        }
        match name.strip_prefix("*.") {
            Some(domain) if is_name(domain) => Ok(Host::Under(domain.to_owned())),
            None if is_name(&name) || ipv6(&name).is_some() => Ok(Host::Exact(name)),
            _ => Err("a host is a name, an address, or `*.` and a name".to_owned()),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Exact(name) => f.write_str(name),
            Host::Under(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl Hosts {
    pub(super) fn insert(&mut self, host: Host, site: Site) {
        match host {
            Host::Exact(name) => self.exact.insert(name, site),
            Host::Under(domain) => self.under.insert(domain, site),
        };
    }

    /// The site for the value of a `Host` field; a name of its own goes before a wildcard.
    pub(super) fn find(&self, host: &str) -> Option<&Site> {
        let name = canonical(host);
        let under = || name.split_once('.').filter(|(label, _)| !label.is_empty());
        self.exact.get(&*name).or_else(|| self.under.get(under()?.1))
    }
}

/// A host without its port and the dot of the root, in lower case (RFC 9110 section 4.2.3), and an IPv6 address as RFC 5952
/// writes it. Most names come like that: those cost no memory.
fn canonical(host: &str) -> Cow<'_, str> {
    let name = without_port(host);
    if let Some(address) = ipv6(name) {
        return format!("[{address}]").into();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Labels of letters, digits, hyphens and, as some have them, underscores.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn ipv6(name: &str) -> Option<Ipv6Addr> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_any_case() {
        for (text, shown) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com.", "api.example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[2001:0db8:0:0::0001]", "[2001:db8::1]"),
            ("my_service", "my_service"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_no_request_can_name_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "*",
            "*.",
            "*.*.x",
            "a.*.b",
            "a..b",
            "a b",
            "a/b",
            "http://a",
            "café.example",
            "[::1",
            "::1",
            &long,
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        assert!(Host::parse("example.com:80").unwrap_err().contains("\"example.com\""));
    }
}
