//! Requests and responses of all kinds, through TLS.

use std::io::Write;
use std::sync::atomic::Ordering;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use rws::config::Config;

use super::client::{connect, connect_with, encrypt, over, send, shake_hands, site, usual, wants};
use super::support::{Site, chunked_to, config, get_of, pattern, post_of, request};

#[test]
fn both_versions_serve_requests_one_after_the_other() {
    let site = site(config());
    for version in [&TLS13, &TLS12] {
        let mut client = connect_with(site.address, wants(&[version], &["http/1.1"]));
        for _ in 0..3 {
            client.send(get_of("/text"));
            let reply = client.reply();
            assert_eq!((reply.status, reply.text()), (200, "Hello"));
        }
        client.send(request("HEAD", "/text", ""));
        assert_eq!(client.reply_to("HEAD").field("content-length"), Some("5"));
        client.send(post_of("/string", "body"));
        assert_eq!(client.reply().text(), "body");
        let session = &client.stream.conn;
        assert_eq!(session.protocol_version(), Some(version.version));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    // Who names no protocol is served as well.
    let mut client = connect_with(site.address, wants(&[&TLS13], &[]));
    client.send(get_of("/text"));
    assert_eq!((client.reply().status, client.stream.conn.alpn_protocol()), (200, None));
    drop(client);
    site.until_deserted();
}

#[test]
fn sessions_are_resumed_by_tickets() {
    let site = site(config());
    for version in [&TLS13, &TLS12] {
        let wanted = wants(&[version], &["http/1.1"]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = connect_with(site.address, wanted.clone());
            client.send(get_of("/text"));
            assert_eq!(client.reply().status, 200);
            assert_eq!(client.stream.conn.handshake_kind(), Some(kind), "{version:?}");
        }
    }
}

#[test]
fn bodies_of_every_kind_and_size_arrive_whole_in_both_directions() {
    let site = site(Config { max_body_size_in_bytes: 0, ..config() });
    let mut client = connect(&site);
    // On both sides of every buffer: a record, what is copied behind a head, a piece of a stream, what may wait.
    for n in [0, 1, 100, 16 << 10, (16 << 10) + 1, 40_000, 64 << 10, (64 << 10) + 1, 200_000, 3_000_000] {
        let expected = pattern(n);
        for path in ["big", "file", "stream"] {
            client.send(get_of(&format!("/{path}/{n}")));
            let reply = client.reply();
            assert!(reply.status == 200 && reply.body == expected, "/{path}/{n}: {} bytes", reply.body.len());
        }
        let body = "x".repeat(n);
        for path in ["/bytes", "/echo"] {
            client.send(post_of(path, &body));
            let reply = client.reply();
            assert!(reply.status == 200 && reply.body == body.as_bytes(), "{path} {n}: {} bytes", reply.body.len());
        }
        client.send(chunked_to("/slurp", &[&(body + "x"), "end"]));
        assert_eq!(client.reply().text(), (n + 4).to_string());
    }
    drop(client);
    site.until_deserted();
}

#[test]
fn client_and_handler_take_turns_while_both_bodies_are_under_way() {
    let site = site(config());
    let mut client = connect(&site);
    client.send(request("POST", "/duplex", "Transfer-Encoding: chunked\r\n"));
    for n in [1, 5, 20_000, 3] {
        client.send(format!("{n:x}\r\n{}\r\n", "x".repeat(n)));
        if n == 1 {
            assert_eq!(client.head().unwrap().status, 200);
        }
        let mut heard = 0;
        while heard < n {
            let chunk = client.next_chunk().unwrap();
            assert!(!chunk.is_empty() && chunk.iter().all(|byte| *byte == b'X'), "{n}");
            heard += chunk.len();
        }
    }
    client.send("0\r\n\r\n".to_owned() + &get_of("/text"));
    assert_eq!(client.next_chunk().unwrap(), b"");
    assert_eq!(client.reply().text(), "Hello");
    drop(client);
    site.until_deserted();
}

#[test]
fn requests_in_one_record_and_many_are_all_answered_in_order() {
    let site = site(config());
    // What does not fit into one read of plaintext stays behind in the session, where no poller sees it.
    for (count, per_record) in [(3, 3), (2000, 100), (2000, 1), (50, 7)] {
        let (mut session, mut socket) = shake_hands(&site, usual());
        let requests: Vec<String> = (0..count).map(|i| post_of("/string", &format!("request {i}"))).collect();
        let records: Vec<u8> =
            requests.chunks(per_record).flat_map(|some| encrypt(&mut session, some.concat().as_bytes())).collect();
        let writer = std::thread::spawn({
            let mut socket = socket.try_clone().unwrap();
            move || socket.write_all(&records).unwrap()
        });
        socket.flush().unwrap();
        let mut client = over(session, socket);
        for i in 0..count {
            assert_eq!(client.reply().text(), format!("request {i}"));
        }
        writer.join().unwrap();
    }
    site.until_deserted();
}

/// A worker that reads a body takes from the socket what comes behind it. The reactor must look for that by itself.
#[test]
fn what_a_worker_has_read_and_not_used_is_served_afterwards() {
    let site = site(config());
    for path in ["/slurp", "/echo", "/unread"] {
        let body = "x".repeat(100_000);
        let (mut session, mut socket) = shake_hands(&site, usual());
        let all = post_of(path, &body) + &get_of("/text").repeat(5);
        let records = encrypt(&mut session, all.as_bytes());
        socket.write_all(&records).unwrap();
        let mut client = over(session, socket);
        assert_eq!(client.reply().status, 200, "{path}");
        if path == "/unread" {
            client.expect_end();
            continue;
        }
        for _ in 0..5 {
            assert_eq!(client.reply().text(), "Hello", "{path}");
        }
    }
    site.until_deserted();
}

#[test]
fn records_may_arrive_byte_by_byte() {
    let site = site(config());
    for text in [get_of("/text"), post_of("/string", "Hello"), chunked_to("/slurp", &["He", "llo"])] {
        let (mut session, mut socket) = shake_hands(&site, usual());
        for byte in encrypt(&mut session, text.as_bytes()) {
            socket.write_all(&[byte]).unwrap();
        }
        let mut client = over(session, socket);
        assert_eq!(client.reply().status, 200, "{text}");
    }
    site.until_deserted();
}

#[test]
fn one_byte_in_each_record_is_a_request_too() {
    let site = site(config());
    let (mut session, mut socket) = shake_hands(&site, usual());
    let text = get_of("/text");
    let records: Vec<u8> = text.as_bytes().iter().flat_map(|byte| encrypt(&mut session, &[*byte])).collect();
    socket.write_all(&records).unwrap();
    assert_eq!(over(session, socket).reply().status, 200);
}

#[test]
fn a_client_may_change_its_keys() {
    let site = site(config());
    let mut client = connect(&site);
    for _ in 0..3 {
        client.send(get_of("/text"));
        assert_eq!(client.reply().status, 200);
        client.stream.conn.refresh_traffic_keys().unwrap();
    }
    client.send(post_of("/slurp", &"x".repeat(100_000)));
    assert_eq!(client.reply().text(), "100000");
}

#[test]
fn whoever_waits_to_be_told_to_send_is_told() {
    let site = site(config());
    for path in ["/string", "/slurp"] {
        let mut client = send(&site, request("POST", path, "Content-Length: 5\r\nExpect: 100-continue\r\n"));
        assert_eq!(client.reply().status, 100);
        client.send("Hello");
        assert_eq!(client.reply().status, 200);
    }
}

#[test]
fn a_handler_that_is_taken_away_from_its_reactor_answers_as_well() {
    let site = site(config());
    let mut slow = send(&site, get_of("/gate/slow") + &get_of("/text"));
    site.gate.wait_for(1);
    site.until("it was handed off", |stats| stats.handoffs.load(Ordering::SeqCst) == 1);
    assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
    site.gate.open("slow");
    assert_eq!((slow.reply().text(), slow.reply().text()), ("slow", "Hello"));
    let mut blocking = send(&site, get_of("/blocking/a"));
    site.gate.wait_for(2);
    site.gate.open("a");
    assert_eq!(blocking.reply().text(), "a");
}

#[test]
fn a_slow_reader_holds_neither_thread_nor_much_memory_and_gets_everything() {
    const SIZE: usize = 20_000_000;
    let site = site(config());
    for path in ["big", "file", "stream"] {
        let mut slow = send(&site, get_of(&format!("/{path}/{SIZE}")));
        slow.wait_for_bytes();
        settled(&site);
        assert_eq!(send(&site, get_of("/text")).reply().text(), "Hello");
        let reply = slow.reply();
        assert!(reply.body == pattern(SIZE), "{path}: {} bytes", reply.body.len());
    }
    site.until_deserted();
}

/// Everything that can go on without the slow reader has.
fn settled(site: &Site) {
    super::client::settle(site);
    site.until("no worker is busy", |stats| stats.workers_busy.load(Ordering::SeqCst) == 0);
}
