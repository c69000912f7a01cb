use proptest::prelude::*;

use super::super::three_ways::{Outcome, ROOMY, parse_head, parse_once};
use super::*;
use ProtoError::*;

const HOST: &str = "Host: a.example\r\n\r\n";

fn error_of(input: &[u8]) -> Option<ProtoError> {
    parse_head(input, &ROOMY).err()
}

#[test]
fn a_request_is_taken_apart() {
    let input = b"POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: a.example:8080\r\nX-One:  two words \t\r\nx-empty:\r\nX-One: \xc3\xa4\r\n\r\n";
    let head = parse_head(input, &ROOMY).unwrap().unwrap();
    assert_eq!(head.consumed, input.len());
    assert_eq!(head.raw, input);
    assert_eq!((head.method, head.version), (Method::POST, Version::HTTP_11));
    assert_eq!((&*head.target, &*head.path, head.query.as_deref()), ("/a/b%20c?x=1&y", "/a/b%20c", Some("x=1&y")));
    assert_eq!(head.host.as_deref(), Some("a.example:8080"));
    let fields: Vec<(&str, &[u8])> = head.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let wanted: [(&str, &[u8]); 4] =
        [("Host", b"a.example:8080"), ("X-One", b"two words"), ("x-empty", b""), ("X-One", "ä".as_bytes())];
    assert_eq!(fields, wanted);
}

#[test]
fn a_head_is_reused_without_leaving_traces() {
    let mut head = RequestHead::default();
    let first = format!("GET http://b.example/long/path?query HTTP/1.0\r\nA: b\r\nC: d\r\n{HOST}");
    parse(first.as_bytes(), &ROOMY, &mut head).unwrap().unwrap();
    assert!(parse(b"GET /refused HTTP/1.1\r\n\r\n", &ROOMY, &mut head).is_err());
    parse(b"GET / HTTP/1.0\r\n\r\n", &ROOMY, &mut head).unwrap().unwrap();
    assert_eq!((head.path(), head.query(), head.host(), head.fields().count()), ("/", None, None, 0));
}

#[test]
fn what_comes_in_place_of_tls_is_told_apart_however_it_is_cut() {
    let cases: [(&[u8], ProtoError, usize); 7] = [
        (b"GET / HTTP/1.1\r\n", PlainOnTlsPort, 1),
        (b"POST / HTTP/1.1\r\n", PlainOnTlsPort, 2),
        (b"PROPFIND /", PlainOnTlsPort, 4),
        (b"\r\n\r\nGET / HTTP/1.1\r\n", PlainOnTlsPort, 5),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", ProxyProtocol, 6),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", ProxyProtocol, 12),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2Preface, 12),
    ];
    for (bytes, expected, known_from) in cases {
        for end in 1..=bytes.len() {
            let found = instead_of_tls(&bytes[..end]);
            assert_eq!(found, (end >= known_from).then_some(expected), "{:?}", bytes[..end].escape_ascii());
        }
    }
}

#[test]
fn methods() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"] {
        let head = parse_head(format!("{method} / HTTP/1.1\r\n{HOST}").as_bytes(), &ROOMY).unwrap().unwrap();
        assert_eq!(head.method.as_str(), method);
    }
    let long = "X".repeat(MAX_METHOD_BYTES + 1);
    let cases: [(&str, ProtoError); 11] = [
        ("CONNECT a.example:80", Connect),
        ("get /", UnknownMethod),
        ("Get /", UnknownMethod),
        ("PROPFIND /", UnknownMethod),
        (&long, UnknownMethod),
        (" GET /", BadMethod),
        ("GET\t/", BadMethod),
        ("G=T /", BadMethod),
        ("\0GET /", BadMethod),
        ("GÉT /", BadMethod),
        ("\"GET\" /", BadMethod),
    ];
    for (line, wanted) in cases {
        assert_eq!(error_of(format!("{line} HTTP/1.1\r\n{HOST}").as_bytes()), Some(wanted), "{line}");
    }
}

