//! What the process costs and how fast it stays, measured from outside. The bounds are wide, for machines that are busy
//! with other things; the figures themselves are printed. One at a time, so that the tests do not measure each other.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::io::{Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use support::{Client, PATIENCE, Server, let_pass, rws};

#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits for its turn, and raises the limit of open files for many clients.
fn alone() -> MutexGuard<'static, ()> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    guard
}

/// How long so many requests on one connection took each, the longest last.
fn latencies(client: &mut Client, path: &str, count: usize) -> Vec<Duration> {
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let asked = Instant::now();
            assert_eq!(client.get(path).unwrap().status, 200);
            asked.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

/// Connections that have had a request answered each and say no more.
fn idlers(server: &Server, count: usize) -> Vec<Client> {
    let clients: Vec<_> = (0..count).map(|_| server.connect()).collect();
    clients
        .into_iter()
        .map(|mut client| {
            assert_eq!(client.get("/demo/plaintext").unwrap().status, 200);
            client
        })
        .collect()
}

#[test]
fn an_idle_server_uses_no_processor() {
    let _alone = alone();
    let server = rws(&[]).start();
    let idle = idlers(&server, 10);
    server.get("/demo/delay/20");
    // What has been started comes to rest.
    let_pass(Duration::from_millis(500));
    let before = server.cpu_ticks();
    let_pass(Duration::from_secs(2));
    let spent = server.cpu_ticks() - before;
    println!("idle: {spent} ticks of 10 ms in 2 s, {} KiB resident", server.resident_kib());
    assert!(spent <= 1, "{spent} ticks");
    drop(idle);
}

/// Ten connections in each state in which something is waited for.
#[test]
fn waiting_uses_no_processor() {
    let _alone = alone();
    let server = rws(&[("HEAD_TIMEOUT", "5m"), ("BODY_TIMEOUT", "5m"), ("WRITE_TIMEOUT", "5m")]).start();
    let starts = [
        "",
        "GET / HTTP/1.1\r\nHost:",
        "GET /demo/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /demo/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
        "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc",
        "POST /demo/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST /demo/json HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
    ];
    let mut waiting: Vec<_> = starts.iter().cycle().take(80).map(|start| (server.connect(), *start)).collect();
    for (client, start) in &waiting {
        client.send(start).unwrap();
    }
    // The same with a client that has ended its half: the answer is still to come.
    for start in [starts[2], starts[3]].iter().cycle().take(20) {
        let client = server.connect();
        client.send(start).unwrap();
        client.socket.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        waiting.push((client, start));
    }
    let_pass(Duration::from_secs(1));
    let before = server.cpu_ticks();
    let_pass(Duration::from_secs(1));
    let spent = server.cpu_ticks() - before;
    println!("{} connections that wait: {spent} ticks of 10 ms in 1 s", waiting.len());
    assert!(spent <= 3, "{spent} ticks");
    assert_eq!(server.get("/demo/plaintext").status, 200);
}

#[test]
fn an_idle_connection_costs_little_memory() {
    const COUNT: usize = 2_000;
    let _alone = alone();
    let server = rws(&[("LOG_FORMAT", "off")]).start();
    // What grows once, grows now.
    drop(idlers(&server, 200));
    let before = server.resident_kib();
    let idle = idlers(&server, COUNT);
    let each = (server.resident_kib().saturating_sub(before)) * 1024 / COUNT as u64;
    println!("memory: {before} KiB before, {each} bytes for an idle connection");
    assert!(each <= 4096, "{each} bytes");
    drop(idle);
}

/// A large file is never in memory, however many clients are in the middle of it.
#[test]
fn slow_readers_of_a_large_file_cost_little_memory() {
    const COUNT: usize = 500;
    const MOST_KIB: u64 = 64 * 1024;
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    std::fs::File::create(directory.path().join("large.bin")).unwrap().set_len(100 << 20).unwrap();
    for secured in [false, true] {
        if secured && !cfg!(feature = "tls") {
            continue;
        }
        let mut settings = vec![("STATIC_DIR".to_owned(), directory.path().display().to_string())];
        let mut client = None;
        if secured {
            let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            for (name, file, text) in [
                ("TLS_CERT_FILE", "cert.pem", key.cert.pem()),
                ("TLS_KEY_FILE", "key.pem", key.signing_key.serialize_pem()),
            ] {
                let path = directory.path().join(file);
                std::fs::write(&path, text).unwrap();
                settings.push((name.to_owned(), path.display().to_string()));
            }
            client = Some(trusting(key.cert.der().clone()));
        }
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let server = rws(&settings).start();
        let before = server.resident_kib();
        let readers: Vec<_> = (0..COUNT).map(|_| slow_reader(&server, client.clone())).collect();
        // What can be buffered anywhere gets buffered.
        let_pass(Duration::from_millis(500));
        let during = server.resident_kib();
        println!("{COUNT} slow readers, secured: {secured}: {before} KiB before, {during} KiB with them");
        assert!(during < MOST_KIB, "secured: {secured}: {during} KiB");
        drop(readers);
    }
}

/// Settings of a client that trusts this one certificate.
fn trusting(certificate: rustls::pki_types::CertificateDer<'static>) -> std::sync::Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    std::sync::Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// A client with a small buffer that has read the beginning of a file, and reads no more.
fn slow_reader(server: &Server, tls: Option<std::sync::Arc<rustls::ClientConfig>>) -> Box<dyn Read> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.address().into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut socket = std::net::TcpStream::from(socket);
    let ask = |stream: &mut dyn Write| stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let hear = |stream: &mut dyn Read| {
        let mut start = [0; 15];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    };
    let Some(config) = tls else {
        ask(&mut socket);
        hear(&mut socket);
        return Box::new(socket);
    };
    let session = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    ask(&mut stream);
    hear(&mut stream);
    Box::new(stream)
}

#[test]
fn idle_and_slow_clients_leave_the_others_alone() {
    let _alone = alone();
    let server = rws(&[("IDLE_TIMEOUT", "5m"), ("HEAD_TIMEOUT", "5m")]).start();
    let mut client = server.connect();
    latencies(&mut client, "/demo/plaintext", 200);
    let before = p99(&latencies(&mut client, "/demo/plaintext", 2_000));

    let idle = idlers(&server, 1_000);
    let slow: Vec<_> = (0..300).map(|_| server.connect()).collect();
    let mut times = Vec::new();
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " {
        for client in &slow {
            client.send([*byte]).unwrap();
        }
        times.extend(latencies(&mut client, "/demo/plaintext", 100));
    }
    times.sort();
    let beside = p99(&times);
    println!("p99 alone {before:?}, beside 1000 idle and 300 slow-loris connections {beside:?}");
    assert!(beside <= 2 * before + Duration::from_millis(10), "{before:?} became {beside:?}");
    drop((idle, slow));
}

