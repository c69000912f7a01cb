use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::subscriber::with_default;

use super::*;
use crate::ops::diagnostics::subscriber;
use crate::ops::log_writer::tests::collect;
use crate::ops::telemetry::tests::{exchange, received};

/// The warnings about what `look` is shown.
fn warnings(config: &Config, look: impl FnOnce(&Diagnosis)) -> Vec<Value> {
    let diagnosis = Diagnosis::new(config, Arc::default());
    let log = collect(|handle| with_default(subscriber(&Config::default(), handle).0, || look(&diagnosis)));
    log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// A request by `agent` that was answered with `status`.
fn asked(agent: &str, method: &str, path: &str, kind: EndpointKind, status: u16) -> Vec<Value> {
    let request = received(method, path.as_bytes(), &[("host", b"10.1.2.3:7878"), ("User-Agent", agent.as_bytes())]);
    let status = StatusCode::from_u16(status).expect("a status");
    warnings(&Config::default(), |diagnosis| {
        if Diagnosis::may_concern(kind, status) {
            diagnosis.look(kind, &Exchange { status, ..exchange(&request) });
        }
    })
}

const KUBELET: &str = "kube-probe/1.31";
const PROBES: &str = "This server's probes are /healthz (liveness), /readyz (readiness), /startupz (startup)";

#[test]
fn a_kubelet_that_asks_for_the_wrong_path_is_told_the_right_one() {
    use EndpointKind::{Metrics, Probe, Route};
    let live = "set livenessProbe.httpGet.path to /healthz";
    let general = "set livenessProbe.httpGet.path to /healthz, or that of a readinessProbe to /readyz";
    let ready = "set readinessProbe.httpGet.path to /readyz";
    let all = "set livenessProbe.httpGet.path to /healthz, readinessProbe.httpGet.path to /readyz, \
               startupProbe.httpGet.path to /startupz";
    let cases = [
        ("/v2/health", Route, 404, "not_found", String::new(), general),
        ("/health/live", Route, 404, "not_found", String::new(), live),
        ("/health/ready", Route, 404, "not_found", String::new(), ready),
        ("/healthz/", Route, 404, "not_found", "There is no slash at the end of its path. ".into(), live),
        ("/ReadyZ", Route, 404, "not_found", "Paths are case-sensitive. ".into(), ready),
        ("/", Route, 404, "not_found", String::new(), all),
        ("/readyz/nonsense", Probe, 404, "not_found", String::new(), ready),
        ("/healthz", Probe, 405, "method", "Probes are asked with GET or HEAD. ".into(), live),
        ("/ready", Route, 403, "auth", "A health check has no credentials, and this server's own probes ask for none. ".into(), ready),
        (
            "/health",
            Route,
            308,
            "redirect",
            "A kubelet follows redirects within the host only, and takes one to another host for success, so this probe \
             says nothing about the server. "
                .into(),
            general,
        ),
        ("/live", Route, 400, "client_error", String::new(), live),
        (
            "/live",
            Route,
            500,
            "server_error",
            "That path is a route of the application and not one of this server's probes. ".into(),
            live,
        ),
        ("/metrics", Metrics, 200, "metrics", "Metrics are costly to gather and tell nothing about health. ".into(), all),
    ];
    for (path, kind, status, reason, why, fix) in cases {
        let lines = asked(KUBELET, "GET", path, kind, status);
        let [line] = &lines[..] else { panic!("{path}: {lines:?}") };
        assert_eq!(line["msg"], format!("kubelet probes GET {path}: {status}. {why}{PROBES}; {fix}"));
        assert_eq!(
            (&line["level"], &line["reason"], &line["status"]),
            (&"warn".into(), &reason.into(), &status.into())
        );
    }
}

#[test]
fn what_is_as_it_should_be_is_not_worth_a_word() {
    use EndpointKind::{Metrics, Probe, Route};
    for (agent, path, kind, status) in [
        (KUBELET, "/readyz", Probe, 200),
        (KUBELET, "/readyz", Probe, 503),
        (KUBELET, "/readyz", Probe, 400),
        (KUBELET, "/", Route, 200),
        (KUBELET, "/", Route, 304),
        ("curl/8.5.0", "/healthz/", Route, 404),
        ("not kube-probe/1.31", "/healthz/", Route, 404),
        ("Prometheus/2.42.0", "/metrics", Metrics, 200),
        ("", "/nothing", Route, 404),
    ] {
        assert_eq!(asked(agent, "GET", path, kind, status), [Value::Null; 0], "{agent} {path} {status}");
    }
}

#[test]
fn load_balancers_are_told_where_their_path_is_set() {
    let cases = [
        ("GoogleHC/1.0", "Google's load balancer checks", "requestPath"),
        ("ELB-HealthChecker/2.0", "AWS's load balancer checks", "healthcheck-path"),
        ("Load Balancer Agent", "Azure's load balancer checks", "health-probe-request-path"),
        ("Envoy/HC", "Envoy checks", "http_health_check.path"),
        ("Consul Health Check", "Consul checks", "the URL of its health check"),
    ];
    for (agent, does, setting) in cases {
        let lines = asked(agent, "GET", "/health/live", EndpointKind::Route, 404);
        let text = lines[0]["msg"].as_str().expect("a text");
        assert!(text.starts_with(&format!("{does} GET /health/live: 404. ")), "{text}");
        // Whether to send traffic is what readiness says.
        assert!(text.contains(setting) && text.ends_with(" to /readyz"), "{text}");
    }
}

#[test]
fn a_health_check_of_haproxy_is_known_by_its_shape() {
    let mut request = received("OPTIONS", b"/", &[]);
    request.head.version = http::Version::HTTP_10;
    let status = StatusCode::NOT_FOUND;
    let look = |request: &Received| {
        warnings(&Config::default(), |diagnosis| {
            diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(request) });
        })
    };
    assert!(look(&request)[0]["msg"].as_str().is_some_and(|text| text.contains("option httpchk")));
    assert_eq!(look(&received("OPTIONS", b"/", &[])), [Value::Null; 0]);
}

