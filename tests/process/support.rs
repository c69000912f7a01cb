//! Starts the `rws` binary in a clean environment, talks to it over sockets, listens to its two logs, sends it signals,
//! and never leaves it behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, after, never, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

#[allow(unused_imports, reason = "shared with process_measures.rs")]
pub(crate) use rustix::process::Signal as Sig;

/// The binary under test.
pub(crate) const RWS: &str = env!("CARGO_BIN_EXE_rws");
/// How long anything may take on a loaded machine before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a server is started with.
#[derive(Default)]
pub(crate) struct Setup {
    settings: BTreeMap<String, String>,
    shell: Option<String>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    port: u16,
}

/// A server with the demonstration routes, and these settings besides (names without `RWS_CONFIG_`).
pub(crate) fn rws(settings: &[(&str, &str)]) -> Setup {
    let mut setup = Setup::default();
    setup.set("IP", "127.0.0.1").set("DEMO_ROUTES", "true");
    for (name, value) in settings {
        setup.set(name, value);
    }
    setup
}

impl Setup {
    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.settings.insert(format!("RWS_CONFIG_{name}"), value.to_owned());
        self
    }

    /// Starts the server through `sh -c`, in which `"$RWS"` is the binary.
    pub(crate) fn shell(mut self, script: &str) -> Self {
        self.shell = Some(script.to_owned());
        self
    }

    /// Gives it this stdout instead of one that is listened to.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Starts it on a port of our choice, for when it cannot tell which one it has; its stderr goes where `stderr` says.
    pub(crate) fn mute(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self.port = free_port();
        self
    }

    /// Starts it on this port.
    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(self) -> Server {
        self.start_until("ready")
    }

    /// Starts it and waits until it says that it is in this state of its life cycle.
    pub(crate) fn start_until(mut self, state: &str) -> Server {
        let port = self.port;
        self.set("PORT", &port.to_string());
        let mut command = match &self.shell {
            None => clean(RWS),
            Some(script) => {
                let mut shell = clean("/bin/sh");
                shell.args(["-c", script]).env("RWS", RWS);
                shell
            }
        };
        command.envs(&self.settings).stdin(Stdio::null());
        command.stdout(self.stdout.unwrap_or_else(Stdio::piped)).stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().unwrap();
        // A pipe that was given away must have no writer here.
        drop(command);
        let stdout = Log::of(child.stdout.take());
        let stderr = Log::of(child.stderr.take());
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let mut server = Server { child, pidfd, port, stdout, stderr };
        if port == 0 {
            let ready = server.stderr.wait_for(|line| line.contains(&format!(r#""{state}""#)));
            let address = ready.split("127.0.0.1:").nth(1).unwrap_or_else(|| panic!("no address in {ready}"));
            let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
            server.port = digits.parse().unwrap();
        } else {
            server.wait_until_it_listens();
        }
        server
    }
}

/// A command without any of our own environment.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs the binary until it ends by itself.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = clean(RWS);
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    let guard = thread::spawn(move || child.wait_with_output().unwrap());
    if !ended(&pidfd, PATIENCE) {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        panic!("did not end: {:?}", guard.join());
    }
    guard.join().unwrap()
}

/// A port below those that the system hands out to clients, so that nobody else gets it in between.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn ended(pidfd: &OwnedFd, timeout: Duration) -> bool {
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

/// A process that is running, or was.
pub(crate) struct Server {
    child: Child,
    pidfd: OwnedFd,
    pub(crate) port: u16,
    /// The access log.
    pub(crate) stdout: Log,
    /// The diagnostics.
    pub(crate) stderr: Log,
}

impl Server {
    fn wait_until_it_listens(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            // Waiting for the process to end is as good a pause as any.
            assert!(!ended(&self.pidfd, Duration::from_millis(5)), "ended: {:?}", self.child.wait());
            assert!(Instant::now() < end, "does not listen");
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).unwrap();
    }

    /// Whether the process still runs after `pause`.
    pub(crate) fn runs_after(&self, pause: Duration) -> bool {
        !ended(&self.pidfd, pause)
    }

    /// Waits for the end, and returns the exit code.
    pub(crate) fn wait(&mut self, most: Duration) -> i32 {
        assert!(ended(&self.pidfd, most), "still runs after {most:?}; stderr: {:#?}", self.stderr.so_far());
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| panic!("ended with {status}"))
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait(PATIENCE)
    }

    /// A connection on which every wait ends at some time.
    pub(crate) fn connect(&self) -> Client {
        Client::new(self.address()).unwrap()
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        self.connect().ask(&request).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// What a metric says.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter(|rest| rest.starts_with([' ', '{']))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until a metric has reached `least`.
    pub(crate) fn wait_for_metric(&self, name: &str, least: f64) {
        let end = Instant::now() + PATIENCE;
        while self.metric(name) < least {
            assert!(Instant::now() < end, "{name} stays below {least}");
        }
    }

    /// The processor time it has used.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a process writes, line by line.
pub(crate) struct Log {
    lines: Option<Receiver<Vec<u8>>>,
    seen: Vec<Vec<u8>>,
}

impl Log {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let lines = pipe.map(|pipe| {
            let (sender, lines) = unbounded();
            thread::spawn(move || {
                let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
                lines.map_while(|line| sender.send(line).ok()).for_each(drop);
            });
            lines
        });
        Log { lines, seen: Vec::new() }
    }

    /// The next line, if one comes in time.
    pub(crate) fn next(&mut self, timeout: Duration) -> Result<String, RecvTimeoutError> {
        let line = self.lines.as_ref().ok_or(RecvTimeoutError::Disconnected)?.recv_timeout(timeout)?;
        self.seen.push(line.clone());
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// The next line for which `wanted` holds; those before it are passed over.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.next(PATIENCE) {
                Ok(line) if wanted(&line) => return line,
                Ok(_) if Instant::now() > end => panic!("never came, in {} lines", self.seen.len()),
                Ok(_) => {}
                Err(error) => panic!("{error}; so far: {:#?}", self.so_far()),
            }
        }
    }

    /// Every line up to now.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        while self.next(Duration::ZERO).is_ok() {}
        self.seen.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Every line until the process has closed its end. For after it has ended.
    pub(crate) fn all(&mut self) -> Vec<String> {
        while self.next(PATIENCE).is_ok() {}
        self.so_far()
    }

    /// As [`all`](Self::all), every one of them JSON, and UTF-8 with it.
    pub(crate) fn all_json(&mut self) -> Vec<Value> {
        while self.next(PATIENCE).is_ok() {}
        self.seen.iter().map(|line| json(line)).collect()
    }
}

