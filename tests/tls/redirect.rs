//! The port that sends clients of plain HTTP to HTTPS.

use std::net::{SocketAddr, TcpListener};

use super::client::{authority, connect_with, usual};
use super::process::{Client, Server, Setup, Sig, run, rws};
use super::support::{request, until};

/// The binary with a redirect port.
fn redirecting(settings: &[(&str, &str)]) -> Setup {
    let (_, certificate, key) = authority();
    let own = [
        ("TLS_CERT_FILE", certificate.to_str().unwrap()),
        ("TLS_KEY_FILE", key.to_str().unwrap()),
        ("HTTP_REDIRECT_PORT", "0"),
    ];
    rws(&[&own[..], settings].concat())
}

/// Where its redirect port is, as it says.
fn plain(server: &mut Server) -> SocketAddr {
    let lines = server.stderr.so_far();
    let line = lines.iter().find(|line| line.contains("redirect port: ")).expect("it says where it listens");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["address"].as_str().unwrap().parse().unwrap()
}

#[test]
fn requests_are_sent_on_logged_and_counted() {
    let mut server = redirecting(&[]).start();
    let (plain, port) = (plain(&mut server), server.port);
    let mut client = Client::new(plain).unwrap();
    let cases = [
        ("GET /a?b=%20 HTTP/1.1\r\nHost: example.com:80\r\n\r\n", 308, format!("https://example.com:{port}/a?b=%20")),
        ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc", 308, format!("https://a.test:{port}/")),
        ("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", 308, format!("https://b.test:{port}/x")),
        ("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", 308, format!("https://a.test:{port}")),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 308, format!("https://[::1]:{port}/")),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, String::new()),
    ];
    for (bytes, status, location) in cases {
        let reply = client.ask(bytes).unwrap();
        assert_eq!((reply.status, reply.field("location").unwrap_or_default()), (status, location.as_str()), "{bytes}");
    }
    // Without a Host there is nothing to lead to; a line break in one is refused before.
    for bytes in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rLocation: b\r\n\r\n"] {
        let reply = Client::new(plain).unwrap().ask(bytes).unwrap();
        assert_eq!((reply.status, reply.field("location")), (400, None), "{bytes}");
    }
    let mut secured = connect_with(server.address(), usual());
    secured.send(request("GET", "/metrics", "Connection: close\r\n"));
    let metrics = secured.reply().text().to_owned();
    let counted = |line: &&str| line.contains("duration_seconds_count") && line.contains(r#"http_route="_redirect""#);
    assert!(metrics.lines().filter(counted).any(|line| line.contains("308")), "{metrics}");
    assert_eq!(server.stop(), 0);
    let logged = server.stdout.all_json();
    let line = logged.iter().find(|line| line["path"] == "/a").unwrap();
    assert_eq!(
        (&line["route"], &line["status"], &line["host"]),
        (&"_redirect".into(), &308.into(), &"example.com:80".into())
    );
}

#[test]
fn an_upload_is_sent_on_unless_the_https_port_would_refuse_it_too() {
    let mut server = redirecting(&[("MAX_BODY_SIZE_IN_BYTES", "200000")]).start();
    let plain = plain(&mut server);
    for (length, status) in [(65_536, 308), (65_537, 308), (200_000, 308), (200_001, 413)] {
        let head = format!("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
        let reply = Client::new(plain).unwrap().ask(&(head + &"x".repeat(length))).unwrap();
        assert_eq!(reply.status, status, "{length}");
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn it_leads_to_443_in_a_cluster_and_anywhere_by_setting() {
    let cases = [(None, "https://a.test/"), (Some("8443"), "https://a.test:8443/")];
    for (to, expected) in cases {
        let mut settings = vec![("ALLOW_LOOPBACK", "true"), ("DRAIN_DELAY", "0")];
        settings.extend(to.map(|to| ("HTTP_REDIRECT_TO_PORT", to)));
        let inside = r#"KUBERNETES_SERVICE_HOST=10.96.0.1 exec "$RWS""#;
        let mut server = redirecting(&settings).shell(inside).start();
        let plain = plain(&mut server);
        let reply = Client::new(plain).unwrap().ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        assert_eq!(reply.field("location"), Some(expected));
        assert_eq!(server.stop(), 0);
    }
}

#[test]
fn probes_and_tls_clients_there_are_told_where_to_go() {
    let mut server = redirecting(&[]).start();
    let plain = plain(&mut server);
    for _ in 0..2 {
        let probe = "GET /healthz HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nUser-Agent: kube-probe/1.31\r\n\r\n";
        assert_eq!(Client::new(plain).unwrap().ask(probe).unwrap().status, 308);
        let mut client = Client::new(plain).unwrap();
        client.send(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03").unwrap();
        client.read_to_end();
    }
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    for (reason, advice) in
        [("redirect", "with httpGet.scheme: HTTPS"), ("tls_on_plain_port", "that redirects plain HTTP")]
    {
        let said: Vec<_> = lines.iter().filter(|line| line["reason"] == reason).collect();
        assert!(said.len() == 1 && said[0]["msg"].as_str().unwrap().contains(advice), "{said:?}");
    }
}

#[test]
fn it_goes_on_while_the_server_drains_and_ends_with_it() {
    let mut server = redirecting(&[("DRAIN_DELAY", "20s")]).start();
    let plain = plain(&mut server);
    let ask = || Client::new(plain)?.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(!ask().unwrap().closes());
    server.signal(Sig::TERM);
    until("its answers close their connections", || ask().unwrap().closes());
    server.signal(Sig::TERM);
    assert_eq!(server.wait(super::process::PATIENCE), 0);
    assert!(ask().is_err());
}

#[test]
fn a_port_that_is_taken_ends_the_start_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (_, certificate, key) = authority();
    let output = run(
        &[],
        &[
            ("RWS_CONFIG_IP", "127.0.0.1"),
            ("RWS_CONFIG_PORT", "0"),
            ("RWS_CONFIG_TLS_CERT_FILE", certificate.to_str().unwrap()),
            ("RWS_CONFIG_TLS_KEY_FILE", key.to_str().unwrap()),
            ("RWS_CONFIG_HTTP_REDIRECT_PORT", &port),
        ],
    );
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("(RWS_CONFIG_HTTP_REDIRECT_PORT)"), "{said}");
}

/// A proxy that ended TLS and sends what came through it here would otherwise have its clients run in circles.
#[test]
fn a_loop_through_a_proxy_is_broken_and_told() {
    let mut server = redirecting(&[("TRUSTED_PROXIES", "127.0.0.1")]).start();
    let plain = plain(&mut server);
    let reply =
        Client::new(plain).unwrap().ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n").unwrap();
    assert_eq!(reply.status, 421);
    let reply =
        Client::new(plain).unwrap().ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n").unwrap();
    assert_eq!(reply.status, 308);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all();
    assert!(lines.iter().any(|line| line.contains("have it send them to RWS_CONFIG_PORT")), "{lines:?}");
}