#[test]
fn a_scrape_of_metrics_that_were_moved_is_told_where_they_are() {
    let config = Config { metrics_path: "/internal/metrics".into(), ..Config::default() };
    let scrape = received("GET", b"/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", b"10")]);
    let status = StatusCode::NOT_FOUND;
    let lines = warnings(&config, |diagnosis| {
        diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(&scrape) });
    });
    assert_eq!(
        lines[0]["msg"],
        "Prometheus scrapes GET /metrics: 404. The metrics are at /internal/metrics; set that where it is scraped \
         (ServiceMonitor: endpoints.path and port, annotations: prometheus.io/path and /port)"
    );
    let config = Config { admin_port: Some(9090), ..Config::default() };
    let lines = warnings(&config, |diagnosis| {
        diagnosis.look(EndpointKind::Metrics, &Exchange { status, ..exchange(&scrape) });
    });
    assert!(lines[0]["msg"].as_str().is_some_and(|text| text.contains("at /metrics on the admin port 9090")));
    assert_eq!(lines[0]["reason"], "scrape");
}

#[test]
fn a_host_with_another_port_is_a_hint() {
    let request = received("GET", b"/health", &[("host", b"10.1.2.3:8080"), ("User-Agent", KUBELET.as_bytes())]);
    let status = StatusCode::NOT_FOUND;
    let look = |config: &Config| {
        warnings(config, |diagnosis| {
            diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(&request) });
        })[0]["msg"]
            .as_str()
            .is_some_and(|text| text.ends_with(". Its Host names port 8080, while this server listens on 7878"))
    };
    assert!(look(&Config::default()));
    assert!(!look(&Config { port: 8080, ..Config::default() }));
    assert!(!look(&Config { port: 0, ..Config::default() }));
}

