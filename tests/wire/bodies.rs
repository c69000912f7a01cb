//! Request bodies: however they are framed and cut, limits, expectations, and who does not read them.

use rws::config::Config;

use super::support::{Site, chunked_to, config, get_of, pattern, post_of, request};

/// Routes that answer with the body they got.
const ECHOES: [&str; 4] = ["/string", "/bytes", "/echo", "/trickle"];

#[test]
fn bodies_come_in_whole_however_they_are_framed_and_cut() {
    let site = Site::start(config());
    for target in ECHOES {
        for input in [
            post_of(target, "hello world"),
            chunked_to(target, &["hello world"]),
            chunked_to(target, &["h", "ello ", "world"]),
            request("POST", target, "Transfer-Encoding: chunked\r\n")
                + "00b;a=b;c=\"d\\\"\"\r\nhello world\r\n000;x\r\nTrailer: one\r\nAnother: two\r\n\r\n",
        ] {
            let bytes = (input + &get_of("/text")).into_bytes();
            let mut cuts: Vec<Vec<&[u8]>> = (1..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]).collect();
            cuts.push(bytes.chunks(1).collect());
            for parts in cuts {
                let mut client = site.connect();
                parts.into_iter().for_each(|part| client.send(part));
                assert_eq!(client.reply().text(), "hello world", "{target}");
                assert_eq!(client.reply().text(), "Hello", "behind {target}");
            }
        }
    }
    site.until_deserted();
}

#[test]
fn large_bodies_go_in_and_out() {
    let site = Site::start(config());
    let body = String::from_utf8(pattern(1_500_000).iter().map(|byte| b'a' + byte % 26).collect()).unwrap();
    let chunks: Vec<&str> = (0..body.len()).step_by(7777).map(|at| &body[at..body.len().min(at + 7777)]).collect();
    for target in ["/string", "/bytes", "/echo"] {
        for input in [post_of(target, &body), chunked_to(target, &chunks)] {
            let mut client = site.connect();
            let mut sender = client.stream.try_clone().unwrap();
            let sending = std::thread::spawn(move || std::io::Write::write_all(&mut sender, input.as_bytes()));
            let reply = client.reply();
            assert!(reply.body == body.as_bytes(), "{target}: {} bytes", reply.body.len());
            sending.join().unwrap().unwrap();
            client.send(get_of("/text"));
            assert_eq!(client.reply().text(), "Hello");
            assert_eq!(site.next_seen().bytes_in, body.len() as u64);
            assert_eq!(site.next_seen().bytes_in, 0);
        }
    }
    site.until_deserted();
}

#[test]
fn a_body_that_nobody_wants_is_passed_over() {
    let site = Site::start(config());
    let large = "x".repeat(300_000);
    for input in [
        post_of("/ignore", "GET / HTTP/1.1\r\n\r\n"),
        post_of("/ignore", &large),
        chunked_to("/ignore", &[&large, "y"]),
    ] {
        let mut client = site.send(input + &get_of("/text"));
        assert_eq!(client.reply().text(), "ignored");
        assert_eq!(client.reply().text(), "Hello");
    }
    site.until_deserted();
}

#[test]
fn a_stream_that_the_handler_leaves_unread_ends_the_connection() {
    let site = Site::start(config());
    let mut small = site.send(post_of("/unread", "small ones are there already") + &get_of("/text"));
    assert_eq!((small.reply().text(), small.reply().text()), ("not read", "Hello"));

    let smuggled = get_of("/text").repeat(3000);
    for input in [post_of("/unread", &smuggled), chunked_to("/unread", &[&smuggled])] {
        let mut client = site.connect();
        let _ = client.try_send(input + &get_of("/text"));
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("not read", true));
        client.expect_end();
    }
    drop(small);
    site.until_deserted();
}

