//! What new connections are secured with: one configuration of rustls at a time, which can be replaced while the
//! server runs. Connections keep the one they began with.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedProtocolVersion};

use super::clients::Clients;
use super::identity::Identity;
use super::names::Names;
use super::provider;

/// What is agreed on by ALPN (RFC 7301). Who offers only other protocols is refused with `no_application_protocol`.
const PROTOCOL: &[u8] = b"http/1.1";

/// Newest first.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// Secures connections.
#[derive(Debug)]
pub struct Acceptor {
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    terms: Arc<Terms>,
    config: Arc<ServerConfig>,
}

/// On what terms connections are secured.
#[derive(Clone, Debug)]
pub struct Terms {
    /// There must be one. The first is for everybody who asks for no name that another one has.
    pub certificates: Vec<Certificate>,
    /// `None`: clients are not asked for certificates.
    pub clients: Option<Arc<Clients>>,
    /// Whether TLS 1.2 is spoken besides TLS 1.3.
    pub allows_tls12: bool,
}

/// A certificate, and whom it is for.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// In lower case, perhaps with `*.` in front. May be empty for the first certificate.
    pub domains: Vec<String>,
    /// The certificate and its key.
    pub identity: Arc<Identity>,
}

impl From<Identity> for Terms {
    /// Presents it to everybody.
    fn from(identity: Identity) -> Self {
        let certificate = Certificate { domains: Vec::new(), identity: Arc::new(identity) };
        Terms { certificates: vec![certificate], clients: None, allows_tls12: true }
    }
}

impl Acceptor {
    /// Secures connections on these terms; HTTP/1.1, resumption by tickets whose key changes every six hours.
    ///
    /// # Errors
    /// When the terms have no certificate, or the system gives no random numbers.
    pub fn new(terms: impl Into<Terms>) -> Result<Self, Error> {
        Ok(Acceptor { current: ArcSwap::from_pointee(Current::new(terms.into())?) })
    }

    /// Secures connections that begin from now on on other terms, and has their sessions begin anew: tickets of before do
    /// not count, so that nobody resumes what would not be agreed on any more.
    ///
    /// # Errors
    /// As [`new`](Self::new); then everything stays as it is.
    pub fn replace(&self, terms: impl Into<Terms>) -> Result<(), Error> {
        self.current.store(Arc::new(Current::new(terms.into())?));
        Ok(())
    }

    /// The terms for new connections.
    pub fn terms(&self) -> Arc<Terms> {
        self.current.load().terms.clone()
    }

    /// What is presented to who asks for no name.
    pub fn identity(&self) -> Arc<Identity> {
        self.current.load().terms.certificates[0].identity.clone()
    }

    /// Begins a session.
    pub(super) fn accept(&self) -> io::Result<UnbufferedServerConnection> {
        let current = self.current.load();
        let now = SystemTime::now();
        current.terms.certificates.iter().for_each(|certificate| certificate.identity.expiry().remind(now));
        UnbufferedServerConnection::new(current.config.clone()).map_err(io::Error::other)
    }
}

impl Current {
    fn new(terms: Terms) -> Result<Self, Error> {
        let config = Arc::new(configure(&terms)?);
        Ok(Current { terms: Arc::new(terms), config })
    }
}

fn configure(terms: &Terms) -> Result<ServerConfig, Error> {
    let versions = if terms.allows_tls12 { VERSIONS } else { &VERSIONS[..1] };
    let builder =
        ServerConfig::builder_with_provider(Arc::new(provider::default_provider())).with_protocol_versions(versions)?;
    let builder = match &terms.clients {
        Some(clients) => builder.with_client_cert_verifier(clients.verifier().clone()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(names(terms)?));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Tickets are kept by the clients: no memory of ours, no lock, and any reactor can resume any session.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = provider::Ticketer::new()?;
    Ok(config)
}

fn names(terms: &Terms) -> Result<Names, Error> {
    let first = terms.certificates.first().ok_or_else(|| Error::General("there is no certificate".into()))?;
    let mut names = Names::new(first.identity.certified_key().clone());
    for Certificate { domains, identity } in &terms.certificates {
        domains.iter().for_each(|domain| names.add(domain, identity.certified_key().clone()));
    }
    Ok(names)
}
