//! All built-in middleware in many orders and at all levels, around all kinds of responses: what must hold whatever stands
//! around what.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "auth")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use rws::app::middleware::{
    BasicAuth, BearerAuth, BodyLimit, CacheControl, Compression, ConcurrencyLimit, Cors, RateLimit, SecurityHeaders,
    Stack, Timeout, Users, from_fn, map_request, map_response,
};
use rws::app::response::NamedFile;
use rws::app::{Event, Middleware, Sse, TestResponse, any, post};
use rws::{App, Body, Html, IntoResponse, Next, Problem, Request, Response, Router, TestClient, get};

/// Every kind of middleware, none of which refuses what these tests ask for.
fn all() -> Vec<(&'static str, Arc<dyn Middleware>)> {
    let basic = BasicAuth::new("Test", Users::htpasswd("ada:open sesame").unwrap()).unwrap();
    let cors = Cors::builder().allow_origins(["https://app.example"]).allow_credentials(true).build().unwrap();
    let pass = |request: Request, next: Next<'_>| next.run(request);
    vec![
        ("either", Arc::new(basic.or(BearerAuth::new("Test", "t0k3n").unwrap()))),
        ("bearer", Arc::new(BearerAuth::new("Test", "t0k3n").unwrap())),
        ("body limit", Arc::new(BodyLimit::new(100_000))),
        ("cache control", Arc::new(CacheControl::new("max-age=60").unwrap().for_errors("no-store").unwrap())),
        ("compression", Arc::new(Compression::new())),
        ("concurrency limit", Arc::new(ConcurrencyLimit::new(1))),
        ("cors", Arc::new(cors)),
        ("rate limit", Arc::new(RateLimit::new(1_000_000, Duration::from_secs(1)).unwrap())),
        ("security headers", Arc::new(SecurityHeaders::new())),
        ("timeout", Arc::new(Timeout::new(Duration::from_secs(60)))),
        ("function", Arc::new(pass)),
        ("from_fn", Arc::new(from_fn(|request, next| next.run(request)))),
        ("map_request", Arc::new(map_request(Ok::<_, StatusCode>))),
        ("map_response", Arc::new(map_response(|response: Response| response))),
    ]
}

/// Some of all in some order; the same for the same `seed`.
fn some(seed: &mut u64) -> (Vec<&'static str>, Vec<Arc<dyn Middleware>>) {
    let mut next = |below: usize| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize % below
    };
    let (mut left, count) = (all(), next(8));
    (0..count).map(|_| left.swap_remove(next(left.len()))).unzip()
}

const LONG: usize = 20_000;

fn text() -> String {
    "All work and no play. ".chars().cycle().take(LONG).collect()
}

const FIELDS: [(&str, &str); 2] = [("content-type", "text/plain"), ("etag", "\"strong\"")];

fn file(request: Request) -> Result<Response, Problem> {
    let mut file = tempfile::Builder::new().suffix(".txt").tempfile()?;
    file.write_all(text().as_bytes())?;
    Ok(NamedFile::open(file.path())?.answer(request.head()))
}

fn channel() -> impl IntoResponse {
    let (sender, body) = Body::channel();
    sender.send(text()).unwrap();
    (FIELDS, body)
}

fn events() -> Sse {
    let (sender, events) = Sse::channel();
    sender.send(Event::new(text())).unwrap();
    events
}

/// The rest of a request, louder.
fn shout(mut body: Body) -> impl IntoResponse {
    let write = move |out: &mut dyn Write| {
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        out.write_all(text.to_uppercase().as_bytes())
    };
    (FIELDS, Body::writer(write))
}

/// What one path answers: the status, and the text if there is one.
const ANSWERS: [(&str, u16, bool); 11] = [
    ("/in/text", 200, true),
    ("/in/html", 200, true),
    ("/in/reader", 200, true),
    ("/in/writer", 200, true),
    ("/in/channel", 200, true),
    ("/in/file", 200, true),
    ("/in/no-content", 204, false),
    ("/in/not-modified", 304, false),
    ("/in/events", 200, false),
    ("/in/nothing-here", 200, false),
    ("/nowhere", 404, false),
];

