//! Responses that a function writes while it reads the request: conversations, what is left unread, clients that send or
//! leave as they please.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rws::config::Config;
use rws::server::observe::Outcome;
use rws::server::stats::ErrorKind;

use super::support::{Client, Site, chunked_to, config, get_of, pattern, post_of, request};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The next chunk of a response whose head was read.
fn next_chunk(client: &mut Client) -> String {
    let chunk = client.next_chunk().unwrap();
    String::from_utf8(chunk).unwrap()
}

#[test]
fn client_and_handler_take_turns() {
    let site = Site::start(config());
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = site.send(request("POST", "/duplex", &format!("{expect}{CHUNKED}")));
        if !expect.is_empty() {
            assert_eq!(client.reply().status, 100);
        }
        client.send("4\r\nping\r\n");
        assert_eq!(client.head().unwrap().status, 200);
        assert_eq!(next_chunk(&mut client), "PING");
        for word in ["tick", "tock", "done"] {
            client.send(format!("4\r\n{word}\r\n"));
            assert_eq!(next_chunk(&mut client), word.to_uppercase());
        }
        client.send("0\r\n\r\n".to_owned() + &get_of("/text"));
        assert_eq!(next_chunk(&mut client), "");
        assert_eq!(client.reply().text(), "Hello", "the connection goes on");
        assert_eq!(site.next_seen().bytes_in, 16);
        site.next_seen();
    }
    site.until_deserted();
}

#[test]
fn a_request_is_answered_with_itself_however_it_comes() {
    let site = Site::start(config());
    let long = "x".repeat(1_500_000);
    for (body, size) in [("hello world", 1), ("hello world", 1000), (&long, 100_000)] {
        let (left, right) = body.split_at(body.len() / 2);
        for input in [post_of("/duplex", body), chunked_to("/duplex", &[body]), chunked_to("/duplex", &[left, right])] {
            let input = input + &get_of("/text");
            let mut client = site.connect();
            let mut sender = client.stream.try_clone().unwrap();
            let sending = thread::spawn(move || {
                input.as_bytes().chunks(size).all(|part| std::io::Write::write_all(&mut sender, part).is_ok())
            });
            assert!(client.reply().text() == body.to_uppercase(), "{} by {size}", body.len());
            assert_eq!(client.reply().text(), "Hello");
            assert!(sending.join().unwrap());
        }
    }
    site.until_deserted();
}

#[test]
fn what_is_left_unread_is_passed_over_if_it_has_arrived_and_ends_the_connection_if_not() {
    let site = Site::start(config());
    for target in ["/duplex/5", "/first/5"] {
        let arrived = chunked_to(target, &["hello", " world"]) + &get_of("/text");
        let mut client = site.send(arrived);
        assert_eq!(client.reply().text(), "hello", "{target}");
        assert_eq!(client.reply().text(), "Hello", "behind {target}");

        let more = request("POST", target, CHUNKED) + "5\r\nhello\r\n";
        let mut client = site.send(&more);
        assert_eq!(client.reply().text(), "hello", "{target}");
        client.expect_end();
    }
    site.until_deserted();
}

#[test]
fn who_does_not_read_the_request_says_that_the_connection_ends() {
    let site = Site::start(config());
    for target in ["/unread/written", "/unread/read"] {
        let mut client = site.send(request("POST", target, CHUNKED) + "5\r\nhello\r\n");
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("not read", true), "{target}");
        client.expect_end();
        // Nobody reads it, so nobody asks for it.
        let mut client = site.send(request("POST", target, &format!("Expect: 100-continue\r\n{CHUNKED}")));
        assert_eq!((client.reply().status, client.expect_end()), (200, ()), "{target}");
    }
    site.until_deserted();
}

