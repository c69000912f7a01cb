//! What the process writes: every line is whole and parses, whatever clients send and wherever the lines go.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, PATIENCE, Server, Sig, rws};

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }
}

/// Sends `bytes` and nothing more, and returns all that comes back.
fn exchange(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut client = server.connect();
    // Whoever is refused half-way may not be able to send the rest.
    let _ = client.send(bytes);
    let _ = client.socket.get_ref().shutdown(std::net::Shutdown::Write);
    client.read_to_end()
}

fn status(reply: &[u8]) -> u16 {
    String::from_utf8_lossy(reply).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Stops the server and returns the access log and the diagnostics, all of which must be JSON.
fn stopped(mut server: Server) -> (Vec<Value>, Vec<Value>) {
    assert_eq!(server.stop(), 0);
    (server.stdout.all_json(), server.stderr.all_json())
}

const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz\r\n\r\n\x20\xff\xfe\x00";

/// Requests to be spoilt.
const SEEDS: &[&[u8]] = &[
    b"GET /demo/plaintext?a=b&token=x HTTP/1.1\r\nHost: x\r\nUser-Agent: curl \"8\"\r\nReferer: http://x/?a\r\n\r\n",
    b"GET /demo/user/%22%00%ff%0a HTTP/1.1\r\nHost: \xc3\xa9\r\nX-Request-Id: a\"b\r\n\r\n",
    b"POST /demo/status/201 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    b"POST /demo/status/200 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
    b"GET http://u:p@x:80/demo/json HTTP/1.1\r\nHost: x\r\n\r\nHEAD /demo/status/204 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
    HELLO,
];

#[test]
fn every_line_is_json_whatever_clients_send() {
    let server = rws(&[("LOG_LEVEL", "debug"), ("LOG_PROBES", "all")]).start();
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut responses = 0;
    for _ in 0..400 {
        let mut bytes = SEEDS[numbers.below(SEEDS.len())].to_vec();
        for _ in 0..numbers.below(4) {
            let at = numbers.below(bytes.len());
            match numbers.below(4) {
                0 => bytes[at] = numbers.next() as u8,
                1 => _ = bytes.splice(at..at, numbers.bytes(30)),
                2 => bytes.truncate(at.max(1)),
                _ => bytes[at] = *b"\"\\\r\n\t \0\x1b\xff:"[..].get(numbers.below(10)).unwrap(),
            }
        }
        if numbers.below(8) == 0 {
            bytes = numbers.bytes(3000);
        }
        let reply = exchange(&server, &bytes);
        // The texts of refusals speak of HTTP/1.1 too, but without a status.
        let is_start = |window: &[u8]| window.starts_with(b"HTTP/1.1 ") && window[9..].iter().all(u8::is_ascii_digit);
        let answers = reply.windows(12).filter(|window| is_start(window)).count();
        responses += answers;
    }
    assert_eq!(server.get("/healthz").status, 200);
    let (access, _) = stopped(server);
    let lines = access.len();
    assert!(lines > responses, "{lines} lines for {responses} responses and a probe");
    for line in &access {
        for name in ["time", "level", "msg", "status", "outcome", "remote_addr", "duration_ms", "bytes_out"] {
            assert!(!line[name].is_null(), "{name} is missing in {line}");
        }
    }
}

#[test]
fn what_was_refused_has_a_line() {
    let server = rws(&[("HEAD_TIMEOUT", "200ms"), ("MAX_BODY_SIZE_IN_BYTES", "10")]).start();
    let large = [&b"GET / HTTP/1.1\r\nHost: x\r\nX: "[..], &[b'x'; 100_000], b"\r\n\r\n"].concat();
    let long = [&b"GET /"[..], &[b'x'; 9_000], b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let cases: &[(&[u8], u16)] = &[
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (HELLO, 400),
        (b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /demo/json HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413),
        (&long, 414),
        (&large, 431),
        (b"GET /demo/panic HTTP/1.1\r\nHost: x\r\n\r\n", 500),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ];
    for (bytes, expected) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(status(&exchange(&server, bytes)), *expected, "{shown}");
    }
    let mut slow = server.connect();
    slow.send("GET / HT").unwrap();
    assert_eq!(slow.read_reply().unwrap().status, 408);
    let (access, _) = stopped(server);
    let logged: Vec<_> = access.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    for status in cases.iter().map(|(_, status)| u64::from(*status)).chain([408]) {
        assert!(logged.contains(&status), "{status} is missing in {logged:?}");
    }
    assert_eq!(logged.len(), cases.len() + 1, "{logged:?}");
    let outcome = |status: u64| {
        access.iter().find(|line| line["status"] == status).map(|line| line["outcome"].as_str().unwrap().to_owned())
    };
    assert_eq!(outcome(500).unwrap(), "panic");
    assert_eq!(outcome(408).unwrap(), "timeout");
    assert_eq!(outcome(431).unwrap(), "rejected");
    let empty: Vec<_> = access.iter().filter(|line| line["bytes_out"] == 0).collect();
    assert!(empty.is_empty(), "each of them was told why: {empty:?}");
}

#[test]
fn in_google_clouds_format_a_request_about_the_whole_host_has_its_url() {
    let server = rws(&[("LOG_FORMAT", "gcp")]).start();
    let urls = [("*", "http://x"), ("http://y:80", "http://y:80"), ("/a?b", "http://x/a?b")];
    for (target, _) in urls {
        exchange(&server, format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    }
    let (access, _) = stopped(server);
    // Those of several reactors may be out of order.
    for (_, url) in urls {
        assert_eq!(
            access.iter().filter(|line| line["httpRequest"]["requestUrl"] == url).count(),
            1,
            "{url}: {access:?}"
        );
    }
}

/// What a client does to its own request is no fault of the server's, and nothing it can fill the diagnostics with.
#[test]
fn an_upload_that_fails_behind_a_streaming_handler_is_on_the_clients_account() {
    let server = rws(&[("BODY_TIMEOUT", "200ms"), ("MAX_BODY_SIZE_IN_BYTES", "100KiB")]).start();
    let chunked = "POST /demo/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    exchange(&server, format!("{chunked}zz\r\n").as_bytes());
    exchange(&server, format!("{chunked}5\r\nab").as_bytes());
    exchange(&server, format!("{chunked}20000\r\n{}", "x".repeat(0x20000)).as_bytes());
    let mut slow = server.connect();
    slow.send(format!("{chunked}5\r\nab")).unwrap();
    slow.read_to_end();
    let (access, diagnostics) = stopped(server);
    let mut outcomes: Vec<_> = access.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["client_abort", "rejected", "rejected", "timeout"], "{access:?}");
    assert!(diagnostics.iter().all(|line| line["level"] == "info"), "{diagnostics:?}");
}

#[test]
fn request_ids_are_taken_when_well_formed_and_made_when_not() {
    let server = rws(&[]).start();
    let ask = |id: &str| {
        let request = format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n");
        server.connect().ask(request).unwrap().field("x-request-id").unwrap().to_owned()
    };
    assert_eq!(ask("abc-123_X.y"), "abc-123_X.y");
    let long = "x".repeat(1000);
    let made: Vec<_> =
        ["", "a b", "a\"b", "a\u{1}b", "é", &long].into_iter().map(|bad| (bad, ask_or_refused(&server, bad))).collect();
    let (access, _) = stopped(server);
    let ids: Vec<_> = access.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert!(ids.contains(&"abc-123_X.y"));
    for (bad, made) in &made {
        let Some(made) = made else { continue };
        assert!(made != bad && made.len() >= 8, "{bad:?} gave {made:?}");
        assert!(ids.contains(&made.as_str()), "{made} is not in the log");
    }
    assert!(!ids.contains(&long.as_str()) && !ids.contains(&"a b") && !ids.contains(&"a\"b"));
}

/// The id of the response, if the request is one at all.
fn ask_or_refused(server: &Server, id: &str) -> Option<String> {
    let request = format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n");
    let reply = server.connect().ask(request).unwrap();
    (reply.status == 200).then(|| reply.field("x-request-id").unwrap().to_owned())
}

#[test]
fn secrets_appear_nowhere() {
    for format in ["json", "combined", "common"] {
        let mut server = rws(&[("LOG_FORMAT", format), ("LOG_LEVEL", "trace"), ("REACTOR_COUNT", "1")]).start();
        let fields = "Authorization: Bearer SECRET\r\nProxy-Authorization: SECRET\r\nCookie: a=SECRET\r\nReferer: \
                      http://u:SECRET@x/?token=SECRET&a=1#code=SECRET\r\n";
        for target in [
            "/demo/plaintext?token=SECRET&visible=1&password=SECRET",
            "/demo/plaintext?TOKEN=SECRET&%74oken=SECRET&user[password]=SECRET",
            "/none?key=SECRET",
            "/demo/panic?secret=SECRET",
            "/demo/delay/20?signature=SECRET",
            "http://u:SECRET@x/demo/json?code=SECRET",
        ] {
            exchange(&server, format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        }
        exchange(&server, format!("GET /demo/json HTTP/1.1\r\n{fields}\r\n").as_bytes());
        assert_eq!(server.stop(), 0);
        let (access, diagnostics) = (server.stdout.all(), server.stderr.all());
        assert_eq!(access.len(), 7, "{access:#?}");
        assert!(access[0].contains("visible=1"), "{format}: {}", access[0]);
        let leaks: Vec<_> = access.iter().chain(&diagnostics).filter(|line| line.contains("SECRET")).collect();
        assert!(leaks.is_empty(), "{format}: {leaks:#?}");
    }
}

#[test]
fn probes_are_logged_when_they_fail_or_as_asked() {
    for (setting, expected) in [("failures", &["503"][..]), ("none", &[]), ("all", &["200", "200", "200", "503"])] {
        let mut server = rws(&[("LOG_PROBES", setting), ("DRAIN_DELAY", "60s"), ("REACTOR_COUNT", "1")]).start();
        for path in ["/healthz", "/readyz", "/startupz"] {
            assert_eq!(server.get(path).status, 200);
        }
        server.signal(Sig::TERM);
        server.stderr.wait_for(|line| line.contains("draining"));
        assert_eq!(server.get("/readyz").status, 503);
        server.signal(Sig::INT);
        assert_eq!(server.wait(PATIENCE), 0);
        let statuses: Vec<_> = server.stdout.all_json().iter().map(|line| line["status"].to_string()).collect();
        assert_eq!(statuses, expected, "{setting}");
    }
}

#[test]
fn combined_and_common_keep_one_line_each() {
    for format in ["combined", "common"] {
        let mut server = rws(&[("LOG_FORMAT", format), ("REACTOR_COUNT", "1")]).start();
        server.get("/demo/plaintext?a=1");
        exchange(
            &server,
            b"GET /demo/user/%0d%0a\"x HTTP/1.1\r\nHost: x\r\nUser-Agent: \"a\\b\"\xff\t\r\nReferer: \"\r\n\r\n",
        );
        exchange(&server, b"GET /\" \x01 HTTP/1.1\r\nHost: x\r\nUser-Agent: \"a\\b\"\xff\r\n\r\n");
        exchange(&server, HELLO);
        assert_eq!(server.stop(), 0);
        let lines = server.stdout.all();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        for line in &lines {
            assert!(line.starts_with("127.0.0.1 - - [") && !line.chars().any(char::is_control), "{line:?}");
            // What is quoted ends where it should: an even number of quotes without a backslash.
            let bare = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(bare.matches('"').count(), if format == "combined" { 6 } else { 2 }, "{line:?}");
        }
        assert!(lines[0].contains(r#"] "GET /demo/plaintext?a=1 HTTP/1.1" 200 13"#), "{}", lines[0]);
        let stderr = server.stderr.all();
        assert!(stderr[0].contains(" INFO ") && serde_json::from_str::<Value>(&stderr[0]).is_err(), "{}", stderr[0]);
    }
}

#[test]
fn no_access_log_means_none() {
    let mut server = rws(&[("LOG_FORMAT", "off")]).start();
    server.get("/demo/plaintext");
    exchange(&server, HELLO);
    assert_eq!(server.stop(), 0);
    assert_eq!(server.stdout.all(), [""; 0]);
}

#[test]
fn a_panic_is_one_line_of_json() {
    let server = rws(&[]).start();
    assert_eq!(server.get("/demo/panic").status, 500);
    assert_eq!(server.get("/demo/plaintext").status, 200);
    let (_, diagnostics) = stopped(server);
    let panic = diagnostics.iter().find(|line| line["msg"].as_str().is_some_and(|msg| msg.starts_with("panic")));
    assert_eq!(panic.expect("a line")["level"], "error");
}

/// Makes a fast request and a slow one and a panic, and ends the server.
fn works_and_ends(mut server: Server) {
    for (path, expected) in [("/demo/plaintext", 200), ("/demo/panic", 500), ("/demo/delay/20", 200), ("/none", 404)] {
        assert_eq!(server.get(path).status, expected);
    }
    exchange(&server, HELLO);
    let asked = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn it_serves_without_stdout_or_stderr_or_both() {
    works_and_ends(rws(&[]).shell(r#"exec "$RWS" >&-"#).start());
    works_and_ends(rws(&[]).shell(r#"exec "$RWS" 2>&-"#).mute(Stdio::null()).start());
    works_and_ends(rws(&[]).shell(r#"exec "$RWS" <&- >&- 2>&-"#).mute(Stdio::null()).start());
}

#[test]
fn it_serves_when_the_reader_of_its_log_leaves() {
    // As `rws | head -1` does.
    let (mut reader, writer) = io::pipe().unwrap();
    let mut server = rws(&[]).stdout(writer).start();
    server.get("/demo/plaintext");
    let mut line = [0; 1];
    reader.read_exact(&mut line).unwrap();
    drop(reader);
    let end = Instant::now() + PATIENCE;
    while server.metric("rws_log_dropped_total") == 0.0 {
        assert_eq!(server.get("/demo/plaintext").status, 200);
        assert!(Instant::now() < end, "nothing is counted as dropped");
    }
    // The same with stderr, on which panics are reported.
    assert_eq!(server.get("/demo/panic").status, 500);
    assert_eq!(server.stop(), 0);
    server.stderr.all_json();

    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    works_and_ends(rws(&[]).stdout(writer.try_clone().unwrap()).mute(writer).start());
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let server = rws(&[]).stdout(full()).start();
    let end = Instant::now() + PATIENCE;
    while server.metric("rws_log_dropped_total") == 0.0 {
        assert_eq!(server.get("/demo/plaintext").status, 200);
        assert!(Instant::now() < end, "nothing is counted as dropped");
    }
    works_and_ends(server);
    works_and_ends(rws(&[]).stdout(full()).mute(full()).start());
}

/// Fills a pipe to the brim, so that whoever writes to it waits for ever.
fn stalled() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// Sends so many requests in batches.
fn hammer(server: &Server, batches: usize) {
    let mut client = server.connect();
    let batch = "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    for _ in 0..batches {
        client.send(&batch).unwrap();
        for _ in 0..100 {
            assert_eq!(client.read_reply().unwrap().status, 200);
        }
    }
}

#[test]
fn a_stalled_log_holds_up_neither_requests_nor_the_exit() {
    let (_unread, writer) = stalled();
    let mut server = rws(&[]).stdout(writer).start();
    hammer(&server, 200);
    server.wait_for_metric("rws_log_dropped_total", 1.0);
    let asked = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(asked.elapsed() < Duration::from_secs(5), "the exit took {:?}", asked.elapsed());
    server.stderr.all_json();
}

#[test]
fn stalled_diagnostics_hold_up_neither_requests_nor_the_exit() {
    let (_unread, writer) = stalled();
    let mut server = rws(&[]).stdout(writer.try_clone().unwrap()).mute(writer).start();
    for _ in 0..20 {
        assert_eq!(server.get("/demo/panic").status, 500);
    }
    hammer(&server, 1);
    let asked = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(asked.elapsed() < Duration::from_secs(6), "the exit took {:?}", asked.elapsed());
}

#[test]
fn nothing_is_lost_at_the_end_of_a_busy_log() {
    let mut server = rws(&[]).start();
    hammer(&server, 20);
    let mut last = Client::new(server.address()).unwrap();
    assert_eq!(last.get("/demo/user/last").unwrap().status, 200);
    assert_eq!(server.stop(), 0);
    let lines = server.stdout.all_json();
    assert_eq!(lines.len(), 2001);
    assert!(lines.iter().any(|line| line["path"] == "/demo/user/last"));
}
