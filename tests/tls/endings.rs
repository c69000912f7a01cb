//! How secured connections end: who says goodbye to whom, and what is never lost.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rws::config::Config;
use rws::server::Verdict;
use rws::server::lifecycle::State;
use rws::server::observe::Outcome;
use rws::server::stats::ErrorKind as Failure;

use super::client::{connect, encrypt, over, read_raw, send, session, settle, shake_hands, site, take_output, usual};
use super::support::{Site, config, get_of, post_of, request, until};

const SECOND: Duration = Duration::from_secs(1);

fn errors(site: &Site, kind: Failure) -> u64 {
    site.stats.connection_errors[kind as usize].load(Ordering::SeqCst)
}

/// A client sees the goodbye or fails: without one, rustls makes an error of the end.
#[test]
fn the_server_says_goodbye_before_it_closes() {
    let site = site(config());
    let closing = request("GET", "/text", "Connection: close\r\n");
    let old = "GET /stream/1000 HTTP/1.0\r\nHost: a\r\n\r\n".to_owned();
    let refused = "GET / HTTP/1.1\r\n\r\n".to_owned();
    let big = request("GET", "/big/1000000", "Connection: close\r\n");
    for (asked, status) in [(closing, 200), (old, 200), (refused, 400), (big, 200)] {
        let mut client = send(&site, &asked);
        assert_eq!(client.reply().status, status, "{asked:?}");
        client.expect_end();
    }
    let mut idle = send(&site, get_of("/text"));
    assert_eq!(idle.reply().status, 200);
    let mut silent = connect(&site);
    silent.stream.conn.complete_io(&mut silent.stream.sock).unwrap();
    settle(&site);
    site.pass(Duration::from_secs(60));
    idle.expect_end();
    silent.expect_end();
    drop((idle, silent));
    site.until_deserted();
    let counts: Vec<u64> = site.stats.connection_errors.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    assert_eq!(counts.iter().sum::<u64>(), 1, "the refused request alone: {counts:?}");
}

#[test]
fn a_client_that_says_goodbye_first_still_gets_its_answer_and_a_goodbye() {
    let site = site(config());
    for path in ["/text", "/big/300000", "/stream/300000", "/blocking/x"] {
        let (mut session, mut socket) = shake_hands(&site, usual());
        let mut records = encrypt(&mut session, get_of(path).as_bytes());
        session.send_close_notify();
        records.extend(take_output(&mut session));
        socket.write_all(&records).unwrap();
        site.gate.open("x");
        let mut client = over(session, socket);
        assert_eq!(client.reply().status, 200, "{path}");
        client.expect_end();
    }
    site.until_deserted();
}

#[test]
fn a_connection_that_was_merely_cut_ends_too() {
    let site = site(config());
    let (session, socket) = shake_hands(&site, usual());
    socket.shutdown(Shutdown::Write).unwrap();
    over(session, socket).expect_end();
    site.until_deserted();
    assert_eq!(errors(&site, Failure::TlsHandshake), 0);
}

/// The attack that the goodbye is there for: whoever cuts the connection must not make half a body pass for a whole.
#[test]
fn an_upload_that_was_cut_is_never_taken_for_whole() {
    let site = site(config());
    let known = request("POST", "/string", "Content-Length: 10\r\n") + "12345";
    let chunked = request("POST", "/string", "Transfer-Encoding: chunked\r\n") + "5\r\n12345\r\n";
    for (text, goodbye) in [(&known, false), (&known, true), (&chunked, false), (&chunked, true)] {
        let (mut session, mut socket) = shake_hands(&site, usual());
        let mut records = encrypt(&mut session, text.as_bytes());
        if goodbye {
            session.send_close_notify();
            records.extend(take_output(&mut session));
        }
        socket.write_all(&records).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome), ("/string", Outcome::ClientAbort), "{text:?}");
    }
    // Read by a handler.
    let streamed = request("POST", "/slurp", "Transfer-Encoding: chunked\r\n") + "5\r\n12345\r\n";
    let (mut session, mut socket) = shake_hands(&site, usual());
    socket.write_all(&encrypt(&mut session, streamed.as_bytes())).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(over(session, socket).reply().status, 400);
    site.until_deserted();
}