/// A line that must be a JSON object.
pub(crate) fn json(line: &[u8]) -> Value {
    let value: Value =
        serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
    assert!(value.is_object(), "{value}");
    value
}

/// Every line of a text.
pub(crate) fn json_lines(text: &[u8]) -> Vec<Value> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(json).collect()
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether no other request may follow on this connection.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A client's side of a connection.
pub(crate) struct Client {
    pub(crate) socket: BufReader<TcpStream>,
    closing: bool,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        Client::of(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// A client whose address is `own`, one of this machine.
    pub(crate) fn from(own: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(own, 0).into())?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        Client::of(socket.into())
    }

    fn of(socket: TcpStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        Ok(Client { socket: BufReader::new(socket), closing: false })
    }

    /// Whether the last response said that no other will follow.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.get_ref().write_all(bytes.as_ref())
    }

    /// Sends a whole request and reads the whole response to it.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> io::Result<Reply> {
        self.send(request)?;
        self.read_reply()
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    /// Reads a response with a Content-Length, or one that lasts until the connection closes.
    pub(crate) fn read_reply(&mut self) -> io::Result<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.socket.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("closed in the head {head:?}")));
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no response: {head:?}")))?;
        let mut reply = Reply { status, head, body: Vec::new() };
        self.closing = reply.closes();
        match reply.field("content-length").map(str::parse) {
            Some(Ok(length)) => {
                reply.body.resize(length, 0);
                self.socket.read_exact(&mut reply.body)?;
            }
            _ => _ = self.socket.read_to_end(&mut reply.body)?,
        }
        Ok(reply)
    }

    /// Reads until the other side closes; a reset is an end too.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
    }
}

/// Waits, on something that never comes: for when time itself is what is measured.
pub(crate) fn let_pass(time: Duration) {
    crossbeam_channel::select! {
        recv(never::<()>()) -> _ => {}
        recv(after(time)) -> _ => {}
    }
}

/// Where a program is, if it is installed. Says so if it is not.
pub(crate) fn program(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').map(|dir| format!("{dir}/{name}")).find(|file| fs::metadata(file).is_ok());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not installed");
    }
    found
}
