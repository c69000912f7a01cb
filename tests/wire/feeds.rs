//! Response bodies that other threads send: no thread waits for them.

use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rws::app::SendError;
use rws::config::Config;
use rws::server::Verdict;
use rws::server::observe::Outcome;

use super::support::{Site, config, get_of, pattern, request, until};

#[test]
fn waiting_streams_occupy_nobody() {
    let site = Site::start(Config { thread_count: 1, ..config() });
    let mut streams: Vec<_> = (0..50)
        .map(|n| {
            let mut client = site.send(get_of(&format!("/fed/{n}")));
            client.wait_for_bytes();
            (client, site.gate.sender(&n.to_string()))
        })
        .collect();
    // More than there are threads, one after the other and one that occupies the only worker for a while.
    assert_eq!(site.send(get_of("/sleep-blocking/1")).reply().text(), "slept");
    assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
    site.until("only the streams are left", |stats| stats.requests_active.load(Ordering::SeqCst) == 50);
    assert_eq!(site.stats.workers_busy.load(Ordering::SeqCst), 0);
    for (n, (_, sender)) in streams.iter().enumerate() {
        sender.send(format!("number {n}")).unwrap();
    }
    for (n, (mut client, sender)) in streams.drain(..).enumerate() {
        drop(sender);
        let reply = client.reply();
        assert_eq!((reply.text(), reply.field("transfer-encoding")), (&*format!("number {n}"), Some("chunked")));
        client.send(get_of("/text"));
        assert_eq!(client.reply().text(), "Hello", "the connection goes on");
    }
    site.until_deserted();
}

#[test]
fn what_is_sent_arrives_at_once_and_whole() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/fed/a") + &get_of("/text"));
    let sender = site.gate.sender("a");
    for piece in [&b"x"[..], b"yz"] {
        sender.send(piece).unwrap();
        let mut seen = Vec::new();
        until("the piece has come", || sender.try_send("").is_ok());
        while !seen.ends_with(&[piece, b"\r\n"].concat()) {
            let mut byte = [0];
            client.stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }
    let long = pattern(1_000_000);
    for piece in long.chunks(70_000) {
        sender.send(piece.to_vec()).unwrap_or_else(|error| panic!("{error}"));
        let mut taken = vec![0; piece.len() / 2];
        client.stream.read_exact(&mut taken).unwrap();
    }
    drop(sender);
    let rest = read_until(&mut client.stream, b"0\r\n\r\n");
    assert!(rest.len() > 400_000, "{}", rest.len());
    assert_eq!(client.reply().text(), "Hello");
    let seen = site.next_seen();
    assert_eq!((seen.bytes_out, seen.outcome), (1_000_003, Outcome::Ok));
}

pub(crate) fn read_until(stream: &mut impl Read, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    seen
}

#[test]
fn who_sends_learns_that_the_client_has_gone() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/fed/a"));
    client.wait_for_bytes();
    let sender = site.gate.sender("a");
    client.reset();
    until("it is told", || sender.is_closed());
    assert_eq!(sender.send("x"), Err(SendError::Closed));
    let seen = site.next_seen();
    assert_eq!((seen.path.as_str(), seen.outcome), ("/fed/a", Outcome::ClientAbort));
    site.until_deserted();
}

#[test]
fn a_client_that_only_ends_its_half_gets_the_rest() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/fed/a"));
    let sender = site.gate.sender("a");
    client.half_close();
    site.settle();
    sender.send("rest").unwrap();
    drop(sender);
    assert_eq!(client.reply().text(), "rest");
    client.expect_end();
    site.until_deserted();
}

#[test]
fn who_has_ended_its_half_may_still_go() {
    let site = Site::start(config());
    let client = site.send(get_of("/fed/a"));
    let sender = site.gate.sender("a");
    client.half_close();
    site.settle();
    assert!(!sender.is_closed(), "it may still listen");
    client.reset();
    until("it is told although it sends nothing", || sender.is_closed());
    assert_eq!(site.next_seen().outcome, Outcome::ClientAbort);
    site.until_deserted();
}

#[test]
fn what_is_broken_off_does_not_look_whole() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/fed/a"));
    let sender = site.gate.sender("a");
    sender.send("half").unwrap();
    sender.abort();
    client.try_reply("GET").unwrap_err();
    let seen = site.next_seen();
    assert_eq!((seen.outcome, seen.bytes_out), (Outcome::Error, 4));
    let mut old = site.send("GET /fed/b HTTP/1.0\r\n\r\n");
    let sender = site.gate.sender("b");
    sender.send("half").unwrap();
    sender.abort();
    let end = old.stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    site.until_deserted();
}

#[test]
fn old_clients_and_those_who_only_ask_for_the_head() {
    let site = Site::start(config());
    let mut old = site.send("GET /fed/a HTTP/1.0\r\n\r\n");
    let sender = site.gate.sender("a");
    sender.send("all").unwrap();
    drop(sender);
    assert_eq!(old.reply().text(), "all");
    let mut head = site.send(request("HEAD", "/fed/b", "") + &get_of("/text"));
    assert_eq!(head.reply_to("HEAD").status, 200);
    assert!(site.gate.sender("b").is_closed(), "nobody wants the body");
    assert_eq!(head.reply().text(), "Hello");
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_one_that_waits_is_not() {
    let site = Site::start(Config { write_timeout: Duration::from_secs(5), ..config() });
    let (stuck, idle) = (site.send(get_of("/fed/stuck")), site.send(get_of("/fed/idle")));
    let (sender, waits) = (site.gate.sender("stuck"), site.gate.sender("idle"));
    let mut full = 0;
    while full < 100 {
        match sender.try_send(vec![0; 64 * 1024]) {
            Ok(()) => full = 0,
            Err(SendError::Full) => full += 1,
            Err(error) => panic!("{error}"),
        }
        site.settle();
    }
    site.pass(Duration::from_secs(6));
    until("it is given up", || sender.is_closed());
    assert_eq!(site.next_seen().outcome, Outcome::Timeout);
    site.pass(Duration::from_secs(100_000));
    site.settle();
    assert!(!waits.is_closed(), "there is no deadline for the one who sends");
    drop((stuck, idle));
    until("its client has gone, which only sending shows", || waits.try_send("x") == Err(SendError::Closed));
}

#[test]
fn a_drain_waits_for_the_end() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/fed/a"));
    let sender = site.gate.sender("a");
    client.wait_for_bytes();
    site.stop.drain(false, 15);
    site.until("it is stopping", |_| site.lifecycle.state().name() == "stopping");
    assert!(site.is_running());
    sender.send("to the end").unwrap();
    drop(sender);
    assert_eq!(client.reply().text(), "to the end");
    drop(client);
    assert_eq!(site.report().verdict, Verdict::Drained);
}
