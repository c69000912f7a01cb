//! The admin port of the `rws` binary: what it answers, when, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "admin/browser.rs"]
mod browser;
#[path = "process/chromium.rs"]
#[allow(dead_code, reason = "shared with pages.rs")]
mod chromium;
#[path = "admin/end.rs"]
mod end;
#[path = "admin/pages.rs"]
mod pages;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, Reply, Server, free_port, let_pass, run, rws};

/// A server with an admin port, and where that is.
fn with_admin(settings: &[(&str, &str)]) -> (Server, Admin) {
    let settings: Vec<_> = [("ADMIN_PORT", "0")].into_iter().chain(settings.iter().copied()).collect();
    let server = rws(&settings).start();
    beside(server)
}

/// A server and its admin port.
fn beside(mut server: Server) -> (Server, Admin) {
    let line = server.stderr.so_far().into_iter().find(|line| line.contains("admin port")).unwrap();
    let line = support::json(line.as_bytes());
    let admin = Admin(line["address"].as_str().unwrap().parse().unwrap());
    // Which the main listener's first answer is a part of.
    admin.wait_for("/readyz", |reply| reply.status == 200);
    (server, admin)
}

/// The admin port.
#[derive(Clone, Copy)]
struct Admin(SocketAddr);

impl Admin {
    fn connect(self) -> Client {
        Client::new(self.0).unwrap()
    }