#[test]
fn other_protocols_on_this_port() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\n\n\nabc";
    assert_eq!(error_of(hello), Some(TlsOnPlainPort));
    assert_eq!(parse_once(&hello[..2], &ROOMY), Err(TlsOnPlainPort), "two bytes show it");
    assert_eq!(parse_once(&hello[..1], &ROOMY), Ok(None));
    assert_eq!(error_of(b"\x16GET / HTTP/1.1\r\n\r\n"), Some(BadMethod));
    assert_eq!(error_of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Some(Http2Preface));
    assert_eq!(error_of(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET / HTTP/1.1\r\n"), Some(ProxyProtocol));
    assert_eq!(error_of(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"), Some(ProxyProtocol));
    assert_eq!(error_of(b"\r\n\r\n\0\r\nQUIP\n\x21\x11\0\x0c"), Some(BadMethod));
    assert_eq!(error_of(b"\0GET / HTTP/1.1\r\n"), Some(BadMethod));
    assert_eq!(error_of(b"SSH-2.0-OpenSSH_9.6\r\n"), Some(BadMethod));
    assert_eq!(error_of(b"EHLO mail.example\r\n"), Some(UnknownMethod));
}

#[test]
fn request_lines_that_are_refused() {
    let cases: &[(&[u8], ProtoError)] = &[
        (b"GET  / HTTP/1.1\r\n", BadTarget),
        (b"GET  HTTP/1.1\r\n", BadTarget),
        (b"GET /\r\n", MissingVersion),
        (b"GET / \r\n", BadVersion),
        (b"GET\r\n", BadMethod),
        (b"GET /  HTTP/1.1\r\n", BadVersion),
        (b"GET /\tHTTP/1.1\r\n", BadTargetByte),
        (b"GET /a b HTTP/1.1\r\n", BadVersion),
        (b"GET / HTTP/1.1 \r\n", BadVersion),
        (b"GET / HTTP/1.1\t\r\n", BadVersion),
        (b"GET / HTTP/1.10\r\n", BadVersion),
        (b"GET / HTTP/11.1\r\n", BadVersion),
        (b"GET / HTTP/1\r\n", BadVersion),
        (b"GET / HTTP/1.\r\n", BadVersion),
        (b"GET / HTTP/+1.1\r\n", BadVersion),
        (b"GET / HTTP/1.1x\r\n", BadVersion),
        (b"GET / http/1.1\r\n", BadVersion),
        (b"GET / Http/1.1\r\n", BadVersion),
        (b"GET / HTTP /1.1\r\n", BadVersion),
        (b"GET / HTTPS/1.1\r\n", BadVersion),
        (b"GET / ICY/1.1\r\n", BadVersion),
        (b"GET / HTTP/0.9\r\n", UnsupportedVersion),
        (b"GET / HTTP/2.0\r\n", UnsupportedVersion),
        (b"GET / HTTP/3.0\r\n", UnsupportedVersion),
        (b"GET / HTTP/2\r\n", BadVersion),
        (b"GET / HTTP/1.1\n", BareLf),
        (b"GET /\n", BareLf),
        (b"GET\n", BareLf),
        (b"GET / HTTP/1.1\r\r\n", BareCr),
        (b"GET / HTTP/1.1\rHost: a\r\n", BareCr),
        (b"\nGET / HTTP/1.1\r\n", BareLf),
        (b"\rGET / HTTP/1.1\r\n", BareCr),
        (b"\r\n\nGET / HTTP/1.1\r\n", BareLf),
    ];
    for (line, wanted) in cases {
        let input = [line, HOST.as_bytes()].concat();
        assert_eq!(error_of(&input), Some(*wanted), "{}", line.escape_ascii());
    }
}

#[test]
fn versions_that_are_accepted() {
    // RFC 9110 section 2.5: a later minor version is processed as the latest one known.
    for (text, wanted) in
        [("1.0", Version::HTTP_10), ("1.1", Version::HTTP_11), ("1.2", Version::HTTP_11), ("1.9", Version::HTTP_11)]
    {
        let head = parse_head(format!("GET / HTTP/{text}\r\n{HOST}").as_bytes(), &ROOMY).unwrap().unwrap();
        assert_eq!(head.version, wanted, "{text}");
    }
}

#[test]
fn empty_lines_before_the_request() {
    for lines in 0..=MAX_EMPTY_LINES {
        let input = format!("{}GET / HTTP/1.1\r\n{HOST}", "\r\n".repeat(lines));
        let head = parse_head(input.as_bytes(), &ROOMY).unwrap().unwrap();
        assert_eq!(head.consumed, input.len());
        assert_eq!(head.raw, &input.as_bytes()[2 * lines..], "the empty lines are no part of the head");
        assert_eq!(head.host.as_deref(), Some("a.example"));
    }
    assert_eq!(error_of("\r\n".repeat(MAX_EMPTY_LINES + 1).as_bytes()), Some(EmptyLines));
    assert_eq!(parse_head(b"\r\n\r", &ROOMY), Ok(None));
}

#[test]
fn targets() {
    // method, target, Host → path, query, host
    type Case = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>);
    let cases: [Case; 16] = [
        ("GET", "/", "h", "/", None, Some("h")),
        ("GET", "//double", "h", "//double", None, Some("h")),
        ("GET", "/?", "h", "/", Some(""), Some("h")),
        ("GET", "/a?b?c=/d", "h", "/a", Some("b?c=/d"), Some("h")),
        ("GET", "/[x]^{y}|`z`", "h", "/[x]^{y}|`z`", None, Some("h")),
        ("GET", "/a?b\\c", "h", "/a", Some("b\\c"), Some("h")),
        ("GET", "/%zz", "h", "/%zz", None, Some("h")),
        ("GET", "/http://x/", "h", "/http://x/", None, Some("h")),
        ("GET", "http://o.example/p?q", "h", "/p", Some("q"), Some("o.example")),
        ("GET", "HTTPS://o.example:8443", "h", "/", None, Some("o.example:8443")),
        ("GET", "http://o.example?q", "h", "/", Some("q"), Some("o.example")),
        ("GET", "http://[::1]:80/", "h", "/", None, Some("[::1]:80")),
        ("OPTIONS", "*", "h", "", None, Some("h")),
        ("OPTIONS", "*", "", "", None, None),
        ("OPTIONS", "http://o.example", "h", "", None, Some("o.example")),
        ("OPTIONS", "http://o.example?q", "h", "/", Some("q"), Some("o.example")),
    ];
    for (method, target, host, path, query, wanted_host) in cases {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = parse_head(input.as_bytes(), &ROOMY).unwrap().unwrap();
        assert_eq!(
            (&*head.target, &*head.path, head.query.as_deref(), head.host.as_deref()),
            (target, path, query, wanted_host),
            "{input}"
        );
    }
}

#[test]
fn targets_that_are_refused() {
    let cases: &[(&[u8], ProtoError)] = &[
        (b"GET a HTTP/1.1\r\n", BadTarget),
        (b"GET a.example:80 HTTP/1.1\r\n", BadTarget),
        (b"GET ?q HTTP/1.1\r\n", BadTarget),
        (b"GET http:/a HTTP/1.1\r\n", BadTarget),
        (b"GET http:a HTTP/1.1\r\n", BadTarget),
        (b"GET ftp://a/ HTTP/1.1\r\n", BadTarget),
        (b"GET ://a/ HTTP/1.1\r\n", BadTarget),
        (b"GET * HTTP/1.1\r\n", TargetAsterisk),
        (b"POST * HTTP/1.1\r\n", TargetAsterisk),
        (b"OPTIONS ** HTTP/1.1\r\n", BadTarget),
        (b"OPTIONS *?q HTTP/1.1\r\n", BadTarget),
        (b"GET /a#b HTTP/1.1\r\n", TargetFragment),
        (b"GET #b HTTP/1.1\r\n", TargetFragment),
        (b"GET http:// HTTP/1.1\r\n", BadTargetHost),
        (b"GET http:/// HTTP/1.1\r\n", BadTargetHost),
        (b"GET http://:80/ HTTP/1.1\r\n", BadTargetHost),
        (b"GET http://a:b/ HTTP/1.1\r\n", BadTargetHost),
        (b"GET http://a:65536/ HTTP/1.1\r\n", BadTargetHost),
        (b"GET http://[::1/ HTTP/1.1\r\n", BadTargetHost),
        (b"GET http://u@a/ HTTP/1.1\r\n", TargetUserInfo),
        (b"GET http://u:p@a/ HTTP/1.1\r\n", TargetUserInfo),
        (b"GET http://a\\@b/ HTTP/1.1\r\n", TargetUserInfo),
        (b"GET /\xc3\xa4 HTTP/1.1\r\n", BadTargetByte),
        (b"GET /\x00 HTTP/1.1\r\n", BadTargetByte),
        (b"GET /\x7f HTTP/1.1\r\n", BadTargetByte),
        (b"GET /\"a\" HTTP/1.1\r\n", BadTargetByte),
        (b"GET /<a> HTTP/1.1\r\n", BadTargetByte),
        (b"GET /..\\..\\etc HTTP/1.1\r\n", BadTargetByte),
        (b"GET http://a/b\\c HTTP/1.1\r\n", BadTargetByte),
    ];
    for (line, wanted) in cases {
        let input = [line, HOST.as_bytes()].concat();
        assert_eq!(error_of(&input), Some(*wanted), "{}", line.escape_ascii());
    }
}

#[test]
fn hosts() {
    let good = [
        "a",
        "A.Example",
        "a.example.",
        "a.example:80",
        "a.example:",
        "127.0.0.1:65535",
        "[::1]",
        "[2001:db8::1]:8080",
        "[::ffff:1.2.3.4]",
        "xn--bcher-kva.example",
        "a_b",
        "%41.example",
        "a,b",
    ];
    for host in good {
        let input = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = parse_head(input.as_bytes(), &ROOMY).unwrap().unwrap();
        assert_eq!(head.host.as_deref(), Some(host));
    }
    let bad = [
        "",
        ":",
        ":80",
        "a:b",
        "a:80:80",
        "a:65536",
        "a:-1",
        "a:+1",
        "a b",
        "a/b",
        "a@b",
        "u:p@a",
        "http://a",
        "a?b",
        "a#b",
        "a\\b",
        "[::1",
        "::1",
        "[::1]80",
        "[::1]:x",
        "[]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "[1.2.3.4]",
        "%4",
        "%zz",
        "ä",
        "a\"b",
        "<a>",
        "a, b",
        "{a}",
    ];
    for host in bad {
        assert_eq!(error_of(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()), Some(BadHost), "{host}");
        assert_eq!(error_of(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()), Some(BadHost), "{host}");
    }
}

#[test]
fn exactly_one_host() {
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", Some(MissingHost)),
        ("GET / HTTP/1.2\r\n\r\n", Some(MissingHost)),
        ("GET / HTTP/1.0\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", Some(MissingHost)),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Some(DuplicateHost)),
        ("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", Some(DuplicateHost)),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Some(DuplicateHost)),
        ("GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n", Some(DuplicateHost)),
        ("OPTIONS * HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", Some(DuplicateHost)),
        ("OPTIONS * HTTP/1.1\r\n\r\n", Some(MissingHost)),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Some(MissingHost)),
        ("GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n", Some(BadHost)),
        ("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", Some(BadHost)),
        ("GET http://a/ HTTP/1.1\r\nHost: other\r\n\r\n", None),
    ];
    for (input, wanted) in cases {
        assert_eq!(error_of(input.as_bytes()), wanted, "{input:?}");
    }
}

