//! Handshakes that take long, fail, or never begin, and what others notice of them.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::version::TLS13;
use rws::config::Config;
use rws::net::tls::identity::Identity;
use rws::net::tls::{Acceptor, Certificate, Terms};
use rws::server::clock::Clock;
use rws::server::observe::Outcome;
use rws::server::stats::ErrorKind;

use super::certificates::fixture;
use super::client::{
    authority, connect_with, over, read_raw, send, session, settle, shake_hands, site, site_on, take_output, usual,
    wants,
};
use super::support::{Client, Site, config, get_of, until};

const SECOND: Duration = Duration::from_secs(1);

fn errors(site: &Site, kind: ErrorKind) -> u64 {
    site.stats.connection_errors[kind as usize].load(Ordering::SeqCst)
}

fn raw(site: &Site) -> TcpStream {
    Client::connect(site.address).stream
}

fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let open = socket.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    open
}

#[test]
fn a_handshake_must_end_in_time_however_it_trickles() {
    let site = site(config());
    let hello = take_output(&mut session(usual()));
    let mut trickling = raw(&site);
    let mut silent = raw(&site);
    settle(&site);
    for byte in &hello[..9] {
        trickling.write_all(&[*byte]).unwrap();
        settle(&site);
        site.pass(SECOND);
    }
    settle(&site);
    assert!(is_open(&trickling) && is_open(&silent));
    assert_eq!(errors(&site, ErrorKind::TlsHandshake), 0);
    site.pass(SECOND);
    for socket in [&mut trickling, &mut silent] {
        assert!(read_raw(socket).0.is_empty());
    }
    until("both were counted", || errors(&site, ErrorKind::TlsHandshake) == 2);
    site.until_deserted();
}

#[test]
fn the_time_for_a_handshake_is_a_setting_and_ends_with_it() {
    let site = site(Config { tls_handshake_timeout: 3 * SECOND, idle_timeout: 60 * SECOND, ..config() });
    let (session, socket) = shake_hands(&site, usual());
    let mut silent = raw(&site);
    settle(&site);
    site.pass(3 * SECOND);
    assert!(read_raw(&mut silent).0.is_empty());
    let mut client = over(session, socket);
    client.send(get_of("/text"));
    assert_eq!(client.reply().status, 200);
}

#[test]
fn hundreds_of_stalled_handshakes_hold_no_thread() {
    const COUNT: usize = 300;
    let site = site(config());
    let hello = take_output(&mut session(usual()));
    let threads = site.stats.worker_threads.load(Ordering::SeqCst);
    let mut stalled: Vec<TcpStream> = (0..COUNT).map(|_| raw(&site)).collect();
    for (i, socket) in stalled.iter_mut().enumerate() {
        // Some say nothing, some a part, some everything and then do not go on.
        socket.write_all(&hello[..hello.len() * (i % 3) / 2]).unwrap();
    }
    settle(&site);
    site.until("only they are left", |stats| stats.connections_active.load(Ordering::SeqCst) == COUNT);
    assert_eq!(site.stats.worker_threads.load(Ordering::SeqCst), threads);
    assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
    site.pass(10 * SECOND);
    for socket in &mut stalled {
        let _ = read_raw(socket);
    }
    until("all were counted", || errors(&site, ErrorKind::TlsHandshake) == COUNT as u64);
    drop(stalled);
    site.until_deserted();
}

/// Against a clock that runs: while many handshakes crawl and many others are done, requests are answered as ever.
#[test]
fn handshakes_leave_the_latency_of_others_alone() {
    let site = site_on(config(), Clock::default());
    let mut client = send(&site, get_of("/text"));
    assert_eq!(client.reply().status, 200);
    let hello = take_output(&mut session(usual()));
    let mut crawling: Vec<TcpStream> = (0..100).map(|_| raw(&site)).collect();
    let address = site.address;
    let shaking: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..100 {
                    // No ticket is used: a whole handshake each time.
                    let mut client = connect_with(address, wants(&[&TLS13], &[]));
                    client.send(get_of("/text"));
                    assert_eq!(client.reply().status, 200);
                }
            })
        })
        .collect();
    let mut took = Vec::new();
    for byte in &hello[..100] {
        for socket in &mut crawling {
            socket.write_all(&[*byte]).unwrap();
        }
        let start = Instant::now();
        client.send(get_of("/text"));
        assert_eq!(client.reply().text(), "Hello");
        took.push(start.elapsed());
    }
    shaking.into_iter().for_each(|thread| thread.join().unwrap());
    took.sort();
    let p95 = took[took.len() * 95 / 100];
    assert!(p95 < Duration::from_millis(250), "the 95th percentile was {p95:?}, at most {:?}", took.last());
}

/// Requests are answered between the signatures of handshakes that all began before them.
#[test]
fn requests_are_answered_between_handshakes() {
    const COUNT: usize = 60;
    let site = slow_to_sign();
    let hello = {
        let other = ClientConnection::new(usual(), "other.example".try_into().unwrap());
        take_output(&mut other.unwrap())
    };
    // Whoever tests us may be slow to come back with the next request: one good round is enough.
    let answered = (0..5).map(|_| {
        let mut client = send(&site, get_of("/text"));
        assert_eq!(client.reply().status, 200);
        let mut begun: Vec<TcpStream> = (0..COUNT).map(|_| raw(&site)).collect();
        begun.iter_mut().for_each(|socket| socket.write_all(&hello).unwrap());
        begun.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        let mut answered = 0;
        while begun.iter().any(|socket| socket.peek(&mut [0]).is_err()) {
            client.send(get_of("/text"));
            assert_eq!(client.reply().text(), "Hello");
            answered += 1;
        }
        answered
    });
    let best = answered.max().unwrap();
    assert!(best > COUNT / 3, "{best} requests were answered while {COUNT} handshakes were under way");
}

