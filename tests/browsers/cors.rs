//! Pages of one server ask another: by sockets what the answers have, in Chromium what pages get to see.

use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::site;
use crate::support::{Reply, Server, rws};

/// A request with `Origin`, and these fields besides; the connection closes behind it.
fn ask(server: &Server, request_line: &str, fields: &str) -> Reply {
    let origin = "Origin: https://app.example\r\n";
    let request = format!("{request_line} HTTP/1.1\r\nHost: x\r\n{origin}{fields}Connection: close\r\n\r\n");
    server.connect().ask(request).unwrap()
}

const ALLOW: &str = "access-control-allow-origin";

#[test]
fn every_answer_of_the_application_has_the_fields_and_none_of_the_probes() {
    let site = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browsers");
    let mut server = rws(&[
        ("CORS_ALLOW_ORIGINS", "https://app.example"),
        ("CORS_ALLOW_CREDENTIALS", "true"),
        ("SECURITY_HEADERS", "true"),
        ("CSP", "default-src 'self'"),
        ("STATIC_DIR", site),
        ("MAX_BODY_SIZE_IN_BYTES", "4"),
    ])
    .start();
    let etag = ask(&server, "GET /cors.rs", "").field("etag").unwrap().to_owned();
    for (request_line, fields, status) in [
        ("GET /demo/plaintext", String::new(), 200),
        ("GET /cors.rs", String::new(), 200),
        ("GET /cors.rs", format!("If-None-Match: {etag}\r\n"), 304),
        ("GET /cors.rs", "Range: bytes=0-4\r\n".to_owned(), 206),
        ("GET /cors.rs", "Range: bytes=999999-\r\n".to_owned(), 416),
        ("GET /nowhere", String::new(), 404),
        ("DELETE /demo/plaintext", String::new(), 405),
        ("GET /demo/status/500", String::new(), 500),
        ("OPTIONS /demo/plaintext", String::new(), 204),
        ("OPTIONS /nowhere", "Access-Control-Request-Method: PUT\r\n".to_owned(), 204),
    ] {
        let reply = ask(&server, request_line, &fields);
        assert_eq!(
            (reply.status, reply.field(ALLOW)),
            (status, Some("https://app.example")),
            "{request_line} {fields}"
        );
        assert_eq!(reply.field("access-control-allow-credentials"), Some("true"), "{request_line}");
        assert!(reply.field("vary").unwrap().contains("Origin"), "{request_line} {reply:?}");
        assert_eq!(reply.field("content-security-policy"), Some("default-src 'self'"), "{request_line}");
        assert_eq!(reply.head.matches("nosniff").count(), 1, "{request_line}");
    }
    for path in ["/healthz", "/readyz", "/startupz", "/readyz/ping", "/metrics"] {
        for fields in ["", "Access-Control-Request-Method: GET\r\n"] {
            let method = if fields.is_empty() { "GET" } else { "OPTIONS" };
            let reply = ask(&server, &format!("{method} {path}"), fields);
            for name in [ALLOW, "content-security-policy", "x-frame-options"] {
                assert_eq!(reply.field(name), None, "{method} {path}");
            }
        }
    }
    // No application sees these: a browser tells the page nothing about them. docs/OPERATIONS.md says so.
    let early = ask(&server, "POST /demo/plaintext", "Content-Length: 5\r\n");
    let panic = ask(&server, "GET /demo/panic", "");
    assert_eq!((panic.status, panic.field(ALLOW)), (500, None));
    assert_ne!(early.status, 200);
    assert_eq!(server.stop(), 0);
}

/// What a page gets of `fetch`.
fn fetched(browser: &mut Browser, url: &str, options: &Value) -> Value {
    browser.evaluate(&format!(
        "window.told = null; fetch('{url}', {options}).then(async (r) => ({{ status: r.status, text: await r.text(), \
         id: r.headers.get('x-request-id') !== null, server: r.headers.get('date') !== null }}), \
         (e) => ({{ error: e.name }})).then((told) => window.told = told); true"
    ));
    browser.wait_for("window.told !== null");
    browser.evaluate("window.told")
}

pub(crate) fn a_page_sees_what_its_origin_is_allowed(browser: &mut Browser) {
    let (mut site, _files) = site(&[]);
    let own = format!("http://{}", site.address());
    let mut api = rws(&[
        ("CORS_ALLOW_ORIGINS", &own),
        ("CORS_ALLOW_METHODS", "GET, PUT"),
        ("CORS_ALLOW_HEADERS", "X-Custom, Content-Type"),
        ("CORS_ALLOW_CREDENTIALS", "true"),
        ("CORS_EXPOSE_HEADERS", "X-Request-Id"),
    ])
    .start();
    let url = |path: &str| format!("http://{}{path}", api.address());
    let denied = json!({ "error": "TypeError" });
    let put = |fields: Value| json!({ "method": "PUT", "headers": fields, "body": "{}", "credentials": "include" });
    let answer = |status: u16, text: &str| json!({ "status": status, "text": text, "id": true, "server": false });

    browser.open(&own);
    assert_eq!(fetched(browser, &url("/demo/plaintext"), &json!({})), answer(200, "Hello, World!"));
    let fields = json!({ "X-Custom": "1", "Content-Type": "application/json" });
    assert_eq!(fetched(browser, &url("/demo/echo"), &put(fields)), answer(200, "{}"), "a preflight");
    for (path, status) in [("/nowhere", 404), ("/demo/status/503", 503)] {
        assert_eq!(fetched(browser, &url(path), &json!({}))["status"], status, "errors can be read");
    }
    for (path, options) in [
        ("/demo/echo", put(json!({ "X-Other": "1" }))),
        ("/demo/echo", json!({ "method": "DELETE" })),
        ("/healthz", json!({})),
    ] {
        assert_eq!(fetched(browser, &url(path), &options), denied, "{path} {options}");
    }

    // The same page by another name is of another origin.
    browser.open(&own.replace("127.0.0.1", "localhost"));
    for options in [json!({}), put(json!({}))] {
        assert_eq!(fetched(browser, &url("/demo/echo"), &options), denied, "{options}");
    }
    assert_eq!((site.stop(), api.stop()), (0, 0));
}

pub(crate) fn where_all_origins_are_allowed_any_page_sees_the_answers_but_not_with_cookies(browser: &mut Browser) {
    let (mut site, _files) = site(&[]);
    let mut api = rws(&[("CORS_ALLOW_ALL", "true"), ("CORS_ALLOW_HEADERS", "*"), ("CORS_ALLOW_METHODS", "*")]).start();
    let url = format!("http://{}/demo/echo", api.address());
    browser.open(&format!("http://{}", site.address()));
    let patch = |credentials: &str| json!({ "method": "PATCH", "headers": { "X-Any": "1" }, "body": "a", "credentials": credentials });
    assert_eq!(fetched(browser, &url, &patch("omit"))["text"], "a");
    assert_eq!(fetched(browser, &url, &patch("include")), json!({ "error": "TypeError" }));
    assert_eq!((site.stop(), api.stop()), (0, 0));
}
