use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ops::log_writer::LogWriter;
use crate::ops::log_writer::tests::Memory;
use crate::ops::telemetry::Telemetry;
use crate::ops::telemetry::tests::{endpoints, exchange, logged, metrics, received};
use crate::server::observe::{Observer, Recorder};

fn json_line(record: impl FnOnce(&mut dyn Recorder)) -> Value {
    let log = logged(&Config::default(), record);
    assert!(log.ends_with('\n') && log.lines().count() == 1, "{log:?}");
    let mut line: Value = serde_json::from_str(&log).expect("a JSON line");
    let time = line.as_object_mut().and_then(|line| line.remove("time")).expect("a time");
    assert_eq!(time.as_str().map(str::len), Some("2026-01-02T03:04:05.000006Z".len()));
    line
}

#[test]
fn a_line_has_all_there_is_to_know() {
    let request = received(
        "POST",
        b"/users/7?page=2&token=s3cret",
        &[
            ("host", b"example.com:8080"),
            ("User-Agent", b"curl/8.5.0"),
            ("Referer", b"https://me:s3cret@example.com/"),
            ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("authorization", b"Bearer s3cret"),
            ("cookie", b"id=s3cret"),
        ],
    );
    let line = json_line(|recorder| {
        recorder.record(&Exchange {
            status: StatusCode::CREATED,
            bytes_in: 17,
            queued: Some(Duration::from_micros(4_005)),
            ..exchange(&request)
        });
    });
    let expected = json!({
        "level": "info", "msg": "request", "request_id": "4d3f",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
        "remote_addr": "192.0.2.7:40000", "client_ip": "192.0.2.7",
        "method": "POST", "path": "/users/7", "query": "page=2&token=[redacted]", "route": "/users/{id}",
        "protocol": "HTTP/1.1", "host": "example.com:8080", "status": 201, "bytes_in": 17, "bytes_out": 13,
        "duration_ms": 0.123, "queue_ms": 4.005, "user_agent": "curl/8.5.0",
        "referer": "https://[redacted]@example.com/", "outcome": "ok",
    });
    assert_eq!(line, expected);
}

#[test]
fn what_is_absent_is_left_out() {
    let request = received("GET", b"/", &[]);
    let line = json_line(|recorder| recorder.record(&exchange(&request)));
    for name in ["trace_id", "span_id", "query", "host", "queue_ms", "user_agent", "referer"] {
        assert_eq!(line.get(name), None, "{name}");
    }
}

#[test]
fn a_request_refused_before_its_head_was_understood_has_a_line() {
    let request = received("GET", b"/", &[]);
    let line = json_line(|recorder| {
        recorder.record(&Exchange {
            received: None,
            endpoint: None,
            status: StatusCode::BAD_REQUEST,
            outcome: Outcome::Rejected,
            bytes_out: 0,
            ..exchange(&request)
        });
    });
    let expected = json!({
        "level": "warn", "msg": "request", "status": 400, "outcome": "rejected",
        "remote_addr": "192.0.2.7:40000", "client_ip": "192.0.2.7",
        "bytes_in": 0, "bytes_out": 0, "duration_ms": 0.123,
    });
    assert_eq!(line, expected);
}

#[test]
fn methods_nobody_has_heard_of_and_targets_without_a_path_are_written_as_they_came() {
    let request = received("PURGE", b"*", &[]);
    let line = json_line(|recorder| recorder.record(&exchange(&request)));
    assert_eq!((&line["method"], &line["path"]), (&json!("PURGE"), &json!("*")));
}

#[test]
fn two_trace_contexts_are_none() {
    let context: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for times in [2, 3] {
        let request = received("GET", b"/", &vec![("traceparent", context); times]);
        let line = json_line(|recorder| recorder.record(&exchange(&request)));
        assert_eq!(line.get("trace_id"), None);
    }
}

