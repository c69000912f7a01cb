//! What operators are told: by the diagnosis of health checks that go astray, by the addresses of clients behind proxies,
//! by the formats of the logs.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Server, program, rws};

/// Asks with these fields, and returns the status.
fn ask(server: &Server, method: &str, path: &str, fields: &str) -> u16 {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n");
    server.connect().ask(request).unwrap().status
}

/// The next warning of the diagnosis.
fn warning(server: &mut Server) -> Value {
    let line = server.stderr.wait_for(|line| line.contains(r#""reason":"#));
    serde_json::from_str(&line).unwrap()
}

const KUBELET: &str = "User-Agent: kube-probe/1.31\r\n";

#[test]
fn a_probe_of_the_wrong_path_is_told_the_right_one_and_counted() {
    let settings = [("ROUTE_OLD", "/old -> redirect 308 /healthz"), ("READYZ_PATH", "/internal/ready")];
    let mut server = rws(&settings).start();
    for (method, path, status, reason, fix) in [
        ("GET", "/v2/health", 404, "not_found", "set livenessProbe.httpGet.path to /healthz"),
        ("GET", "/readyz", 404, "not_found", "set readinessProbe.httpGet.path to /internal/ready"),
        ("POST", "/healthz", 405, "method", "set livenessProbe.httpGet.path to /healthz"),
        ("GET", "/old", 308, "redirect", "follows redirects within the host only"),
        ("GET", "/demo/status/500", 500, "server_error", "a route of the application"),
        ("GET", "/metrics", 200, "metrics", "tell nothing about health"),
    ] {
        assert_eq!(ask(&server, method, path, KUBELET), status, "{path}");
        let line = warning(&mut server);
        let text = line["msg"].as_str().unwrap();
        assert!(text.starts_with(&format!("kubelet probes {method} {path}: {status}. ")), "{text}");
        assert!(text.contains(fix), "{text}");
        assert_eq!((line["level"].as_str(), line["reason"].as_str()), (Some("warn"), Some(reason)));
    }
    // The same once more is counted and not said again; what is right or comes from others is neither.
    assert_eq!(ask(&server, "GET", "/v2/health", KUBELET), 404);
    assert_eq!(ask(&server, "GET", "/internal/ready", KUBELET), 200);
    assert_eq!(ask(&server, "GET", "/v2/health", "User-Agent: curl/8.5.0\r\n"), 404);
    server.wait_for_metric(r#"rws_probe_misrouted_total{reason="not_found"}"#, 0.0);
    let text = server.get("/metrics").text();
    for (reason, count) in
        [("not_found", 3), ("method", 1), ("redirect", 1), ("server_error", 1), ("metrics", 1), ("auth", 0)]
    {
        let line = format!("rws_probe_misrouted_total{{reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert_eq!(server.stop(), 0);
    let said = server.stderr.all().iter().filter(|line| line.contains(r#""reason":"#)).count();
    assert_eq!(said, 6);
}

#[test]
fn other_protocols_are_recognised_and_answered_so_that_clients_can_tell() {
    let mut server = rws(&[]).start();
    // Go, and so the kubelet, looks for these five bytes and says "server gave HTTP response to HTTPS client".
    let mut client = server.connect();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    assert!(client.read_to_end().starts_with(b"HTTP/"));
    let line = warning(&mut server);
    assert_eq!(line["reason"], "tls_on_plain_port");
    assert!(line["msg"].as_str().unwrap().contains("set scheme: HTTP"), "{line}");

    let mut client = server.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let reply = client.read_to_end();
    // SETTINGS, then GOAWAY with HTTP_1_1_REQUIRED and a reason.
    assert!(reply.starts_with(b"\0\0\0\x04\0\0\0\0\0") && reply.ends_with(b"use HTTP/1.1"), "{reply:?}");
    assert_eq!(reply[12..26], *b"\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d");
    assert_eq!(warning(&mut server)["reason"], "http2");

    let mut client = server.connect();
    client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(client.read_reply().unwrap().status, 400);
    assert_eq!(warning(&mut server)["reason"], "proxy_protocol");
    assert_eq!(server.stop(), 0);
    let logged: Vec<Value> = server.stdout.all_json();
    let reasons: Vec<_> = logged.iter().filter_map(|line| line["reason"].as_str()).collect();
    assert_eq!(reasons.len(), 3, "{logged:#?}");
}

#[test]
fn curl_understands_why_there_is_no_http2() {
    let Some(curl) = program("curl") else { return };
    let server = rws(&[]).start();
    let url = format!("http://127.0.0.1:{}/", server.port);
    let output = Command::new(curl).args(["-sS", "-v", "--http2-prior-knowledge", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("does not support this") || said.contains("unsupported") {
        return eprintln!("SKIPPED: this curl has no HTTP/2");
    }
    assert!(!output.status.success() && (said.contains("HTTP_1_1_REQUIRED") || said.contains("error=13")), "{said}");
}

#[test]
fn the_client_behind_trusted_proxies_is_logged_and_known_to_handlers() {
    let mut server = rws(&[("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8")]).start();
    for (fields, client) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.2\r\n", "192.0.2.7"),
        ("Forwarded: for=\"[2001:db8::1]:80\"\r\n", "2001:db8::1"),
        ("Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n", "127.0.0.1"),
        ("X-Forwarded-For: nonsense\r\n", "127.0.0.1"),
    ] {
        assert_eq!(ask(&server, "GET", "/demo/plaintext", fields), 200);
        let line: Value = serde_json::from_str(&server.stdout.wait_for(|_| true)).unwrap();
        assert_eq!(line["client_ip"], client, "{fields}");
        assert!(line["remote_addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    let mut alone = rws(&[]).start();
    assert_eq!(ask(&alone, "GET", "/demo/plaintext", "X-Forwarded-For: 192.0.2.7\r\n"), 200);
    let line: Value = serde_json::from_str(&alone.stdout.wait_for(|_| true)).unwrap();
    assert_eq!(line["client_ip"], "127.0.0.1");
    let output = crate::support::run(&[], &[("RWS_CONFIG_TRUSTED_PROXIES", "10.0.0.0/33")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("CIDR"));
}

#[test]
fn a_panic_names_the_request_it_happened_in() {
    let mut server = rws(&[]).start();
    assert_eq!(ask(&server, "GET", "/demo/panic", "X-Request-Id: abc-1\r\n"), 500);
    let line: Value = serde_json::from_str(&server.stderr.wait_for(|line| line.contains("panic: "))).unwrap();
    assert_eq!(line["request_id"], "abc-1");
}

#[test]
fn the_formats_of_elastic_and_google_have_their_names_in_both_logs() {
    for (format, time, level) in [("ecs", "@timestamp", "log.level"), ("gcp", "time", "severity")] {
        let mut server = rws(&[("LOG_FORMAT", format)]).start();
        assert_eq!(ask(&server, "GET", "/demo/plaintext", ""), 200);
        let mut client = server.connect();
        client.send(b"nonsense\r\n\r\n").unwrap();
        assert_eq!(client.read_reply().unwrap().status, 400);
        assert_eq!(server.stop(), 0);
        let (access, diagnostics) = (server.stdout.all_json(), server.stderr.all_json());
        assert_eq!(access.len(), 2);
        assert!(!diagnostics.is_empty());
        for line in access.iter().chain(&diagnostics) {
            assert!(line[time].is_string() && line[level].is_string() && line["message"].is_string(), "{line}");
        }
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_what_a_server_exposes() {
    let Some(promtool) = program("promtool") else { return };
    let server = rws(&[]).start();
    assert_eq!(server.get("/demo/plaintext").status, 200);
    let text = server.get("/metrics").body;
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(&text).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn a_scrape_can_be_asked_for_its_head_and_for_either_format() {
    let server = rws(&[]).start();
    let scrape = |method: &str, fields: &str| {
        let mut client = server.connect();
        client.send(format!("{method} /metrics HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n")).unwrap();
        String::from_utf8_lossy(&client.read_to_end()).into_owned()
    };
    let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
    let reply = scrape("GET", open);
    assert!(reply.contains("application/openmetrics-text; version=1.0.0") && reply.ends_with("# EOF\n"), "{reply}");
    assert!(reply.contains("# TYPE rws_handoffs counter\n") && reply.contains("\nrws_handoffs_total 0\n"), "{reply}");
    let head = scrape("HEAD", open);
    assert!(head.contains("application/openmetrics-text") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(scrape("GET", "").contains("\n# TYPE rws_handoffs_total counter\n"));
}