/// A server whose signatures take long, except for localhost.
fn slow_to_sign() -> Site {
    let (_, certificate, key) = authority();
    let load = |certificate: &Path, key: &Path| Arc::new(Identity::load(certificate, key).unwrap());
    let slow = load(&fixture("rsa.crt"), &fixture("rsa.pkcs8.key"));
    let quick = Certificate { domains: vec!["localhost".to_owned()], identity: load(certificate, key) };
    let certificates = vec![Certificate { domains: Vec::new(), identity: slow }, quick];
    let acceptor = Acceptor::new(Terms { certificates, clients: None, allows_tls12: true }).unwrap();
    Site::of(config(), Clock::default(), |server| server.with_tls(Some(Arc::new(acceptor))))
}

#[test]
fn who_speaks_only_other_protocols_is_told_so() {
    let site = site(config());
    let mut client = connect_with(site.address, wants(&[&TLS13], &["h2"]));
    let error = client.try_send(get_of("/text")).and_then(|()| client.try_reply("GET")).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    drop(client);
    site.until_deserted();
    assert_eq!(errors(&site, ErrorKind::TlsHandshake), 1);
}

/// Byte 0: an alert; bytes 1 and 2: the version; the rest: `fatal` and a description.
fn is_alert(bytes: &[u8]) -> bool {
    bytes.len() == 7 && bytes[0] == 21 && bytes[5] == 2
}

#[test]
fn what_is_no_tls_is_refused_with_an_alert() {
    let site = site(config());
    let hello = take_output(&mut session(usual()));
    let mut broken = hello.clone();
    broken[11..60].fill(0xff);
    let garbage: [&[u8]; 6] = [
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x16\x03\x01\xff\xff\x01\x00\xff\xff\xff",
        b"\x17\x03\x03\x00\x05hello",
        &broken,
    ];
    for (i, bytes) in garbage.iter().enumerate() {
        let mut socket = raw(&site);
        socket.write_all(bytes).unwrap();
        let (answer, end) = read_raw(&mut socket);
        assert!(end.is_ok() && is_alert(&answer), "{bytes:?}: {answer:?}, {end:?}");
        drop(socket);
        until("it was counted", || errors(&site, ErrorKind::TlsHandshake) == i as u64 + 1);
    }
    // A message without an end is not kept for ever.
    let mut socket = raw(&site);
    let record = [&b"\x16\x03\x01\x40\x00"[..], &[1, 0xff, 0xff, 0xff], &[0; 16_380]].concat();
    let _ = (0..10).try_for_each(|_| socket.write_all(&record));
    let (answer, _) = read_raw(&mut socket);
    assert!(answer.is_empty() || is_alert(&answer), "{answer:?}");
    drop(socket);
    site.until_deserted();
    assert_eq!(errors(&site, ErrorKind::TlsHandshake), garbage.len() as u64 + 1);
}

#[test]
fn who_only_looks_whether_the_port_is_open_is_no_failure() {
    let site = site(config());
    drop(raw(&site));
    settle(&site);
    site.until_deserted();
    assert_eq!(errors(&site, ErrorKind::TlsHandshake), 0);
    let mut early = raw(&site);
    early.write_all(&take_output(&mut session(usual()))[..50]).unwrap();
    drop(early);
    until("it was counted", || errors(&site, ErrorKind::TlsHandshake) == 1);
}

#[test]
fn plain_http_is_answered_in_plain_http() {
    let site = site(config());
    let texts = [
        get_of("/text"),
        get_of("/text").replace("Host", "User-Agent: kube-probe/1.31\r\nHost"),
        "POST /bytes HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nHello".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "\r\nGET /text HTTP/1.1\r\n\r\n".to_owned(),
        "what is this?\r\n\r\n".to_owned(),
    ];
    for (i, text) in texts.iter().enumerate() {
        let mut client = site.send(text);
        let reply = client.reply();
        assert!(reply.status == 400 && reply.closes(), "{text:?}: {reply:?}");
        assert!(reply.text().contains("plain HTTP on a port that speaks HTTPS"), "{}", reply.text());
        client.expect_end();
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.status, seen.outcome), ("", 400, Outcome::Rejected));
        assert_eq!(errors(&site, ErrorKind::Protocol), i as u64 + 1);
    }
    // One letter tells.
    assert_eq!(site.send("G").reply().status, 400);
    assert_eq!(errors(&site, ErrorKind::TlsHandshake), 0);
}

#[test]
fn a_tls_hello_on_a_plain_port_is_answered_in_plain_http() {
    let site = Site::start(config());
    let mut client = site.send(take_output(&mut session(usual())));
    let reply = client.reply();
    assert!(reply.status == 400 && reply.text().contains("TLS"), "{reply:?}");
    client.expect_end();
}
