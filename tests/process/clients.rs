//! Clients that others wrote.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::{Server, clean, program, rws};

fn curl(server: &Server, arguments: &[&str], path: &str) -> Output {
    let url = format!("http://127.0.0.1:{}{path}", server.port);
    clean("curl").args(["-sS", "--max-time", "20"]).args(arguments).arg(url).output().unwrap()
}

/// The output, of a curl that succeeded.
fn fetched(server: &Server, arguments: &[&str], path: &str) -> String {
    let output = curl(server, arguments, path);
    assert!(output.status.success(), "{arguments:?} {path}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_gets_what_it_asks_for() {
    if program("curl").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("digits"), "0123456789").unwrap();
    let mut server = rws(&[("STATIC_DIR", dir.path().to_str().unwrap()), ("MAX_BODY_SIZE_IN_BYTES", "0")]).start();
    let facts = ["-o", "/dev/null", "-w", "%{http_version} %{response_code} %{size_download}"];

    assert_eq!(fetched(&server, &facts, "/demo/plaintext"), "1.1 200 13");
    assert_eq!(fetched(&server, &["--http1.0"], "/demo/plaintext"), "Hello, World!");
    assert_eq!(fetched(&server, &[&facts[..], &["--http2"]].concat(), "/demo/plaintext"), "1.1 200 13", "no upgrade");
    assert_eq!(fetched(&server, &[&facts[..], &["-I"]].concat(), "/demo/plaintext"), "1.1 200 0");
    assert!(fetched(&server, &["-I"], "/demo/plaintext").to_ascii_lowercase().contains("content-length: 13\r\n"));
    assert_eq!(fetched(&server, &["-r", "2-4"], "/digits"), "234");
    assert_eq!(fetched(&server, &["-r", "-3"], "/digits"), "789");
    assert_eq!(fetched(&server, &["-C", "7"], "/digits"), "789");
    assert_eq!(fetched(&server, &["-d", "a=b"], "/demo/echo"), "a=b");
    assert_eq!(
        fetched(&server, &["--request-target", "*", "-X", "OPTIONS", "-w", "%{response_code}", "-o", "/dev/null"], "/"),
        "204"
    );
    assert_eq!(fetched(&server, &[&facts[..], &["--compressed"]].concat(), "/demo/bytes/1000000"), "1.1 200 1000000");
    assert_eq!(
        fetched(&server, &[&facts[..], &["--http1.0"]].concat(), "/demo/bytes/1000000"),
        "1.0 200 1000000".replace("1.0 ", "1.1 ")
    );
    assert_eq!(server.stop(), 0);
    server.stdout.all_json();
}

#[test]
fn curl_uploads_slowly_in_chunks_and_with_an_expectation() {
    if program("curl").is_none() {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let body = "0123456789abcdef".repeat(20_000);
    file.write_all(body.as_bytes()).unwrap();
    let upload = format!("@{}", file.path().display());
    let mut server = rws(&[("THREAD_COUNT", "2")]).start();
    for arguments in [
        &["--data-binary", &upload][..],
        &["--data-binary", &upload, "-H", "Expect: 100-continue"],
        &["--data-binary", &upload, "-H", "Expect:"],
        &["--data-binary", &upload, "-H", "Transfer-Encoding: chunked"],
        &["--data-binary", &upload, "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"],
        &["--data-binary", &upload, "--limit-rate", "300k"],
    ] {
        assert!(fetched(&server, arguments, "/demo/echo") == body, "{arguments:?}");
    }
    // Too large, and told so before it is all sent.
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(30_000_000).unwrap();
    let upload = format!("@{}", large.path().display());
    for expect in ["Expect: 100-continue", "Expect:"] {
        let output = curl(
            &server,
            &["--data-binary", &upload, "-H", expect, "-o", "/dev/null", "-w", "%{response_code}"],
            "/demo/echo",
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), "413", "{expect}: {output:?}");
    }
    assert_eq!(server.stop(), 0);
    server.stdout.all_json();
}

/// Runs a load generator to its end and returns what it says.
fn load(name: &str, arguments: &[&str], server: &Server, path: &str) -> String {
    let url = format!("http://127.0.0.1:{}{path}", server.port);
    let output = clean(name).args(arguments).arg(url).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn ab_with_its_http_1_0_keep_alive_is_content() {
    if program("ab").is_none() {
        return;
    }
    let mut server = rws(&[]).start();
    for arguments in [&["-q", "-n", "2000", "-c", "16", "-k"][..], &["-q", "-n", "500", "-c", "16"]] {
        let text = load("ab", arguments, &server, "/demo/plaintext");
        assert!(text.contains("Failed requests:        0") && !text.contains("Non-2xx"), "{text}");
        if arguments.contains(&"-k") {
            assert!(text.contains("Keep-Alive requests:    2000"), "{text}");
        }
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn h2load_pipelines_without_an_error() {
    if program("h2load").is_none() {
        return;
    }
    let mut server = rws(&[]).start();
    let text = load("h2load", &["--h1", "-n", "4000", "-c", "16", "-m", "8"], &server, "/demo/json");
    assert!(text.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    assert_eq!(server.stop(), 0);
    assert_eq!(server.stdout.all_json().len(), 4000);
}

#[test]
fn wrk_sees_no_socket_error() {
    if program("wrk").is_none() {
        return;
    }
    let mut server = rws(&[]).start();
    let text = load("wrk", &["-t1", "-c32", "-d1s"], &server, "/demo/json");
    assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let Some(promtool) = program("promtool") else { return };
    let mut server = rws(&[]).start();
    for path in ["/demo/plaintext", "/demo/panic", "/demo/delay/5", "/demo/user/\"x\\", "/none", "/healthz"] {
        server.get(path);
    }
    let metrics = server.get("/metrics");
    assert_eq!((metrics.status, metrics.field("content-type").unwrap().split(';').next()), (200, Some("text/plain")));
    let mut check = clean(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&metrics.body).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(server.stop(), 0);
}