#[test]
fn field_lines_that_are_refused() {
    let cases: &[(&[u8], ProtoError)] = &[
        (b"A : b\r\n", SpaceBeforeColon),
        (b"A\t: b\r\n", SpaceBeforeColon),
        (b"A b: c\r\n", SpaceBeforeColon),
        (b" A: b\r\n", ObsFold),
        (b"\tA: b\r\n", ObsFold),
        (b" \r\n", ObsFold),
        (b"X: a\r\n b\r\n", ObsFold),
        (b"X: a\r\n\tb\r\n", ObsFold),
        (b"X: a\n b\r\n", BareLf),
        (b": b\r\n", BadFieldName),
        (b"A\r\n", MissingColon),
        (b"A\n", MissingColon),
        (b"A(b): c\r\n", BadFieldName),
        (b"A\x00: b\r\n", BadFieldName),
        (b"\x00: b\r\n", BadFieldName),
        (b"\xc3\xa4: b\r\n", BadFieldName),
        (b"A\"b: c\r\n", BadFieldName),
        (b"A/b: c\r\n", BadFieldName),
        (b"[a]: c\r\n", BadFieldName),
        (b"A: b\x00c\r\n", BadFieldValue),
        (b"A: \x00\r\n", BadFieldValue),
        (b"A: b\x01\r\n", BadFieldValue),
        (b"A: b\x0bc\r\n", BadFieldValue),
        (b"A: b\x0c\r\n", BadFieldValue),
        (b"A: b\x1fc\r\n", BadFieldValue),
        (b"A: b\x7fc\r\n", BadFieldValue),
        (b"A: b\n", BareLf),
        (b"A: b\rc\r\n", BareCr),
        (b"A: b\r\r\n", BareCr),
        (b"A:\r\r\n", BareCr),
        (b"A:\n", BareLf),
        (b"\n", BareLf),
        (b"\r\r\n", BareCr),
        (b"\rA: b\r\n", BareCr),
    ];
    for (lines, wanted) in cases {
        let first = [b"GET / HTTP/1.1\r\n", *lines, b"Host: a\r\n\r\n"].concat();
        assert_eq!(error_of(&first), Some(*wanted), "first: {}", lines.escape_ascii());
        let last = [b"GET / HTTP/1.1\r\nHost: a\r\n", *lines, b"\r\n"].concat();
        assert_eq!(error_of(&last), Some(*wanted), "last: {}", lines.escape_ascii());
    }
}

