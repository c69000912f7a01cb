//! What the server refuses (F1): the status, `Connection: close`, a connection that really closes, and a record of it.

use rws::server::observe::Outcome;

use super::support::{Site, config, get_of, request};

/// Name, input, status.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, u16)] = &[
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    ("bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    ("obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    ("space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    ("empty field name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
    ("bad field name", "GET / HTTP/1.1\r\nHost: a\r\nX@: x\r\n\r\n", 400),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("Content-Length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    ("Content-Length with letters", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\nx", 400),
    ("empty Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    ("Content-Length as a list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400),
    ("Content-Length of 65 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
    ("differing Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    ("Content-Length and Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("unknown transfer coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ("chunked not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nContent-Length: 1\r\n\r\nx", 417),
    ("unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("HTTP/0.9", "GET /\r\n", 400),
    ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("HTTP/1.2 in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("a preface of the PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET / HTTP/1.1\r\n", 400),
    ("the same in version 2", "\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c", 400),
    ("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03abcdefgh", 400),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("relative target", "GET text HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("user information", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
];

/// The same for what has a request to it when it is refused: a malformed body.
#[rustfmt::skip]
const MALFORMED_BODIES: &[(&str, &str)] = &[
    ("size with a sign", "+1\r\nx\r\n0\r\n\r\n"),
    ("size with 0x", "0x1\r\nx\r\n0\r\n\r\n"),
    ("empty size", "\r\nx\r\n0\r\n\r\n"),
    ("size of 17 digits", "00000000000000001\r\nx\r\n0\r\n\r\n"),
    ("space after the size", "1 \r\nx\r\n0\r\n\r\n"),
    ("bare LF after the size", "1\nx\r\n0\r\n\r\n"),
    ("data too long", "1\r\nxy\r\n0\r\n\r\n"),
    ("bare LF after the data", "1\r\nx\n0\r\n\r\n"),
    ("bad extension", "1;=\r\nx\r\n0\r\n\r\n"),
    ("bad trailer", "1\r\nx\r\n0\r\nno colon\r\n\r\n"),
    ("bare LF at the end", "1\r\nx\r\n0\r\n\n"),
];

/// Sends the parts one after the other, and checks that they are refused.
fn refuses<'a>(site: &Site, name: &str, parts: impl IntoIterator<Item = &'a [u8]>, status: u16, path: &str) {
    let mut client = site.connect();
    for part in parts {
        // Once it has refused, it need not take the rest.
        let _ = client.try_send(part);
    }
    let reply = client.reply();
    assert_eq!(reply.status, status, "{name}: {reply:?}");
    assert!(reply.closes(), "{name}: {reply:?}");
    assert!(!reply.body.is_empty(), "{name} is not explained");
    client.expect_end();
    let seen = site.next_seen();
    assert_eq!((seen.path.as_str(), seen.status, seen.outcome), (path, status, Outcome::Rejected), "{name}");
}

/// All of `input`: whole, byte by byte, in two parts cut everywhere, and with a request behind it.
fn refuses_however_it_comes(site: &Site, name: &str, input: &str, status: u16, path: &str) {
    let bytes = input.as_bytes();
    refuses(site, name, [bytes], status, path);
    refuses(site, name, bytes.chunks(1), status, path);
    for at in 1..bytes.len() {
        refuses(site, name, [&bytes[..at], &bytes[at..]], status, path);
    }
    let follower = format!("{input}{}", get_of("/text"));
    refuses(site, name, [follower.as_bytes()], status, path);
}

#[test]
fn bytes_that_are_no_request() {
    let site = Site::start(config());
    for (name, input, status) in REFUSED {
        refuses_however_it_comes(&site, name, input, *status, "");
    }
    site.until_deserted();
    assert!(site.is_running());
}

#[test]
fn malformed_chunks() {
    let site = Site::start(config());
    for (name, body) in MALFORMED_BODIES {
        let input = request("POST", "/bytes", "Transfer-Encoding: chunked\r\n") + body;
        refuses_however_it_comes(&site, name, &input, 400, "/bytes");
    }
    site.until_deserted();
}

#[test]
fn a_refusal_behind_a_good_request_comes_after_its_answer() {
    let site = Site::start(config());
    for (name, input, status) in REFUSED {
        let mut client = site.send(get_of("/text") + input);
        assert_eq!(client.reply().text(), "Hello", "{name}");
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (*status, true), "{name}");
        client.expect_end();
    }
    site.until_deserted();
    assert!(site.is_running());
}

#[test]
fn limits_of_the_head() {
    let limits = rws::config::Config { max_head_bytes: 1024, max_uri_bytes: 256, max_headers: 10, ..config() };
    let site = Site::start(limits);
    let long = |n| "x".repeat(n);
    for (name, input, status) in [
        ("target", get_of(&format!("/{}", long(300))), 414),
        ("target without an end", format!("GET /{}", long(2000)), 414),
        ("field", request("GET", "/text", &format!("X: {}\r\n", long(1024))), 431),
        ("field without an end", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", long(2000)), 431),
        ("fields", request("GET", "/text", &"X: x\r\n".repeat(10)), 431),
        ("empty lines", "\r\n".repeat(2000), 400),
    ] {
        refuses(&site, name, [input.as_bytes()], status, "");
        refuses(&site, name, input.as_bytes().chunks(7), status, "");
    }
    let mut client = site.send(request("GET", "/text", &"X: x\r\n".repeat(9)));
    assert_eq!(client.reply().status, 200, "as many fields as there may be");
    client.send(get_of(&format!("/{}", long(255))));
    assert_eq!(client.reply().status, 404, "as long a target as there may be");
}

#[test]
fn a_head_without_an_end_is_refused_at_the_smaller_limit() {
    for (max_head_bytes, max_uri_bytes) in [(1024, 100_000), (100_000, 1024)] {
        let site = Site::start(rws::config::Config { max_head_bytes, max_uri_bytes, ..config() });
        let mut client = site.send("GET /");
        site.settle();
        client.send("x".repeat(2000));
        assert!([414, 431].contains(&client.reply().status));
        client.expect_end();
    }
}
