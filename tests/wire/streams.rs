//! Response bodies: chunked, of known length, from files; sources that fail; clients that leave.

use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rws::config::Config;
use rws::server::observe::Outcome;

use super::support::{Site, config, get_of, pattern, post_of, request};

#[test]
fn every_kind_of_body_arrives_whole() {
    let site = Site::start(config());
    for n in [0, 1, 5, 16_384, 16_385, 32_768, 100_000, 5_000_000] {
        for (target, coding) in [
            (format!("/big/{n}"), None),
            (format!("/file/{n}"), None),
            (format!("/stream/{n}"), Some("chunked")),
            (format!("/written/{n}"), Some("chunked")),
            (format!("/stream/{n}/{n}"), None),
        ] {
            let mut client = site.send(get_of(&target) + &get_of("/text"));
            let reply = client.reply();
            assert_eq!(reply.field("transfer-encoding"), coding, "{target}");
            assert!(reply.body == pattern(n), "{target}: {} bytes", reply.body.len());
            assert_eq!(client.reply().text(), "Hello", "behind {target}");
            let seen = site.next_seen();
            assert_eq!((seen.bytes_out, seen.outcome), (n as u64, Outcome::Ok), "{target}");
            site.next_seen();
        }
    }
    site.until_deserted();
}

#[test]
fn a_source_that_does_not_keep_its_promise() {
    let site = Site::start(config());
    let mut longer = site.send(get_of("/stream/100/10") + &get_of("/text"));
    assert_eq!(longer.reply().body, pattern(10), "cut off where it was announced to end");
    assert_eq!(longer.reply().text(), "Hello");
    for target in [
        "/badly-written/10",
        "/panicking-writer/100000",
        "/stream/10/100",
        "/failing/10",
        "/failing/10/100",
        "/panicking-stream/10",
        "/failing/0",
        "/failing/100000",
    ] {
        let mut client = site.send(get_of(target) + &get_of("/text"));
        assert!(client.try_reply("GET").is_err(), "{target}: the response must not look whole");
    }
    longer.send(get_of("/text"));
    assert_eq!(longer.reply().text(), "Hello");
    drop(longer);
    site.until_deserted();
}

#[test]
fn what_becomes_of_a_failing_source_is_recorded() {
    let site = Site::start(config());
    for (target, outcome) in [
        ("/badly-written/10", Outcome::Error),
        ("/panicking-writer/10", Outcome::Panic),
        ("/failing/10", Outcome::Error),
        ("/stream/10/100", Outcome::Error),
        ("/panicking-stream/10", Outcome::Panic),
    ] {
        let mut client = site.send(get_of(target));
        assert!(client.try_reply("GET").is_err());
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome, seen.bytes_out), (target, outcome, 10));
    }
    assert_eq!(site.stats.handler_panics.load(Ordering::SeqCst), 2);
    // Where the end of the connection would be the end of the body, a reset shows that something is missing.
    let mut client = site.send("GET /failing/10 HTTP/1.0\r\n\r\n");
    let mut all = Vec::new();
    let end = client.stream.read_to_end(&mut all).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    site.until_deserted();
}

#[test]
fn what_was_read_is_sent_before_more_is_read() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/gated-stream/s"));
    site.gate.wait_for(1);
    site.gate.open("s");
    site.gate.wait_for(2);
    // The source is asked for more only now that the first piece is on its way.
    client.wait_for_bytes();
    client.half_close();
    site.gate.open("s");
    assert_eq!(client.reply().body, pattern(10));
    client.expect_end();
    site.until_deserted();
}

#[test]
fn clients_that_leave_in_the_middle_of_a_response() {
    let site = Site::start(config());
    for target in ["/big/30000000", "/file/30000000", "/stream/30000000", "/stream/30000000/30000000"] {
        for reset in [true, false] {
            let mut client = site.send(get_of(target));
            client.wait_for_bytes();
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            let seen = site.next_seen();
            assert_eq!((seen.path.as_str(), seen.outcome), (target, Outcome::ClientAbort));
            assert!(seen.bytes_out < 30_000_000, "{} bytes", seen.bytes_out);
        }
    }
    site.until_deserted();
}