#[test]
fn an_unfinished_head_asks_for_more() {
    let whole = format!("POST http://a.example/b?c HTTP/1.1\r\nX: y\r\n{HOST}");
    for len in 0..whole.len() {
        assert_eq!(parse_once(&whole.as_bytes()[..len], &ROOMY), Ok(None), "{len} bytes");
    }
}

/// What becomes of `input` under these limits, which must not depend on how it arrives.
fn limited(input: &str, max_head_bytes: usize, max_headers: usize, max_uri_bytes: usize) -> Outcome {
    parse_head(input.as_bytes(), &Limits { max_head_bytes, max_headers, max_uri_bytes })
}

#[test]
fn a_long_target_is_refused_before_it_ends() {
    let line = |len: usize| format!("GET /{} HTTP/1.1\r\n{HOST}", "a".repeat(len - 1));
    assert!(limited(&line(100), 16384, 100, 100).is_ok_and(|head| head.is_some()));
    assert_eq!(limited(&line(101), 16384, 100, 100), Err(TargetTooLong));
    let unfinished = format!("GET /{}", "a".repeat(100));
    assert_eq!(limited(&unfinished, 16384, 100, 100), Err(TargetTooLong));
    assert_eq!(limited(&unfinished[..unfinished.len() - 1], 16384, 100, 100), Ok(None));
    assert_eq!(limited(&line(300), 200, 100, 1000), Err(TargetTooLong), "it does not fit into the head either");
}

