//! A session over a real socket, with rustls as the client.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::OnceLock;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};

use super::*;
use crate::net::tls::identity::Identity;
use crate::net::tls::provider::default_provider;

/// What both sides agree on the terms of.
fn terms() -> &'static (Arc<Acceptor>, Arc<ClientConfig>) {
    static TERMS: OnceLock<(Arc<Acceptor>, Arc<ClientConfig>)> = OnceLock::new();
    TERMS.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let acceptor = Arc::new(Acceptor::new(Identity::load(&certificate, &key).unwrap()).unwrap());

        let mut roots = RootCertStore::empty();
        let pem = made.cert.pem();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        (acceptor, Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    })
}

/// Both ends of a connection on which nothing was said.
fn fresh() -> (Box<Session>, TcpStream, ClientConnection, TcpStream) {
    let (acceptor, config) = terms();
    let client = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nodelay(true).unwrap();
    (Session::new(acceptor.clone()), ours, client, theirs)
}

/// Both ends of a connection whose handshake is done.
fn connected() -> (Box<Session>, TcpStream, ClientConnection, TcpStream) {
    let (mut session, ours, mut client, mut theirs) = fresh();
    theirs.set_nonblocking(true).unwrap();
    while client.is_handshaking() || session.is_handshaking() {
        // What is not there yet comes in another round.
        let _ = client.complete_io(&mut theirs);
        let _ = session.read(&ours, &mut [0; 100]);
        session.flush(&ours).unwrap();
        assert!(!session.ended && matches!(session.state, State::Talking(_)), "the handshake fails");
    }
    theirs.set_nonblocking(false).unwrap();
    (session, ours, client, theirs)
}

/// A peer that reads steadily and a little more slowly than we write never lets the output become empty.
#[test]
fn what_was_sent_is_not_kept() {
    let (mut session, ours, _client, mut theirs) = connected();
    socket2::SockRef::from(&ours).set_send_buffer_size(16 << 10).unwrap();
    socket2::SockRef::from(&theirs).set_recv_buffer_size(32 << 10).unwrap();
    let mut written = 0;
    while written < 2_000_000 {
        if session.is_full() {
            let _ = theirs.read(&mut [0; 4000]).unwrap();
            session.send_now(&ours).unwrap();
        } else {
            written += session.write(&ours, &[0; 5000]).unwrap();
        }
        let kept = session.outgoing.capacity();
        assert!(kept <= BATCH + 8 * OVERHEAD, "{kept} bytes are kept after {written}");
    }
}

#[test]
fn a_resting_session_holds_no_buffer() {
    let (mut session, ours, mut client, mut theirs) = connected();
    for n in [1, 5000, 40_000] {
        Write::write_all(&mut Stream::new(&mut client, &mut theirs), &vec![1; n]).unwrap();
        let mut room = vec![0; n];
        let mut filled = 0;
        while filled < n {
            filled += session.read(&ours, &mut room[filled..]).unwrap_or(0);
        }
        session.write(&ours, &room).unwrap();
        Stream::new(&mut client, &mut theirs).read_exact(&mut room).unwrap();
        while session.has_unsent() {
            session.send_now(&ours).unwrap();
        }
        session.rest();
        let held = [session.incoming.capacity(), session.plain.capacity(), session.outgoing.capacity()];
        assert_eq!(held, [0, 0, 0], "after {n} bytes");
    }
}

/// Reads until the other side is done, into rooms of these sizes in turn.
fn read_all(session: &mut Session, ours: &TcpStream, rooms: &mut impl Iterator<Item = usize>) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    loop {
        let mut room = vec![0; rooms.next().unwrap_or(100)];
        match session.read(ours, &mut room) {
            Ok(0) => return (plain, true),
            Ok(n) => plain.extend_from_slice(&room[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (plain, false),
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the network cuts what a client sends, and however little room there is for it, what it said comes out:
    /// its hello, the end of its handshake, its data in records of any size, its new keys, its goodbye.
    #[test]
    fn a_flight_means_the_same_however_it_is_cut(
        cuts in prop::collection::vec(1_usize..4000, 1..20),
        rooms in prop::collection::vec(1_usize..40_000, 1..8),
        pieces in prop::collection::vec((0_usize..20_000, any::<bool>()), 1..6),
    ) {
        let (mut session, ours, mut client, mut theirs) = fresh();
        let (mut cuts, mut rooms) = (cuts.iter().copied().cycle(), rooms.iter().copied().cycle());
        let (mut said, mut heard, mut ended) = (Vec::new(), Vec::new(), false);
        let mut left = pieces.iter();
        while !ended {
            let mut flight = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut flight).unwrap();
            }
            if !client.is_handshaking() {
                for &(size, new_keys) in left.by_ref() {
                    let piece = vec![size as u8; size];
                    client.writer().write_all(&piece).unwrap();
                    said.extend_from_slice(&piece);
                    if new_keys {
                        client.refresh_traffic_keys().unwrap();
                    }
                    while client.wants_write() {
                        client.write_tls(&mut flight).unwrap();
                    }
                }
                client.send_close_notify();
                client.write_tls(&mut flight).unwrap();
            }
            let mut rest = &flight[..];
            while !rest.is_empty() && !ended {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                theirs.write_all(now).unwrap();
                rest = later;
                let (plain, end) = read_all(&mut session, &ours, &mut rooms);
                heard.extend(plain);
                ended = end;
                session.rest();
            }
            session.flush(&ours).unwrap();
            if client.is_handshaking() && session.outgoing.is_empty() {
                theirs.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
                client.read_tls(&mut theirs).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        prop_assert!(heard == said, "{} of {} bytes", heard.len(), said.len());
    }
}