    fn get(self, path: &str) -> Reply {
        self.connect().get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    fn post(self, path: &str, fields: &str) -> Reply {
        let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 0\r\n\r\n");
        self.connect().ask(request).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    fn json(self, path: &str) -> serde_json::Value {
        let reply = self.get(path);
        assert_eq!((reply.status, reply.field("content-type")), (200, Some("application/json")), "{path}");
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Asks again and again until the answer is as `wanted`.
    fn wait_for(self, path: &str, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let end = Instant::now() + PATIENCE;
        loop {
            let reply = self.get(path);
            if wanted(&reply) {
                return reply;
            }
            assert!(Instant::now() < end, "still {}", reply.text());
            let_pass(Duration::from_millis(20));
        }
    }
}

#[test]
fn both_ports_answer_probes_while_every_worker_is_blocked_and_the_queue_is_full() {
    let (mut server, admin) = with_admin(&[("THREAD_COUNT", "1"), ("QUEUE_DEPTH", "1"), ("REACTOR_COUNT", "1")]);
    let mut blocked = Vec::new();
    // Until there is no room any more, which a request hears at once.
    loop {
        let mut client = server.connect();
        client.socket.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client.send("GET /demo/delay/20000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        match client.read_reply() {
            Ok(reply) => break assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1"))),
            Err(_) => blocked.push(client),
        }
        assert!(blocked.len() < 5, "there is always room");
    }
    let main = server.address();
    for path in ["/healthz", "/livez", "/readyz", "/startupz", "/readyz/ping"] {
        for (port, address) in [("main", main), ("admin", admin.0)] {
            let ask = |_| {
                let start = Instant::now();
                let reply = Client::new(address).unwrap().get(path).unwrap();
                assert_eq!(reply.status, 200, "{port} {path}: {}", reply.text());
                start.elapsed()
            };
            // Another test may have the processor for a moment.
            let fastest = (0..5).map(ask).min().unwrap();
            assert!(fastest < Duration::from_millis(50), "{port} {path}: {fastest:?}");
        }
    }
    let status = admin.json("/statusz?format=json");
    assert_eq!((&status["workers"]["queue"], &status["workers"]["queue_most"]), (&1.into(), &1.into()), "{status}");
    let running = status["in_flight"].as_array().unwrap();
    assert_eq!(running[0]["route"], "/demo/delay/{ms}", "{status}");
    assert!(running[0]["age_ms"].as_f64().unwrap() > 0.0 && running[0]["request_id"].as_str().unwrap().len() == 32);
    // Nobody needs the answers of those that are blocked.
    server.signal(support::Sig::QUIT);
    assert_eq!(server.wait(PATIENCE), 131);
}

#[test]
fn metrics_move_and_the_log_says_where() {
    let (mut server, admin) = with_admin(&[("METRICS_PATH", "/figures")]);
    assert_eq!(server.get("/demo/plaintext").status, 200);
    assert_eq!(server.get("/demo/panic").status, 500);
    let gone = server.get("/figures");
    assert_eq!((gone.status, gone.text().contains("admin port")), (404, true), "{}", gone.text());
    let metrics = admin.get("/figures");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for line in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/demo/plaintext\",http_response_status_code=\"200\"} 1",
        "rws_handler_panics_total 1",
        "rws_health_check_up{check=\"main-listener\"} 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    admin.get("/statusz");
    assert!(!admin.get("/figures").text().contains("statusz"), "the pages are not traffic");
    assert_eq!(server.stop(), 0);
    let lines: Vec<_> = server.stderr.all_json().iter().map(ToString::to_string).collect();
    let said =
        |needles: &[&str]| lines.iter().filter(|line| needles.iter().all(|needle| line.contains(needle))).count();
    assert_eq!(said(&["admin port", &admin.0.to_string(), "/figures", r#""info""#]), 1);
    assert_eq!(said(&["RWS_CONFIG_ADMIN_PORT", "scrape", r#""warn""#]), 1, "whoever still scrapes the old place");
    let logged = server.stdout.all_json();
    assert!(logged.iter().all(|line| line["path"] != "/statusz"), "a page that refreshes itself is no news");
}

#[test]
fn a_listener_that_takes_nobody_is_not_ready_but_alive() {
    let (mut server, admin) = with_admin(&[("MAX_CONNECTIONS", "2")]);
    assert_eq!(admin.wait_for("/readyz", |reply| reply.status == 200).text(), "ok");
    let held: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let failed = admin.wait_for("/readyz", |reply| reply.status == 503).text();
    assert!(failed.contains("[-]main-listener failed: ") && failed.contains("MAX_CONNECTIONS"), "{failed}");
    assert_eq!(admin.get("/healthz").status, 200, "a restart would cure nothing");
    assert_eq!(admin.get("/readyz/main-listener").status, 503);
    assert_eq!(admin.get("/readyz?exclude=main-listener").status, 200);
    let page = admin.get("/statusz").text();
    assert!(page.contains("<strong>Not ready</strong>") && page.contains("main-listener: "), "{page}");
    drop(held);
    admin.wait_for("/readyz", |reply| reply.status == 200);
    assert_eq!(server.get("/readyz/main-listener").status, 404, "the main port does not ask itself");
    assert_eq!(server.stop(), 0);
}

#[test]
fn few_descriptors_are_named_as_the_reason_as_well() {
    let few = rws(&[("ADMIN_PORT", "0")]).shell(r#"ulimit -n 64; exec "$RWS""#).start();
    let (mut server, admin) = beside(few);
    let held: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let failed = admin.wait_for("/readyz", |reply| reply.status == 503).text();
    assert!(failed.contains("main-listener failed: ") && failed.contains("open files"), "{failed}");
    let connections = &support::json(admin.get("/statusz?format=json").text().as_bytes())["connections"];
    assert_eq!((&connections["active"], &connections["most"]), (&32.into(), &32.into()), "{connections}");
    drop(held);
    assert_eq!(server.stop(), 0);
}

#[test]
fn the_admin_port_is_another_and_free() {
    let port = free_port().to_string();
    let output = run(&[], &[("RWS_CONFIG_PORT", &port), ("RWS_CONFIG_ADMIN_PORT", &port)]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("RWS_CONFIG_ADMIN_PORT") && text.contains("must differ from RWS_CONFIG_PORT"), "{text}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let settings = [("RWS_CONFIG_IP", "127.0.0.1"), ("RWS_CONFIG_PORT", "0"), ("RWS_CONFIG_ADMIN_PORT", &*port)];
    let output = run(&[], &settings);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(&format!("127.0.0.1:{port} (RWS_CONFIG_ADMIN_PORT)")), "{text}");
}

#[test]
fn without_an_admin_port_everything_is_as_it_was() {
    let mut server = rws(&[("ADMIN_PORT", "")]).start();
    assert_eq!(server.get("/metrics").status, 200);
    for path in ["/statusz", "/configz", "/drain"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.stop(), 0);
    assert!(!server.stderr.all().concat().contains("admin port"));
}
