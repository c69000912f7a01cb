//! The binary, and what curl and openssl think of it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::client::{Authority, TlsClient, authority, connect_with, usual};
use super::process::{PATIENCE, Server, Setup, Sig, clean, json_lines, program, run, rws};
use super::support::{get_of, request};

/// The binary with the certificate that everybody trusts here.
fn secured(settings: &[(&str, &str)]) -> Setup {
    let (_, certificate, key) = authority();
    let files = [("TLS_CERT_FILE", text(certificate)), ("TLS_KEY_FILE", text(key))];
    rws(&[&files[..], settings].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn connect(server: &Server) -> TlsClient {
    connect_with(server.address(), usual())
}

/// What a metric says.
fn metric(server: &Server, line: &str) -> f64 {
    let mut client = connect(server);
    client.send(request("GET", "/metrics", "Connection: close\r\n"));
    let reply = client.reply();
    let value = reply.text().lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {line} in {}", reply.text()))
}

#[test]
fn the_binary_speaks_https_and_shows_when_the_certificate_expires() {
    let mut server = secured(&[]).start();
    let mut client = connect(&server);
    for (path, body) in [("/demo/plaintext", "Hello, World!"), ("/readyz", "ok"), ("/readyz/tls-cert", "ok")] {
        client.send(get_of(path));
        let reply = client.reply();
        assert_eq!((reply.status, reply.text().trim_end()), (200, body));
    }
    drop(client);
    let expires = metric(&server, r#"rws_tls_cert_not_after_timestamp_seconds{cert="default"}"#);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(expires > now, "{expires}");
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    let line = lines.iter().find(|line| line["msg"] == "HTTPS").expect("a line about the certificate");
    assert_eq!(line["names"], "localhost, 127.0.0.1");
    assert!(!lines.iter().any(|line| line["level"] == "warn" || line["level"] == "error"), "{lines:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_with_its_reason() {
    let (authority, certificate, key) = authority();
    let nothing = authority.write("nothing", "");
    let cases = [
        (text(certificate), "/no/such/key", "RWS_CONFIG_TLS_KEY_FILE: /no/such/key does not exist: mount the Secret"),
        ("/no/such/tls.crt", text(key), "RWS_CONFIG_TLS_CERT_FILE: /no/such/tls.crt does not exist: mount the Secret"),
        (text(&nothing), text(key), "is empty"),
        (text(certificate), text(certificate), "holds a certificate and no private key"),
        (text(certificate), "", "must be set as well, since RWS_CONFIG_TLS_CERT_FILE is"),
    ];
    for (certificate, key, expected) in cases {
        let settings =
            [("RWS_CONFIG_PORT", "0"), ("RWS_CONFIG_TLS_CERT_FILE", certificate), ("RWS_CONFIG_TLS_KEY_FILE", key)];
        let output = run(&[], &settings);
        assert_eq!(output.status.code(), Some(2), "{expected}");
        let lines = json_lines(&output.stderr);
        let errors: Vec<&str> =
            lines.iter().filter(|line| line["level"] == "error").filter_map(|line| line["msg"].as_str()).collect();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{errors:?}");
    }
}

/// Those who do not look at dates are served; those who look are told by the log why they fail.
#[test]
fn an_expired_certificate_is_served_and_said_to_be_an_error() {
    let old = Authority::new("an old authority");
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let (certificate, key) = old.issue(|params| params.not_after = (SystemTime::now() - year).into());
    let (certificate, key) = (old.write("tls.crt", certificate), old.write("tls.key", key));
    let mut server = rws(&[("TLS_CERT_FILE", text(&certificate)), ("TLS_KEY_FILE", text(&key))]).start();
    if program("curl").is_some() {
        let url = format!("https://localhost:{}/healthz", server.port);
        assert_eq!(curl(&["--insecure", &url]).stdout, b"ok");
        let url = format!("https://localhost:{}/readyz", server.port);
        let answer = String::from_utf8(curl(&["--insecure", "--fail", &url]).stdout).unwrap();
        assert!(answer.contains("[~]tls-cert degraded: the TLS certificate expired 365 days ago"), "{answer}");
    }
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    let said: Vec<_> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert!(said.len() == 1 && said[0]["msg"].as_str().unwrap().contains("expired 365 days ago"), "{said:?}");
}

#[test]
fn what_goes_wrong_is_said_once_a_minute_and_counted_each_time() {
    let mut server = secured(&[]).start();
    for agent in ["kube-probe/1.31", "curl/8"] {
        for _ in 0..3 {
            let get = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n");
            let reply = server.connect().ask(get).unwrap();
            assert!(reply.status == 400 && reply.text().contains("a port that speaks HTTPS"));
        }
    }
    for _ in 0..3 {
        let mut client = server.connect();
        client.send(b"\x16\x03\x01\x00\x05hello").unwrap();
        client.read_to_end();
    }
    assert_eq!(metric(&server, r#"rws_probe_misrouted_total{reason="plain_on_tls_port"}"#), 6.0);
    assert_eq!(metric(&server, r#"rws_connection_errors_total{kind="tls_handshake"}"#), 3.0);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    for expected in ["set httpGet.scheme: HTTPS", "TLS handshakes failed"] {
        let said = lines.iter().filter(|line| line["msg"].as_str().unwrap().contains(expected));
        assert_eq!(said.filter(|line| line["level"] == "warn").count(), 1, "{expected}: {lines:?}");
    }
}

/// A proxy or a gRPC probe is told what to change, and not to ask for the scheme HTTPS.
#[test]
fn what_is_neither_tls_nor_http_1_is_named() {
    let mut server = secured(&[]).start();
    let cases: [(&[u8], &[u8], &str, &str); 3] = [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"PROXY protocol", "proxy_protocol", "RWS_CONFIG_TRUSTED_PROXIES"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", b"PROXY protocol", "proxy_protocol", "RWS_CONFIG_TRUSTED_PROXIES"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"use HTTP/1.1", "http2", "use httpGet in place of grpc"),
    ];
    for (bytes, answer, _, _) in cases {
        let mut client = server.connect();
        client.send(bytes).unwrap();
        let answered = client.read_to_end();
        assert!(answered.windows(answer.len()).any(|window| window == answer), "{}", answered.escape_ascii());
    }
    assert_eq!(metric(&server, r#"rws_probe_misrouted_total{reason="proxy_protocol"}"#), 2.0);
    assert_eq!(metric(&server, r#"rws_probe_misrouted_total{reason="http2"}"#), 1.0);
    assert_eq!(metric(&server, r#"rws_probe_misrouted_total{reason="plain_on_tls_port"}"#), 0.0);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    for (_, _, reason, advice) in cases {
        let said =
            |line: &&serde_json::Value| line["reason"] == reason && line["msg"].as_str().unwrap().contains(advice);
        assert_eq!(lines.iter().filter(said).count(), 1, "{reason}: {lines:?}");
    }
}

/// C4 with TLS: whoever has sent a request before it knew better gets its answer, and nobody sees a reset.
#[test]
fn a_drain_under_load_loses_nothing() {
    let mut server = secured(&[("DRAIN_DELAY", "300ms"), ("REACTOR_COUNT", "2")]).start();
    let (address, over, served) = (server.address(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|i| {
            let (over, served) = (over.clone(), served.clone());
            let keeps_alive = i % 2 == 0;
            thread::spawn(move || -> Vec<String> {
                let mut lost = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let Ok(tcp) = std::net::TcpStream::connect_timeout(&address, PATIENCE) else { break };
                    let stream = super::support::Client::of(tcp).stream;
                    let session = super::client::session(usual());
                    let mut client = super::client::over(session, stream);
                    loop {
                        let fields = if keeps_alive { "" } else { "Connection: close\r\n" };
                        let answer = client
                            .try_send(request("GET", "/demo/delay/1", fields))
                            .and_then(|()| client.try_reply("GET"));
                        match answer {
                            Ok(reply) if reply.status == 200 => {
                                served.fetch_add(1, Ordering::SeqCst);
                                if reply.closes() {
                                    client.expect_end();
                                    break;
                                }
                            }
                            Ok(reply) => lost.push(format!("{}", reply.status)),
                            Err(error) => {
                                lost.push(error.to_string());
                                break;
                            }
                        }
                    }
                }
                lost
            })
        })
        .collect();
    super::support::until("there is load", || served.load(Ordering::SeqCst) > 200);
    server.signal(Sig::TERM);
    let code = server.wait(PATIENCE);
    over.store(true, Ordering::SeqCst);
    let lost: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!((code, lost), (0, Vec::<String>::new()));
}

/// F6 with TLS: the session's keys are rustls', and no buffer is kept.
#[test]
fn an_idle_connection_costs_little() {
    const COUNT: u64 = 300;
    let server = secured(&[("REACTOR_COUNT", "1")]).start();
    let open = |count| -> Vec<TlsClient> {
        (0..count)
            .map(|_| {
                let mut client = connect(&server);
                client.send(get_of("/demo/bytes/50000"));
                assert_eq!(client.reply().body.len(), 50_000);
                client
            })
            .collect()
    };
    let mut clients = open(50);
    let before = server.resident_kib();
    clients.extend(open(COUNT));
    let each = server.resident_kib().saturating_sub(before) * 1024 / COUNT;
    assert!(each <= 8 * 1024, "{each} bytes for an idle connection");
    drop(clients);
}

/// Whoever reads a large response more slowly than it is made has the server hold no more of it than there is room for.
#[test]
fn a_large_response_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::File::create(dir.path().join("large")).unwrap().set_len(60_000_000).unwrap();
    let server = secured(&[("REACTOR_COUNT", "1"), ("STATIC_DIR", text(dir.path()))]).start();
    let mut client = connect(&server);
    client.send(get_of("/demo/bytes/1000"));
    client.reply();
    let before = server.resident_kib();
    client.send(get_of("/large"));
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..50 {
        client.stream.read_exact(&mut buffer).unwrap();
    }
    let more = server.resident_kib().saturating_sub(before);
    assert!(more <= 8 * 1024, "{more} KiB");
}

fn curl(arguments: &[&str]) -> Output {
    let mut command = clean("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]).args(arguments);
    command.output().unwrap()
}

#[test]
fn curl_is_content() {
    if program("curl").is_none() {
        return;
    }
    let server = secured(&[]).start();
    let (authority, ..) = authority();
    let (ca, base) = (authority.path(), format!("https://localhost:{}", server.port));
    let trusting = |arguments: &[&str]| curl(&[&["--cacert", text(&ca)], arguments].concat());
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"], &["--http1.1"], &["--http2"]] {
        let plaintext = format!("{base}/demo/plaintext");
        let output = trusting(
            &[version, &["-w", " %{http_version} %{ssl_verify_result} %{num_connects}"], &[&plaintext, &plaintext]]
                .concat(),
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, "Hello, World! 1.1 0 1Hello, World! 1.1 0 0", "{version:?}: {output:?}");
    }
    let large = authority.write("large", vec![b'x'; 1_900_000]);
    let output = trusting(&["--data-binary", &format!("@{}", text(&large)), &format!("{base}/demo/echo")]);
    assert!(output.stdout == vec![b'x'; 1_900_000], "{} bytes", output.stdout.len());
    let output = trusting(&[&format!("{base}/demo/bytes/5000000")]);
    assert!(output.stdout == vec![b'x'; 5_000_000], "{} bytes", output.stdout.len());
    let output = curl(&[&base]);
    assert_eq!(output.status.code(), Some(60), "who does not trust the authority is not served: {output:?}");
}

/// What `openssl s_client` says, with nothing to send.
fn s_client(server: &Server, arguments: &[&str]) -> String {
    let mut command = clean("openssl");
    command.args(["s_client", "-connect", &server.address().to_string()]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn openssl_is_content() {
    if program("openssl").is_none() {
        return;
    }
    let server = secured(&[]).start();
    let cases = [
        (&["-alpn", "h2"][..], "no application protocol"),
        (&["-alpn", "h2,http/1.1"], "ALPN protocol: http/1.1"),
        (&["-tls1_2"], "TLSv1.2"),
        (&["-tls1_3"], "TLSv1.3"),
        (&["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], "alert"),
        (&["-tls1_2", "-cipher", "AES128-SHA"], "alert handshake failure"),
    ];
    for (arguments, expected) in cases {
        let said = s_client(&server, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    // The whole of a response, and the goodbye: without it openssl complains of an unexpected end.
    let mut command = clean("openssl");
    command.args(["s_client", "-quiet", "-connect", &server.address().to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(request("GET", "/demo/bytes/100000", "Connection: close\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(answer.ends_with(&[b'x'; 100_000]), "{} bytes; {complaints}", answer.len());
    assert!(!complaints.contains("unexpected eof"), "{complaints}");
}
