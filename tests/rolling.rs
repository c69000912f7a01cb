//! A rolling restart behind a load balancer: three servers behind haproxy, which asks `/readyz`, under constant load, and
//! every one of them replaced again and again by SIGTERM and a new process. Not one request may fail.
//!
//! haproxy is told to hide nothing: it neither tries a failed connection again nor sends a request elsewhere, so whatever
//! it meets reaches the client, as it would behind kube-proxy. `benches/rolling-restart` runs this with a release build.
//! RWS_TEST_ROLLS is how often each server is replaced, RWS_BINARY another binary than the one just built.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use support::{Client, PATIENCE, RWS, Server, clean, free_port, let_pass, program, rws};

const SERVERS: usize = 3;
/// How often haproxy asks a server; one failure takes it out, one success back in.
const CHECK: Duration = Duration::from_millis(100);
/// Long enough for two checks on a loaded machine.
const DELAY: &str = "500ms";
const CLIENTS: usize = 8;
/// A pod that has gone does not come back: longer than the second after which a client repeats a SYN without an answer.
const ABSENCE: Duration = Duration::from_millis(1300);
/// Between two requests of a client. The servers share the machine with the clients, haproxy and other tests.
const PAUSE: Duration = Duration::from_millis(2);

#[test]
fn no_request_fails_while_every_server_is_replaced() {
    let Some(haproxy) = program("haproxy") else { return };
    let result = roll(&haproxy, DELAY, rounds());
    println!("{}", table(DELAY, &result));
    assert!(result.failed.is_empty(), "{result:#?}");
    assert!(result.answered > 100 * result.replaced as u64, "hardly any load: {result:#?}");
}

#[test]
fn without_the_delay_the_load_balancer_still_sends_requests_to_servers_that_have_gone() {
    let Some(haproxy) = program("haproxy") else { return };
    let result = roll(&haproxy, "0s", rounds());
    println!("{}", table("0s", &result));
    assert!(!result.failed.is_empty(), "the delay would not be needed: {result:#?}");
}

fn rounds() -> usize {
    std::env::var("RWS_TEST_ROLLS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// What the clients saw.
#[derive(Debug, Default)]
struct Outcome {
    replaced: usize,
    answered: u64,
    failed: BTreeMap<String, u64>,
    /// The longest answer.
    slowest: Duration,
}

fn table(delay: &str, outcome: &Outcome) -> String {
    let Outcome { replaced, answered, failed, slowest } = outcome;
    let mut text = format!(
        "| DRAIN_DELAY | servers replaced | requests answered | requests failed | slowest |\n|---|---|---|---|---|\n\
         | {delay} | {replaced} | {answered} | {} | {} ms |\n",
        failed.values().sum::<u64>(),
        slowest.as_millis(),
    );
    for (what, count) in failed {
        writeln!(text, "{count} x {what}").unwrap();
    }
    text
}

/// Replaces every server `rounds` times while clients ask through haproxy.
fn roll(haproxy: &str, delay: &str, rounds: usize) -> Outcome {
    let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect();
    let mut servers: Vec<Server> = ports.iter().map(|port| start(*port, delay)).collect();
    let balancer = Balancer::start(haproxy, &ports);
    (0..SERVERS).for_each(|n| balancer.wait_until_up(n));

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (address, over) = (balancer.address, over.clone());
            thread::spawn(move || ask_on(address, n, &over))
        })
        .collect();
    for _ in 0..rounds {
        for (n, server) in servers.iter_mut().enumerate() {
            let code = server.stop();
            assert_eq!(code, 0, "{:#?}", server.stderr.all());
            let_pass(ABSENCE);
            *server = start(ports[n], delay);
            balancer.wait_until_up(n);
        }
    }
    over.store(true, Ordering::Relaxed);

    let mut outcome = Outcome { replaced: rounds * SERVERS, ..Outcome::default() };
    for client in clients {
        let seen = client.join().unwrap();
        outcome.answered += seen.answered;
        outcome.slowest = outcome.slowest.max(seen.slowest);
        seen.failed.into_iter().for_each(|(what, count)| *outcome.failed.entry(what).or_default() += count);
    }
    servers.iter_mut().for_each(|server| assert_eq!(server.stop(), 0));
    outcome
}

