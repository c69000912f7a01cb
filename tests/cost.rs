//! What a request may cost, with metrics and the JSON access log on: heap allocations and system calls.
//!
//! Run with `cargo test --test cost -- --nocapture` to see the figures.

#![allow(unsafe_code, reason = "counting allocations takes an allocator of our own")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rws::app::request::Received;
use rws::app::service::Service;
use rws::app::{App, Body, Json, Path, get};
use rws::config::Config;
use rws::files::Files;
use rws::ops::diagnostics;
use rws::ops::log_writer::{LogHandle, LogWriter};
use rws::ops::metrics::Metrics;
use rws::ops::telemetry::Telemetry;
use rws::server::{Running, Server};
use serde::Serialize;

/// Counts what all threads of the process allocate while [`COUNTING`].
struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The tests of this file would disturb each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn count_allocation() {
    if COUNTING.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory but two atomics.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation();
        // SAFETY: the caller's promises are those that this asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_allocation();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Says something although the test may pass.
fn report(text: std::fmt::Arguments<'_>) {
    // The test says the same by failing, if it does.
    let _ = writeln!(io::stderr().lock(), "cost: {text}");
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

/// A directory with a file of 1 KiB that ends with [`END_OF_FILE`].
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let content = [vec![b'x'; 1024 - END_OF_FILE.len()], END_OF_FILE.into()].concat();
    std::fs::write(directory.path().join("small.txt"), content).unwrap();
    directory
}

const END_OF_FILE: &[u8] = b"the end";

/// gzip ends with the length of the content (RFC 1952 section 2.3.1).
const END_OF_GZIP: &[u8] = &1024u32.to_le_bytes();

fn app(directory: &std::path::Path) -> App {
    let files = Files::new(directory).unwrap();
    let files = move |received: Arc<Received>| files.serve(&received.head, &received.head.path()["/files/".len()..]);
    App::new()
        .route("/files/{*path}", get(files))
        .route("/text", get(|| "Hello, World!"))
        .route("/json", get(|| Json(Message { message: "Hello, World!" })))
        .route("/user/{id}", get(|Path(id): Path<u64>| if id == 42 { "Hello, World!" } else { "who?" }))
}

/// A server with everything on, whose logs go nowhere.
fn serve(directory: &std::path::Path) -> (Running, LogHandle) {
    let config = Config { reactor_count: 2, ..Config::default() };
    let service = Arc::new(app(directory).build().unwrap());
    let (diagnostics, _) = LogWriter::spawn("diagnostics", io::sink(), 64).unwrap();
    tracing::subscriber::set_global_default(diagnostics::subscriber(&config, diagnostics).0).unwrap();
    let (log, _) = LogWriter::spawn("access-log", io::sink(), 64).unwrap();
    let metrics = Metrics::new(prometheus::Registry::new(), Arc::default(), Default::default(), vec![log.clone()]);
    let telemetry = Telemetry::new(&config, Arc::new(metrics.unwrap()), service.endpoints(), log.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (Server::new(listener, service, Arc::new(telemetry), config).start().unwrap(), log)
}

/// A client that allocates nothing once it is connected.
struct Client {
    stream: TcpStream,
    buffer: [u8; 4096],
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: [0; 4096] }
    }

    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Reads one response, whose body must end with `end`.
    fn receive(&mut self, end: &[u8]) {
        let mut filled = 0;
        while !self.buffer[..filled].ends_with(end) {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

/// How often something is measured that looks too expensive: on a machine with other things to do, it may have been them.
const ATTEMPTS: usize = 3;

/// Allocations for one request, of everything there is in the process.
fn allocations_per_request(client: &mut Client, request: &[u8], end: &[u8]) -> f64 {
    const REQUESTS: u64 = 2000;
    let mut exchange = |count| {
        for _ in 0..count {
            client.send(request);
            client.receive(end);
        }
    };
    // Buffers come into being and grow to their size.
    exchange(REQUESTS);
    ALLOCATIONS.store(0, Ordering::SeqCst);
    COUNTING.store(true, Ordering::SeqCst);
    exchange(REQUESTS);
    COUNTING.store(false, Ordering::SeqCst);
    ALLOCATIONS.load(Ordering::SeqCst) as f64 / REQUESTS as f64
}

#[test]
fn a_request_takes_at_most_two_allocations_and_static_answers_none() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = directory();
    let (server, log) = serve(directory.path());
    let mut client = Client::connect(server.address());
    // The fractions leave room for what happens once in a while, on whichever thread.
    let cases: [(&str, &[u8], &[u8], f64); 6] = [
        ("static text", b"GET /text HTTP/1.1\r\nHost: h\r\n\r\n", b"Hello, World!", 0.05),
        ("a file", b"GET /files/small.txt HTTP/1.1\r\nHost: h\r\n\r\n", END_OF_FILE, 0.05),
        (
            "a file that was compressed",
            b"GET /files/small.txt HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n",
            END_OF_GZIP,
            0.05,
        ),
        ("a path parameter", b"GET /user/42 HTTP/1.1\r\nHost: h\r\n\r\n", b"Hello, World!", 2.05),
        ("JSON", b"GET /json HTTP/1.1\r\nHost: h\r\n\r\n", b"{\"message\":\"Hello, World!\"}", 2.05),
        (
            "a browser's fields",
            b"GET /text?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\
              X-Request-Id: 0123456789abcdef\r\nCookie: a=b\r\nReferer: http://h/\r\n\r\n",
            b"Hello, World!",
            2.05,
        ),
    ];
    let mut failures = Vec::new();
    for (name, request, end, most) in cases {
        let mut allocations = f64::INFINITY;
        for _ in 0..ATTEMPTS {
            allocations = allocations.min(allocations_per_request(&mut client, request, end));
            if allocations <= most {
                break;
            }
        }
        report(format_args!("{name}: {allocations:.3} allocations for a request"));
        if allocations > most {
            failures.push(format!("{name}: {allocations:.3} allocations, at most {most}"));
        }
    }
    assert_eq!(log.dropped(), 0, "the log was part of the cost");
    drop(client);
    server.stop().drain(false, 15);
    server.wait();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_piece_that_another_thread_sends_takes_no_allocation() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, mut body) = Body::channel();
    let mut buffer = [0; 100];
    let pieces: Vec<_> = (0..100).map(|_| vec![b'x'; buffer.len()]).collect();
    sender.send("the queue grows to its size").unwrap();
    ALLOCATIONS.store(0, Ordering::SeqCst);
    COUNTING.store(true, Ordering::SeqCst);
    for piece in pieces {
        sender.send(piece).unwrap();
        assert_ne!(body.read(&mut buffer).unwrap(), 0);
    }
    COUNTING.store(false, Ordering::SeqCst);
    let allocations = ALLOCATIONS.load(Ordering::SeqCst);
    assert!(allocations < 10, "{allocations} for 100 pieces");
}

/// System calls of the binary, counted with strace.
#[cfg(feature = "cli")]
mod system_calls {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStderr, Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const CONNECTIONS: usize = 64;
    const ROUNDS: usize = 50;
    const REQUESTS: f64 = (CONNECTIONS * ROUNDS) as f64;
    /// What goes by the clock and not by requests: while there is work, the monitor looks about once a millisecond.
    const CALLS_PER_MILLISECOND: f64 = 2.0;

    /// A child that does not outlive its test.
    struct Process(Child);

    impl Drop for Process {
        fn drop(&mut self) {
            // It may have ended by itself.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Process {
        fn stderr(&mut self) -> BufReader<ChildStderr> {
            BufReader::new(self.0.stderr.take().expect("stderr is a pipe"))
        }
    }

    /// The binary with metrics and the JSON log to a file, serving `directory`, once it says where it listens.
    fn start_binary(directory: &std::path::Path) -> (Process, SocketAddr) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rws"));
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"RWS_CONFIG_") || name == "KUBERNETES_SERVICE_HOST" {
                command.env_remove(name);
            }
        }
        command
            .args(["--ip", "127.0.0.1", "--port", "0", "--set", "DEMO_ROUTES=true", "--static-dir"])
            .arg(directory)
            .stdout(tempfile::tempfile().unwrap())
            .stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        for line in process.stderr().lines() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(address) = line["address"].as_str() {
                return (process, address.parse().unwrap());
            }
        }
        panic!("the server ended without saying where it listens");
    }

    /// What strace counts.
    #[derive(Debug)]
    struct Counts {
        reads: f64,
        writes: f64,
        all: f64,
        /// What of them may go by the clock.
        by_the_clock: f64,
    }

    impl Counts {
        /// Reads the table of `strace -c`: % time, seconds, µs per call, calls, perhaps errors, name.
        fn parse(table: &str, took: Duration) -> Self {
            let by_the_clock = took.as_secs_f64() * 1e3 * CALLS_PER_MILLISECOND / REQUESTS;
            let mut counts = Counts { reads: 0.0, writes: 0.0, all: 0.0, by_the_clock };
            for line in table.lines() {
                let columns: Vec<&str> = line.split_ascii_whitespace().collect();
                let Some(calls) = columns.get(3).and_then(|calls| calls.parse::<f64>().ok()) else { continue };
                let calls = calls / REQUESTS;
                match columns[columns.len() - 1] {
                    "total" => continue,
                    "read" | "readv" | "recvfrom" | "recvmsg" => counts.reads += calls,
                    "write" | "writev" | "sendto" | "sendmsg" => counts.writes += calls,
                    _ => {}
                }
                counts.all += calls;
            }
            counts
        }

        /// One read and one write for a request. The rest are full log buffers and waits.
        fn are_in_order(&self) -> bool {
            self.are_within(1.05, 2.2)
        }

        /// The same on a machine so busy that threads are interrupted in the middle of a request, which the monitor
        /// takes for slow handlers. One call more for each request would still be too many.
        fn are_bearable(&self) -> bool {
            self.are_within(1.3, 2.9)
        }

        fn are_within(&self, each: f64, all: f64) -> bool {
            self.reads <= each && self.writes <= each && self.all - self.by_the_clock <= all
        }
    }

    /// Counts the system calls of the process `pid` while `work` goes on. `Err` tells why strace cannot.
    fn count(pid: u32, work: impl FnOnce()) -> Result<Counts, String> {
        let table = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-p", &pid.to_string(), "-o"]).arg(table.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = Process(command.spawn().map_err(|error| format!("strace cannot be run: {error}"))?);
        let mut first = String::new();
        let mut stderr = strace.stderr();
        stderr.read_line(&mut first).unwrap();
        if !first.contains("attached") {
            return Err(format!("strace cannot attach: {}", first.trim()));
        }
        let start = Instant::now();
        work();
        let took = start.elapsed();
        kill_process(Pid::from_child(&strace.0), Signal::INT).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while strace.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "strace does not end");
            thread::yield_now();
        }
        Ok(Counts::parse(&fs::read_to_string(table.path()).unwrap(), took))
    }

    #[test]
    fn a_request_takes_one_read_one_write_and_hardly_anything_else() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = directory();
        let (server, address) = start_binary(directory.path());
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(address)).collect();
        for (path, end) in [("/demo/plaintext", &b"Hello, World!"[..]), ("/small.txt", END_OF_FILE)] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            let mut exchange = |rounds| {
                for _ in 0..rounds {
                    clients.iter_mut().for_each(|client| client.send(request.as_bytes()));
                    clients.iter_mut().for_each(|client| client.receive(end));
                }
            };
            exchange(2);
            if let Err(reason) = check(&server, path, &mut exchange) {
                return report(format_args!("SKIPPED, system calls are not counted: {reason}"));
            }
        }
    }

    /// Counts while `exchange` goes on, several times if need be. `Err` tells why strace cannot.
    fn check(server: &Process, path: &str, exchange: &mut impl FnMut(usize)) -> Result<(), String> {
        let mut attempts = Vec::new();
        for _ in 0..ATTEMPTS {
            let counts = count(server.0.id(), || exchange(ROUNDS))?;
            let Counts { reads, writes, all, by_the_clock } = counts;
            report(format_args!(
                "{path}: {reads:.3} reads, {writes:.3} writes, {all:.3} system calls for a request, of which up to \
                 {by_the_clock:.3} by the clock"
            ));
            assert!(reads > 0.95 && writes > 0.95, "strace has not seen everything");
            if counts.are_in_order() {
                return Ok(());
            }
            attempts.push(counts);
        }
        assert!(attempts.iter().any(Counts::are_bearable), "{path}: too many system calls: {attempts:#?}");
        report(format_args!("the machine is too busy for a strict count"));
        Ok(())
    }
}
