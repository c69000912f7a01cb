//! Health checks, hooks and the watch over the engine, in a process of their own (tests/health/server.rs), asked as the
//! kubelet asks.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use support::{Client, PATIENCE, Reply, Server, Setup, Sig, let_pass, rws};

/// A running server, and the directory by which it is told what to do.
struct Site {
    server: Server,
    dir: TempDir,
}

impl Site {
    /// Starts it with these settings and these orders, and waits until it is `state`.
    fn start(state: &str, settings: &[(&str, &str)], orders: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, order) in orders {
            fs::write(dir.path().join(name), order).unwrap();
        }
        let server = setup(settings, dir.path()).start_until(state);
        Site { server, dir }
    }

    fn order(&self, name: &str, order: &str) {
        // In one step: a half-written order is none.
        let new = self.dir.path().join(format!("{name}.new"));
        fs::write(&new, order).unwrap();
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    /// Asks until the answer has this status.
    fn until(&self, path: &str, status: u16) -> Reply {
        self.until_it(path, |reply| reply.status == status)
    }

    fn until_it(&self, path: &str, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let end = Instant::now() + PATIENCE;
        loop {
            let reply = self.server.get(path);
            if wanted(&reply) {
                return reply;
            }
            assert!(Instant::now() < end, "GET {path} stays {}: {}", reply.status, reply.text());
            let_pass(Duration::from_millis(10));
        }
    }

    /// As JSON, the check called `name`.
    fn check(&self, name: &str) -> Value {
        let body: Value = serde_json::from_slice(&self.server.get("/readyz?format=json").body).unwrap();
        let checks = body["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {body}")).clone()
    }

    /// Ends it with SIGTERM. Returns the exit code and what it has said.
    fn stop(mut self) -> (i32, Vec<Value>) {
        let code = self.server.stop();
        (code, self.server.stderr.all_json())
    }
}

fn setup(settings: &[(&str, &str)], dir: &Path) -> Setup {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("examples/health_server");
    assert!(program.exists(), "{} is missing: cargo test builds it, cargo test --test does not", program.display());
    let settings: Vec<_> = settings.iter().copied().chain([("DEMO_ROUTES", "false")]).collect();
    rws(&settings).shell(&format!("HEALTH_DIR='{}' exec '{}'", dir.display(), program.display()))
}

/// How often a message was logged about `subject`.
fn count(lines: &[Value], msg: &str, subject: &str) -> usize {
    lines.iter().filter(|line| line["msg"] == msg && (line["check"] == subject || line["checks"] == subject)).count()
}

fn messages<'a>(lines: &'a [Value], key: &str) -> Vec<(&'a str, String)> {
    let with_key = lines.iter().filter(|line| line.get(key).is_some());
    with_key.map(|line| (line["msg"].as_str().unwrap(), line[key].to_string())).collect()
}