#[test]
fn who_gets_no_body_is_not_asked_for_one_and_told_that_the_connection_ends() {
    let site = Site::start(config());
    for target in ["/duplex", "/first/5"] {
        for (fields, input) in [(CHUNKED, "5\r\nhel"), ("Content-Length: 100000\r\n", "hel")] {
            let mut client = site.send(request("HEAD", target, fields) + input);
            let reply = client.reply_to("HEAD");
            assert_eq!((reply.status, reply.closes()), (200, true), "{target}, {fields}");
            client.expect_end();
            let mut client = site.send(request("HEAD", target, &format!("Expect: 100-continue\r\n{fields}")));
            let reply = client.reply_to("HEAD");
            assert_eq!((reply.status, reply.closes()), (200, true), "{target}, {fields}");
            client.expect_end();
        }
        let mut client = site.send(request("HEAD", target, CHUNKED) + "5\r\nhello\r\n0\r\n\r\n" + &get_of("/text"));
        let reply = client.reply_to("HEAD");
        assert_eq!((reply.status, reply.closes(), client.reply().text()), (200, false, "Hello"), "{target}");
    }
    site.until_deserted();
}

#[test]
fn a_request_that_breaks_off_or_is_wrong_breaks_the_response_off() {
    let site = Site::start(Config { max_body_size_in_bytes: 20, ..config() });
    for (rest, outcome) in [
        ("zz\r\n", Outcome::Rejected),
        ("4\r\nmoreX\r\n", Outcome::Rejected),
        ("0\r\nTrailer : no\r\n\r\n", Outcome::Rejected),
        ("10\r\n0123456789abcdef\r\n0\r\n\r\n", Outcome::Rejected),
        ("", Outcome::ClientAbort),
    ] {
        let mut client = site.send(request("POST", "/duplex", CHUNKED) + "5\r\nhello\r\n");
        assert_eq!(client.head().unwrap().status, 200);
        assert_eq!(next_chunk(&mut client), "HELLO");
        client.send(rest);
        client.half_close();
        let more = std::iter::from_fn(|| client.next_chunk().ok()).take_while(|chunk| !chunk.is_empty()).count();
        client.next_chunk().expect_err("the response must not look whole");
        assert!(more <= 1, "{rest}: {more} chunks");
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome), ("/duplex", outcome), "{rest}");
    }
    assert_eq!((site.errors(ErrorKind::Protocol), site.errors(ErrorKind::Reset)), (3, 1));
    site.until_deserted();
}

#[test]
fn a_client_that_reads_nothing_before_it_has_sent_everything_is_given_up() {
    let site =
        Site::start(Config { write_timeout: Duration::from_millis(200), max_body_size_in_bytes: u64::MAX, ..config() });
    let mut client = site.send(request("POST", "/duplex", CHUNKED));
    let piece = [b"186a0\r\n".as_slice(), &pattern(100_000), b"\r\n"].concat();
    let sending = thread::spawn(move || (0..10_000).all(|_| client.try_send(&piece).is_ok()));
    assert_eq!(site.next_seen().outcome, Outcome::Timeout);
    assert!(!sending.join().unwrap(), "it was stopped");
    assert_eq!(site.stats.workers_busy.load(Ordering::SeqCst), 0);
    site.until_deserted();
}

#[test]
fn a_client_that_stalls_or_leaves_frees_the_worker() {
    let site = Site::start(Config { body_timeout: Duration::from_millis(200), ..config() });
    let begun = || {
        let mut client = site.send(request("POST", "/duplex", CHUNKED) + "5\r\nhello\r\n");
        assert_eq!(client.head().unwrap().status, 200);
        client
    };
    let stalled = begun();
    assert_eq!(site.next_seen().outcome, Outcome::Timeout);
    drop(stalled);
    drop(begun());
    assert_eq!(site.next_seen().outcome, Outcome::ClientAbort);
    begun().reset();
    assert_eq!(site.next_seen().outcome, Outcome::ClientAbort);
    assert_eq!((site.errors(ErrorKind::BodyTimeout), site.errors(ErrorKind::Reset)), (1, 2));
    site.until_deserted();
}

#[test]
fn who_reads_the_request_too_late_is_told_so() {
    let site = Site::start(config());
    let mut client = site.send(request("POST", "/late/a", CHUNKED) + "5\r\nhello\r\n");
    assert_eq!(client.head().unwrap().status, 200);
    site.gate.open("a");
    let text = next_chunk(&mut client);
    assert!(text.contains("not elsewhere later"), "{text}");
    drop(client);
    site.until_deserted();
}
