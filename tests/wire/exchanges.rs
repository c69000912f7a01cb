//! Requests and responses without much of a body: keep-alive, pipelining, versions, methods, half-close (F2).

use std::sync::atomic::Ordering;

use rws::config::Config;
use rws::server::observe::Outcome;

use super::support::{Site, config, get_of, pattern, post_of, request};

#[test]
fn a_request_may_come_in_any_pieces() {
    let site = Site::start(config());
    let input = post_of("/string", "abc") + &get_of("/json");
    let bytes = input.as_bytes();
    let mut cuts: Vec<Vec<&[u8]>> = (1..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]).collect();
    cuts.push(bytes.chunks(1).collect());
    for parts in cuts {
        let mut client = site.connect();
        parts.into_iter().for_each(|part| client.send(part));
        assert_eq!(client.reply().text(), "abc");
        assert_eq!(client.reply().text(), r#"{"message":"Hello"}"#);
    }
    site.until_deserted();
}

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order() {
    let site = Site::start(config());
    let all: String = (0..100).map(|i| post_of("/string", &format!("number {i}"))).collect();
    let mut client = site.send(all);
    for i in 0..100 {
        assert_eq!(client.reply().text(), format!("number {i}"));
    }
    client.half_close();
    client.expect_end();
    site.until_deserted();
}

#[test]
fn more_pipelined_requests_than_one_turn_has() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/text").repeat(1000));
    client.half_close();
    for _ in 0..1000 {
        assert_eq!(client.reply().text(), "Hello");
    }
    client.expect_end();
}

#[test]
fn pipelined_answers_that_the_client_reads_late() {
    let site = Site::start(config());
    let mut client = site.connect();
    // More than the sockets and the output buffer hold, in copied and in separate bodies.
    for _ in 0..200 {
        client.send(get_of("/big/10000") + &get_of("/big/100000") + &get_of("/file/20000"));
    }
    client.half_close();
    for _ in 0..200 {
        assert_eq!(client.reply().body, pattern(10_000));
        assert_eq!(client.reply().body, pattern(100_000));
        assert_eq!(client.reply().body, pattern(20_000));
    }
    client.expect_end();
    site.until_deserted();
}

#[test]
fn slow_then_fast_pipelined() {
    let site = Site::start(config());
    for fast in [get_of("/text"), post_of("/string", "Hello")] {
        let mut client = site.send(get_of("/gate/slow") + &fast);
        site.gate.wait_for(1);
        site.settle();
        site.gate.open("slow");
        assert_eq!(client.reply().text(), "slow");
        assert_eq!(client.reply().text(), "Hello");
    }
}

#[test]
fn what_arrives_while_a_handler_runs_is_served_afterwards() {
    let site = Site::start(config());
    for slow in ["/gate/slow", "/blocking/slow"] {
        let mut client = site.send(get_of(slow));
        site.gate.wait_for(site.gate.arrived().len().max(1));
        site.settle();
        client.send(get_of("/text"));
        site.settle();
        client.send(&get_of("/text")[..10]);
        site.settle();
        client.send(&get_of("/text")[10..]);
        site.gate.open("slow");
        assert_eq!(client.reply().text(), "slow");
        assert_eq!(client.reply().text(), "Hello");
        assert_eq!(client.reply().text(), "Hello");
    }
}

/// Version and Connection field of the request; whether the connection stays and what the response's field says.
const KEEP_ALIVE: &[(&str, &str, bool, Option<&str>)] = &[
    ("HTTP/1.1", "", true, None),
    ("HTTP/1.1", "Connection: keep-alive\r\n", true, None),
    ("HTTP/1.1", "Connection: close\r\n", false, Some("close")),
    ("HTTP/1.1", "Connection: x, Close\r\n", false, Some("close")),
    ("HTTP/1.1", "Connection: close, keep-alive\r\n", false, Some("close")),
    ("HTTP/1.0", "", false, Some("close")),
    ("HTTP/1.0", "Connection: keep-alive\r\n", true, Some("keep-alive")),
    ("HTTP/1.0", "Connection: close\r\n", false, Some("close")),
];

#[test]
fn keep_alive_by_version_and_field() {
    let site = Site::start(config());
    for target in ["/text", "/blocking/x", "/big/100000"] {
        site.gate.open_for_good();
        for &(version, field, stays, answer) in KEEP_ALIVE {
            let input = format!("GET {target} {version}\r\nHost: a\r\n{field}\r\n");
            let mut client = site.send(&input);
            let reply = client.reply();
            assert_eq!((reply.status, reply.field("connection")), (200, answer), "{input}");
            assert!(reply.field("content-length").is_some());
            if stays {
                client.send(get_of("/text"));
                assert_eq!(client.reply().text(), "Hello", "{input}");
                client.half_close();
            }
            client.expect_end();
        }
    }
    site.until_deserted();
}