#[test]
fn a_large_head_is_refused_at_the_limit() {
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n{HOST}", "x".repeat(200));
    assert!(limited(&head, head.len(), 100, 100).is_ok_and(|head| head.is_some()), "exactly the limit");
    assert_eq!(limited(&head, head.len() - 1, 100, 100), Err(HeadTooLarge));
    assert_eq!(limited(&head[..150], 151, 100, 100), Ok(None));
    assert_eq!(limited(&head[..150], 150, 100, 100), Err(HeadTooLarge), "no room is left for its end");
    let padded = format!("\r\n{head}");
    assert_eq!(limited(&padded, head.len(), 100, 100), Err(HeadTooLarge), "empty lines count");
    assert_eq!(limited("", 0, 0, 0), Err(HeadTooLarge));
}

#[test]
fn too_many_fields_are_refused_at_the_first_too_many() {
    let head = format!("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n{HOST}");
    assert!(limited(&head, 16384, 3, 100).is_ok_and(|head| head.is_some()));
    assert_eq!(limited(&head, 16384, 2, 100), Err(TooManyFields));
    assert_eq!(limited("GET / HTTP/1.0\r\nA", 16384, 0, 100), Err(TooManyFields));
    assert!(limited("GET / HTTP/1.0\r\n\r\n", 16384, 0, 100).is_ok_and(|head| head.is_some()));
}

