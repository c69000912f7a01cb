//! Any bytes from a TLS client: no panic, no output without end, an end that stays one, and the same plaintext however they
//! are cut. The first byte decides whether they come first, come behind a real handshake, or are the plaintext of a client
//! that keeps to the rules. Run with `cargo +nightly fuzz run tls fuzz/corpus/tls fuzz/seeds/tls`.

#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use rws::net::stream::Stream;
use rws::net::tls::Acceptor;
use rws::net::tls::identity::Identity;

/// More than the server has to say to anything that fits into an input.
const MOST_OUTPUT: usize = 64 * 1024;

static ACCEPTOR: LazyLock<Arc<Acceptor>> = LazyLock::new(|| {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tls/fixtures");
    let identity = Identity::load(&fixtures.join("ec.crt"), &fixtures.join("ec.pkcs8.key")).expect("a fixture");
    Arc::new(Acceptor::new(identity).expect("random numbers"))
});

static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_no_client_auth();
    Arc::new(config)
});

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    match first % 3 {
        0 => {
            let whole = Peer::new().hear(bytes, bytes.len().max(1));
            let cut = Peer::new().hear(bytes, 1 + usize::from(first / 3));
            assert_eq!(whole, cut, "it depends on how the bytes are cut");
        }
        1 => {
            let mut peer = Peer::new();
            peer.shake_hands();
            peer.hear(bytes, 1 + usize::from(first / 3));
        }
        _ => {
            let mut peer = Peer::new();
            let mut client = peer.shake_hands();
            for piece in bytes.chunks(1 + usize::from(first / 3)) {
                client.writer().write_all(piece).expect("room");
                let mut records = Vec::new();
                while client.wants_write() {
                    client.write_tls(&mut records).expect("memory");
                }
                let heard = peer.hear(&records, records.len());
                assert_eq!(heard, (piece.to_vec(), None));
            }
        }
    }
});

/// Both ends of a connection.
struct Peer {
    server: Stream,
    socket: UnixStream,
}

impl Peer {
    fn new() -> Self {
        let (ours, socket) = UnixStream::pair().expect("sockets");
        ours.set_nonblocking(true).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        Peer { server: Stream::plain(ours.into()).secured(ACCEPTOR.clone()), socket }
    }

    /// A client that has agreed on keys with the server.
    fn shake_hands(&mut self) -> ClientConnection {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(CLIENT.clone(), name).expect("a client");
        while client.is_handshaking() || self.server.is_handshaking() {
            match client.complete_io(&mut self.socket) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
            assert_eq!(self.listen(), (Vec::new(), None));
        }
        client
    }

    /// Sends `bytes` in pieces of `size`. Returns what the server takes for plaintext, and how it ended, if it did.
    fn hear(&mut self, bytes: &[u8], size: usize) -> (Vec<u8>, Option<End>) {
        let (mut plain, mut end) = (Vec::new(), None);
        for piece in bytes.chunks(size) {
            if self.socket.write_all(piece).is_err() {
                break;
            }
            let (more, ended) = self.listen();
            plain.extend(more);
            end = ended;
            if end.is_some() {
                break;
            }
            self.server.rest();
        }
        let mut answers = vec![0; MOST_OUTPUT];
        assert!(self.socket.read(&mut answers).unwrap_or(0) < MOST_OUTPUT, "it says too much");
        assert!(!self.server.has_unsent(), "it says so much that the socket is full");
        (plain, end)
    }

    fn listen(&mut self) -> (Vec<u8>, Option<End>) {
        let (mut plain, mut room) = (Vec::new(), [0; 1000]);
        let end = loop {
            let read = self.server.read(&mut room);
            self.server.flush().expect("a socket that takes it");
            match read {
                Ok(0) => break Some(End::Goodbye),
                Ok(n) => plain.extend_from_slice(&room[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::InvalidData => break Some(End::Failure),
                Err(error) => panic!("{error}"),
            }
        };
        if end == Some(End::Failure) {
            assert!(self.server.read(&mut room).is_err(), "it goes on after it failed");
        }
        (plain, end)
    }
}

/// How a session ends.
#[derive(Debug, PartialEq)]
enum End {
    Goodbye,
    Failure,
}

/// Believes whoever has the certificate of the fixture.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