#[test]
fn apache_formats() {
    let request = received(
        "GET",
        b"/a\"b?code=s3cret&x=1",
        &[("referer", b"https://example.com/?token=s3cret"), ("user-agent", b"a\"b\\c\x01\xe9")],
    );
    let bare = received("OPTIONS", b"*", &[]);
    let record = |recorder: &mut dyn Recorder| {
        recorder.record(&exchange(&request));
        recorder.record(&Exchange { bytes_out: 0, ..exchange(&bare) });
        recorder.record(&Exchange { received: None, status: StatusCode::BAD_REQUEST, ..exchange(&request) });
    };
    let common =
        [r#""GET /a\"b?code=[redacted]&x=1 HTTP/1.1" 200 13"#, r#""OPTIONS * HTTP/1.1" 200 -"#, r#""-" 400 13"#];
    let combined = [r#" "https://example.com/?token=[redacted]" "a\"b\\c\x01\xe9""#, r#" "-" "-""#, r#" "-" "-""#];
    for (log_format, extra) in [(LogFormat::Common, [""; 3]), (LogFormat::Combined, combined)] {
        let log = logged(&Config { log_format, ..Config::default() }, record);
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 3);
        for (line, (common, extra)) in lines.iter().zip(common.iter().zip(extra)) {
            let (front, rest) = line.split_at("192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] ".len());
            assert!(front.starts_with("192.0.2.7 - - [") && front.ends_with(" +0000] "), "{line}");
            assert_eq!(rest, format!("{common}{extra}"));
        }
    }
}

#[test]
fn who_was_authenticated_is_in_the_line() {
    let request = everything();
    let record = |recorder: &mut dyn Recorder| recorder.record(&exchange(&request));
    let log = logged(&Config { log_format: LogFormat::Common, ..Config::default() }, record);
    assert!(log.starts_with(r#"198.51.100.3 - ada\x20\"l\" ["#), "{log}");
    assert_eq!(json_line(record)["user"], "ada \"l\"");
}

/// A recorder, where its lines end up, and the end of the story.
fn recorder(check: impl FnOnce(&mut dyn Recorder, &dyn Fn() -> usize)) {
    let memory = Memory::default();
    let (writer, thread) = LogWriter::spawn("log", memory.clone(), 4).expect("a thread");
    let telemetry = Telemetry::new(&Config::default(), metrics(), &endpoints(), writer.clone());
    check(&mut *telemetry.recorder(0), &|| {
        assert!(writer.finish(Duration::from_secs(30)));
        memory.text().lines().count()
    });
    assert!(writer.finish(Duration::from_secs(30)));
    thread.join().expect("no panic");
}

#[test]
fn a_line_waits_for_company_but_not_for_long() {
    let request = received("GET", b"/", &[]);
    recorder(|recorder, _| {
        assert_eq!(recorder.flush(request.at), None);
        recorder.record(&exchange(&request));
        let due = request.at + MAX_AGE;
        assert_eq!(recorder.flush(request.at), Some(due));
        // A younger line changes nothing for the oldest.
        recorder.record(&Exchange { now: request.at + MAX_AGE / 2, ..exchange(&request) });
        assert_eq!(recorder.flush(request.at + MAX_AGE / 2), Some(due));
        assert_eq!(recorder.flush(due), None);
    });
    recorder(|recorder, lines| {
        recorder.record(&exchange(&request));
        assert_eq!(recorder.flush(request.at + MAX_AGE / 2), Some(request.at + MAX_AGE));
        assert_eq!(lines(), 0);
    });
    recorder(|recorder, lines| {
        recorder.record(&exchange(&request));
        recorder.flush(request.at + MAX_AGE);
        assert_eq!(lines(), 1);
    });
}

#[test]
fn a_full_buffer_is_handed_over_at_once() {
    let agent = [b'a'; 1000];
    let request = received("GET", b"/", &[("user-agent", &agent)]);
    recorder(|recorder, lines| {
        for _ in 0..=FULL / agent.len() {
            recorder.record(&exchange(&request));
        }
        let written = lines();
        assert!((FULL / 1400..=FULL / agent.len()).contains(&written), "{written} lines");
    });
}

proptest! {
    #[test]
    fn every_line_parses_whatever_bytes_the_client_sends(
        target in proptest::collection::vec(any::<u8>(), 0..60),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 5),
        absolute in any::<bool>(),
        status in 100..1000_u16,
        nanos in any::<u64>(),
    ) {
        let target = if absolute { target } else { [b"/", &target[..]].concat() };
        let names = ["host", "user-agent", "referer", "traceparent", "x"];
        let fields: Vec<(&str, &[u8])> = names.into_iter().zip(values.iter().map(Vec::as_slice)).collect();
        let request = received("GET", &target, &fields);
        let line = json_line(|recorder| recorder.record(&Exchange {
            status: StatusCode::from_u16(status).expect("a status"),
            duration: Duration::from_nanos(nanos),
            queued: Some(Duration::from_nanos(nanos / 2)),
            ..exchange(&request)
        }));
        prop_assert_eq!(&line["user_agent"], &json!(String::from_utf8_lossy(&values[1])));
        prop_assert_eq!(&line["status"], &json!(status));
    }
}

/// A request that has everything that lines tell of.
fn everything() -> crate::app::request::Received {
    let mut request = received(
        "POST",
        b"/users/7?page=2&token=s3cret",
        &[
            ("host", b"example.com:8080"),
            ("User-Agent", b"curl/8.5.0 \"x\""),
            ("Referer", b"https://me:s3cret@example.com/"),
            ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("authorization", b"Bearer s3cret"),
            ("cookie", b"id=s3cret"),
        ],
    );
    request.client_ip = [198, 51, 100, 3].into();
    request.user = std::sync::OnceLock::from(std::sync::Arc::from("ada \"l\""));
    request
}

/// The line of a request that was created something, and that of bytes that were no request; without their times.
fn two_lines(config: &Config, time: &str) -> [Value; 2] {
    let request = everything();
    let log = logged(config, |recorder| {
        recorder.record(&Exchange {
            status: StatusCode::CREATED,
            bytes_in: 17,
            queued: Some(Duration::from_micros(4_005)),
            ..exchange(&request)
        });
        recorder.record(&Exchange {
            received: None,
            endpoint: None,
            refused: Some(crate::server::observe::ProtoError::MissingHost),
            status: StatusCode::BAD_REQUEST,
            outcome: Outcome::Rejected,
            ..exchange(&request)
        });
    });
    assert!(!log.contains("s3cret"), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let [mut one, mut two]: [Value; 2] = lines.try_into().expect("two lines");
    for line in [&mut one, &mut two] {
        let time = line.as_object_mut().and_then(|line| line.remove(time)).expect("a time");
        assert_eq!(time.as_str().map(str::len), Some("2026-01-02T03:04:05.000006Z".len()));
    }
    [one, two]
}

#[test]
fn the_elastic_common_schema() {
    let config = Config { log_format: LogFormat::Ecs, ..Config::default() };
    let [created, refused] = two_lines(&config, "@timestamp");
    let expected = json!({
        "log.level": "info", "message": "POST /users/7 201", "ecs.version": "8.11.0",
        "event.kind": "event", "event.category": ["web"], "event.type": ["access"], "event.dataset": "rws.access",
        "event.outcome": "success", "event.duration": 123_000,
        "http.request.method": "POST", "http.request.id": "4d3f", "http.request.body.bytes": 17,
        "http.request.referrer": "https://[redacted]@example.com/",
        "http.response.status_code": 201, "http.response.body.bytes": 13, "http.version": "1.1",
        "url.path": "/users/7", "url.query": "page=2&token=[redacted]", "url.domain": "example.com", "url.port": 8080,
        "user_agent.original": "curl/8.5.0 \"x\"",
        "client.ip": "198.51.100.3", "source.ip": "192.0.2.7", "source.port": 40_000, "user.name": "ada \"l\"",
        "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736", "span.id": "00f067aa0ba902b7",
        "rws.route": "/users/{id}", "rws.outcome": "ok", "rws.queue_ms": 4.005,
    });
    assert_eq!(created, expected);
    let expected = json!({
        "log.level": "warn", "message": "no request 400", "ecs.version": "8.11.0",
        "event.kind": "event", "event.category": ["web"], "event.type": ["access"], "event.dataset": "rws.access",
        "event.outcome": "failure", "event.duration": 123_000,
        "http.request.body.bytes": 0, "http.response.status_code": 400, "http.response.body.bytes": 13,
        "client.ip": "192.0.2.7", "source.ip": "192.0.2.7", "source.port": 40_000,
        "rws.outcome": "rejected", "rws.reason": "the Host field is missing",
    });
    assert_eq!(refused, expected);
}

#[test]
fn structured_logging_of_google_cloud() {
    let config = Config { log_format: LogFormat::Gcp, log_gcp_project: "p-1".into(), ..Config::default() };
    let [created, refused] = two_lines(&config, "time");
    let expected = json!({
        "severity": "INFO", "message": "POST /users/7 201",
        "httpRequest": {
            "requestMethod": "POST", "requestUrl": "http://example.com:8080/users/7?page=2&token=[redacted]",
            "requestSize": "17", "status": 201, "responseSize": "13", "userAgent": "curl/8.5.0 \"x\"",
            "remoteIp": "198.51.100.3", "referer": "https://[redacted]@example.com/", "latency": "0.000123s",
            "protocol": "HTTP/1.1",
        },
        "logging.googleapis.com/trace": "projects/p-1/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "logging.googleapis.com/spanId": "00f067aa0ba902b7", "logging.googleapis.com/trace_sampled": true,
        "route": "/users/{id}", "outcome": "ok", "request_id": "4d3f", "user": "ada \"l\"", "remote_addr": "192.0.2.7:40000",
        "queue_ms": 4.005,
    });
    assert_eq!(created, expected);
    let expected = json!({
        "severity": "WARNING", "message": "no request 400",
        "httpRequest": {
            "requestSize": "0", "status": 400, "responseSize": "13", "remoteIp": "192.0.2.7", "latency": "0.000123s",
        },
        "outcome": "rejected", "reason": "the Host field is missing", "remote_addr": "192.0.2.7:40000",
    });
    assert_eq!(refused, expected);
    // Without a project there is only the id.
    let [created, _] = two_lines(&Config { log_format: LogFormat::Gcp, ..Config::default() }, "time");
    assert_eq!(created["logging.googleapis.com/trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

/// An object of JSON without any name twice, which `serde_json` would let pass.
fn names_once(line: &str) -> Value {
    use serde::de::{Deserializer, MapAccess, Visitor};
    struct Once;
    impl<'de> Visitor<'de> for Once {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut names = std::collections::HashSet::new();
            while let Some((name, _)) = map.next_entry::<String, Value>()? {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(line).deserialize_map(Once).expect("a JSON object");
    serde_json::from_str(line).expect("a JSON object")
}

proptest! {
    #[test]
    fn every_line_of_every_json_format_parses_whatever_bytes_the_client_sends(
        method in "[A-Z!#$%&'*+.^_`|~-]{1,10}",
        target in proptest::collection::vec(any::<u8>(), 0..60),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 5),
        old in any::<bool>(),
        status in 100..1000_u16,
        nanos in any::<u64>(),
    ) {
        let names = ["host", "user-agent", "referer", "traceparent", "x"];
        let fields: Vec<(&str, &[u8])> = names.into_iter().zip(values.iter().map(Vec::as_slice)).collect();
        let mut request = received(&method, &[b"/", &target[..]].concat(), &fields);
        request.head.version = if old { http::Version::HTTP_10 } else { http::Version::HTTP_11 };
        for log_format in [LogFormat::Json, LogFormat::Ecs, LogFormat::Gcp] {
            let log = logged(&Config { log_format, ..Config::default() }, |recorder| recorder.record(&Exchange {
                status: StatusCode::from_u16(status).expect("a status"),
                duration: Duration::from_nanos(nanos),
                ..exchange(&request)
            }));
            prop_assert!(log.ends_with('\n') && log.lines().count() == 1, "{:?}", log);
            let line = names_once(&log);
            let agent = match log_format {
                LogFormat::Ecs => &line["user_agent.original"],
                LogFormat::Gcp => &line["httpRequest"]["userAgent"],
                _ => &line["user_agent"],
            };
            prop_assert_eq!(agent, &json!(String::from_utf8_lossy(&values[1])));
        }
    }
}
