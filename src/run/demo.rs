//! The routes of RWS_CONFIG_DEMO_ROUTES: something to try the server, its probes and its limits with.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::app::{App, Body, Json, Path, Problem, Request, Response, any, get};

/// The longest delay that can be asked for.
const LONGEST_DELAY_MS: u64 = 3_600_000;

/// Adds the routes.
pub(super) fn mount(app: App) -> App {
    app.route("/demo/plaintext", get(plaintext))
        .route("/demo/json", get(json))
        .route("/demo/user/{id}", get(user))
        .route("/demo/echo", any(echo))
        .route("/demo/headers", get(headers))
        .route("/demo/status/{code}", any(status))
        .route("/demo/delay/{ms}", get(delay))
        .route("/demo/bytes/{n}", get(bytes))
        .route("/demo/panic", get(panic))
}

fn plaintext() -> &'static str {
    "Hello, World!"
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn json() -> Json<Message> {
    Json(Message { message: "Hello, World!" })
}

fn user(Path(id): Path<String>) -> String {
    id
}

/// The body back as it comes, with its type.
fn echo(mut request: Request) -> Response {
    let unnamed = HeaderValue::from_static("application/octet-stream");
    let named = request.head().field("content-type").and_then(|value| HeaderValue::from_bytes(value).ok());
    let body = request.take_body();
    Response::new(StatusCode::OK).with_header(CONTENT_TYPE, named.unwrap_or(unnamed)).with_body(body)
}

/// The fields of the request; those that came several times joined, as RFC 9110 section 5.3 allows.
fn headers(headers: HeaderMap) -> Json<serde_json::Map<String, serde_json::Value>> {
    let joined = |name| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        values.join(", ")
    };
    Json(headers.keys().map(|name| (name.to_string(), joined(name).into())).collect())
}

fn status(Path(code): Path<u16>) -> Result<(StatusCode, String), Problem> {
    let status = StatusCode::from_u16(code).ok().filter(|_| (200..600).contains(&code));
    let status = status.ok_or_else(|| bad_request("the status must be from 200 to 599"))?;
    Ok((status, format!("{code} {}\n", status.canonical_reason().unwrap_or_default())))
}

/// Blocks its thread, as a handler that waits for a database does.
fn delay(Path(ms): Path<u64>) -> Result<&'static str, Problem> {
    if ms > LONGEST_DELAY_MS {
        return Err(bad_request("the delay must be at most 3600000 ms"));
    }
    thread::sleep(Duration::from_millis(ms));
    Ok("slept")
}

fn bytes(Path(n): Path<u64>) -> Response {
    let octets = HeaderValue::from_static("application/octet-stream");
    Response::new(StatusCode::OK)
        .with_header(CONTENT_TYPE, octets)
        .with_body(Body::reader(io::repeat(b'x').take(n), Some(n)))
}

fn panic() -> &'static str {
    panic!("/demo/panic was asked for")
}

fn bad_request(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_detail(detail)
}