#[test]
fn http_1_0_needs_no_host_and_gets_no_chunks() {
    let site = Site::start(config());
    let mut client = site.send("GET /stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.field("transfer-encoding"), reply.closes()), (None, true));
    assert_eq!(reply.body, pattern(100_000));
    site.until_deserted();
}

#[test]
fn responses_without_a_body() {
    let site = Site::start(config());
    for (method, target, status, length, coding) in [
        ("HEAD", "/text", 200, Some("5"), None),
        ("HEAD", "/big/100000", 200, Some("100000"), None),
        ("HEAD", "/file/100000", 200, Some("100000"), None),
        ("HEAD", "/stream/100", 200, None, None),
        ("HEAD", "/stream/100/100", 200, Some("100"), None),
        ("HEAD", "/nowhere", 404, Some("55"), None),
        ("GET", "/status/204", 204, None, None),
        ("POST", "/status/204", 204, None, None),
        ("GET", "/not-modified", 304, Some("10"), None),
        ("GET", "/status/205", 205, Some("0"), None),
        ("OPTIONS", "/text", 204, None, None),
    ] {
        let mut client = site.send(request(method, target, "") + &get_of("/text"));
        let reply = client.reply_to(method);
        let got = (reply.status, reply.field("content-length"), reply.field("transfer-encoding"));
        assert_eq!(got, (status, length, coding), "{method} {target}");
        assert_eq!(client.reply().text(), "Hello", "after {method} {target}");
    }
}

#[test]
fn targets_and_methods() {
    let site = Site::start(config());
    for (method, target, status, allow) in [
        ("OPTIONS", "*", 204, Some("")),
        ("GET", "http://elsewhere:80/text?x", 200, None),
        ("GET", "HTTP://elsewhere/text", 200, None),
        ("GET", "http://elsewhere", 404, None),
        ("DELETE", "/text", 405, Some("get, head, options")),
        ("GET", "/string", 405, Some("options, post")),
        ("DELETE", "/probe", 405, Some("get, head, options")),
        ("OPTIONS", "/string", 204, Some("options, post")),
    ] {
        let reply = site.send(request(method, target, "")).reply();
        assert_eq!(reply.status, status, "{method} {target}: {reply:?}");
        if let Some(allow) = allow {
            let field = reply.field("allow").expect("an Allow field");
            assert!(allow.is_empty() || field == allow, "{method} {target}: {field}");
        }
    }
}

#[test]
fn an_interim_status_is_no_answer() {
    let site = Site::start(config());
    for code in [100, 101, 103, 199] {
        let mut client = site.send(get_of(&format!("/status/{code}")) + &get_of("/text"));
        assert_eq!(client.reply().status, 500, "{code}");
        assert_eq!(client.reply().text(), "Hello", "{code}");
    }
}

#[test]
fn the_host_of_an_absolute_target_is_not_excused_from_the_host_field() {
    let site = Site::start(config());
    assert_eq!(site.send("GET http://a/text HTTP/1.1\r\n\r\n").reply().status, 400);
}

#[test]
fn some_empty_lines_before_a_request_are_forgiven() {
    let site = Site::start(config());
    let mut client = site.send("\r\n".to_owned() + &get_of("/text") + "\r\n" + &get_of("/text"));
    assert_eq!(client.reply().text(), "Hello");
    assert_eq!(client.reply().text(), "Hello");
}

#[test]
fn the_fields_that_are_the_servers() {
    let site = Site::start(config());
    let mut client = site.send(request("GET", "/server-fields", "X-Request-Id: my-own-id-1\r\n"));
    let reply = client.reply();
    assert_eq!(reply.text(), "fields");
    for (name, value) in [("content-length", "6"), ("x-request-id", "my-own-id-1")] {
        assert_eq!(reply.field(name), Some(value));
        assert_eq!(reply.head.matches(&format!("{name}:")).count(), 1, "{}", reply.head);
    }
    assert_eq!(reply.field("transfer-encoding"), None);
    assert_eq!(reply.field("connection"), None);
    assert!(reply.field("date").is_some_and(|date| date.ends_with(" gmt")));

    client.send(request("GET", "/text", "X-Request-Id: no good id\r\n"));
    let id = client.reply().field("x-request-id").map(str::to_owned).expect("an id");
    assert!(!id.contains(' '), "{id}");
}

#[test]
fn who_shuts_the_sending_side_still_gets_every_answer() {
    let site = Site::start(config());
    site.gate.open_for_good();
    for target in ["/text", "/gate/x", "/blocking/x", "/big/3000000", "/file/3000000", "/stream/3000000", "/stream/9/9"]
    {
        for times in [1, 3] {
            let mut client = site.send(get_of(target).repeat(times));
            client.half_close();
            for _ in 0..times {
                assert_eq!(client.reply().status, 200, "{target}");
            }
            client.expect_end();
        }
    }
    for body in [post_of("/string", "abc"), post_of("/echo", "abc"), post_of("/slurp", "abc")] {
        let mut client = site.send(body);
        client.half_close();
        assert_eq!(client.reply().status, 200);
        client.expect_end();
    }
    site.until_deserted();
}

#[test]
fn half_closed_while_a_handler_runs() {
    let site = Site::start(config());
    let mut arrivals = 0;
    for slow in ["/gate/slow", "/blocking/slow"] {
        for behind in ["", &get_of("/text"), &get_of("/text").repeat(2), &get_of("/stream/100000")] {
            let mut client = site.send(get_of(slow));
            arrivals += 1;
            site.gate.wait_for(arrivals);
            site.settle();
            client.send(behind);
            client.half_close();
            site.settle();
            site.gate.open("slow");
            assert_eq!(client.reply().text(), "slow");
            for _ in 0..behind.matches("GET").count() {
                assert_eq!(client.reply().status, 200);
            }
            client.expect_end();
        }
    }
    site.until_deserted();
}

#[test]
fn half_closed_in_the_middle() {
    let site = Site::start(config());
    for (partial, recorded) in [("", false), ("GET /text HT", false), (&post_of("/string", "abc")[..58], true)] {
        let mut client = site.send(partial);
        site.settle();
        client.half_close();
        client.expect_end();
        if recorded {
            let seen = site.next_seen();
            assert_eq!((seen.path.as_str(), seen.outcome), ("/string", Outcome::ClientAbort));
        }
    }
    site.until_deserted();
}

#[test]
fn a_panic_is_a_500_and_ends_its_connection_only() {
    let site = Site::start(config());
    let mut other = site.send(get_of("/text"));
    assert_eq!(other.reply().status, 200);
    for (n, target) in ["/panic", "/panic-late/x", "/panic"].into_iter().enumerate() {
        let mut client = site.send(get_of(target) + &get_of("/text"));
        if target != "/panic" {
            site.gate.wait_for(1);
            site.settle();
            site.gate.open("x");
        }
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (500, true));
        client.expect_end();
        assert_eq!(site.stats.handler_panics.load(Ordering::SeqCst), n as u64 + 1);
        other.send(get_of("/text"));
        assert_eq!(other.reply().text(), "Hello");
    }
    let outcomes: Vec<_> = (0..7).map(|_| site.next_seen().outcome).collect();
    assert_eq!(outcomes.iter().filter(|&&outcome| outcome == Outcome::Panic).count(), 3);
    drop(other);
    site.until_deserted();
}

#[test]
fn as_many_requests_as_a_connection_may_have() {
    let site = Site::start(Config { max_requests_per_connection: 3, ..config() });
    let mut client = site.send(get_of("/text").repeat(5));
    let closes: Vec<bool> = (0..3).map(|_| client.reply().closes()).collect();
    assert_eq!(closes, [false, false, true]);
    client.expect_end();
    drop(client);
    site.until_deserted();
}

#[test]
fn connections_beyond_the_limit_wait_for_one_to_close() {
    let site = Site::start(Config { max_connections: 2, ..config() });
    let mut first = site.send(get_of("/text"));
    let mut second = site.send(get_of("/text"));
    assert_eq!((first.reply().status, second.reply().status), (200, 200));
    let mut third = site.send(get_of("/text"));
    site.until("the limit is noticed", |stats| stats.rejected[1].load(Ordering::SeqCst) == 1);
    assert_eq!(site.stats.connections_accepted.load(Ordering::SeqCst), 2);
    first.send(get_of("/text"));
    assert_eq!(first.reply().status, 200, "the others are served meanwhile");
    drop(second);
    assert_eq!(third.reply().status, 200);
    drop((first, third));
    site.until_deserted();
}
