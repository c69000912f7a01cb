//! What the steps of a request cost without sockets, in nanoseconds.
//!
//! Run with `cargo bench --bench micro`, or `cargo bench --bench micro -- parse route` for some of them.

#![allow(clippy::print_stdout, reason = "a program that talks to whoever runs it")]

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use rws::app::body::Body;
use rws::app::request::{Received, Request};
use rws::app::service::Service;
use rws::app::{App, BuiltApp, Json, Path, get};
use rws::config::{Config, LogFormat};
use rws::ops::log_writer::LogWriter;
use rws::ops::metrics::Metrics;
use rws::ops::telemetry::Telemetry;
use rws::proto::cycle::Cycle;
use rws::proto::encode::{self, HeadPlan};
use rws::proto::head::{Limits, parse};
use rws::semantics::head::RequestHead;
use rws::server::observe::{Exchange, Observer, Outcome, Recorder};
use serde::Serialize;

/// How often each step is measured, and for how long at least.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

const LIMITS: Limits = Limits { max_head_bytes: 16 * 1024, max_headers: 100, max_uri_bytes: 8 * 1024 };
const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const SMALL: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:7878\r\n\r\n";
const JSON: &[u8] = b"GET /json HTTP/1.1\r\nHost: 127.0.0.1:7878\r\n\r\n";
const BROWSER: &[u8] = b"GET /plaintext?page=2&sort=name HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.8,de-DE;q=0.5,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/plaintext?page=1&sort=name\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0f4c1d2e3a4b5c6d7e8f; theme=dark; consent=2\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Priority: u=0, i\r\n\r\n";

fn main() {
    // `cargo test` runs this too; then once through is enough to show that it works.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let bench = Bench { measures, wanted };
    if measures {
        println!("{:40} {:>8} {:>10}", "ns per operation", "best", "median");
    }
    measure_parsing(&bench);
    measure_routing(&bench);
    measure_encoding(&bench);
    measure_recording(&bench);
    measure_whole_path(&bench);
}

fn measure_parsing(bench: &Bench) {
    for (name, bytes) in [("parse: 2 lines", SMALL), ("parse: a browser's 11 lines", BROWSER)] {
        let mut head = RequestHead::default();
        bench.run(name, || parse(black_box(bytes), &LIMITS, &mut head));
    }
}

