use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::Registry;

use super::*;
use crate::app::request::Received;
use crate::ops::log_writer::tests::collect;
use crate::semantics::head::{Field, RequestHead, Span};
use crate::server::lifecycle::Lifecycle;
use crate::server::observe::Outcome;
use crate::server::stats::Stats;

/// A request as the wire parser would hand it over.
pub(in crate::ops) fn received(method: &str, target: &[u8], fields: &[(&str, &[u8])]) -> Received {
    let mut head = RequestHead { method: method.parse().expect("a method"), ..RequestHead::default() };
    let mut span = |bytes: &[u8]| {
        let start = head.raw.len();
        head.raw.extend_from_slice(bytes);
        Span::new(start, head.raw.len())
    };
    let whole = span(target);
    let places: Vec<Field> =
        fields.iter().map(|(name, value)| Field { name: span(name.as_bytes()), value: span(value) }).collect();
    let end = target.iter().position(|&byte| byte == b'?');
    head.target = whole;
    head.path = if target.starts_with(b"/") { Span::new(0, end.unwrap_or(target.len())) } else { Span::default() };
    head.query = end.map(|end| Span::new(end + 1, target.len()));
    head.host = fields.iter().zip(&places).find(|((name, _), _)| *name == "host").map(|(_, field)| field.value);
    head.fields = places;
    let remote = SocketAddr::from(([192, 0, 2, 7], 40_000));
    Received { head, remote, client_ip: remote.ip(), id: "4d3f".into(), ..Received::default() }
}

/// An exchange that went well on endpoint 0.
pub(in crate::ops) fn exchange(received: &Received) -> Exchange<'_> {
    Exchange {
        received: Some(received),
        remote: received.remote,
        endpoint: Some(0),
        refused: None,
        status: StatusCode::OK,
        bytes_in: 0,
        bytes_out: 13,
        duration: Duration::from_micros(123),
        queued: None,
        outcome: Outcome::Ok,
        now: received.at,
    }
}

pub(in crate::ops) fn endpoints() -> Vec<Endpoint> {
    let endpoint = |template: &str, kind| Endpoint {
        template: template.into(),
        kind,
        body: Default::default(),
        pace: Default::default(),
        max_body_bytes: None,
    };
    vec![
        endpoint("/users/{id}", EndpointKind::Route),
        endpoint("/readyz", EndpointKind::Probe),
        endpoint("_unmatched", EndpointKind::Route),
    ]
}

pub(in crate::ops) fn metrics() -> Arc<Metrics> {
    let metrics = Metrics::new(Registry::new(), Arc::new(Stats::default()), Lifecycle::default(), Vec::new());
    Arc::new(metrics.expect("nothing else is registered"))
}

/// What a recorder logs of what `record` gives it.
pub(in crate::ops) fn logged(config: &Config, record: impl FnOnce(&mut dyn Recorder)) -> String {
    collect(|writer| {
        let telemetry = Telemetry::new(config, metrics(), &endpoints(), writer);
        let mut recorder = telemetry.recorder(0);
        record(&mut *recorder);
        recorder.finish();
    })
}

fn statuses(log: &str) -> Vec<u64> {
    let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON line");
    log.lines().map(|line| parse(line)["status"].as_u64().expect("a status")).collect()
}

#[test]
fn of_probes_only_failures_and_changes_are_logged() {
    let request = received("GET", b"/readyz", &[]);
    let series = [200, 200, 503, 503, 200, 200, 204, 200];
    let cases = [
        (LogProbes::Failures, vec![503, 503, 200, 204, 200]),
        (LogProbes::All, series.map(u64::from).to_vec()),
        (LogProbes::None, vec![]),
    ];
    for (log_probes, expected) in cases {
        let log = logged(&Config { log_probes, ..Config::default() }, |recorder| {
            for status in series {
                let status = StatusCode::from_u16(status).expect("a status");
                recorder.record(&Exchange { endpoint: Some(1), status, ..exchange(&request) });
            }
        });
        assert_eq!(statuses(&log), expected, "{log_probes:?}");
    }
}