#[test]
fn a_check_that_fails_takes_the_pod_out_and_brings_it_back_and_says_so_once() {
    let site = Site::start("ready", &[], &[]);
    // Checks that are not critical may take longer than the start.
    site.until_it("/readyz", |reply| reply.text() == "ok");
    assert_eq!(site.server.metric(r#"rws_health_check_up{check="db"}"#), 1.0);
    site.order("db", "fail");
    let reply = site.until("/readyz", 503);
    assert!(reply.text().contains("[-]db failed: reason withheld\n"), "{}", reply.text());
    assert!(reply.text().ends_with("readyz check failed\n") && !reply.text().contains("secret"));
    assert_eq!((site.server.get("/healthz").status, site.server.get("/startupz").status), (200, 200));
    assert_eq!((site.server.get("/readyz/db").status, site.server.get("/readyz/ping").status), (503, 200));
    assert_eq!(site.server.get("/readyz?exclude=db").text(), "ok");
    assert_eq!(site.server.metric(r#"rws_health_check_up{check="db"}"#), 0.0);
    let db = site.check("db");
    assert_eq!((&db["status"], &db["data"]["reason"]), (&"DOWN".into(), &"reason withheld".into()));
    assert!(db["data"]["consecutive_failures"].as_u64() >= Some(3), "{db}");
    assert!(db["data"]["age_ms"].is_number() && db["data"]["duration_ms"].is_number(), "{db}");
    site.order("db", "");
    site.until("/readyz", 200);
    let (code, lines) = site.stop();
    assert_eq!(code, 0);
    for msg in ["a health check fails", "a health check passes again", "not ready: the readiness probe fails"] {
        assert_eq!(count(&lines, msg, "db"), 1, "{msg}: {lines:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line["msg"] == "ready again: the readiness probe passes").count(), 1);
    let failure = lines.iter().find(|line| line["msg"] == "a health check fails").unwrap();
    assert_eq!((&failure["level"], &failure["reason"]), (&"warn".into(), &"db was told to fail: secret".into()));
}

#[test]
fn panics_and_degradation_show_with_details_and_what_is_not_critical_fails_nothing() {
    let site = Site::start("ready", &[("HEALTH_DETAILS", "full")], &[]);
    site.order("db", "panic");
    let reply = site.until("/readyz", 503);
    assert!(reply.text().contains("[-]db failed: it panicked: db was told to panic\n"), "{}", reply.text());
    site.order("db", "degrade");
    let reply = site.until("/readyz", 200);
    assert!(reply.text().contains("[~]db degraded: db was told to degrade\n"), "{}", reply.text());
    site.order("db", "");
    site.order("minor", "fail");
    let reply = site.until_it("/readyz", |reply| reply.text().contains("[~]minor"));
    assert!(reply.text().contains("[~]minor degraded: minor was told to fail: secret\n"), "{}", reply.text());
    assert_eq!(reply.status, 200);
    assert_eq!(site.server.metric(r#"rws_health_check_up{check="minor"}"#), 0.0);
    let (code, lines) = site.stop();
    assert_eq!((code, count(&lines, "a health check is degraded", "minor")), (0, 1), "{lines:#?}");
}

#[test]
fn without_details_a_failure_has_no_name() {
    let site = Site::start("ready", &[("HEALTH_DETAILS", "none")], &[]);
    site.order("db", "fail");
    assert_eq!(site.until("/readyz", 503).text(), "readyz check failed\n");
    assert_eq!(site.server.get("/readyz?format=json").text(), r#"{"status":"DOWN","checks":[]}"#);
    assert_eq!(site.server.get("/readyz/db").text(), "readyz check failed\n");
    assert_eq!(site.server.get("/healthz?verbose").text(), "healthz check passed\n");
    assert_eq!(site.stop().0, 0);
}

#[test]
fn a_liveness_check_has_to_be_asked_for_and_its_risk_is_told() {
    let site = Site::start("ready", &[], &[]);
    site.order("alive", "fail");
    let reply = site.until("/healthz", 503);
    assert!(reply.text().contains("[-]alive failed: reason withheld\nhealthz check failed\n"), "{}", reply.text());
    assert_eq!(site.server.get("/readyz").status, 200);
    let (_, lines) = site.stop();
    let risk = lines.iter().find(|line| line["check"] == "alive").unwrap();
    assert!(risk["level"] == "warn" && risk["msg"].as_str().unwrap().contains("restarts"), "{risk}");
    assert_eq!(count(&lines, "not alive: the liveness probe fails", "alive"), 1, "{lines:#?}");
}

#[test]
fn neither_a_hanging_check_nor_a_blocked_pool_delays_a_probe() {
    let settings = [("THREAD_COUNT", "4"), ("QUEUE_DEPTH", "4")];
    let site = Site::start("ready", &settings, &[("hangs", "hang"), ("block", "hang")]);
    let mut blocked: Vec<Client> = (0..12).map(|_| site.server.connect()).collect();
    for client in &blocked {
        client.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    site.server.wait_for_metric("rws_connections_rejected_total", 1.0);
    let mut times: Vec<Duration> = (0..200)
        .map(|n| {
            let path = ["/healthz", "/readyz", "/readyz?verbose", "/startupz"][n % 4];
            let asked = Instant::now();
            assert_eq!(site.server.get(path).status, 200, "{path}");
            asked.elapsed()
        })
        .collect();
    times.sort();
    // The worst of them may have met with other tests; the machine is theirs as well.
    let (median, p95, worst) = (times[100], times[190], times[199]);
    println!("probes beside blocked workers and a hanging check: median {median:?}, p95 {p95:?}, worst {worst:?}");
    assert!(p95 < Duration::from_millis(50), "median {median:?}, p95 {p95:?}, worst {worst:?}");
    assert_eq!(site.check("hangs")["data"]["consecutive_failures"], 0);
    assert!(site.check("hangs")["data"]["running_ms"].is_number());

    site.order("block", "");
    let statuses: Vec<u16> = blocked.iter_mut().map(|client| client.read_reply().unwrap().status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    assert_eq!(site.stop().0, 0);
}

#[test]
fn a_check_that_hangs_too_long_is_stale_and_recovers_when_it_returns() {
    let site = Site::start("ready", &[], &[]);
    site.order("db", "hang");
    let reply = site.until("/readyz", 503);
    assert!(reply.text().contains("[-]db failed: stale: it has been running for"), "{}", reply.text());
    site.order("db", "");
    site.until("/readyz", 200);
    assert_eq!(site.stop().0, 0);
}

#[test]
fn a_pool_that_has_come_to_a_standstill_fails_liveness_and_names_its_routes() {
    let settings = [("THREAD_COUNT", "2"), ("LIVENESS_STALL", "2s"), ("HEALTH_DETAILS", "full")];
    let site = Site::start("ready", &settings, &[("block", "hang")]);
    assert_eq!(site.server.get("/text").status, 200);
    let _blocked: Vec<Client> = (0..5)
        .map(|_| {
            let client = site.server.connect();
            client.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            client
        })
        .collect();
    site.server.wait_for_metric("rws_queue_depth", 3.0);
    assert_eq!(site.server.get("/healthz").status, 200, "busy is not wedged");
    let reply = site.until("/healthz", 503);
    let text = reply.text();
    assert!(text.contains("[-]workers failed: no worker has finished anything for"), "{text}");
    assert!(text.contains("while 3 requests wait; running: GET /block (2 for up to"), "{text}");
    assert_eq!(site.server.get("/readyz").status, 503);
    assert_eq!(site.server.get("/text").status, 200, "what is known to be fast is served all the same");
    site.order("block", "");
    site.until("/healthz", 200);
    let (code, lines) = site.stop();
    assert_eq!((code, count(&lines, "not alive: the liveness probe fails", "workers")), (0, 1), "{lines:#?}");
    let failure = lines.iter().find(|line| line["check"] == "workers").unwrap();
    assert!(failure["reason"].as_str().unwrap().contains("GET /block"), "{failure}");
}

#[test]
fn the_start_waits_for_hooks_then_for_start_up_checks_then_for_readiness() {
    let orders = [("startup", "hang"), ("warm", "fail"), ("db", "fail"), ("minor", "fail")];
    let site = Site::start("starting", &[], &orders);
    let statuses = || ["/healthz", "/startupz", "/readyz"].map(|path| site.server.get(path).status);
    assert_eq!(statuses(), [200, 503, 503], "the hook runs");
    assert!(site.server.get("/readyz").text().contains("[-]db failed: it has not run yet\n"));
    site.order("startup", "");
    site.until_it("/readyz", |reply| reply.text().contains("[-]db failed: reason withheld\n"));
    assert_eq!(statuses(), [200, 503, 503], "the start-up check fails");
    site.order("warm", "");
    site.until("/startupz", 200);
    assert_eq!(statuses(), [200, 200, 503], "a dependency that is missing is no reason to restart");
    assert_eq!(site.server.metric(r#"rws_lifecycle_state{state="starting"}"#), 1.0);
    site.order("db", "");
    site.until("/readyz", 200);
    let (code, lines) = site.stop();
    assert_eq!(code, 0);
    let hooks = messages(&lines, "hook");
    let names: Vec<&str> = hooks.iter().map(|(_, hook)| hook.split('"').nth(2).unwrap().trim_matches('\\')).collect();
    assert_eq!(names, ["first", "second", "first", "middle", "last"], "{hooks:?}");
}

#[test]
fn a_start_that_fails_ends_the_process_with_the_reason() {
    for (orders, settings, reasons) in [
        (&[("startup-second", "fail")][..], &[][..], &["the start-up hook \"second\" (", "was told to fail"][..]),
        (&[("startup", "panic")], &[], &["the start-up hook \"first\" (", "it panicked: startup was told to panic"]),
        (
            &[("startup", "hang")],
            &[("STARTUP_TIMEOUT", "300ms")],
            &["the start-up hook \"first\" (", "has not returned within RWS_CONFIG_STARTUP_TIMEOUT (300ms)"],
        ),
        (
            &[("db", "fail"), ("minor", "fail"), ("hangs", "hang")],
            &[("STARTUP_TIMEOUT", "1s")],
            &["have not passed within RWS_CONFIG_STARTUP_TIMEOUT (1s): db (db was told to fail: secret)"],
        ),
    ] {
        let mut site = Site::start("starting", settings, orders);
        assert_eq!(site.server.wait(PATIENCE), 1, "{orders:?}");
        let lines = site.server.stderr.all_json();
        let last = lines.last().unwrap();
        let msg = last["msg"].as_str().unwrap();
        assert!(last["level"] == "error" && msg.starts_with("the start failed: "), "{last}");
        assert!(reasons.iter().all(|reason| msg.contains(reason)), "{msg}");
        assert_eq!(lines.iter().filter(|line| line["msg"] == "shutdown hook done").count(), 3, "{lines:#?}");
    }
}

#[test]
fn shutdown_hooks_run_last_first_whatever_one_of_them_does() {
    let orders = [("shutdown-first", "panic"), ("shutdown-middle", "hang")];
    let site = Site::start("ready", &[], &orders);
    let (code, lines) = site.stop();
    assert_eq!(code, 0, "every request was answered");
    let since = lines.iter().position(|line| line["state"] == "stopped").expect("hooks come after the drain");
    let hooks = messages(&lines[since..], "hook");
    let expected = [
        ("a shutdown hook failed", "first"),
        ("a shutdown hook has not returned within its limit", "middle"),
        ("shutdown hook done", "last"),
    ];
    assert_eq!(hooks.len(), 3, "{hooks:?}");
    for ((msg, hook), (wanted, name)) in hooks.iter().zip(expected) {
        assert!(*msg == wanted && hook.contains(name), "{hooks:?}");
    }
    assert_eq!(lines.last().unwrap()["verdict"], "drained");
    let not_ready = lines.iter().filter(|line| line["msg"].as_str().is_some_and(|msg| msg.contains("ready:")));
    assert_eq!(not_ready.count(), 0, "a drain has lines of its own: {lines:#?}");
}

#[test]
fn a_signal_during_shutdown_hooks_ends_the_process_at_once() {
    let mut site = Site::start("ready", &[], &[("shutdown-first", "hang")]);
    site.server.signal(Sig::TERM);
    site.server.stderr.wait_for(|line| line.contains(r#""stopped""#));
    site.server.signal(Sig::TERM);
    assert_eq!(site.server.wait(PATIENCE), 143);
    let lines = site.server.stderr.all_json();
    let hooks = messages(&lines, "hooks");
    assert!(hooks.len() == 1 && hooks[0].1.contains("middle") && hooks[0].1.contains("last"), "{lines:#?}");
}

#[test]
fn a_signal_during_the_start_is_obeyed() {
    let site = Site::start("starting", &[], &[("startup", "hang")]);
    let (code, lines) = site.stop();
    assert_eq!(code, 0);
    assert!(lines.iter().all(|line| line["state"] != "ready"), "{lines:#?}");
}
