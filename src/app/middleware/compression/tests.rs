use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, IF_NONE_MATCH, SET_COOKIE, VARY};
use http::{HeaderName, Method, StatusCode};

use super::*;
use crate::app::compression::decompressed;
use crate::app::compression::tests::text;
use crate::app::{App, TestClient, TestResponse, any, get};

/// The kinds of bodies a handler can answer with.
const KINDS: [&str; 6] = ["bytes", "file", "reader", "known", "writer", "channel"];

fn body(kind: &str, content: &[u8]) -> Body {
    match kind {
        "bytes" => content.to_vec().into(),
        "file" => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"before").unwrap();
            file.write_all(content).unwrap();
            Body::file(file, 6, content.len() as u64)
        }
        "reader" => Body::reader(io::Cursor::new(content.to_vec()), None),
        "writer" => {
            let content = content.to_vec();
            Body::writer(move |out| content.chunks(999).try_for_each(|piece| out.write_all(piece)))
        }
        "channel" => {
            let ((sender, body), content) = (Body::channel(), content.to_vec());
            // The first piece may be there before the middleware is, the others come when they come.
            let mut pieces = content.chunks(999);
            pieces.next().map(|first| sender.send(first.to_vec()));
            let rest: Vec<_> = pieces.map(<[u8]>::to_vec).collect();
            std::thread::spawn(move || rest.into_iter().try_for_each(|piece| sender.send(piece)));
            body
        }
        _ => Body::reader(io::Cursor::new(content.to_vec()), Some(content.len() as u64)),
    }
}

/// A client of an application whose only handler answers with what `make` makes, within `compression`.
fn client(compression: Compression, make: impl Fn() -> Response + Send + Sync + 'static) -> TestClient {
    TestClient::new(App::new().route("/", any(make)).layer(compression)).unwrap()
}

fn response(content_type: &'static str, body: Body) -> Response {
    Response::new(StatusCode::OK).with_header(CONTENT_TYPE, HeaderValue::from_static(content_type)).with_body(body)
}

/// What the body of a response is when it is decoded.
fn content(response: &TestResponse) -> Vec<u8> {
    match response.header("content-encoding").map(|name| Coding::named(name).unwrap()) {
        Some(coding) => decompressed(coding, response.bytes(), 1 << 20).unwrap(),
        None => response.bytes().to_vec(),
    }
}

fn fields(response: &TestResponse) -> Vec<String> {
    let mut fields: Vec<_> = response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    fields.sort();
    fields
}

#[test]
fn whatever_is_sent_decodes_to_what_the_handler_said_and_head_agrees_with_get() {
    let accepts =
        ["", "gzip", "x-gzip", "br", "zstd", "gzip, deflate, br, zstd", "identity", "*", "identity;q=0, lzma"];
    for (kind, size) in KINDS.iter().flat_map(|kind| [0, 1, 1023, 1024, 5000, AT_ONCE + 1].map(|size| (*kind, size))) {
        for content_type in ["text/html; charset=utf-8", "application/problem+json", "image/png", "text/event-stream"] {
            let made = move || response(content_type, body(kind, &text(size)));
            let client = client(Compression::new(), made);
            let suits = is_suitable(content_type) && (size >= 1024 || ["reader", "writer", "channel"].contains(&kind));
            for accept in accepts {
                let case = format!("{kind} {size} {content_type} {accept:?}");
                let ask = |method| client.request(method, "/").header("accept-encoding", accept).send();
                let (got, head) = (ask(Method::GET), ask(Method::HEAD));
                assert_eq!(content(&got), text(size), "{case}");
                let expected = Accepted::of([accept.as_bytes()].into_iter()).best(&Compression::new().codings);
                let coding = expected.filter(|_| suits).map(Coding::name);
                assert_eq!(got.header("content-encoding"), coding, "{case}");
                assert_eq!(got.header("vary"), suits.then_some("Accept-Encoding"), "{case}");
                assert_eq!(fields(&got), fields(&head), "{case}");
                assert!(coding.is_none() || size < 1024 || got.bytes().len() < size, "{case}");
            }
        }
    }
}

fn is_suitable(content_type: &str) -> bool {
    !["image/png", "text/event-stream"].contains(&content_type)
}