/// Where the end of the connection is the end of the body, a goodbye would say that it is whole.
#[test]
fn a_response_that_fails_is_not_ended_in_good_order() {
    let site = site(config());
    for head in ["GET /failing/1000 HTTP/1.0", "GET /failing/1000 HTTP/1.1", "GET /failing/100/1000 HTTP/1.1"] {
        let mut client = send(&site, format!("{head}\r\nHost: a\r\n\r\n"));
        let error = std::io::Read::read_to_end(&mut client.stream, &mut Vec::new()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{head}: {error}");
    }
    site.until_deserted();
}

#[test]
fn clients_may_leave_at_any_moment() {
    let site = site(config());
    let texts = [get_of("/text"), get_of("/big/10000000"), get_of("/stream/10000000"), post_of("/slurp", "x")];
    for text in &texts {
        for cut in [0, 1, 20, usize::MAX] {
            let (mut session, mut socket) = shake_hands(&site, usual());
            let records = encrypt(&mut session, text.as_bytes());
            socket.write_all(&records[..records.len().min(cut)]).unwrap();
            settle(&site);
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    site.until_deserted();
    assert_eq!(send(&site, get_of("/text")).reply().status, 200);
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection_with_an_alert() {
    let site = site(config());
    let mut client = send(&site, get_of("/text"));
    assert_eq!(client.reply().status, 200);
    let (mut session, mut socket) = (client.stream.conn, client.stream.sock);
    let mut records = encrypt(&mut session, get_of("/text").as_bytes());
    let last = records.len() - 1;
    records[last] ^= 1;
    socket.write_all(&records).unwrap();
    let error = over(session, socket).try_reply("GET").unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    site.until_deserted();
    assert_eq!(errors(&site, Failure::Protocol), 1);
}

#[test]
fn a_slow_reader_is_given_up_with_the_write_timeout() {
    let site = site(Config { write_timeout: Duration::from_secs(30), ..config() });
    for path in ["/big/20000000", "/file/20000000", "/stream/20000000"] {
        let mut client = send(&site, get_of(path));
        client.wait_for_bytes();
        let before = errors(&site, Failure::WriteTimeout);
        until("it is given up", || {
            settle(&site);
            site.pass(Duration::from_secs(30));
            errors(&site, Failure::WriteTimeout) > before
        });
        let error = client.try_reply("GET").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
    }
    site.until_deserted();
}

/// What TLS has taken in of a body counts as progress, and half a record of a head as a head.
#[test]
fn half_a_record_has_the_deadline_of_what_it_is_a_part_of() {
    let site = site(Config { head_timeout: 10 * SECOND, body_timeout: 20 * SECOND, ..config() });
    let (mut session, mut socket) = shake_hands(&site, usual());
    let records = encrypt(&mut session, get_of("/text").as_bytes());
    socket.write_all(&records[..10]).unwrap();
    settle(&site);
    site.pass(10 * SECOND);
    let mut client = over(session, socket);
    assert_eq!(client.reply().status, 408);
    client.expect_end();

    let (mut session, mut socket) = shake_hands(&site, usual());
    let head = request("POST", "/string", "Content-Length: 1000\r\n");
    socket.write_all(&encrypt(&mut session, head.as_bytes())).unwrap();
    let body = encrypt(&mut session, &[b'x'; 1000]);
    for part in body.chunks(body.len() / 4 + 1) {
        settle(&site);
        site.pass(19 * SECOND);
        socket.write_all(part).unwrap();
    }
    assert_eq!(over(session, socket).reply().body.len(), 1000);
}

#[test]
fn a_drain_loses_nothing_and_takes_leave_of_everybody() {
    let site = site(config());
    let mut idle = send(&site, get_of("/text"));
    assert_eq!(idle.reply().status, 200);
    let mut late = send(&site, get_of("/text"));
    assert_eq!(late.reply().status, 200);
    let mut busy = send(&site, get_of("/gate/busy"));
    site.gate.wait_for(1);
    // In the middle of its handshake: the server has its first message, or half of it.
    let (mut begun, mut half) = (connect(&site), session(usual()));
    begun.stream.conn.write_tls(&mut begun.stream.sock).unwrap();
    let mut half_socket = super::support::Client::connect(site.address).stream;
    let hello = take_output(&mut half);
    half_socket.write_all(&hello[..hello.len() / 2]).unwrap();
    settle(&site);

    site.stop.drain(false, 15);
    until("the server is stopping", || site.lifecycle.state() == State::Stopping);
    late.send(get_of("/text"));
    begun.send(get_of("/text"));
    half_socket.write_all(&hello[hello.len() / 2..]).unwrap();
    let mut half = over(half, half_socket);
    half.send(get_of("/text"));
    for client in [&mut late, &mut begun, &mut half] {
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (200, true));
        client.expect_end();
    }
    site.pass(SECOND);
    idle.expect_end();
    site.gate.open("busy");
    let reply = busy.reply();
    assert_eq!((reply.text(), reply.closes()), ("busy", true));
    busy.expect_end();
    drop((idle, late, begun, half, busy));
    let report = site.report();
    assert_eq!((report.verdict, report.aborted), (Verdict::Drained, Vec::new()));
}

#[test]
fn handshakes_that_do_not_go_on_do_not_hold_the_drain() {
    let site = site(config());
    let mut silent = super::support::Client::connect(site.address).stream;
    let mut half = super::support::Client::connect(site.address).stream;
    half.write_all(&take_output(&mut session(usual()))[..20]).unwrap();
    settle(&site);
    site.stop.drain(false, 15);
    until("the server is stopping", || site.lifecycle.state() == State::Stopping);
    assert!(site.is_running());
    until("both are closed", || {
        site.pass(2 * SECOND);
        !site.is_running()
    });
    assert!(read_raw(&mut silent).0.is_empty());
    assert!(read_raw(&mut half).0.is_empty());
    assert_eq!(site.report().verdict, Verdict::Drained);
}