#[test]
fn too_large_a_body() {
    let site = Site::start(config());
    for (target, input) in [
        ("/limited/bytes", request("POST", "/limited/bytes", "Content-Length: 11\r\n")),
        ("/limited/stream", request("POST", "/limited/stream", "Content-Length: 11\r\n")),
        ("/limited/bytes", post_of("/limited/bytes", "hello world")),
        ("/limited/bytes", chunked_to("/limited/bytes", &["hello", "wonder"])),
        ("/limited/stream", chunked_to("/limited/stream", &["hello", "wonder", &"x".repeat(3000)])),
        ("/bytes", request("POST", "/bytes", "Content-Length: 18446744073709551615\r\n")),
        ("/ignore", request("POST", "/ignore", "Content-Length: 3000000\r\n")),
    ] {
        let mut client = site.send(input + &get_of("/text"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (413, true), "{target}: {reply:?}");
        if target != "/limited/stream" || !reply.body.starts_with(b"the request") {
            assert_eq!(reply.field("content-type"), Some("application/problem+json"), "{target}");
            assert!(reply.text().contains(r#""detail":"the request body is too large""#), "{target}: {}", reply.text());
        }
        client.expect_end();
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.status), (target, 413));
    }
    // What is too large and over is no reason to close.
    for chunks in [["hello", " world"].as_slice(), &["hello world"]] {
        let mut client = site.send(chunked_to("/limited/stream", chunks) + &get_of("/text"));
        assert_eq!(client.reply().status, 413);
        assert_eq!(client.reply().text(), "Hello");
        assert_eq!(site.next_seen().bytes_in, 11);
        site.next_seen();
    }
    for input in [post_of("/limited/bytes", "just right"), chunked_to("/limited/bytes", &["just", " right"])] {
        assert_eq!(site.send(input).reply().text(), "just right");
    }
    site.until_deserted();
}

#[test]
fn a_router_lowers_and_raises_the_limit_of_the_server() {
    let site = Site::start(Config { max_body_size_in_bytes: 20, ..config() });
    let (fits, server_wide, long) = ("0123456789", "01234567890123456789", "x".repeat(300_000));
    for (target, body, status) in [
        ("/bytes", server_wide, 200),
        ("/bytes", &*long, 413),
        ("/small/bytes", fits, 200),
        ("/small/bytes", server_wide, 413),
        ("/small/stream", fits, 200),
        ("/small/stream", server_wide, 413),
        ("/small/stream", &long, 413),
        ("/small/ignore", fits, 200),
        ("/small/ignore", server_wide, 413),
        ("/small/large/bytes", &long, 200),
        ("/small/large/stream", &long, 200),
        ("/nowhere", &long, 413),
    ] {
        let halves = body.split_at(body.len() / 2);
        for input in [post_of(target, body), chunked_to(target, &[body]), chunked_to(target, &[halves.0, halves.1])] {
            let input = (input + &get_of("/text")).into_bytes();
            let bytewise = input.len() < 1000;
            for size in [input.len(), if bytewise { 1 } else { 10_000 }] {
                let mut client = site.connect();
                // A 413 comes before all is sent.
                let _ = input.chunks(size).try_for_each(|part| client.try_send(part));
                assert_eq!(client.reply().status, status, "{target} {} by {size}", body.len());
                if status == 200 {
                    assert_eq!(client.reply().text(), "Hello", "behind {target}");
                }
            }
        }
    }
    site.until_deserted();
}

#[test]
fn what_is_over_the_limit_of_a_router_is_refused_before_it_is_sent() {
    let site = Site::start(config());
    for target in ["/small/bytes", "/small/stream", "/small/ignore"] {
        let mut client =
            site.send(request("POST", target, "Expect: 100-continue\r\nContent-Length: 11\r\n") + &get_of("/text"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (413, true), "{target}");
        client.expect_end();
        assert_eq!(site.next_seen().bytes_in, 0);
    }
    for (target, status) in [("/small/bytes", 413), ("/small/stream", 413), ("/small/large/bytes", 200)] {
        let fields = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
        let mut client = site.send(request("POST", target, fields));
        assert_eq!(client.reply().status, 100, "{target}");
        client.send("b\r\nhello world\r\n0\r\n\r\n");
        assert_eq!(client.reply().status, status, "{target}");
    }
    site.until_deserted();
}

#[test]
fn who_goes_on_sending_after_a_413_still_reads_it() {
    let site = Site::start(config());
    for target in ["/bytes", "/slurp", "/ignore"] {
        let head = request("POST", target, "Content-Length: 30000000\r\n");
        let mut client = site.send(head);
        let piece = vec![b'x'; 100_000];
        for _ in 0..30 {
            client.send(&piece);
        }
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (413, true));
        client.send(&piece);
        client.expect_end();
    }
    site.until_deserted();
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_when_the_handler_reads() {
    let site = Site::start(config());
    for target in ["/string", "/bytes", "/echo", "/trickle"] {
        for framing in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            let body = if framing.starts_with('C') { "Hello" } else { "5\r\nHello\r\n0\r\n\r\n" };
            let mut client = site.send(request("POST", target, &format!("Expect: 100-continue\r\n{framing}")));
            assert_eq!(client.reply().status, 100, "{target}");
            client.send(body.to_owned() + &get_of("/text"));
            assert_eq!(client.reply().text(), "Hello", "{target}");
            assert_eq!(client.reply().text(), "Hello", "behind {target}");
        }
    }
    site.until_deserted();
}

#[test]
fn a_client_that_asks_first_is_not_told_to_go_on_in_vain() {
    let site = Site::start(config());
    for (target, length, status) in [
        ("/unread", 5, 200),
        ("/ignore", 5, 200),
        ("/nowhere", 5, 404),
        ("/limited/bytes", 11, 413),
        ("/panic", 5, 500),
    ] {
        let fields = format!("Expect: 100-continue\r\nContent-Length: {length}\r\n");
        let mut client = site.send(request("POST", target, &fields));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (status, true), "{target}");
        client.expect_end();
    }
    site.until_deserted();
}

#[test]
fn an_expectation_without_a_body_or_from_http_1_0_means_nothing() {
    let site = Site::start(config());
    for input in [
        request("POST", "/string", "Expect: 100-continue\r\nContent-Length: 0\r\n"),
        request("GET", "/text", "Expect: 100-continue\r\n"),
        "POST /string HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n".into(),
    ] {
        assert_eq!(site.send(input).reply().status, 200);
    }
}

#[test]
fn who_sends_at_once_in_spite_of_asking_is_not_answered_twice() {
    let site = Site::start(config());
    let input = request("POST", "/string", "Expect: 100-continue\r\nContent-Length: 5\r\n") + "Hello";
    let mut client = site.send(input);
    let mut reply = client.reply();
    if reply.status == 100 {
        reply = client.reply();
    }
    assert_eq!(reply.text(), "Hello");
}

#[test]
fn clients_that_leave_in_the_middle_of_a_body() {
    let site = Site::start(config());
    let head = |target| request("POST", target, "Content-Length: 100000\r\n");
    for target in ["/string", "/slurp"] {
        let client = site.send(head(target) + "some");
        site.settle();
        drop(client);
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.status, seen.bytes_in), (target, 400, 4));
    }
    for target in ["/string", "/slurp"] {
        let client = site.send(head(target) + "some");
        site.settle();
        client.reset();
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.status, seen.bytes_in), (target, 400, 4), "by a reset");
    }
    site.until_deserted();
}
