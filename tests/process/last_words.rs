//! What is left in `/dev/termination-log`, where the kubelet looks, and what the last line of the log advises.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENCE, Server, Setup, Sig, clean, let_pass, program, rws};

/// A directory that takes the place of `/dev`, with a termination log in it, for processes of a mount namespace.
struct Dev(TempDir);

impl Dev {
    /// `None` where there are no such namespaces to be had; says so.
    fn new() -> Option<Self> {
        let unshare = program("unshare")?;
        let dev = Dev(tempfile::tempdir().unwrap());
        fs::write(dev.termination_log(), "of an earlier container, and long enough to stick out").unwrap();
        let mount = format!("mount --bind {} /dev", dev.0.path().display());
        let output = clean(&unshare).args(["--map-root-user", "--mount", "sh", "-c", &mount]).output().unwrap();
        if !output.status.success() {
            eprintln!("SKIPPED: no mount namespaces here: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(dev)
    }

    fn termination_log(&self) -> PathBuf {
        self.0.path().join("termination-log")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.termination_log()).unwrap()
    }

    /// The shell script that runs the binary with this `/dev`.
    fn script(&self, arguments: &str) -> String {
        let inner = format!(r#"mount --bind {} /dev && exec "$0" {arguments}"#, self.0.path().display());
        format!(r#"exec unshare --map-root-user --mount sh -c '{inner}' "$RWS""#)
    }

    fn start(&self, setup: Setup) -> Server {
        setup.shell(&self.script("")).start()
    }

    /// Runs the binary, which must end by itself, and returns its exit code.
    fn run(&self, arguments: &str, environment: &[(&str, &str)]) -> Option<i32> {
        let mut shell = clean("/bin/sh");
        shell.args(["-c", &self.script(arguments)]).env("RWS", crate::support::RWS);
        shell.envs(environment.iter().copied()).output().unwrap().status.code()
    }
}

#[test]
fn every_bad_start_leaves_its_reason() {
    let Some(dev) = Dev::new() else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let local = ("RWS_CONFIG_IP", "127.0.0.1");
    let routes = ("RWS_CONFIG_ROUTE_A", "GET /healthz -> respond 200 text/plain mine");
    for (environment, code, begin) in [
        (
            &[("RWS_CONFIG_PORT", "banana"), ("RWS_CONFIG_LOG_FROMAT", "x")][..],
            2,
            "RWS_CONFIG_PORT=\"banana\": must be",
        ),
        (&[routes], 2, "RWS_CONFIG_ROUTE_A="),
        (&[("RWS_CONFIG_STATIC_DIR", "/nonexistent")], 2, "RWS_CONFIG_STATIC_DIR=\"/nonexistent\""),
        (&[local, ("RWS_CONFIG_PORT", &port)], 3, "cannot listen on 127.0.0.1:"),
    ] {
        assert_eq!(dev.run("", environment), Some(code), "{environment:?}");
        let text = dev.text();
        assert!(text.starts_with(begin), "{text}");
        assert!(!text.contains("stick out"), "{text}");
    }
    // Forty routes that are wrong, in 4096 bytes, and no half a character.
    let names: Vec<String> = (0..200).map(|n| format!("RWS_CONFIG_ROUTE_{n}")).collect();
    let wrong: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "éééééééééééééééé")).collect();
    assert_eq!(dev.run("", &wrong), Some(2));
    let text = dev.text();
    assert!((4000..=4096).contains(&text.len()) && text.ends_with('…'), "{}: {text}", text.len());
}

#[test]
fn arguments_that_mean_nothing_leave_their_reason() {
    let Some(dev) = Dev::new() else { return };
    assert_eq!(dev.run("--prot 80", &[]), Some(2));
    assert!(dev.text().contains("--prot"), "{}", dev.text());
    assert_eq!(dev.run("--set PROT=80 --port 0", &[]), Some(2));
    let text = dev.text();
    assert!(text.contains("RWS_CONFIG_PROT"), "{text}");
    // Whatever else runs in the container is not why it ends.
    assert_eq!(dev.run("probe --prot 80", &[]), Some(2));
    assert_eq!(dev.text(), text);
}

#[test]
fn a_drain_that_times_out_leaves_the_aborted_requests() {
    let Some(dev) = Dev::new() else { return };
    let mut server = dev.start(rws(&[("DRAIN_TIMEOUT", "300ms")]));
    let slow: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &slow {
        client.send("GET /demo/delay/60000?secret=x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.wait_for_metric("http_server_active_requests", 3.0);
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 4);
    let text = dev.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0], "the drain timed out: RWS_CONFIG_DRAIN_TIMEOUT=300ms was over; 3 requests were aborted",
        "{text}"
    );
    assert!(lines[1].starts_with("raise RWS_CONFIG_DRAIN_TIMEOUT"), "{text}");
    assert_eq!(lines[2..].len(), 3, "{text}");
    assert!(lines[2..].iter().all(|line| line.starts_with("GET /demo/delay/60000 (id ")), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_signal_that_ends_at_once_leaves_its_name_and_a_good_end_leaves_nothing() {
    let Some(dev) = Dev::new() else { return };
    let mut server = dev.start(rws(&[]));
    let slow = server.connect();
    slow.send("GET /demo/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    server.wait_for_metric("http_server_active_requests", 1.0);
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains(r#""stopping""#));
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 143);
    let text = dev.text();
    assert!(text.starts_with("ended at once by SIGTERM; 1 request was aborted\nGET /demo/delay/60000 (id "), "{text}");

    let dev = Dev::new().unwrap();
    let before = dev.text();
    let mut server = dev.start(rws(&[]));
    assert_eq!(server.stop(), 0);
    assert_eq!(dev.text(), before);
}

/// The last line on stderr, after the process has ended.
fn last_words(server: &mut Server) -> Value {
    server.stderr.all_json().pop().unwrap()
}

#[test]
fn each_number_of_a_drain_is_what_happened() {
    let mut server = rws(&[("DRAIN_DELAY", "2s"), ("DRAIN_TIMEOUT", "500ms"), ("REACTOR_COUNT", "2")]).start();
    // Answered before: not counted.
    assert_eq!(server.get("/demo/plaintext").status, 200);
    // In flight when the drain begins, and answered: served, but no arrival.
    let mut early = server.connect();
    early.send("GET /demo/delay/700 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // In flight, and never answered: aborted.
    let stuck = server.connect();
    stuck.send("GET /demo/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    server.wait_for_metric("http_server_active_requests", 2.0);
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains(r#""draining""#));
    let_pass(Duration::from_millis(300));
    for _ in 0..3 {
        assert_eq!(server.get("/demo/plaintext").status, 200);
    }
    // No traffic.
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/demo/nothing-here").status, 404);
    assert_eq!(early.read_reply().unwrap().status, 200);
    // Refused before it was a request: not counted.
    assert_eq!(server.connect().ask("NONSENSE\r\n\r\n").unwrap().status, 400);
    assert_eq!(server.wait(PATIENCE), 4);
    let last = last_words(&mut server);
    assert_eq!(last["verdict"], "timed_out", "{last}");
    assert_eq!(last["served_while_draining"], 5, "the early one, three, and a 404: {last}");
    assert_eq!(last["aborted"], 1, "{last}");
    let (first, latest) = (last["first_arrival_ms"].as_f64().unwrap(), last["last_arrival_ms"].as_f64().unwrap());
    assert!((300.0..1500.0).contains(&first), "{last}");
    assert!(first < latest && latest < 1600.0, "{last}");
    assert_eq!(last["level"], "warn");
    let advice = last["advice"].as_str().unwrap();
    assert!(advice.starts_with("raise RWS_CONFIG_DRAIN_TIMEOUT"), "nothing arrived late: {advice}");
}

#[test]
fn requests_until_the_end_of_the_delay_call_for_a_longer_one() {
    let mut server = rws(&[("DRAIN_DELAY", "500ms")]).start();
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains(r#""draining""#));
    let mut answered = 0;
    while let Ok(mut client) = crate::support::Client::new(server.address()) {
        if client.get("/demo/plaintext").is_ok() {
            answered += 1;
        }
    }
    assert_eq!(server.wait(PATIENCE), 0);
    let last = last_words(&mut server);
    assert_eq!((&last["level"], &last["verdict"]), (&"warn".into(), &"drained".into()), "{last}");
    assert_eq!(last["served_while_draining"], answered, "{last}");
    let advice = last["advice"].as_str().unwrap();
    assert!(advice.contains("RWS_CONFIG_DRAIN_DELAY is 500ms: raise RWS_CONFIG_DRAIN_DELAY to 2s"), "{advice}");
    assert!(advice.ends_with("terminationGracePeriodSeconds to at least 25"), "{advice}");

    // Nobody came late: no advice.
    let mut server = rws(&[("DRAIN_DELAY", "500ms")]).start();
    assert_eq!(server.stop(), 0);
    let last = last_words(&mut server);
    assert_eq!((&last["level"], &last["advice"]), (&"info".into(), &Value::Null), "{last}");
}
