//! Server-sent events on the wire: signs of life, ends, and clients that are old, slow or gone.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use rws::app::{Event, SendError, SseSender};
use rws::config::Config;
use rws::server::Verdict;
use rws::server::observe::Outcome;

use socket2::SockRef;

use super::feeds::read_until;
use super::support::{Client, ON_PURPOSE, Site, config, get_of, request, until};

/// An open stream whose head has been read.
fn open(site: &Site, name: &str) -> (Client, SseSender) {
    let mut client = site.send(get_of(&format!("/events/{name}")));
    read_until(&mut client.stream, b"\r\n\r\n");
    // The reactor has seen that nothing is there, and knows when to look again.
    site.settle();
    (client, site.gate.events(name))
}

/// The next event or comment, as it came.
fn hear(client: &mut Client) -> String {
    String::from_utf8(read_until(&mut client.stream, b"\n\n\r\n")).unwrap()
}

#[test]
fn a_comment_comes_when_nothing_else_does() {
    let site = Site::start(config());
    let (mut client, sender) = open(&site, "a");
    site.pass(Duration::from_secs(14));
    site.settle();
    sender.send(Event::new("x")).unwrap();
    assert_eq!(hear(&mut client), "9\r\ndata: x\n\n\r\n", "no comment came before");
    for _ in 0..3 {
        site.pass(Duration::from_secs(14));
        site.settle();
        site.pass(Duration::from_secs(1));
        assert_eq!(hear(&mut client), "3\r\n:\n\n\r\n");
    }
    sender.send(Event::new("y")).unwrap();
    assert_eq!(hear(&mut client), "9\r\ndata: y\n\n\r\n", "one comment came each time");
}

#[test]
fn no_comment_comes_to_whom_does_not_want_any() {
    let site = Site::start(config());
    let (mut client, sender) = open(&site, "quiet");
    for _ in 0..3 {
        site.pass(Duration::from_secs(3600));
        site.settle();
    }
    sender.send(Event::new("x")).unwrap();
    assert_eq!(hear(&mut client), "9\r\ndata: x\n\n\r\n");
}

#[test]
fn a_drain_ends_streams_cleanly_even_if_their_senders_do_not() {
    let site = Site::start(config());
    let (mut client, sender) = open(&site, "a");
    let (mut forgotten, leaked) = open(&site, "b");
    std::mem::forget(leaked);
    sender.send(Event::new("last")).unwrap();
    assert_eq!(hear(&mut client), "c\r\ndata: last\n\n\r\n");
    site.stop.drain(false, 15);
    for client in [&mut client, &mut forgotten] {
        let mut rest = String::new();
        client.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "0\r\n\r\n");
    }
    assert_eq!(sender.send(Event::new("too late")), Err(SendError::Stopping));
    drop((client, forgotten));
    assert_eq!(site.report().verdict, Verdict::Drained);
}

#[test]
fn a_sender_is_told_at_once_that_the_client_has_gone() {
    let site = Site::start(config());
    let (half, sender) = open(&site, "half");
    half.half_close();
    until("who sends nothing more is gone", || sender.is_closed());
    assert_eq!(sender.send(Event::new("x")), Err(SendError::Closed));
    let (gone, sender) = open(&site, "gone");
    drop(gone);
    until("it is told", || sender.is_closed());
    for path in ["/events/half", "/events/gone"] {
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome), (path, Outcome::ClientAbort));
    }
    site.until_deserted();
}

/// The server's end of this client's connection, or `None` and a line about it where a process may not look at its own files.
#[allow(clippy::print_stderr, reason = "it says what is skipped")]
fn other_end(client: &Client) -> Option<OwnedFd> {
    let address = client.stream.local_addr().unwrap();
    let process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let numbers = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for number in numbers {
        match pidfd_getfd(&process, number.parse().unwrap(), PidfdGetfdFlags::empty()) {
            Err(Errno::PERM | Errno::NOSYS) => {
                eprintln!("SKIPPED: the socket's options, since pidfd_getfd(2) is not allowed here");
                return None;
            }
            Ok(file) if SockRef::from(&file).peer_addr().is_ok_and(|peer| peer.as_socket() == Some(address)) => {
                return Some(file);
            }
            _ => {}
        }
    }
    panic!("the server has no connection with {address}")
}

#[test]
fn a_client_that_vanishes_is_not_waited_for_longer_than_one_that_does_not_read() {
    for (write_timeout, expected) in [(1, 10), (17, 17)] {
        let site = Site::start(Config { write_timeout: Duration::from_secs(write_timeout), ..config() });
        let (client, _sender) = open(&site, "a");
        let Some(socket) = other_end(&client) else { return };
        assert_eq!(SockRef::from(&socket).tcp_user_timeout().unwrap(), Some(Duration::from_secs(expected)));
    }
}

#[test]
fn who_waits_for_a_client_that_does_not_read_is_let_go() {
    for drains in [false, true] {
        let site = Site::start(Config { write_timeout: Duration::from_secs(5), ..config() });
        let (client, sender) = open(&site, "stuck");
        let event = Event::new("x".repeat(64 * 1024));
        let (mut taken, mut refused) = (0, 0);
        while refused < 100 {
            match sender.try_send(event.clone()) {
                Ok(()) => (taken, refused) = (taken + 1, 0),
                Err(error) => refused += usize::from(error == SendError::Full),
            }
            site.settle();
        }
        assert!(taken < 200, "{taken} events of 64 KiB were taken for nobody");
        let feeder = thread::spawn(move || sender.send(event));
        if drains {
            site.stop.drain(false, 15);
        } else {
            site.pass(Duration::from_secs(6));
        }
        assert_eq!(feeder.join().unwrap(), Err(if drains { SendError::Stopping } else { SendError::Closed }));
        drop(client);
    }
}

#[test]
fn a_stream_that_breaks_off_does_not_look_whole() {
    let site = Site::start(config());
    let (mut client, sender) = open(&site, "a");
    let feeder = thread::spawn(move || {
        sender.send(Event::new("x")).unwrap();
        panic!("{ON_PURPOSE}");
    });
    feeder.join().unwrap_err();
    let mut all = Vec::new();
    let _ = client.stream.read_to_end(&mut all);
    assert!(!all.ends_with(b"0\r\n\r\n"), "{}", all.escape_ascii());
    assert_eq!(site.next_seen().outcome, Outcome::Error);
}

#[test]
fn old_clients_and_those_who_only_ask_for_the_head_are_served() {
    let site = Site::start(config());
    let mut old = site.send("GET /events/old HTTP/1.0\r\n\r\n");
    let sender = site.gate.events("old");
    sender.send(Event::new("x")).unwrap();
    drop(sender);
    let reply = old.reply();
    assert_eq!((reply.text(), reply.field("transfer-encoding")), ("data: x\n\n", None));
    let mut head = site.send(request("HEAD", "/events/head", "") + &get_of("/text"));
    let reply = head.reply_to("HEAD");
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("text/event-stream")));
    assert!(site.gate.events("head").is_closed(), "nobody wants events");
    assert_eq!(head.reply().text(), "Hello");
}
