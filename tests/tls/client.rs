//! What the tests of TLS share: an authority and what it issues, a server that speaks HTTPS, and clients of several
//! kinds.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rws::config::Config;
use rws::net::tls::Acceptor;
use rws::net::tls::identity::Identity;
use rws::server::clock::Clock;

use super::support::{Client, PATIENCE, Site};

/// A client that speaks TLS.
pub(crate) type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// An authority, and files with a certificate that it issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
    dir: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let authority = Authority { issuer: Issuer::new(params, key), certificate, dir: tempfile::tempdir().unwrap() };
        authority.write("ca.crt", &authority.certificate);
        authority
    }

    /// Issues a certificate for localhost, with something done to it before. Returns it and its key as PEM.
    pub(crate) fn issue(&self, prepare: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "localhost");
        prepare(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Puts a text into a file of its own.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The path of the authority's own certificate.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A certificate for localhost and its key, as files.
    pub(crate) fn files(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(|_| {});
        (self.write("tls.crt", certificate), self.write("tls.key", key))
    }
}

/// The authority that everybody trusts here, and its certificate for localhost.
pub(crate) fn authority() -> &'static (Authority, PathBuf, PathBuf) {
    static AUTHORITY: OnceLock<(Authority, PathBuf, PathBuf)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let authority = Authority::new("the authority");
        let (certificate, key) = authority.files();
        (authority, certificate, key)
    })
}

/// What presents this certificate.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Arc<Acceptor> {
    Arc::new(Acceptor::new(Identity::load(certificate, key).unwrap()).unwrap())
}

/// A server that speaks HTTPS, on a clock that stands still.
pub(crate) fn site(config: Config) -> Site {
    site_on(config, Clock::manual())
}

/// The same on `clock`.
pub(crate) fn site_on(config: Config, clock: Clock) -> Site {
    let (_, certificate, key) = authority();
    Site::of(config, clock, |server| server.with_tls(Some(acceptor(certificate, key))))
}

/// What a client that trusts the authority wants.
pub(crate) fn wants(versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority().0.certificate.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The same for a client with a certificate of its own.
pub(crate) fn wants_as(
    certificate: &str,
    key: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority().0.certificate.as_bytes()).unwrap()).unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap());
    Arc::new(config.unwrap())
}

/// What most clients want.
pub(crate) fn usual() -> Arc<ClientConfig> {
    static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    USUAL.get_or_init(|| wants(&[&TLS13, &TLS12], &["h2", "http/1.1"])).clone()
}

/// The client's half of a session.
pub(crate) fn session(config: Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap()
}

/// A connection that has not said anything yet.
pub(crate) fn connect_with(address: SocketAddr, config: Arc<ClientConfig>) -> TlsClient {
    let tcp = Client::connect(address).stream;
    Client::over(StreamOwned::new(session(config), tcp))
}

/// A connection of the usual kind that has not said anything yet.
pub(crate) fn connect(site: &Site) -> TlsClient {
    connect_with(site.address, usual())
}

/// A connection whose handshake is done, on which `bytes` were sent.
pub(crate) fn send(site: &Site, bytes: impl AsRef<[u8]>) -> TlsClient {
    let mut client = connect(site);
    client.send(bytes);
    client
}

/// Returns when the reactor (there must be one only) has dealt with all that was sent before.
pub(crate) fn settle(site: &Site) {
    for _ in 0..2 {
        let request = "GET /probe HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let mut client = send(site, request);
        assert_eq!(client.reply().status, 200);
        // Who goes with the goodbye unread resets the connection, which counts.
        client.expect_end();
    }
}

/// Does the handshake, and gives out session and socket.
pub(crate) fn shake_hands(site: &Site, config: Arc<ClientConfig>) -> (ClientConnection, TcpStream) {
    let StreamOwned { mut conn, mut sock } = connect_with(site.address, config).stream;
    while conn.is_handshaking() {
        conn.complete_io(&mut sock).unwrap();
    }
    (conn, sock)
}

/// Encrypts `bytes`, as many records as that takes, without sending them.
pub(crate) fn encrypt(session: &mut ClientConnection, bytes: &[u8]) -> Vec<u8> {
    session.set_buffer_limit(None);
    session.writer().write_all(bytes).unwrap();
    take_output(session)
}

/// What a session has to send.
pub(crate) fn take_output(session: &mut ClientConnection) -> Vec<u8> {
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    records
}

/// Puts session and socket together again.
pub(crate) fn over(session: ClientConnection, socket: TcpStream) -> TlsClient {
    Client::over(StreamOwned::new(session, socket))
}

/// Reads whatever comes until the end, which may be a reset.
pub(crate) fn read_raw(socket: &mut TcpStream) -> (Vec<u8>, io::Result<usize>) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    let end = socket.read_to_end(&mut bytes);
    (bytes, end)
}