#[test]
fn a_probe_that_recovers_on_another_reactor_is_a_change() {
    let request = received("GET", b"/readyz", &[]);
    let log = collect(|writer| {
        let telemetry = Telemetry::new(&Config::default(), metrics(), &endpoints(), writer);
        let mut recorders = [telemetry.recorder(0), telemetry.recorder(1)];
        for (reactor, status) in [(0, StatusCode::SERVICE_UNAVAILABLE), (1, StatusCode::OK), (0, StatusCode::OK)] {
            recorders[reactor].record(&Exchange { endpoint: Some(1), status, ..exchange(&request) });
            recorders[reactor].finish();
        }
    });
    assert_eq!(statuses(&log), [503, 200]);
}

#[test]
fn a_probe_whose_client_left_is_logged() {
    let request = received("GET", b"/readyz", &[]);
    let log = logged(&Config::default(), |recorder| {
        let left = Exchange { endpoint: Some(1), outcome: Outcome::ClientAbort, ..exchange(&request) };
        recorder.record(&left);
    });
    assert_eq!(statuses(&log), [200]);
}

#[test]
fn an_endpoint_that_was_never_listed_counts_as_unmatched() {
    let request = received("GET", b"/", &[]);
    let log = logged(&Config::default(), |recorder| {
        recorder.record(&Exchange { endpoint: Some(u32::MAX), ..exchange(&request) });
        recorder.record(&Exchange { endpoint: Some(3), ..exchange(&request) });
    });
    assert_eq!(statuses(&log), [200, 200]);
}

#[test]
fn no_two_combinations_share_a_key() {
    let request = received("GET", b"/", &[]);
    let outcomes = [Outcome::Ok, Outcome::ClientAbort, Outcome::Timeout, Outcome::Panic, Outcome::Rejected];
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PURGE"];
    let labels: Vec<_> = methods
        .iter()
        .map(|method| Some(MethodLabel::of(&method.parse::<Method>().expect("a method"))))
        .chain([None])
        .collect();
    let mut keys = std::collections::HashSet::new();
    for status in 100..1000 {
        let status = StatusCode::from_u16(status).expect("a status");
        for outcome in outcomes {
            for &method in &labels {
                assert!(keys.insert(key(method, &Exchange { status, outcome, ..exchange(&request) })));
            }
        }
    }
}

#[test]
fn without_a_log_there_is_nothing_to_flush() {
    let config = Config { log_format: crate::config::LogFormat::Off, ..Config::default() };
    let request = received("GET", b"/", &[]);
    let log = logged(&config, |recorder| {
        recorder.record(&exchange(&request));
        assert_eq!(recorder.flush(request.at), None);
    });
    assert_eq!(log, "");
}

#[test]
fn a_change_of_settings_takes_effect_with_the_next_request() {
    use crate::config::LogFormat;
    let request = received("GET", b"/users/1?token=s3cret&visible=1", &[]);
    let metrics = metrics();
    let log = collect(|writer| {
        let telemetry = Telemetry::new(&Config::default(), Arc::clone(&metrics), &endpoints(), writer);
        let mut recorder = telemetry.recorder(0);
        let settings = [
            Config::default(),
            Config { log_format: LogFormat::Ecs, ..Config::default() },
            Config { log_format: LogFormat::Off, ..Config::default() },
            Config { log_format: LogFormat::Common, ..Config::default() },
            Config { log_redact_query: vec!["visible".to_owned()], ..Config::default() },
        ];
        for config in &settings {
            telemetry.apply(config);
            recorder.record(&exchange(&request));
            recorder.record(&Exchange { endpoint: None, ..exchange(&request) });
        }
        recorder.finish();
    });
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 8, "{log}");
    assert!(lines[0].contains(r#""route":"/users/{id}""#) && lines[0].contains("token=[redacted]&visible=1"));
    assert!(!lines[1].contains("route"), "{}", lines[1]);
    assert!(lines[2].contains(r#""rws.route":"/users/{id}""#), "{}", lines[2]);
    assert!(lines[4].starts_with("192.0.2.7 - - ["), "{}", lines[4]);
    assert!(lines[6].contains("token=s3cret&visible=[redacted]"), "{}", lines[6]);
    // Nothing is counted twice or forgotten.
    let mut response = metrics.render(&RequestHead::default());
    let mut text = String::new();
    std::io::Read::read_to_string(response.body_mut(), &mut text).expect("UTF-8");
    let counts: Vec<&str> =
        text.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count")).collect();
    assert!(counts.len() == 2 && counts.iter().all(|line| line.ends_with(" 5")), "{counts:?}");
}
