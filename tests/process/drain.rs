//! How the process ends.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, PATIENCE, Server, Sig, clean, let_pass, program, rws};

const STATE: &str = r#""msg":"life cycle""#;

fn wait_for_state(server: &mut Server, state: &str) {
    server.stderr.wait_for(|line| line.contains(STATE) && line.contains(&format!(r#""state":"{state}""#)));
}

/// The last line on stderr, after the process has ended.
fn last_words(server: &mut Server) -> Value {
    let last = server.stderr.all_json().pop().unwrap();
    assert_eq!(last["msg"], "stopped", "{last}");
    last
}

/// A client whose request is with a handler, as the server's own gauge says.
fn in_a_handler(server: &Server, path: &str) -> Client {
    let client = server.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
    server.wait_for_metric("http_server_active_requests", 1.0);
    client
}

#[test]
fn sigterm_drains_and_the_last_line_tells_how_it_went() {
    let mut server = rws(&[]).start();
    assert_eq!(server.get("/demo/plaintext").status, 200);
    assert_eq!(server.stop(), 0);
    let last = last_words(&mut server);
    assert_eq!(last["verdict"], "drained", "{last}");
    assert_eq!(last["served_while_draining"], 0, "{last}");
    assert_eq!(last["aborted"], 0, "{last}");
    let states: Vec<_> = server
        .stderr
        .all_json()
        .iter()
        .filter(|line| line["msg"] == "life cycle")
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["starting", "ready", "draining", "stopping", "stopped"]);
    assert_eq!(server.stdout.all_json().len(), 1, "the line of the one request is written");
}

#[test]
fn a_request_in_flight_is_answered_and_its_connection_closed() {
    let mut server = rws(&[]).start();
    let mut slow = in_a_handler(&server, "/demo/delay/400");
    server.signal(Sig::TERM);
    let reply = slow.read_reply().unwrap();
    assert_eq!((reply.status, reply.text().as_str(), reply.closes()), (200, "slept", true));
    assert!(slow.read_to_end().is_empty());
    assert_eq!(server.wait(PATIENCE), 0);
    let last = last_words(&mut server);
    assert_eq!((&last["served_while_draining"], &last["verdict"]), (&1.into(), &"drained".into()), "{last}");
}

#[test]
fn a_drain_delay_serves_on_while_readiness_fails_and_connections_close() {
    let mut server = rws(&[("DRAIN_DELAY", "60s")]).start();
    let mut early = server.connect();
    assert!(!early.get("/demo/plaintext").unwrap().closes());
    assert_eq!(server.get("/readyz").status, 200);
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "draining");

    let ready = server.get("/readyz");
    assert_eq!((ready.status, ready.closes()), (503, true), "{ready:?}");
    assert!(ready.text().contains("[-]shutdown failed"), "{}", ready.text());
    assert_eq!(server.get("/healthz").status, 200, "who is stopping is not ill");
    assert_eq!(server.metric("rws_lifecycle_state{state=\"draining\"}"), 1.0);
    let late = server.connect().get("/demo/plaintext").unwrap();
    assert_eq!((late.status, late.closes()), (200, true), "a new connection is served, once");
    let reply = early.get("/demo/plaintext").unwrap();
    assert_eq!((reply.status, reply.closes()), (200, true));
    assert!(early.read_to_end().is_empty());

    let skipped = Instant::now();
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 0, "the second SIGTERM ends the delay, not the drain");
    assert!(skipped.elapsed() < Duration::from_secs(20));
    let last = last_words(&mut server);
    let (first, latest) = (last["first_arrival_ms"].as_f64().unwrap(), last["last_arrival_ms"].as_f64().unwrap());
    assert!(0.0 <= first && first < latest, "{last}");
    for millis in [first, latest] {
        let text = millis.to_string();
        assert!(text.split_once('.').is_none_or(|(_, digits)| digits.len() <= 3), "whole microseconds: {text}");
    }
    assert_eq!(last["served_while_draining"], 2, "probes and metrics are no traffic: {last}");
}

#[test]
fn sigint_does_not_wait_for_the_delay() {
    let mut server = rws(&[("DRAIN_DELAY", "60s")]).start();
    server.signal(Sig::INT);
    assert_eq!(server.wait(PATIENCE), 0);
    let mut server = rws(&[("DRAIN_DELAY", "60s")]).start();
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "draining");
    server.signal(Sig::INT);
    assert_eq!(server.wait(PATIENCE), 0);
}

#[test]
fn a_signal_while_stopping_ends_at_once() {
    for (signal, code) in [(Sig::TERM, 143), (Sig::INT, 130), (Sig::QUIT, 131)] {
        let mut server = rws(&[]).start();
        let _slow = in_a_handler(&server, "/demo/delay/60000");
        server.signal(Sig::TERM);
        wait_for_state(&mut server, "stopping");
        server.signal(signal);
        assert_eq!(server.wait(PATIENCE), code);
        let last = last_words(&mut server);
        assert_eq!((&last["verdict"], &last["aborted"]), (&"killed".into(), &1.into()), "{last}");
        assert!(last["aborted_requests"].as_str().unwrap().contains("GET /demo/delay/60000"), "{last}");
    }
}