#[test]
fn fields_and_statuses_that_forbid_it() {
    /// Status, a field, whether it is compressed.
    type Case = (u16, Option<(HeaderName, &'static str)>, bool);
    let name = HeaderName::from_static;
    let cases: &[Case] = &[
        (200, None, true),
        (201, None, true),
        (203, None, true),
        (204, None, false),
        (205, None, false),
        (206, None, false),
        (403, None, true),
        (404, None, true),
        (500, None, true),
        (206, Some((CONTENT_RANGE, "bytes 0-4999/9999")), false),
        (416, Some((CONTENT_RANGE, "bytes */4999")), false),
        (200, Some((CONTENT_ENCODING, "gzip")), false),
        (200, Some((CONTENT_ENCODING, "identity")), false),
        (200, Some((CACHE_CONTROL, "no-transform")), false),
        (200, Some((CACHE_CONTROL, "public, No-Transform ,max-age=1")), false),
        (200, Some((CACHE_CONTROL, "no-store")), true),
        (200, Some((VARY, "Accept-Encoding")), false),
        (200, Some((VARY, "Origin, accept-encoding")), false),
        (200, Some((VARY, "Origin")), true),
        (200, Some((VARY, "*")), true),
        (200, Some((name("content-digest"), "sha-256=:AA==:")), false),
        (200, Some((name("repr-digest"), "sha-256=:AA==:")), false),
        (200, Some((name("digest"), "sha-256=AA==")), false),
        (200, Some((name("content-md5"), "AA==")), false),
        (200, Some((SET_COOKIE, "a=b")), true),
    ];
    for (status, field, expected) in cases {
        let (status, field) = (StatusCode::from_u16(*status).unwrap(), field.clone());
        let made = {
            let field = field.clone();
            move || {
                let mut response = response("text/plain", text(5000).into());
                response.set_status(status);
                response
                    .headers_mut()
                    .append_map(field.clone().map(|(n, v)| (n, HeaderValue::from_static(v))).into_iter().collect());
                response
            }
        };
        let plain = TestClient::new(App::new().route("/", get(made.clone()))).unwrap().get("/").send();
        let got = client(Compression::new(), made).get("/").header("accept-encoding", "gzip").send();
        if *expected {
            assert_eq!(got.header("content-encoding"), Some("gzip"), "{status} {field:?}");
            assert_eq!(content(&got), text(5000));
            let cookie = |response: &TestResponse| response.header("set-cookie").map(str::to_owned);
            assert_eq!(cookie(&got), cookie(&plain), "untouched");
        } else {
            assert_eq!(fields(&got), fields(&plain), "{status} {field:?}");
            assert_eq!(got.bytes(), plain.bytes());
        }
    }
}

#[test]
fn vary_is_merged() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Accept-Encoding"),
        (&["Origin"], "Origin, Accept-Encoding"),
        (&["Origin", "Accept"], "Origin, Accept, Accept-Encoding"),
        (&["*"], "*"),
    ];
    for (before, after) in cases {
        for accept in ["gzip", ""] {
            let before: Vec<_> = before.iter().map(|value| HeaderValue::from_str(value).unwrap()).collect();
            let client = client(Compression::new(), move || {
                let plain = response("text/plain", text(5000).into());
                before.iter().fold(plain, |response, value| response.with_header(VARY, value.clone()))
            });
            let got = client.get("/").header("accept-encoding", accept).send();
            let values: Vec<_> =
                got.headers().iter().filter(|(name, _)| *name == VARY).map(|(_, v)| v.clone()).collect();
            assert_eq!(values, [after], "{accept}");
        }
    }
}

#[test]
fn a_compressed_response_has_a_weak_tag_and_no_ranges() {
    for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
        let client = client(Compression::new(), move || {
            let plain = response("text/plain", text(5000).into());
            plain
                .with_header(ETAG, HeaderValue::from_static(tag))
                .with_header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        });
        let coded = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!((coded.header("etag"), coded.header("accept-ranges")), (Some(expected), None));
        let plain = client.get("/").send();
        assert_eq!((plain.header("etag"), plain.header("accept-ranges")), (Some(tag), Some("bytes")));
    }
}