/// Pieces of requests, good and bad, to be strung together.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n",
        b"POST /a?b=c HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"GET ",
        b"FOO ",
        b"/path",
        b"http://a.example:80/x",
        b" HTTP/1.1\r\n",
        b" HTTP/1.2\r\n",
        b" HTTP/2.0\r\n",
        b"Host: a.example\r\n",
        b"Host: [::1]:80\r\n",
        b"Content-Length: 5\r\n",
        b"X-Y: some value\t\r\n",
        b"Name",
        b": ",
        b":",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b"\xff",
        b"#",
        b"\x16\x03",
    ];
    prop_oneof![
        20 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

/// Bytes that are often a whole request.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec!["GET / HTTP/1.1", "PUT /a?b=c HTTP/1.0", "OPTIONS * HTTP/1.1"]);
    let fields =
        prop::collection::vec(("[A-Za-z-]{1,9}[ ]?", "[ \t]{0,2}[ -~\u{a0}-\u{ff}]{0,20}[\t]?", "\r?\n"), 0..4);
    (line, fields, "\r?\n").prop_map(|(line, fields, end)| {
        let fields: String = fields.iter().map(|(name, value, end)| format!("{name}:{value}{end}")).collect();
        format!("{line}\r\nHost: a.example\r\n{fields}{end}rest").into_bytes()
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(ROOMY),
        (0..120usize, 0..4usize, 0..30usize).prop_map(|(max_head_bytes, max_headers, max_uri_bytes)| Limits {
            max_head_bytes,
            max_headers,
            max_uri_bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_answered_the_same_however_they_arrive(input: Vec<u8>, limits in limits()) {
        let _ = parse_head(&input, &limits);
    }

    #[test]
    fn what_a_prefix_decides_is_final(input in soup(), limits in limits()) {
        let mut decided = None;
        for len in 0..=input.len() {
            let outcome = parse_once(&input[..len], &limits);
            if let Some(decided) = &decided {
                prop_assert_eq!(&outcome, decided, "at {} of {}", len, input.escape_ascii());
            } else if outcome != Ok(None) {
                decided = Some(outcome);
            }
        }
        prop_assert_eq!(parse_head(&input, &limits), decided.unwrap_or(Ok(None)));
    }

    /// httparse is lenient where we are strict, never the other way round, and sees the same parts.
    #[test]
    fn what_is_accepted_is_what_httparse_reads(input in prop_oneof![soup(), request()]) {
        let Ok(Some(ours)) = parse_once(&input, &ROOMY) else { return Ok(()) };
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut theirs = httparse::Request::new(&mut fields);
        // It reads no minor version but 0 and 1.
        let known = input.escape_ascii().to_string().replace("HTTP/1.2", "HTTP/1.1");
        prop_assume!(known == input.escape_ascii().to_string());
        prop_assert_eq!(theirs.parse(&input).unwrap(), httparse::Status::Complete(ours.consumed));
        prop_assert_eq!(theirs.method, Some(ours.method.as_str()));
        prop_assert_eq!(theirs.path, Some(&*ours.target));
        let theirs: Vec<(String, Vec<u8>)> =
            theirs.headers.iter().map(|field| (field.name.into(), field.value.into())).collect();
        prop_assert_eq!(theirs, ours.fields);
    }

    #[test]
    fn a_well_formed_head_comes_back_as_it_was_sent(
        path in "/[a-zA-Z0-9/._~%:@!$&'()*+,;=-]{0,40}",
        query in prop::option::of("[a-zA-Z0-9/?=&%]{0,20}"),
        fields in prop::collection::vec(("x-[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}", "([!-~]([ -~\t]{0,30}[!-~])?)?"), 0..20),
    ) {
        let target = query.iter().fold(path.clone(), |path, query| format!("{path}?{query}"));
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value} \r\n")).collect();
        let head = parse_head(format!("GET {target} HTTP/1.1\r\n{lines}{HOST}").as_bytes(), &ROOMY).unwrap().unwrap();
        prop_assert_eq!((head.target, head.path, head.query), (target, path, query));
        let found: Vec<_> = head.fields.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect();
        prop_assert_eq!(&found[..fields.len()], &fields[..]);
    }
}