fn routes(each: &Stack) -> Router {
    Router::new()
        .route("/text", get(|| (FIELDS, text())).layer(each.clone()))
        .route("/html", get(|| Html(text())).layer(each.clone()))
        .route("/reader", get(|| (FIELDS, Body::reader(Cursor::new(text()), None))).layer(each.clone()))
        .route("/writer", get(|| (FIELDS, Body::writer(|out| out.write_all(text().as_bytes())))).layer(each.clone()))
        .route("/channel", get(channel).layer(each.clone()))
        .route("/file", get(file).layer(each.clone()))
        .route("/no-content", any(|| StatusCode::NO_CONTENT).layer(each.clone()))
        .route("/not-modified", get(|| (StatusCode::NOT_MODIFIED, FIELDS, ())).layer(each.clone()))
        .route("/events", get(events).layer(each.clone()))
        .route("/echo", post(|body: String| (FIELDS, body)).layer(each.clone()))
        .route("/shout", post(shout).layer(each.clone()))
        .fallback(|| "the fallback")
}

/// The content, whatever it is coded in.
fn content(answer: &TestResponse) -> String {
    String::from_utf8(answer.decoded().into()).unwrap()
}

/// Field names that stand twice, although each may stand once.
fn doubled(answer: &TestResponse) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = answer.headers().iter().map(|(name, _)| name.to_string());
    names.filter(|name| name != "set-cookie" && name != "www-authenticate" && !seen.insert(name.clone())).collect()
}

fn fields(answer: &TestResponse) -> Vec<String> {
    let mut fields: Vec<_> = answer.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    // Its length on the way is known only where it was made.
    fields.retain(|field| !field.starts_with("content-length") && !field.contains("last-modified"));
    fields.sort();
    fields
}

#[test]
fn whatever_stands_around_what() {
    let (app, nest, route) = (Stack::default(), Stack::default(), Stack::default());
    let router = App::new().nest("/in", routes(&route).layer(nest.clone())).layer(app.clone());
    let client = TestClient::new(router).unwrap();
    let ask = |method: Method, path: &str| {
        let request = client.request(method, path).bearer("t0k3n");
        request.header("accept-encoding", "gzip").header("origin", "https://app.example")
    };
    let mut seed = 7;
    for _ in 0..120 {
        let stacks = [&app, &nest, &route].map(|stack| {
            let (names, layers) = some(&mut seed);
            stack.set(layers);
            names
        });
        for (path, status, has_text) in ANSWERS {
            let case = format!("{path} within {stacks:?}");
            let (got, head) = (ask(Method::GET, path).send(), ask(Method::HEAD, path).send());
            assert_eq!(got.status(), status, "{case}");
            assert!(!has_text || content(&got) == text(), "{case}");
            assert!(head.bytes().is_empty() && head.status() == status, "{case}");
            if path != "/in/file" {
                assert_eq!(fields(&got), fields(&head), "{case}");
            }
            assert_eq!((doubled(&got), doubled(&head)), (vec![], vec![]), "{case}");
            let coded = got.header("content-encoding").is_some();
            let everywhere = stacks.concat();
            assert!(!coded || (everywhere.contains(&"compression") && path != "/in/events"), "{case}");
            assert!(!coded || got.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding")), "{case}");
            assert!(!coded || got.header("etag").is_none_or(|tag| tag.starts_with("W/")), "{case}");
        }
        for path in ["/in/text", "/in/channel"] {
            let wrong = ask(Method::DELETE, path).send();
            let options = ask(Method::OPTIONS, path).send();
            let allow = Some("GET, HEAD, OPTIONS");
            assert_eq!((wrong.status().as_u16(), wrong.header("allow")), (405, allow), "{path} {stacks:?}");
            assert_eq!((options.status().as_u16(), options.header("allow")), (204, allow), "{path} {stacks:?}");
        }
        let limited = stacks.concat().contains(&"body limit");
        for path in ["/in/echo", "/in/shout"] {
            let send = |length: usize, known: bool| {
                let body = "x".repeat(length);
                let body = if known { Body::from(body) } else { Body::reader(Cursor::new(body), None) };
                ask(Method::POST, path).body(body).send()
            };
            for known in [true, false] {
                let echoed = send(LONG, known);
                let expected = if path == "/in/echo" { "x" } else { "X" }.repeat(LONG);
                assert!(content(&echoed) == expected && echoed.status() == 200, "{path} {known} {stacks:?}");
            }
            let too_long = limited.then(|| send(100_001, true));
            assert!(too_long.is_none_or(|answer| answer.status() == 413), "{path} {stacks:?}");
        }
    }
}