#[test]
fn not_modified_has_the_tag_that_the_client_has() {
    let cases: &[(&[&str], &str)] = &[
        (&["W/\"a\""], "W/\"a\""),
        (&["\"a\""], "\"a\""),
        (&["W/\"b\", W/\"a\""], "W/\"a\""),
        (&["W/\"b\"", "\"a\""], "\"a\""),
        (&["*"], "\"a\""),
        (&[], "\"a\""),
    ];
    let not_modified = || Response::new(StatusCode::NOT_MODIFIED).with_header(ETAG, HeaderValue::from_static("\"a\""));
    let plain = client(Compression::new(), not_modified);
    for (tags, expected) in cases {
        let request = plain.get("/").header("accept-encoding", "gzip");
        let request = tags.iter().fold(request, |request, tag| request.header(IF_NONE_MATCH.as_str(), tag));
        let got = request.send();
        assert_eq!((got.header("etag"), got.header("vary")), (Some(*expected), Some("Accept-Encoding")), "{tags:?}");
    }
    let negotiated = client(Compression::new(), move || {
        not_modified().with_header(VARY, HeaderValue::from_static("Accept-Encoding"))
    });
    assert_eq!(negotiated.get("/").header("if-none-match", "W/\"a\"").send().header("etag"), Some("\"a\""));
}

#[test]
fn options() {
    let made = || response("text/plain", text(2000).into());
    let coding = |compression: Compression, accept: &str| {
        let got = client(compression, made).get("/").header("accept-encoding", accept).send();
        got.header("content-encoding").map(str::to_owned)
    };
    let all = "gzip, br, zstd";
    let gzip = || Compression::new().codings(&[Coding::Gzip]).unwrap();
    assert_eq!(coding(gzip(), all).as_deref(), Some("gzip"));
    assert_eq!(coding(gzip(), "br"), None);
    assert_eq!(coding(Compression::new().codings(&[]).unwrap(), all), None);
    assert_eq!(coding(gzip().min_size(2000), all).as_deref(), Some("gzip"));
    assert_eq!(coding(gzip().min_size(2001), all), None);
    assert_eq!(coding(gzip().only_if(|response| response.status() != 200), all), None);
    assert_eq!(coding(gzip().only_if(|response| response.status() == 200), all).as_deref(), Some("gzip"));
    let length = |level| {
        let compression = gzip().level(Coding::Gzip, level).unwrap();
        client(compression, || response("text/plain", text(50_000).into()))
            .get("/")
            .header("accept-encoding", all)
            .send()
            .bytes()
            .len()
    };
    assert!(length(9) < length(1));
    for (coding, level) in
        [(Coding::Gzip, 0), (Coding::Gzip, 10), (Coding::Zstd, 20), (Coding::Zstd, 0), (Coding::Brotli, 12)]
    {
        let error = Compression::new().level(coding, level).unwrap_err();
        assert!(error.to_string().ends_with(&format!("not {level}")), "{error}");
    }
    let missing = Coding::ALL.iter().find(|coding| !Coding::AVAILABLE.contains(coding));
    if let Some(&coding) = missing {
        assert_eq!(Compression::new().codings(&[coding]).unwrap_err(), CompressionError::NotBuilt(coding));
    }
}

#[test]
fn of_a_stream_no_more_is_read_than_is_wanted_and_of_head_nothing() {
    static READ: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            READ.fetch_add(1, Ordering::Relaxed);
            buffer[0] = b'x';
            Ok(1)
        }
    }
    let service =
        App::new().route("/", get(|| response("text/plain", Body::reader(Counted, None)))).layer(Compression::new());
    let client = TestClient::new(service).unwrap();
    let head = client.head("/").header("accept-encoding", "gzip").send();
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(READ.load(Ordering::Relaxed), 0);
}

#[test]
fn when_too_many_streams_are_compressed_the_next_goes_out_as_it_is() {
    let client = client(Compression::new().max_streams(0), || response("text/plain", body("reader", &text(5000))));
    let got = client.get("/").header("accept-encoding", "gzip").send();
    assert_eq!((got.header("content-encoding"), got.header("vary")), (None, Some("Accept-Encoding")));
    assert_eq!(got.bytes(), &text(5000)[..]);
}