#[test]
fn sigquit_ends_at_once() {
    let mut server = rws(&[("DRAIN_DELAY", "60s")]).start();
    let _slow = in_a_handler(&server, "/demo/delay/60000");
    let asked = Instant::now();
    server.signal(Sig::QUIT);
    assert_eq!(server.wait(PATIENCE), 131);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn sighup_and_sigpipe_stop_nobody() {
    let mut server = rws(&[]).start();
    server.signal(Sig::PIPE);
    server.signal(Sig::HUP);
    server.stderr.wait_for(|line| line.contains("nothing changed"));
    assert_eq!(server.get("/demo/plaintext").status, 200);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_handler_beyond_the_drain_timeout_is_named() {
    let mut server = rws(&[("DRAIN_TIMEOUT", "300ms"), ("REACTOR_COUNT", "4")]).start();
    let mut slow = server.connect();
    slow.send("GET /demo/delay/60000?token=hidden HTTP/1.1\r\nHost: x\r\nX-Request-Id: left-behind\r\n\r\n").unwrap();
    server.wait_for_metric("http_server_active_requests", 1.0);
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 4);
    assert!(slow.read_to_end().is_empty(), "there is nothing to say");
    let last = last_words(&mut server);
    assert_eq!((&last["verdict"], &last["aborted"]), (&"timed_out".into(), &1.into()), "{last}");
    let request = last["aborted_requests"].as_str().unwrap();
    assert!(request.contains("GET /demo/delay/60000") && request.contains("left-behind"), "{last}");
    let lines = server.stderr.all_json();
    assert!(lines.iter().any(|line| line["level"] == "error" && line.to_string().contains("left-behind")));
    let logged = server.stdout.all_json();
    let line = logged.iter().find(|line| line["request_id"] == "left-behind").expect("a line for it");
    assert_eq!(line["outcome"], "timeout", "{line}");
    assert!(!server.stderr.all().concat().contains("hidden") && !line.to_string().contains("hidden"));
}

#[test]
fn requests_that_wait_for_a_thread_are_answered_too() {
    let mut server = rws(&[("THREAD_COUNT", "1"), ("REACTOR_COUNT", "1")]).start();
    let mut waiting: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &waiting {
        client.send("GET /demo/delay/50 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.wait_for_metric("http_server_active_requests", 1.0);
    server.signal(Sig::TERM);
    for client in &mut waiting {
        assert_eq!(client.read_reply().unwrap().status, 200);
    }
    assert_eq!(server.wait(PATIENCE), 0);
}

#[test]
fn a_last_request_on_an_idle_connection_is_answered() {
    let mut server = rws(&[]).start();
    let mut idle = server.connect();
    idle.get("/demo/plaintext").unwrap();
    let mut silent = server.connect();
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "stopping");
    let reply = idle.get("/demo/plaintext").unwrap();
    assert_eq!((reply.status, reply.closes()), (200, true));
    assert!(silent.read_to_end().is_empty(), "who asks nothing hears nothing");
    assert_eq!(server.wait(PATIENCE), 0);
}

#[test]
fn a_response_that_is_being_streamed_is_finished() {
    let mut server = rws(&[]).start();
    let mut client = server.connect();
    // More than the sockets hold.
    client.send("GET /demo/bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 1000];
    std::io::Read::read_exact(&mut client.socket, &mut first).unwrap();
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "stopping");
    let rest = client.read_to_end().len();
    assert!(first.len() + rest > 50_000_000, "{rest}");
    assert_eq!(server.wait(PATIENCE), 0);
}

#[test]
fn an_upload_that_began_is_taken() {
    let mut server = rws(&[]).start();
    let mut client = server.connect();
    client.send("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n").unwrap();
    client.send(vec![b'a'; 100_000]).unwrap();
    server.wait_for_metric("http_server_active_requests", 1.0);
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "stopping");
    client.send(vec![b'a'; 100_000]).unwrap();
    let reply = client.read_reply().unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 200_000));
    assert_eq!(server.wait(PATIENCE), 0);
}

