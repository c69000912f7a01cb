//! WebSockets through TLS: the same, whatever lies in between.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rws::net::tls::Acceptor;
use rws::net::tls::identity::Identity;
use rws::server::Verdict;

use super::*;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A server that speaks TLS, and what its clients need.
struct Secured {
    site: Site,
    config: Arc<ClientConfig>,
}

impl Secured {
    fn start(config: Config) -> Self {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
        std::fs::write(&certificate, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let acceptor = Acceptor::new(Identity::load(&certificate, &key).unwrap()).unwrap();
        let site = Site::of(config, |server| server.with_tls(Some(Arc::new(acceptor))));
        Secured { site, config: trusting(pair.cert.der().clone()) }
    }

    fn stream(&self) -> Tls {
        let session = ClientConnection::new(self.config.clone(), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(session, self.site.tcp())
    }

    fn connect(&self, path: &str) -> WebSocket<Tls> {
        tungstenite::client(format!("wss://localhost{path}"), self.stream()).unwrap().0
    }
}

/// Settings of a client that trusts this one certificate.
fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn the_cases_of_autobahn_pass_through_tls() {
    let secured = Secured::start(Config::default());
    for case in cases() {
        let mut stream = secured.stream();
        shake_hands(&mut stream);
        // The server may have enough before it has all.
        let _ = stream.write_all(&case.sent);
        let mut bytes = Vec::new();
        // An end without a goodbye of TLS would be an error.
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(parse(&bytes), (case.expected, bytes.len()), "case {}", case.id);
        secured.site.end();
    }
    secured.site.until_deserted();
}

#[test]
fn large_messages_come_back_whole() {
    let secured = Secured::start(Config::default());
    let mut client = secured.connect("/echo");
    for n in 1..20 {
        let message = Message::from((0..n * 5000).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        client.send(message.clone()).unwrap();
        assert!(client.read().unwrap() == message, "{n}");
    }
    client.close(None).unwrap();
    while client.read().is_ok() {}
    assert_eq!(secured.site.end(), (1005, true));
}

#[test]
fn all_hear_that_the_server_stops() {
    let secured = Secured::start(Config::default());
    let mut clients: Vec<_> = (0..20).map(|_| secured.connect("/room")).collect();
    while secured.site.shared.room.len() < 20 {
        thread::yield_now();
    }
    secured.site.shared.room.broadcast("before");
    secured.site.stop.drain(false, 15);
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), "before".into());
        let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no goodbye") };
        assert_eq!(u16::from(frame.code), 1001);
        while client.read().is_ok() {}
        assert_eq!(secured.site.end(), (1001, true));
    }
    assert_eq!(secured.site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);
}

#[test]
fn an_abrupt_end_is_noticed() {
    let secured = Secured::start(Config::default());
    for resets in [true, false] {
        let mut stream = secured.stream();
        shake_hands(&mut stream);
        stream.write_all(&frame(TEXT, b"half")).unwrap();
        if resets {
            socket2::SockRef::from(&stream.sock).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(stream);
        assert_eq!(secured.site.end(), (1006, false), "resets: {resets}");
    }
    secured.site.until_deserted();
}

/// Plain and secured, in a room that is sent more than one of them reads.
#[test]
fn who_never_reads_is_dropped_in_time_and_nobody_waits_for_it() {
    fn check<S: Read + Write>(site: &Site, connect: impl Fn() -> WebSocket<S>) {
        let [stuck, mut fine] = [(); 2].map(|()| connect());
        while site.shared.room.len() < 2 {
            thread::yield_now();
        }
        let (start, mut slowest) = (Instant::now(), Duration::ZERO);
        while site.ends.is_empty() {
            assert!(start.elapsed() < PATIENCE / 3, "it is never given up");
            let sent = Instant::now();
            site.shared.room.broadcast(vec![0; 50_000]);
            assert_eq!(fine.read().unwrap().len(), 50_000);
            slowest = slowest.max(sent.elapsed());
        }
        let closed = site.closed();
        assert_eq!((closed.code, &*closed.reason, closed.is_clean), (CloseCode::TRY_AGAIN_LATER, "too slow", false));
        assert!(slowest < WRITE_TIMEOUT, "another waited {slowest:?}");
        drop((stuck, fine));
        site.end();
        site.until_deserted();
    }
    const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
    let config = Config { write_timeout: WRITE_TIMEOUT, ..Config::default() };
    let plain = Site::of(config.clone(), |server| server);
    check(&plain, || plain.connect("/room"));
    let secured = Secured::start(config);
    check(&secured.site, || secured.connect("/room"));
}

/// The same with echoes that nobody reads: the server stops reading, and waits no longer than it may.
#[test]
fn who_sends_and_never_reads_is_dropped_in_time() {
    let config = Config { write_timeout: Duration::from_secs(1), ..Config::default() };
    let secured = Secured::start(config);
    let mut stream = secured.stream();
    shake_hands(&mut stream);
    stream.sock.set_write_timeout(Some(PATIENCE)).unwrap();
    let message = frame(FIN | TEXT, &[b'x'; 50_000]);
    while secured.site.ends.is_empty() && stream.write_all(&message).is_ok() {}
    let closed = secured.site.closed();
    assert_eq!((closed.code, &*closed.reason), (CloseCode::ABNORMAL, "the client did not read in time"));
    secured.site.until_deserted();
}