#[test]
fn probes_answer_at_once_while_every_thread_is_blocked() {
    let _alone = alone();
    for queue in ["1000", "8"] {
        let server = rws(&[("THREAD_COUNT", "4"), ("QUEUE_DEPTH", queue)]).start();
        let mut blocked: Vec<_> = (0..64).map(|_| server.connect()).collect();
        for client in &blocked {
            client.send("GET /demo/delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        }
        let end = Instant::now() + Duration::from_secs(2);
        let mut times = Vec::new();
        while Instant::now() < end {
            let asked = Instant::now();
            assert_eq!(server.get("/healthz").status, 200);
            times.push(asked.elapsed());
            let_pass(Duration::from_millis(2));
        }
        times.sort();
        let (worst, count) = (times[times.len() - 1], times.len());
        println!("QUEUE_DEPTH={queue}: {count} probes, p99 {:?}, worst {worst:?}", p99(&times));
        assert!(worst < Duration::from_millis(250), "{worst:?}");
        let statuses: Vec<_> = match queue {
            "8" => blocked.iter_mut().map(|client| client.read_reply().unwrap().status).collect(),
            _ => Vec::new(),
        };
        let refused = statuses.iter().filter(|status| **status == 503).count();
        assert!(queue != "8" || refused >= 64 - 4 - 8 - 4, "{statuses:?}");
    }
}

#[test]
fn fast_requests_stay_fast_beside_slow_ones() {
    let _alone = alone();
    let server = rws(&[]).start();
    let mut client = server.connect();
    latencies(&mut client, "/demo/plaintext", 500);
    let before = p99(&latencies(&mut client, "/demo/plaintext", 2_000));
    let over = std::sync::atomic::AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut slow = server.connect();
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(slow.get("/demo/delay/50").unwrap().status, 200);
                }
            });
        }
        let beside = p99(&latencies(&mut client, "/demo/plaintext", 5_000));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        beside
    });
    println!("p99 alone {before:?}, beside 16 connections on a handler of 50 ms {beside:?}");
    assert!(beside < Duration::from_millis(20), "{beside:?}");
}

#[test]
fn it_starts_and_ends_in_no_time() {
    let _alone = alone();
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let started = Instant::now();
        let mut server = rws(&[]).start();
        assert_eq!(server.get("/healthz").status, 200);
        let up = started.elapsed();
        let asked = Instant::now();
        assert_eq!(server.stop(), 0);
        best = (best.0.min(up), best.1.min(asked.elapsed()));
    }
    println!("first 200 after {:?}, exit {:?} after SIGTERM", best.0, best.1);
    assert!(best.0 < Duration::from_secs(1) && best.1 < PATIENCE, "{best:?}");
}