#[test]
fn it_obeys_as_the_first_process_of_a_container() {
    let Some(unshare) = program("unshare") else { return };
    let probe = clean(&unshare).args(["--pid", "--fork", "--mount-proc", "true"]).output().unwrap();
    if !probe.status.success() {
        eprintln!("SKIPPED: no PID namespaces here: {}", String::from_utf8_lossy(&probe.stderr));
        return;
    }
    let mut server = rws(&[]).shell(r#"exec unshare --pid --fork --kill-child "$RWS""#).start();
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    let first: i32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    assert!(status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{status}");
    let first = rustix::process::Pid::from_raw(first).unwrap();
    // Sent from within, as from `kubectl exec`: then the kernel drops what has no handler.
    rustix::process::kill_process(first, Sig::HUP).unwrap();
    server.stderr.wait_for(|line| line.contains("nothing changed"));
    assert_eq!(server.get("/demo/plaintext").status, 200);
    rustix::process::kill_process(first, Sig::TERM).unwrap();
    assert_eq!(server.wait(PATIENCE), 0);
}

/// What one client of the soak saw.
#[derive(Default)]
struct Tally {
    answered: u64,
    lost: Vec<String>,
}

/// Requests in a loop, on one connection as long as it lasts or on a new one each, until nobody listens.
fn clamour(address: SocketAddr, path: &str, fresh: bool, over: &AtomicBool) -> Tally {
    let connection = if fresh { "close" } else { "keep-alive" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
    let mut tally = Tally::default();
    while !over.load(Ordering::Relaxed) && tally.lost.is_empty() {
        // Refused: the listener is closed, and nothing was sent.
        let Ok(mut client) = Client::new(address) else { break };
        for served in 0.. {
            match client.ask(&request) {
                Ok(reply) if reply.status == 200 => tally.answered += 1,
                Ok(reply) => tally.lost.push(format!("{} for {path}", reply.status)),
                Err(error) => tally.lost.push(format!("request {served} on {path}, {connection}: {error}")),
            }
            if client.is_closing() || !tally.lost.is_empty() {
                break;
            }
        }
    }
    tally
}

/// A container has no capabilities. Whether we can take them away is for the caller to find out.
const WITHOUT_CAPABILITIES: &str = "setpriv --bounding-set=-all --inh-caps=-all";

fn soak(delay: &str, before: Duration, prefix: &str) -> u64 {
    const CLIENTS: usize = 48;
    let mut server = rws(&[("DRAIN_DELAY", delay)]).shell(&format!(r#"exec {prefix} "$RWS""#)).start();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (address, over) = (server.address(), over.clone());
            let path = if n % 4 == 0 { "/demo/delay/30" } else { "/demo/plaintext" };
            thread::spawn(move || clamour(address, path, n % 3 == 0, &over))
        })
        .collect();
    let_pass(before);
    server.signal(Sig::TERM);
    let code = server.wait(PATIENCE);
    over.store(true, Ordering::Relaxed);
    let tallies: Vec<Tally> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let lost: Vec<_> = tallies.iter().flat_map(|tally| &tally.lost).collect();
    let answered = tallies.iter().map(|tally| tally.answered).sum();
    assert!(
        lost.is_empty(),
        "delay {delay}, signal after {before:?}: {answered} answered, {lost:#?}; {:#?}",
        server.stderr.all()
    );
    assert_eq!(code, 0, "{:#?}", server.stderr.all());
    server.stdout.all_json();
    answered
}

/// More rounds with RWS_TEST_DRAINS.
#[test]
fn no_request_is_lost_under_load() {
    let rounds: u64 = std::env::var("RWS_TEST_DRAINS").ok().map_or(4, |rounds| rounds.parse().unwrap());
    let mut random = u64::from(std::process::id());
    let drops = clean("/bin/sh").args(["-c", &format!("{WITHOUT_CAPABILITIES} true")]).output().unwrap();
    if !drops.status.success() {
        eprintln!("SKIPPED: cannot drop capabilities: {}", String::from_utf8_lossy(&drops.stderr));
    }
    for round in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let before = Duration::from_millis(300 + (random >> 33) % 300);
        let prefix = if round % 4 >= 2 && drops.status.success() { WITHOUT_CAPABILITIES } else { "" };
        let answered = soak(if round % 2 == 0 { "0s" } else { "300ms" }, before, prefix);
        assert!(answered > 100, "{answered}");
    }
}

#[test]
fn no_request_of_wrk_is_lost() {
    let Some(wrk) = program("wrk") else { return };
    let mut server = rws(&[("DRAIN_DELAY", "300ms")]).start();
    let url = format!("http://127.0.0.1:{}/demo/plaintext", server.port);
    let load = clean(&wrk).args(["-t1", "-c64", "-d2s", &url]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let_pass(Duration::from_millis(700));
    assert_eq!(server.stop(), 0);
    let output = load.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // "Socket errors: connect 0, read 0, write 0, timeout 0"; without any there is no such line. It writes without
    // looking whether it got connected, so a refused connection counts as a write that failed.
    if let Some(errors) = text.lines().find(|line| line.contains("Socket errors")) {
        assert!(errors.contains("read 0,") && errors.contains("timeout 0"), "{text}");
    }
    assert!(!text.contains("Non-2xx"), "{text}");
}

#[test]
fn whoever_resets_during_the_drain_disturbs_nobody() {
    let mut server = rws(&[("DRAIN_DELAY", "300ms")]).start();
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "draining");
    while let Ok(socket) = TcpStream::connect(server.address()) {
        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        let _ = (&socket).write_all(b"GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assert_eq!(server.wait(PATIENCE), 0);
}