fn measure_routing(bench: &Bench) {
    let app = app();
    let cases = [
        ("route: a fixed path of 50", "GET /plaintext"),
        ("route: two parameters of 50", "GET /api/v1/resource17/4711/items/42"),
        ("route: no match in 50", "GET /nothing/of/the/kind"),
    ];
    for (name, line) in cases {
        let head = head(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        bench.run(name, || app.resolve(black_box(&head)));
    }
}

fn measure_encoding(bench: &Bench) {
    let fields = [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    let mut cycle = Cycle::default();
    let mut head = RequestHead::default();
    assert!(matches!(cycle.head(SMALL, &LIMITS, &mut head), Ok(Some(_))));
    let answer = cycle.respond(StatusCode::OK, Some(13), None);
    let mut out = Vec::with_capacity(1024);
    bench.run("encode: a head with one field", || {
        out.clear();
        let plan = HeadPlan {
            status: StatusCode::OK,
            length: answer.length,
            connection: answer.connection,
            date: DATE,
            request_id: "0123456789abcdef0123456789abcdef",
        };
        encode::head(&mut out, black_box(&plan), b"", fields.iter().map(|(name, value)| (name, value)));
    });
}

fn measure_recording(bench: &Bench) {
    let cases = [
        ("record: metrics", LogFormat::Off, SMALL),
        ("record: metrics, JSON line", LogFormat::Json, SMALL),
        ("record: metrics, a browser's JSON line", LogFormat::Json, BROWSER),
        ("record: metrics, combined line", LogFormat::Combined, BROWSER),
    ];
    let app = app();
    for (name, log_format, bytes) in cases {
        let received = received(head(bytes));
        let mut recorder = recorder(&app, log_format);
        bench.run(name, || record(&mut *recorder, black_box(&received), app.resolve(&received.head).endpoint));
    }
}

/// Everything that happens to the bytes of a request between a read and a write.
fn measure_whole_path(bench: &Bench) {
    let cases = [
        ("whole: plaintext, metrics, log", SMALL),
        ("whole: JSON, metrics, log", JSON),
        ("whole: a browser's, metrics, log", BROWSER),
    ];
    let app = app();
    for (name, bytes) in cases {
        let mut recorder = recorder(&app, LogFormat::Json);
        let mut cycle = Cycle::default();
        let mut received = Arc::new(received(RequestHead::default()));
        let mut out = Vec::with_capacity(1024);
        bench.run(name, || {
            out.clear();
            let head = &mut Arc::get_mut(&mut received).expect("the handler has not kept it").head;
            assert!(matches!(cycle.head(black_box(bytes), &LIMITS, head), Ok(Some(_))));
            let resolved = app.resolve(&received.head);
            let endpoint = resolved.endpoint;
            let mut response = app.call(Request::new(Arc::clone(&received), resolved, Body::empty()));
            let answer = cycle.respond(response.status(), response.body().length(), None);
            let plan = HeadPlan {
                status: response.status(),
                length: answer.length,
                connection: answer.connection,
                date: DATE,
                request_id: &received.id,
            };
            encode::head(&mut out, &plan, b"", response.headers().iter());
            let body = std::mem::take(response.body_mut()).into_bytes().expect("it is in memory");
            out.extend_from_slice(&body);
            record(&mut *recorder, &received, endpoint);
            assert!(cycle.finish().is_ok());
        });
    }
}

/// 50 routes, as an application might have them.
fn app() -> BuiltApp {
    let mut app = App::new().route("/plaintext", get(|| "Hello, World!")).route("/json", get(json));
    for resource in 0..24 {
        app = app
            .route(format!("/api/v1/resource{resource}/{{id}}"), get(|Path(id): Path<u64>| id.to_string()))
            .route(format!("/api/v1/resource{resource}/{{id}}/items/{{item}}"), get(|| "an item"));
    }
    app.build().expect("the routes do not conflict")
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn json() -> Json<Message> {
    Json(Message { message: "Hello, World!" })
}

fn head(bytes: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    assert!(matches!(parse(bytes, &LIMITS, &mut head), Ok(Some(_))));
    head
}

fn received(head: RequestHead) -> Received {
    Received {
        head,
        remote: ([192, 0, 2, 7], 40_000).into(),
        client_ip: [192, 0, 2, 7].into(),
        is_secure: false,
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        at: Instant::now(),
        ..Received::default()
    }
}

/// The recorder of a server whose log goes nowhere.
fn recorder(app: &BuiltApp, log_format: LogFormat) -> Box<dyn Recorder> {
    let metrics = Metrics::new(prometheus::Registry::new(), Arc::default(), Default::default(), Vec::new());
    let metrics = Arc::new(metrics.expect("nothing else is registered"));
    let (log, _) = LogWriter::spawn("log", io::sink(), 64).expect("there is a thread to be had");
    let config = Config { log_format, ..Config::default() };
    Telemetry::new(&config, metrics, app.endpoints(), log).recorder(0)
}

fn record(recorder: &mut dyn Recorder, received: &Received, endpoint: u32) {
    recorder.record(&Exchange {
        received: Some(received),
        remote: received.remote,
        endpoint: Some(endpoint),
        status: StatusCode::OK,
        bytes_in: 0,
        bytes_out: 13,
        duration: Duration::from_nanos(1234),
        queued: None,
        outcome: Outcome::Ok,
        refused: None,
        now: received.at,
    });
}

struct Bench {
    /// Or only goes through everything once.
    measures: bool,
    /// Beginnings of the names of what is measured; all if there are none.
    wanted: Vec<String>,
}

impl Bench {
    /// Prints how long `step` takes: the best and the median of the rounds.
    fn run<T>(&self, name: &str, mut step: impl FnMut() -> T) {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            return;
        }
        if !self.measures {
            black_box(step());
            return;
        }
        let count = steps_per_round(&mut step);
        let mut nanos: Vec<f64> =
            (0..ROUNDS).map(|_| time(count, &mut step).as_nanos() as f64 / count as f64).collect();
        nanos.sort_by(f64::total_cmp);
        println!("{name:40} {:>8.1} {:>10.1}", nanos[0], nanos[ROUNDS / 2]);
    }
}

/// How many steps take about as long as a round should.
fn steps_per_round<T>(step: &mut impl FnMut() -> T) -> u64 {
    let mut count = 1;
    loop {
        let took = time(count, step);
        if took >= ROUND {
            return count;
        }
        // At most tenfold: the first steps are slower than those to come.
        let wanted = count as f64 * ROUND.as_secs_f64() / took.as_secs_f64().max(1e-9);
        count = (wanted as u64 + 1).clamp(count + 1, count * 10);
    }
}

fn time<T>(count: u64, step: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        black_box(step());
    }
    start.elapsed()
}