fn start(port: u16, delay: &str) -> Server {
    let binary = std::env::var("RWS_BINARY").unwrap_or_else(|_| RWS.to_owned());
    let mut server = rws(&[("DRAIN_DELAY", delay)]).shell(&format!("exec '{binary}'")).port(port).start();
    // Somebody else might be listening there.
    server.stderr.wait_for(|line| line.contains(r#""state":"ready""#));
    server
}

/// Requests in a loop: quick ones, slow ones and uploads, some clients on one connection for as long as it lasts, others
/// on a new one each time.
fn ask_on(address: SocketAddr, client: usize, over: &AtomicBool) -> Outcome {
    let connection = if client % 4 == 3 { "close" } else { "keep-alive" };
    let request = match client % 3 {
        0 => format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n"),
        1 => format!("GET /demo/delay/20 HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n"),
        _ => {
            let body = "a".repeat(20_000);
            format!(
                "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\nConnection: {connection}\r\n\r\n{body}"
            )
        }
    };
    let (mut outcome, mut open) = (Outcome::default(), None);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut client = open.take().unwrap_or_else(|| Client::new(address).unwrap());
        match client.ask(&request) {
            Ok(reply) if reply.status == 200 => outcome.answered += 1,
            Ok(reply) => *outcome.failed.entry(format!("status {}", reply.status)).or_default() += 1,
            Err(error) => {
                *outcome.failed.entry(error.to_string()).or_default() += 1;
                continue;
            }
        }
        outcome.slowest = outcome.slowest.max(begun.elapsed());
        open = (!client.is_closing()).then_some(client);
        let_pass(PAUSE);
    }
    outcome
}

/// A haproxy that is running.
struct Balancer {
    process: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Balancer {
    fn start(haproxy: &str, ports: &[u16]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, configuration(port, ports, directory.path())).unwrap();
        // In the foreground, without a master that would outlive us.
        let mut command = clean(haproxy);
        command.args(["-db", "-f", file.to_str().unwrap()]).stdin(Stdio::null());
        let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut balancer = Balancer { process, address: SocketAddr::from(([127, 0, 0, 1], port)), directory };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(balancer.address).is_err() || UnixStream::connect(balancer.socket()).is_err() {
            if balancer.process.try_wait().unwrap().is_some() || Instant::now() > end {
                let mut said = String::new();
                let _ = balancer.process.kill();
                let _ = balancer.process.stderr.take().unwrap().read_to_string(&mut said);
                panic!("haproxy does not listen: {said}");
            }
            let_pass(Duration::from_millis(5));
        }
        balancer
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("stats")
    }

    fn wait_until_up(&self, server: usize) {
        let end = Instant::now() + PATIENCE;
        while !self.is_up(server) {
            assert!(Instant::now() < end, "haproxy does not take server {server}");
            let_pass(CHECK / 4);
        }
    }

    /// What `show stat` says of it: name in the second column, status in the eighteenth.
    fn is_up(&self, server: usize) -> bool {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.write_all(b"show stat\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let name = format!("server{server}");
        rows.filter(|row| row.len() > 17 && row[1] == name).any(|row| row[17].starts_with("UP"))
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(port: u16, servers: &[u16], directory: &Path) -> String {
    let mut text = format!(
        "global\n    stats socket {} mode 600 level user\n\
         defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n    \
         retries 0\n    no option redispatch\n    option http-keep-alive\n\
         frontend all\n    bind 127.0.0.1:{port}\n    default_backend servers\n\
         backend servers\n    balance roundrobin\n    option httpchk\n    \
         http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host rws\n    http-check expect status 200\n    \
         default-server check inter {}ms fall 1 rise 1\n",
        directory.join("stats").display(),
        CHECK.as_millis(),
    );
    for (n, port) in servers.iter().enumerate() {
        writeln!(text, "    server server{n} 127.0.0.1:{port}").unwrap();
    }
    text
}
