//! Which certificate a client gets: the one for the name that it asks for (SNI, RFC 6066 section 3).
//!
//! An exact name comes before a wildcard, which stands for one label (RFC 9525 section 6.3). Whoever asks for no name or
//! for one that is not known gets the first certificate, as from nginx and HAProxy: the client can tell best whether it
//! wants that, and can say so.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by name.
#[derive(Debug)]
pub(super) struct Names {
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcards: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Names {
    pub(super) fn new(first: Arc<CertifiedKey>) -> Self {
        Names { first, exact: HashMap::new(), wildcards: HashMap::new() }
    }

    /// Adds a name in lower case, perhaps with `*.` in front.
    pub(super) fn add(&mut self, domain: &str, key: Arc<CertifiedKey>) {
        match domain.strip_prefix("*.") {
            Some(rest) => self.wildcards.insert(rest.into(), key),
            None => self.exact.insert(domain.into(), key),
        };
    }

    /// What a client gets that asks for `name`, which rustls has put in lower case.
    fn find(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        let wildcard = || self.wildcards.get(name?.split_once('.')?.1);
        name.and_then(|name| self.exact.get(name)).or_else(wildcard).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()).clone())
    }
}