#[test]
fn pipelined_responses_come_in_order_whatever_they_are_made_of() {
    let site = Site::start(config());
    let targets = ["/written/70000", "/text", "/stream/40000", "/stream/10/10", "/file/5", "/written/0", "/big/20000"];
    let input = targets.map(|target| get_of(target) + &request("HEAD", target, "")).concat();
    let input = input.repeat(3) + &get_of("/text");
    for pieces in [input.len(), 1, 1000] {
        let mut client = site.connect();
        input.as_bytes().chunks(pieces).for_each(|piece| client.send(piece));
        for target in [targets; 3].as_flattened() {
            let n = target[1..].split('/').nth(1).map(|n| n.parse().unwrap());
            let body = n.map_or_else(|| b"Hello".to_vec(), pattern);
            assert!(client.reply().body == body, "{target} in pieces of {pieces}");
            assert_eq!(client.reply_to("HEAD").status, 200, "{target} in pieces of {pieces}");
        }
        assert_eq!(client.reply().text(), "Hello");
    }
    site.until_deserted();
}

#[test]
fn the_head_does_not_wait_for_the_body() {
    let site = Site::start(config());
    for (n, route) in ["gated-stream", "blocking-stream", "gated-writer", "blocking-writer"].into_iter().enumerate() {
        let arrivals = site.gate.arrived().len();
        let (target, name) = (format!("/{route}/{n}"), n.to_string());
        let mut client = site.send(get_of(&target));
        site.gate.wait_for(arrivals + 1);
        client.wait_for_bytes();
        assert_eq!(site.stats.workers_busy.load(Ordering::SeqCst), 1, "{target} occupies a thread");
        site.gate.open(&name);
        site.gate.open(&name);
        assert!(client.reply().body.starts_with(&pattern(10)), "{target}");
        site.until("the thread is free", |stats| stats.workers_busy.load(Ordering::SeqCst) == 0);
    }
}

#[test]
fn nothing_is_written_for_nobody() {
    let site = Site::start(config());
    for (method, target) in [("HEAD", "/gated-writer/x"), ("HEAD", "/blocking-writer/x")] {
        let mut client = site.send(request(method, target, "") + &get_of("/text"));
        assert_eq!(client.reply_to(method).status, 200);
        assert_eq!(client.reply().text(), "Hello");
    }
    let gone = site.send(get_of("/gate-writer/y"));
    site.gate.wait_for(1);
    gone.reset();
    site.settle();
    site.gate.open_for_good();
    let seen = (0..5).map(|_| site.next_seen()).last().unwrap();
    assert_eq!((seen.path.as_str(), seen.outcome), ("/gate-writer/y", Outcome::ClientAbort));
    assert_eq!(site.gate.arrived(), ["y"], "the function was not called");
    site.until_deserted();
}

#[test]
fn a_source_that_panics_at_its_end_ends_nothing_else() {
    let site = Site::start(config());
    for method in ["HEAD", "GET"] {
        let mut client = site.send(request(method, "/bad-drop", "") + &get_of("/text"));
        assert_eq!(client.reply_to(method).status, 200);
        assert_eq!(client.reply().text(), "Hello", "behind {method}");
    }
    assert!(site.is_running());
}

#[test]
fn clients_that_leave_while_a_handler_runs() {
    let site = Site::start(config());
    let mut arrivals = 0;
    for target in ["/gate/x", "/blocking/x"] {
        for reset in [true, false] {
            let client = site.send(get_of(target));
            arrivals += 1;
            site.gate.wait_for(arrivals);
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            site.settle();
            site.gate.open("x");
            assert_eq!(site.next_seen().path, target);
        }
    }
    let client = site.send(post_of("/gate-body/x", "body"));
    site.gate.wait_for(arrivals + 1);
    drop(client);
    site.gate.open("x");
    assert_eq!(site.next_seen().bytes_in, 4);
    site.until_deserted();
}

#[test]
fn who_writes_to_a_client_that_has_gone_or_does_not_read_fails() {
    let site = Site::start(Config { write_timeout: Duration::from_millis(200), ..config() });
    let mut gone = site.send(get_of("/written/50000000"));
    gone.wait_for_bytes();
    gone.reset();
    let seen = site.next_seen();
    assert_eq!(seen.outcome, Outcome::ClientAbort);
    assert!(seen.bytes_out < 50_000_000, "{}", seen.bytes_out);
    let mut stuck = site.send(get_of("/written/50000000"));
    stuck.wait_for_bytes();
    assert_eq!(site.next_seen().outcome, Outcome::Timeout);
    site.until_deserted();
}
