use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use http::HeaderName;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Opts};

use super::*;
use crate::config::Config;
use crate::ops::log_writer::LogWriter;
use crate::ops::telemetry::Telemetry;
use crate::ops::telemetry::tests::{endpoints, exchange, metrics, received};
use crate::server::lifecycle::State;
use crate::server::observe::{Exchange, Observer, Outcome};
use crate::server::stats::{ErrorKind, RejectReason};

fn scrape(metrics: &Metrics) -> String {
    let mut response = metrics.render(&RequestHead::default());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers().get(&CONTENT_TYPE),
        Some(&HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))
    );
    let mut text = String::new();
    response.body_mut().read_to_string(&mut text).expect("UTF-8");
    text
}

/// The value of the one sample whose line starts with `sample`.
fn value(text: &str, sample: &str) -> f64 {
    let values: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')).collect();
    let [value] = values[..] else { panic!("{sample} occurs {} times in\n{text}", values.len()) };
    value.parse().expect("a number")
}

/// Gives `record` a way to record exchanges on two reactors.
fn observed(metrics: &Arc<Metrics>, record: impl FnOnce(&mut dyn FnMut(usize, &Exchange<'_>))) {
    let (writer, thread) = LogWriter::spawn("log", std::io::sink(), 1).expect("a thread");
    let telemetry = Telemetry::new(&Config::default(), Arc::clone(metrics), &endpoints(), writer.clone());
    let mut recorders = [telemetry.recorder(0), telemetry.recorder(1)];
    record(&mut |reactor, exchange| recorders[reactor].record(exchange));
    drop(recorders);
    assert!(writer.finish(Duration::from_secs(30)));
    thread.join().expect("no panic");
}

#[test]
fn reactors_are_folded_together() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    observed(&metrics, |record| {
        record(0, &Exchange { duration: Duration::from_micros(400), bytes_in: 5, ..exchange(&get) });
        record(1, &Exchange { duration: Duration::from_millis(2), ..exchange(&get) });
        record(1, &Exchange { duration: Duration::from_secs(20), outcome: Outcome::ClientAbort, ..exchange(&get) });
    });
    let text = scrape(&metrics);
    let labels = r#"{http_request_method="GET",http_route="/users/{id}",http_response_status_code="200"}"#;
    let bucket = |le: &str| {
        let labels = labels.replace('}', "").replace("{id", "{id}");
        value(&text, &format!(r#"http_server_request_duration_seconds_bucket{labels},le="{le}"}}"#))
    };
    let buckets = ["0.0005", "0.001", "0.0025", "10", "+Inf"].map(bucket);
    assert_eq!(buckets, [1.0, 1.0, 2.0, 2.0, 3.0]);
    assert_eq!(value(&text, &format!("http_server_request_duration_seconds_count{labels}")), 3.0);
    assert_eq!(value(&text, &format!("http_server_request_duration_seconds_sum{labels}")), 20.0024);
    assert_eq!(value(&text, "http_server_request_body_bytes_total"), 5.0);
    assert_eq!(value(&text, "http_server_response_body_bytes_total"), 39.0);
}

#[test]
fn every_documented_bucket_is_there() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    observed(&metrics, |record| record(0, &exchange(&get)));
    let bounds: Vec<String> = scrape(&metrics)
        .lines()
        .filter_map(|line| {
            Some(line.strip_prefix("http_server_request_duration_seconds_bucket")?.split('"').nth(7)?.into())
        })
        .collect();
    let expected = "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf";
    assert_eq!(bounds.join(" "), expected);
}

#[test]
fn nothing_a_client_sends_becomes_a_label() {
    let metrics = metrics();
    let odd = received("SECRET-METHOD", b"/secret-path?secret-query", &[("host", b"secret-host")]);
    observed(&metrics, |record| {
        record(0, &exchange(&odd));
        record(0, &Exchange { endpoint: None, ..exchange(&odd) });
        record(0, &Exchange { endpoint: Some(2), status: StatusCode::NOT_FOUND, ..exchange(&odd) });
        record(1, &Exchange { endpoint: None, received: None, ..exchange(&odd) });
    });
    let text = scrape(&metrics);
    assert!(!text.to_lowercase().contains("secret"));
    let count = |route: &str, status: u16| {
        let labels =
            format!(r#"{{http_request_method="_OTHER",http_route="{route}",http_response_status_code="{status}"}}"#);
        value(&text, &format!("http_server_request_duration_seconds_count{labels}"))
    };
    assert_eq!([count("/users/{id}", 200), count("_unmatched", 200), count("_unmatched", 404)], [1.0, 2.0, 1.0]);
}

#[test]
fn probes_are_counted_on_their_own() {
    let (metrics, get) = (metrics(), received("GET", b"/readyz", &[]));
    observed(&metrics, |record| {
        record(0, &Exchange { endpoint: Some(1), ..exchange(&get) });
        record(1, &Exchange { endpoint: Some(1), ..exchange(&get) });
        record(1, &Exchange { endpoint: Some(1), status: StatusCode::SERVICE_UNAVAILABLE, ..exchange(&get) });
    });
    let text = scrape(&metrics);
    assert_eq!(value(&text, r#"rws_probe_requests_total{probe="readyz",status="200"}"#), 2.0);
    assert_eq!(value(&text, r#"rws_probe_requests_total{probe="readyz",status="503"}"#), 1.0);
    assert!(!text.contains("http_server_request_duration_seconds"));
}

#[test]
fn the_server_and_the_process_are_told_about() {
    let (stats, lifecycle) = (Arc::new(Stats::default()), Lifecycle::default());
    let metrics = Metrics::new(Registry::new(), Arc::clone(&stats), lifecycle.clone(), Vec::new()).expect("metrics");
    stats.requests_active.store(4, Relaxed);
    stats.reject(RejectReason::QueueFull);
    stats.error(ErrorKind::HeadTimeout);
    lifecycle.advance(State::Draining);
    let text = scrape(&metrics);
    let cases = [
        ("http_server_active_requests", 4.0),
        (r#"rws_connections_rejected_total{reason="queue_full"}"#, 1.0),
        (r#"rws_connections_rejected_total{reason="max_connections"}"#, 0.0),
        (r#"rws_connection_errors_total{kind="head_timeout"}"#, 1.0),
        (r#"rws_lifecycle_state{state="draining"}"#, 1.0),
        (r#"rws_lifecycle_state{state="ready"}"#, 0.0),
        ("rws_queue_wait_seconds_count", 0.0),
        ("rws_log_dropped_total", 0.0),
    ];
    for (sample, expected) in cases {
        assert_eq!(value(&text, sample), expected, "{sample}");
    }
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(value(&text, "process_threads") >= 1.0);
    let age = Duration::from_secs_f64(value(&text, "process_start_time_seconds"));
    let now = SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    // Within the time a test run takes; /proc/stat's boot time is only good to a second.
    assert!(now.abs_diff(age) < Duration::from_secs(3600), "{age:?}");
    assert!(text.contains(concat!("rws_build_info{version=\"", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn queue_waits_are_observed() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    observed(&metrics, |record| {
        record(0, &Exchange { queued: Some(Duration::from_millis(3)), ..exchange(&get) });
        record(1, &exchange(&get));
    });
    let text = scrape(&metrics);
    assert_eq!(value(&text, "rws_queue_wait_seconds_count"), 1.0);
    assert_eq!(value(&text, r#"rws_queue_wait_seconds_bucket{le="0.0025"}"#), 0.0);
    assert_eq!(value(&text, r#"rws_queue_wait_seconds_bucket{le="0.005"}"#), 1.0);
}

#[test]
fn users_add_their_own_and_a_clash_of_names_is_an_error() {
    let metrics = metrics();
    let orders = IntCounter::with_opts(Opts::new("orders_total", "Orders taken.")).expect("a counter");
    metrics.registry().register(Box::new(orders.clone())).expect("a free name");
    orders.inc();
    assert_eq!(value(&scrape(&metrics), "orders_total"), 1.0);
    let again = Metrics::new(metrics.registry().clone(), Arc::default(), Lifecycle::default(), Vec::new());
    let again = again.expect("two servers may have one registry");
    assert!(again.with_registry(metrics.registry().clone()).is_err(), "one server has it once");
    let handoffs = IntCounter::new("rws_handoffs_total", "Mine.").expect("a counter");
    assert!(metrics.registry().register(Box::new(handoffs)).is_err(), "the other one still has the name");
    let clash = Registry::new();
    let mine = IntCounter::new("rws_handoffs_total", "Mine.").expect("a counter");
    clash.register(Box::new(mine)).expect("a free name");
    let error = Metrics::new(clash, Arc::default(), Lifecycle::default(), Vec::new()).expect_err("a clash");
    assert!(error.to_string().contains("rws_handoffs_total"), "{error}");
}

/// A collector that yields what it is told to.
struct Odd(Desc, fn() -> Vec<MetricFamily>);

impl Odd {
    fn new(collect: fn() -> Vec<MetricFamily>) -> Box<Self> {
        Box::new(Odd(
            Desc::new("odd".into(), "Odd.".into(), Vec::new(), Default::default()).expect("a description"),
            collect,
        ))
    }
}

impl Collector for Odd {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.1)()
    }
}

fn odd_family(name: &str) -> Vec<MetricFamily> {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_metric(vec![Default::default()]);
    vec![family]
}

#[test]
fn nothing_that_a_users_collector_does_takes_the_metrics_down() {
    let cases: [fn() -> Vec<MetricFamily>; 4] = [
        || panic!("a collector"),
        || odd_family(""),
        || odd_family("no name"),
        // Under another name than it registered: one of the server's.
        || odd_family("http_server_active_requests"),
    ];
    for collect in cases {
        let metrics = metrics();
        metrics.registry().register(Odd::new(collect)).expect("a free name");
        let other = Registry::new();
        other.register(Box::new(IntCounter::new("orders_total", "Orders.").expect("a counter"))).expect("a free name");
        let metrics = Arc::into_inner(metrics).expect("nobody else has it").with_registry(other).expect("free names");
        let text = scrape(&metrics);
        assert_eq!(value(&text, "http_server_active_requests"), 0.0);
        assert_eq!(value(&text, "orders_total"), 0.0);
    }
}

#[test]
fn a_name_of_the_servers_is_refused_when_it_is_registered() {
    let metrics = metrics();
    let clash = IntCounter::new("rws_handoffs_total", "Mine.").expect("a counter");
    assert!(metrics.registry().register(Box::new(clash.clone())).is_err());
    assert!(metrics.own_registry().register(Box::new(clash)).is_err());
    let more = IntCounter::new("rws_more_total", "More.").expect("a counter");
    metrics.own_registry().register(Box::new(more)).expect("a free name");
    assert_eq!(value(&scrape(&metrics), "rws_more_total"), 0.0);
}

#[test]
fn a_scrape_during_traffic_never_contradicts_itself() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    let labels = r#"{http_request_method="GET",http_route="/users/{id}",http_response_status_code="200"}"#;
    observed(&metrics, |record| {
        record(0, &exchange(&get));
        std::thread::scope(|scope| {
            let scraper = scope.spawn(|| {
                let mut before = (0.0, 0.0);
                for _ in 0..50 {
                    let text = scrape(&metrics);
                    let count = value(&text, &format!("http_server_request_duration_seconds_count{labels}"));
                    let infinite = labels.replace("\"200\"}", "\"200\",le=\"+Inf\"}");
                    let all = value(&text, &format!("http_server_request_duration_seconds_bucket{infinite}"));
                    let sum = value(&text, &format!("http_server_request_duration_seconds_sum{labels}"));
                    assert_eq!(count, all);
                    assert!(count >= before.0 && sum >= before.1, "what is counted never shrinks");
                    before = (count, sum);
                }
            });
            while !scraper.is_finished() {
                record(0, &exchange(&get));
            }
            scraper.join().expect("no contradiction");
        });
    });
}

#[test]
fn promtool_has_no_complaints() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    observed(&metrics, |record| {
        record(0, &exchange(&get));
        record(0, &Exchange { endpoint: Some(1), ..exchange(&get) });
    });
    let text = scrape(&metrics);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED promtool_has_no_complaints: promtool: {error}");
            return;
        }
    };
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let complaints = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}\n{text}");
}

#[test]
fn the_format_and_the_coding_are_what_the_scraper_asks_for() {
    let (metrics, get) = (metrics(), received("GET", b"/users/1", &[]));
    observed(&metrics, |record| record(0, &exchange(&get)));
    let (text, open) =
        ("text/plain; version=0.0.4; charset=utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    type Fields = &'static [(&'static str, &'static [u8])];
    const PROMETHEUS: &[u8] = b"application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let cases: [(Fields, &str, bool); 7] = [
        (&[], text, false),
        (&[("accept", b"*/*")], text, false),
        (&[("accept", b"text/html")], text, false),
        (&[("accept", PROMETHEUS)], open, false),
        (&[("accept", PROMETHEUS), ("accept-encoding", b"gzip")], open, true),
        (&[("Accept", b"text/plain;version=0.0.4;q=1,*/*;q=0.1"), ("Accept-Encoding", b"br, gzip;q=0.5")], text, true),
        (&[("accept", b"application/openmetrics-text"), ("accept-encoding", b"gzip;q=0")], open, false),
    ];
    for (fields, media_type, compressed) in cases {
        let mut response = metrics.render(&received("GET", b"/metrics", fields).head);
        let field =
            |name: &HeaderName| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(field(&CONTENT_TYPE).as_deref(), Some(media_type), "{fields:?}");
        assert_eq!(field(&VARY).as_deref(), Some("Accept, Accept-Encoding"));
        assert_eq!(field(&CONTENT_ENCODING).as_deref(), compressed.then_some("gzip"));
        let mut body = Vec::new();
        response.body_mut().read_to_end(&mut body).expect("a body");
        if compressed {
            let mut whole = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut whole).expect("gzip");
            assert!(body.len() < whole.len() / 4);
            body = whole;
        }
        let body = String::from_utf8(body).expect("UTF-8");
        assert!(body.contains("\nrws_probe_misrouted_total{reason=\"not_found\"} 0\n"));
        if media_type == open {
            exposition::tests::check_openmetrics(&body);
        }
    }
}

#[test]
fn a_traced_request_stands_for_its_bucket_once_somebody_asks() {
    let context: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let later: &[u8] = b"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-01";
    let silent: &[u8] = b"00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-00f067aa0ba902b7-00";
    let of = |context: &[u8]| received("GET", b"/users/1", &[("traceparent", context)]);
    let (traced, later, silent) = (of(context), of(later), of(silent));
    let metrics = metrics();
    let open = || {
        let accept: &[u8] = b"application/openmetrics-text";
        let mut response = metrics.render(&received("GET", b"/metrics", &[("accept", accept)]).head);
        let mut text = String::new();
        response.body_mut().read_to_string(&mut text).expect("UTF-8");
        exposition::tests::check_openmetrics(&text);
        text
    };
    observed(&metrics, |record| {
        record(0, &exchange(&traced));
        assert!(!open().contains("trace_id"), "nobody had asked yet");
        record(0, &Exchange { duration: Duration::from_millis(3), ..exchange(&traced) });
        record(0, &Exchange { duration: Duration::from_millis(40), ..exchange(&silent) });
        record(1, &Exchange { duration: Duration::from_secs(20), ..exchange(&later) });
        // Of another series: a probe.
        record(1, &Exchange { endpoint: Some(1), ..exchange(&later) });
    });
    let text = open();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("trace_id")).collect();
    let [short, long] = &lines[..] else { panic!("{lines:#?}") };
    assert!(
        short.contains(
            r#"le="0.005"} 2 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.003 "#
        ),
        "{short}"
    );
    assert!(
        long.contains(r#"le="+Inf"} 4 # {trace_id="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#) && long.contains("} 20 "),
        "{long}"
    );
    assert!(!scrape(&metrics).contains("trace_id"), "the text format has none");
}
