//! Peers that do what TLS allows but nobody needs, in quantity, or what it does not allow; and many who stall.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::version::TLS12;
use rws::server::stats::ErrorKind;

use super::client::{
    TlsClient, authority, connect_with, encrypt, over, read_raw, send, session, shake_hands, site, take_output, usual,
    wants,
};
use super::process::{PATIENCE, Server, rws};
use super::support::{Client, Site, config, get_of, request};

fn raw(site: &Site) -> TcpStream {
    Client::connect(site.address).stream
}

/// The same handshake message in records of `size` bytes.
fn in_pieces(record: &[u8], size: usize) -> Vec<u8> {
    let (header, message) = record.split_at(5);
    message.chunks(size).flat_map(|piece| [&header[..3], &[0, piece.len() as u8], piece].concat()).collect()
}

#[test]
fn a_hello_in_many_records_is_a_hello() {
    let site = site(config());
    for config in [usual(), wants(&[&TLS12], &[])] {
        for size in [1, 7, 100] {
            let mut session = session(config.clone());
            let mut socket = raw(&site);
            socket.write_all(&in_pieces(&take_output(&mut session), size)).unwrap();
            let mut client = over(session, socket);
            client.send(get_of("/text"));
            assert_eq!(client.reply().text(), "Hello", "records of {size} bytes");
        }
    }
}

/// Each is refused after a few, or costs as much as its bytes and no more.
#[test]
fn floods_before_the_handshake_end_the_connection() {
    let site = site(config());
    let hello = take_output(&mut session(usual()));
    let floods: [(&str, &[u8]); 5] = [
        ("warnings", b"\x15\x03\x03\x00\x02\x01\x5a"),
        ("empty handshake records", b"\x16\x03\x03\x00\x00"),
        ("empty data", b"\x17\x03\x03\x00\x00"),
        ("changes of the cipher", b"\x14\x03\x03\x00\x01\x01"),
        ("hellos", &hello),
    ];
    for (name, record) in floods {
        let mut socket = raw(&site);
        // The server may be gone before all is written.
        let _ = socket.write_all(&record.repeat(1000));
        let (answer, _) = read_raw(&mut socket);
        assert!(answer.len() < 5000, "{name}: {} bytes", answer.len());
        drop(socket);
        site.until_deserted();
    }
    assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
    let failed = site.stats.connection_errors[ErrorKind::TlsHandshake as usize].load(Ordering::SeqCst);
    assert_eq!(failed, floods.len() as u64);
}

#[test]
fn what_is_not_allowed_after_the_handshake_ends_the_connection() {
    let site = site(config());
    let hello = take_output(&mut session(usual()));
    let cases: [(&str, Vec<u8>); 6] = [
        ("data that is not encrypted", b"\x17\x03\x03\x00\x05hello".to_vec()),
        ("a second hello", hello),
        ("a goodbye that is not encrypted", b"\x15\x03\x03\x00\x02\x01\x00".to_vec()),
        ("a type that does not exist", b"\x63\x03\x03\x00\x01x".to_vec()),
        ("a record that is too long", [&b"\x17\x03\x03\xff\xff"[..], &[0; 70_000]].concat()),
        ("plain HTTP", get_of("/text").into_bytes()),
    ];
    for config in [usual(), wants(&[&TLS12], &[])] {
        for (name, bytes) in &cases {
            let (mut session, mut socket) = shake_hands(&site, config.clone());
            // A request before it is answered, one behind it is not.
            socket.write_all(&encrypt(&mut session, get_of("/text").as_bytes())).unwrap();
            let _ = socket.write_all(bytes);
            let _ = socket.write_all(&encrypt(&mut session, get_of("/json").as_bytes()));
            let mut client = over(session, socket);
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = client.stream.read(&mut piece) {
                answer.extend_from_slice(&piece[..n]);
            }
            let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 200").count();
            assert!(answers <= 1, "{name}: {answers} answers");
            drop(client);
            site.until_deserted();
        }
    }
    assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
}

