//! What new connections are secured with: one configuration of rustls at a time, which can be replaced while the
//! server runs. Connections keep the one they began with.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};

use super::identity::Identity;
use super::provider;

/// What is agreed on by ALPN (RFC 7301). Who offers only other protocols is refused with `no_application_protocol`.
const PROTOCOL: &[u8] = b"http/1.1";

/// Secures connections.
#[derive(Debug)]
pub struct Acceptor {
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    identity: Arc<Identity>,
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// Presents `identity` to everybody: TLS 1.2 and 1.3, HTTP/1.1, resumption by tickets whose key changes every six
    /// hours.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(identity: Identity) -> Result<Self, Error> {
        Ok(Acceptor { current: ArcSwap::from_pointee(Current::new(identity)?) })
    }

    /// Presents `identity` to connections that begin from now on, and has their sessions begin anew: tickets of before do
    /// not count.
    ///
    /// # Errors
    /// As [`new`](Self::new); then everything stays as it is.
    pub fn replace(&self, identity: Identity) -> Result<(), Error> {
        self.current.store(Arc::new(Current::new(identity)?));
        Ok(())
    }

    /// What is presented to new connections.
    pub fn identity(&self) -> Arc<Identity> {
        self.current.load().identity.clone()
    }

    /// Begins a session.
    pub(super) fn accept(&self) -> io::Result<UnbufferedServerConnection> {
        let current = self.current.load();
        current.identity.expiry().remind(SystemTime::now());
        UnbufferedServerConnection::new(current.config.clone()).map_err(io::Error::other)
    }
}

impl Current {
    fn new(identity: Identity) -> Result<Self, Error> {
        let config = Arc::new(configure(&identity)?);
        Ok(Current { identity: Arc::new(identity), config })
    }
}

fn configure(identity: &Identity) -> Result<ServerConfig, Error> {
    let resolver = SingleCertAndKey::from(identity.certified_key().clone());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Tickets are kept by the clients: no memory of ours, no lock, and any reactor can resume any session.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = provider::Ticketer::new()?;
    Ok(config)
}
