//! How the process starts, or refuses to.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{RWS, Setup, json_lines, run, rws};

const BROKEN: [(&str, &str); 3] =
    [("RWS_CONFIG_PORT", "banana"), ("RWS_CONFIG_THREAD_COUNT", "0"), ("RWS_CONFIG_LOG_FROMAT", "json")];

fn said(lines: &[Value], needles: &[&str]) -> bool {
    lines.iter().map(Value::to_string).any(|line| needles.iter().all(|needle| line.contains(needle)))
}

#[test]
fn every_error_is_told_at_once_and_as_json() {
    let output = run(&[], &BROKEN);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "stdout belongs to the access log");
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["RWS_CONFIG_PORT", "banana", "65535", "7878", r#""error""#]), "{lines:#?}");
    assert!(said(&lines, &["RWS_CONFIG_THREAD_COUNT", "from 1", r#""error""#]), "{lines:#?}");
    assert!(said(&lines, &["RWS_CONFIG_LOG_FROMAT", "RWS_CONFIG_LOG_FORMAT", r#""warn""#]), "{lines:#?}");
}

#[test]
fn strict_makes_an_unknown_name_an_error() {
    let unknown = ("RWS_CONFIG_LOG_FROMAT", "json");
    let output = run(&[], &[unknown, ("RWS_CONFIG_STRICT", "true")]);
    assert_eq!(output.status.code(), Some(2));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["RWS_CONFIG_LOG_FROMAT", "RWS_CONFIG_LOG_FORMAT", r#""error""#]), "{lines:#?}");
}

#[test]
fn without_strict_an_unknown_name_is_a_warning_and_the_server_serves() {
    let mut server = rws(&[("LOG_FROMAT", "json")]).start();
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    assert!(said(&lines, &["RWS_CONFIG_LOG_FROMAT", "RWS_CONFIG_LOG_FORMAT", r#""warn""#]), "{lines:#?}");
}

#[test]
fn a_port_in_use_is_told_with_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["--port", &port, "--ip", "127.0.0.1"], &[]);
    assert_eq!(output.status.code(), Some(3));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &[&format!("127.0.0.1:{port}"), "RWS_CONFIG_PORT", r#""error""#]), "{lines:#?}");
}

#[test]
fn an_address_that_is_not_ours_is_told_with_advice() {
    let output = run(&["--ip", "192.0.2.1", "--port", "0"], &[]);
    assert_eq!(output.status.code(), Some(3));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["192.0.2.1", "RWS_CONFIG_IP=0.0.0.0"]), "{lines:#?}");
}

#[test]
fn loopback_inside_kubernetes_is_refused_and_the_outage_is_named() {
    let inside = [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("RWS_CONFIG_IP", "127.0.0.1"), ("RWS_CONFIG_PORT", "0")];
    let output = run(&[], &inside);
    assert_eq!(output.status.code(), Some(2));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["RWS_CONFIG_IP", "probes", "0.0.0.0", "RWS_CONFIG_ALLOW_LOOPBACK"]), "{lines:#?}");
}

#[test]
fn a_service_link_is_no_port() {
    let link = [("RWS_CONFIG_PORT", "tcp://10.96.0.7:80"), ("RWS_CONFIG_THREAD_COUNT", "many")];
    let output = run(&[], &link);
    assert_eq!(output.status.code(), Some(2));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["enableServiceLinks: false"]), "{lines:#?}");
    assert!(said(&lines, &["RWS_CONFIG_THREAD_COUNT", "many"]), "{lines:#?}");
}

#[test]
fn a_static_directory_that_is_none_is_told() {
    let output = run(&["--static-dir", "/nonexistent/rws", "--port", "0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let lines = json_lines(&output.stderr);
    assert!(said(&lines, &["RWS_CONFIG_STATIC_DIR", "/nonexistent/rws"]), "{lines:#?}");
}

#[test]
fn routes_that_clash_are_told_before_anything_listens() {
    let clash = [("RWS_CONFIG_ROUTE_A", "GET /healthz -> respond 200 text/plain mine"), ("RWS_CONFIG_PORT", "0")];
    let output = run(&[], &clash);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&json_lines(&output.stderr), &["/healthz"]));
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = run(&["--help"], &BROKEN);
    assert_eq!(help.status.code(), Some(0), "help does not depend on the configuration");
    let text = String::from_utf8(help.stdout).unwrap();
    for word in ["RWS_CONFIG_", "--port", "--set", "Examples", "Exit codes"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(help.stderr.is_empty());
    let version = run(&["--version"], &[]);
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("rws {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn arguments_that_mean_nothing_end_with_2() {
    for arguments in [&["--prot", "80"][..], &["--set", "PORT"], &["serv"], &["--set", "PROT=80", "--port", "0"]] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_command_line_wins_over_the_environment() {
    // The shell passes the arguments on; the environment says something else, which is not even looked at.
    let setup = |arguments: &str, settings: &[(&str, &str)]| -> Setup {
        rws(settings).shell(&format!(r#"RWS_CONFIG_PORT=banana exec "$RWS" {arguments}"#))
    };
    let mut server = setup("--port 0", &[]).start();
    assert_eq!(server.get("/demo/plaintext").text(), "Hello, World!");
    assert_eq!(server.stop(), 0);
    let mut server = setup("serve --set PORT=0 --set RWS_CONFIG_DEMO_ROUTES=false", &[("DEMO_ROUTES", "true")]).start();
    assert_eq!(server.get("/demo/plaintext").status, 404);
    assert_eq!(server.stop(), 0);
    assert!(!RWS.is_empty());
}
