//! RATE_LIMIT_MAX_REQUESTS and RATE_LIMIT_WINDOW_SECS.

use std::time::Instant;

use serde_json::Value;

use crate::support::rws;
use crate::volume::Volume;
use crate::{ask, curl};

const PATH: &str = "/demo/plaintext";

#[test]
fn each_client_has_its_own_allowance_and_probes_have_no_limit() {
    let settings = [("RATE_LIMIT_MAX_REQUESTS", "3"), ("RATE_LIMIT_WINDOW_SECS", "3600")];
    let server = rws(&settings).start();
    for client in [[127, 0, 0, 2], [127, 0, 0, 3], [127, 9, 9, 9]] {
        let spoofed = "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8\r\n";
        let statuses: Vec<u16> = (0..5).map(|_| ask(&server, client, PATH, spoofed).status).collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429], "{client:?}");
    }
    let refused = ask(&server, [127, 0, 0, 2], "/no-such-page", "");
    assert_eq!(refused.status, 429);
    assert!(refused.field("retry-after").unwrap().parse::<u64>().unwrap().abs_diff(1200) <= 60);
    assert_eq!(refused.field("ratelimit-policy"), Some("\"default\";q=3;w=3600"));
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["status"], 429);
    for path in ["/healthz", "/readyz", "/metrics", "/livez"] {
        for _ in 0..5 {
            assert_eq!(ask(&server, [127, 0, 0, 2], path, "").status, 200, "{path}");
        }
    }
    assert_eq!(server.metric("rws_rate_limited_total"), 7.0);
}

#[test]
fn behind_a_trusted_proxy_its_clients_are_told_apart() {
    let settings = [("RATE_LIMIT_MAX_REQUESTS", "1"), ("TRUSTED_PROXIES", "127.0.0.2")];
    let server = rws(&settings).start();
    let behind = |proxy, client: &str| ask(&server, proxy, PATH, &format!("X-Forwarded-For: {client}\r\n")).status;
    assert_eq!([behind([127, 0, 0, 2], "192.0.2.1"), behind([127, 0, 0, 2], "192.0.2.2")], [200, 200]);
    assert_eq!(behind([127, 0, 0, 2], "6.6.6.6, 192.0.2.1"), 429, "what stands before was made up by the client");
    assert_eq!([behind([127, 0, 0, 2], "2001:db8::1"), behind([127, 0, 0, 2], "2001:db8::2")], [200, 429]);
    assert_eq!([behind([127, 0, 0, 3], "192.0.2.3"), behind([127, 0, 0, 3], "192.0.2.4")], [200, 429]);
}

#[test]
fn a_change_of_something_else_gives_nobody_a_new_allowance() {
    let mut volume = Volume::new(&[("RATE_LIMIT_MAX_REQUESTS", "2"), ("RATE_LIMIT_WINDOW_SECS", "3600")]);
    let mut server = rws(&[("DIR", volume.text())]).start();
    let statuses = |count| (0..count).map(|_| ask(&server, [127, 0, 0, 1], PATH, "").status).collect::<Vec<_>>();
    assert_eq!(statuses(3), [200, 200, 429]);
    volume.set("IDLE_TIMEOUT", "5s");
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    assert_eq!(ask(&server, [127, 0, 0, 1], PATH, "").status, 429);
    volume.set("RATE_LIMIT_MAX_REQUESTS", "3");
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    assert_eq!(ask(&server, [127, 0, 0, 1], PATH, "").status, 200);
    assert_eq!(server.metric("rws_rate_limited_total"), 2.0);
    volume.remove("RATE_LIMIT_MAX_REQUESTS");
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    for _ in 0..10 {
        assert_eq!(ask(&server, [127, 0, 0, 1], PATH, "").status, 200);
    }
    assert_eq!(server.metric("rws_rate_limited_total"), 2.0, "a counter never goes back");
}

#[test]
fn a_client_that_does_as_it_is_told_gets_through() {
    let server = rws(&[("RATE_LIMIT_MAX_REQUESTS", "1"), ("RATE_LIMIT_WINDOW_SECS", "2")]).start();
    let start = Instant::now();
    for _ in 0..2 {
        let Some(output) = curl(&server, &["--retry", "5", "-f"], PATH) else { return };
        assert!(output.status.success(), "{output:?}");
    }
    assert!(start.elapsed().as_secs_f64() > 1.5, "the second waited, {:?}", start.elapsed());
    let refused = server.metric("rws_rate_limited_total");
    assert!((1.0..=2.0).contains(&refused), "it came back at the right time, not {refused} times before");
}

#[test]
fn in_kubernetes_a_limit_without_trusted_proxies_is_worth_a_warning() {
    let limited = [("RATE_LIMIT_MAX_REQUESTS", "5"), ("MAX_CONNECTIONS_PER_IP", "100"), ("ALLOW_LOOPBACK", "true")];
    let warnings = |more: &[(&str, &str)], place: &str| {
        let settings = [&limited[..], more].concat();
        let mut server = rws(&settings).shell(&format!("{place} exec \"$RWS\"")).start();
        let lines = server.stderr.so_far();
        ["RATE_LIMIT_MAX_REQUESTS takes everybody", "PER_IP takes everybody", "PER_IP counts the kubelet's probes"]
            .map(|text| lines.iter().any(|line| line.contains("\"warn\"") && line.contains(text)))
    };
    let pod = "KUBERNETES_SERVICE_HOST=10.0.0.1";
    assert_eq!(warnings(&[], pod), [true; 3]);
    assert_eq!(warnings(&[("TRUSTED_PROXIES", "10.0.0.0/8")], pod), [false, false, true]);
    assert_eq!(warnings(&[("TRUSTED_PROXIES", "10.0.0.0/8"), ("ADMIN_PORT", "0")], pod), [false; 3]);
    assert_eq!(warnings(&[], ""), [false; 3]);
}