/// Some are normal, thousands are work for nobody's good.
#[test]
fn a_flood_of_new_keys_ends_the_connection() {
    let site = site(config());
    let mut client = send(&site, get_of("/text"));
    assert_eq!(client.reply().status, 200);
    for _ in 0..30 {
        client.stream.conn.refresh_traffic_keys().unwrap();
    }
    client.send(get_of("/text"));
    assert_eq!(client.reply().text(), "Hello");
    for _ in 0..2000 {
        client.stream.conn.refresh_traffic_keys().unwrap();
    }
    let answer = client.try_send(get_of("/text")).and_then(|()| client.try_reply("GET"));
    assert!(answer.is_err(), "{answer:?}");
    drop(client);
    site.until_deserted();
    assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
}

/// How long requests take on a connection that is there already: the median, and the most that 95 of 100 take.
fn latency(client: &mut TlsClient, mut between: impl FnMut(usize)) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..200)
        .map(|i| {
            between(i);
            let start = Instant::now();
            client.send(get_of("/demo/plaintext"));
            assert_eq!(client.reply().text(), "Hello, World!");
            start.elapsed()
        })
        .collect();
    took.sort();
    (took[100], took[190])
}

fn metric(server: &Server, line: &str) -> f64 {
    let mut client = connect_with(server.address(), usual());
    client.send(request("GET", "/metrics", "Connection: close\r\n"));
    let reply = client.reply();
    let value = reply.text().lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {line} in {}", reply.text()))
}

/// A thousand who say nothing, say half, say it byte by byte, or do not go on: others are served as ever, each costs
/// little memory, and all are closed and counted when their time is over.
#[test]
fn a_thousand_stalled_handshakes_leave_others_alone() {
    const COUNT: usize = 1000;
    const TIMEOUT: Duration = Duration::from_secs(8);
    let (_, certificate, key) = authority();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let timeout = TIMEOUT.as_secs().to_string();
    let settings = [
        ("TLS_CERT_FILE", certificate),
        ("TLS_KEY_FILE", key),
        ("TLS_HANDSHAKE_TIMEOUT", &timeout),
        ("REACTOR_COUNT", "1"),
    ];
    let server = rws(&settings).start();
    let mut client = connect_with(server.address(), usual());
    latency(&mut client, |_| {});
    let (_, alone) = latency(&mut client, |_| {});
    let before = server.resident_kib();

    let hello = take_output(&mut session(usual()));
    let start = Instant::now();
    let mut stalled: Vec<TcpStream> = (0..COUNT)
        .map(|i| {
            let mut socket = Client::connect(server.address()).stream;
            socket.write_all(&hello[..[0, hello.len() / 2, 0, hello.len()][i % 4]]).unwrap();
            socket
        })
        .collect();
    let (median, beside) = latency(&mut client, |byte| {
        for socket in stalled.iter_mut().skip(2).step_by(4) {
            // Those whose time is over already are no worry.
            let _ = socket.write_all(&hello[byte..=byte]);
        }
    });
    let in_time = start.elapsed() < TIMEOUT;
    let each = server.resident_kib().saturating_sub(before) / COUNT as u64;
    println!("alone {alone:?}, beside them {beside:?} (median {median:?}), {each} KiB each");
    assert!(beside < 20 * alone + Duration::from_millis(100), "{alone:?} alone, {beside:?} beside them");
    assert!(!in_time || each <= 24, "{each} KiB each");

    for socket in &mut stalled {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // Whatever the server said before, in the end it leaves.
        let mut piece = [0; 4096];
        while let Ok(1..) = socket.read(&mut piece) {}
    }
    assert!(start.elapsed() < TIMEOUT + PATIENCE);
    assert_eq!(metric(&server, r#"rws_connection_errors_total{kind="tls_handshake"}"#), COUNT as f64);
    latency(&mut client, |_| {});
}