#[test]
fn clients_that_speak_something_else_are_named() {
    let request = received("GET", b"/", &[]);
    let status = StatusCode::BAD_REQUEST;
    for (refused, reason, says) in [
        (ProtoError::TlsOnPlainPort, "tls_on_plain_port", "scheme: HTTP"),
        (ProtoError::PlainOnTlsPort, "plain_on_tls_port", "set httpGet.scheme: HTTPS"),
        (ProtoError::Http2Preface, "http2", "httpGet in place of grpc"),
        (ProtoError::ProxyProtocol, "proxy_protocol", "RWS_CONFIG_TRUSTED_PROXIES"),
    ] {
        let refused = Exchange { received: None, refused: Some(refused), endpoint: None, status, ..exchange(&request) };
        let lines = warnings(&Config::default(), |diagnosis| {
            diagnosis.look(EndpointKind::Route, &refused);
            diagnosis.look(EndpointKind::Route, &refused);
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line["msg"].as_str().is_some_and(|text| text.contains(says) && text.contains("192.0.2.7")), "{line}");
        assert_eq!(line["reason"], reason);
    }
    let bad = Some(ProtoError::BadMethod);
    let refused = Exchange { received: None, refused: bad, endpoint: None, status, ..exchange(&request) };
    assert_eq!(
        warnings(&Config::default(), |diagnosis| diagnosis.look(EndpointKind::Route, &refused)),
        [Value::Null; 0]
    );
}

#[test]
fn a_tls_client_of_the_admin_port_is_not_told_to_turn_tls_on() {
    let config = Config { port: 9090, admin_port: Some(9090), ..Config::default() };
    let (request, refused) = (received("GET", b"/", &[]), Some(ProtoError::TlsOnPlainPort));
    let status = StatusCode::BAD_REQUEST;
    let refused = Exchange { received: None, refused, endpoint: None, status, ..exchange(&request) };
    let lines = warnings(&config, |diagnosis| diagnosis.look(EndpointKind::Route, &refused));
    let text = lines[0]["msg"].as_str().expect("a text");
    assert!(text.contains("the admin port 9090") && !text.contains("TLS_CERT_FILE"), "{text}");
}

#[test]
fn everything_is_counted_and_little_is_said() {
    let misrouted = Arc::<Misrouted>::default();
    let diagnosis = Diagnosis::new(&Config::default(), Arc::clone(&misrouted));
    let status = StatusCode::NOT_FOUND;
    let log = collect(|handle| {
        with_default(subscriber(&Config::default(), handle).0, || {
            for path in 0..1000 {
                let target = format!("/path/{path}?secret=1");
                let request = received("GET", target.as_bytes(), &[("user-agent", KUBELET.as_bytes())]);
                diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(&request) });
            }
        });
    });
    assert_eq!(misrouted.count(Reason::NotFound), 1000);
    assert!((2..100).contains(&log.lines().count()), "{} lines", log.lines().count());
    assert!(!log.contains("secret"));
}

#[test]
fn each_of_two_probers_of_one_path_is_told_where_its_own_is_set() {
    let status = StatusCode::NOT_FOUND;
    let lines = warnings(&Config::default(), |diagnosis| {
        for agent in [KUBELET, "GoogleHC/1.0", "ELB-HealthChecker/2.0", KUBELET] {
            let request = received("GET", b"/health", &[("user-agent", agent.as_bytes())]);
            diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(&request) });
        }
    });
    let said: Vec<_> = lines.iter().map(|line| line["msg"].as_str().expect("a text")).collect();
    let [kubelet, google, aws] = &said[..] else { panic!("{said:?}") };
    assert!(kubelet.contains("livenessProbe") && google.contains("BackendConfig") && aws.contains("alb.ingress"));
}

#[test]
fn made_up_paths_do_not_hide_a_client_that_speaks_tls() {
    let lines = warnings(&Config::default(), |diagnosis| {
        let status = StatusCode::NOT_FOUND;
        for path in 0..1000 {
            let request = received("GET", format!("/{path}").as_bytes(), &[("user-agent", KUBELET.as_bytes())]);
            diagnosis.look(EndpointKind::Route, &Exchange { status, ..exchange(&request) });
        }
        let (request, refused) = (received("GET", b"/", &[]), Some(ProtoError::TlsOnPlainPort));
        let refused = Exchange { received: None, refused, endpoint: None, status, ..exchange(&request) };
        diagnosis.look(EndpointKind::Route, &refused);
    });
    assert_eq!(lines.last().expect("a line")["reason"], "tls_on_plain_port");
}

#[test]
fn a_long_path_is_cut_and_a_hostile_one_stays_on_its_line() {
    let path = format!("/{}\"\\\u{7f}", "x".repeat(5000));
    let lines = asked(KUBELET, "GET", &path, EndpointKind::Route, 404);
    assert!(lines[0]["msg"].as_str().expect("a text").len() < 1000);
}

#[test]
fn a_minute_later_it_is_said_again_with_how_often_it_has_occurred() {
    let request = received("GET", b"/health", &[("User-Agent", KUBELET.as_bytes())]);
    let status = StatusCode::NOT_FOUND;
    let lines = warnings(&Config::default(), |diagnosis| {
        for seconds in [0, 10, 20, 60, 70] {
            let now = request.at + Duration::from_secs(seconds);
            diagnosis.look(EndpointKind::Route, &Exchange { status, now, ..exchange(&request) });
        }
    });
    let repeated: Vec<_> = lines.iter().map(|line| line["repeated"].as_u64()).collect();
    assert_eq!(repeated, [Some(1), Some(3)]);
}
