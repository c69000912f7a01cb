//! What the tests of the whole server share: a server on port 0 with routes for every purpose, gates that hold its
//! handlers, a clock that is moved by hand, an observer that tells what it saw, and a client that speaks bytes.
//!
//! Nothing here sleeps: what must have happened is waited for, on a socket, a channel or a condition.

#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part of it; a test may panic")]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use http::{HeaderName, HeaderValue, StatusCode};
use rws::app::middleware::{Compression, map_response};
use rws::app::service::EndpointKind;
use rws::app::{Body, BodySender, Json, NamedFile, Path, Problem, Request, Sse, SseSender, State, any, get, post};
use rws::config::Config;
use rws::server::clock::Clock;
use rws::server::lifecycle::Lifecycle;
use rws::server::observe::{Exchange, Observer, Outcome, Recorder};
use rws::server::stats::{ErrorKind, Stats};
use rws::server::{Report, Server, Stop};
use rws::{App, Response, Router};

/// How long to wait for what must happen. Only a failure takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One reactor, few threads and long queues: what happens is easy to foresee.
pub(crate) fn config() -> Config {
    Config { reactor_count: 1, thread_count: 4, queue_depth: 100, ..Config::default() }
}

/// A running server.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) stats: Arc<Stats>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) gate: Arc<Gate>,
    pub(crate) seen: Receiver<Seen>,
    pub(crate) stop: Stop,
    wake: Box<dyn Fn() + Send + Sync>,
    report: Receiver<Report>,
}

impl Site {
    /// Serves the routes of [`app`] as `config` says, on a clock that stands still.
    pub(crate) fn start(config: Config) -> Self {
        Site::on(config, Clock::manual())
    }

    /// The same on `clock`.
    pub(crate) fn on(config: Config, clock: Clock) -> Self {
        Site::of(config, clock, |server| server)
    }

    /// The same, with something done to the server before it starts.
    pub(crate) fn of(config: Config, clock: Clock, prepare: impl FnOnce(Server) -> Server) -> Self {
        quiet_panics();
        let gate = Arc::new(Gate::default());
        let (sender, seen) = unbounded();
        let service = app().state(gate.clone()).build().expect("the test routes are valid");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (stats, lifecycle) = (Arc::<Stats>::default(), Lifecycle::default());
        let server = Server::new(listener, Arc::new(service), Arc::new(Witness(sender)), config)
            .with_clock(clock.clone())
            .with_handles(stats.clone(), lifecycle.clone());
        let running = prepare(server).start().unwrap();
        let (address, stop, wake) = (running.address(), running.stop(), Box::new(running.waker()));
        let (done, report) = unbounded();
        thread::spawn(move || done.send(running.wait()));
        Site { address, clock, stats, lifecycle, gate, seen, stop, wake, report }
    }

    /// How many connections ended badly that way.
    pub(crate) fn errors(&self, kind: ErrorKind) -> u64 {
        self.stats.connection_errors[kind as usize].load(Ordering::SeqCst)
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A new connection on which `bytes` were sent.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.connect();
        client.send(bytes);
        client
    }

    /// Returns when the reactor (there must be one only) has dealt with all that was sent before: events come in
    /// order, so who is answered later was heard later.
    pub(crate) fn settle(&self) {
        for _ in 0..2 {
            let reply = self.send(request("GET", "/probe", "Connection: close\r\n")).reply();
            assert_eq!(reply.status, 200);
        }
    }

    /// Lets time pass on the manual clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        (self.wake)();
    }

    /// The next exchange that was recorded, probes aside.
    pub(crate) fn next_seen(&self) -> Seen {
        loop {
            let seen = self.seen.recv_timeout(PATIENCE).expect("an exchange is recorded");
            if seen.path != "/probe" {
                return seen;
            }
        }
    }

    /// How it ended.
    pub(crate) fn report(&self) -> Report {
        self.report.recv_timeout(PATIENCE).expect("the server ends")
    }

    /// Drains without delay, and tells how it ended.
    pub(crate) fn drain(&self) -> Report {
        self.stop.drain(false, 15);
        self.report()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&self) -> bool {
        self.report.is_empty()
    }

    /// Waits for a gauge or counter to get there.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Stats) -> bool) {
        until(what, || condition(&self.stats));
    }

    /// Waits until nobody is connected and nothing is going on.
    pub(crate) fn until_deserted(&self) {
        self.until("all connections are closed", |stats| stats.connections_active.load(Ordering::SeqCst) == 0);
        assert_eq!(self.stats.requests_active.load(Ordering::SeqCst), 0, "requests are still counted as active");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.gate.open_for_good();
        self.stop.abort(9);
    }
}

/// Waits for something that no channel tells.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Handlers panic on purpose here; the rest of the world keeps its messages.
fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some(ON_PURPOSE) {
                usual(panic);
            }
        }));
    });
}

/// What handlers panic with.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Holds handlers until they are let through, one by one.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    /// How often each name may still pass.
    permits: HashMap<String, usize>,
    /// Who has come, in order.
    arrived: Vec<String>,
    inside: usize,
    most_inside: usize,
    open: bool,
    senders: HashMap<String, BodySender>,
    events: HashMap<String, SseSender>,
}

impl Gate {
    /// Comes to the gate and passes when it may.
    fn pass(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.arrived.push(name.to_owned());
        state.inside += 1;
        state.most_inside = state.most_inside.max(state.inside);
        self.changed.notify_all();
        let closed = |state: &mut Held| !state.open && state.permits.get(name).is_none_or(|&permits| permits == 0);
        state = self.changed.wait_while(state, closed).unwrap();
        if let Some(permits) = state.permits.get_mut(name) {
            *permits = permits.saturating_sub(1);
        }
        state.inside -= 1;
        self.changed.notify_all();
    }

    /// Lets one more `name` pass.
    pub(crate) fn open(&self, name: &str) {
        *self.state.lock().unwrap().permits.entry(name.to_owned()).or_default() += 1;
        self.changed.notify_all();
    }

    /// Lets everybody pass from now on.
    pub(crate) fn open_for_good(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Waits until so many have come altogether.
    pub(crate) fn wait_for(&self, arrivals: usize) {
        let state = self.state.lock().unwrap();
        let (state, _) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.arrived.len() < arrivals).unwrap();
        assert!(state.arrived.len() >= arrivals, "only {:?} have come", state.arrived);
    }

    /// What sends the body of /fed/`name`, once that was asked for.
    pub(crate) fn sender(&self, name: &str) -> BodySender {
        let state = self.state.lock().unwrap();
        let missing = |state: &mut Held| !state.senders.contains_key(name);
        let (mut state, _) = self.changed.wait_timeout_while(state, PATIENCE, missing).unwrap();
        state.senders.remove(name).expect("it was asked for")
    }

    /// What sends the events of /events/`name`, once that was asked for.
    pub(crate) fn events(&self, name: &str) -> SseSender {
        let state = self.state.lock().unwrap();
        let missing = |state: &mut Held| !state.events.contains_key(name);
        let (mut state, _) = self.changed.wait_timeout_while(state, PATIENCE, missing).unwrap();
        state.events.remove(name).expect("it was asked for")
    }

    /// Who has come, in order.
    pub(crate) fn arrived(&self) -> Vec<String> {
        self.state.lock().unwrap().arrived.clone()
    }

    /// How many were inside at once, at most.
    pub(crate) fn most_inside(&self) -> usize {
        self.state.lock().unwrap().most_inside
    }
}

/// What was recorded of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Empty when no head was understood.
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) queued: bool,
}

struct Witness(Sender<Seen>);

impl Observer for Witness {
    fn recorder(&self, _: usize) -> Box<dyn Recorder> {
        Box::new(Witness(self.0.clone()))
    }
}

impl Recorder for Witness {
    fn record(&mut self, exchange: &Exchange<'_>) {
        assert_eq!(exchange.received.is_none(), exchange.endpoint.is_none());
        let _ = self.0.send(Seen {
            path: exchange.received.map_or_else(String::new, |received| received.head.path().to_owned()),
            status: exchange.status.as_u16(),
            outcome: exchange.outcome,
            bytes_in: exchange.bytes_in,
            bytes_out: exchange.bytes_out,
            queued: exchange.queued.is_some(),
        });
    }

    fn flush(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

/// An observer that takes note of nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn recorder(&self, _: usize) -> Box<dyn Recorder> {
        Box::new(Nobody)
    }
}

impl Recorder for Nobody {
    fn record(&mut self, _: &Exchange<'_>) {}

    fn flush(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

/// A connection that speaks bytes.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of the field called `name` (in lower case).
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": ")).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Whether it says that the connection closes.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Client::of(TcpStream::connect(address).unwrap())
    }

    /// A client on a connection that is there already.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::over(stream)
    }

    /// Says that nothing more will come.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends with a reset in place of a goodbye.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    /// A client that speaks over something of the caller's.
    pub(crate) fn over(stream: S) -> Self {
        Client { stream, received: Vec::new() }
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as the server takes before it refuses more.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// The next response to anything but HEAD.
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// The next response.
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        self.try_reply(method).expect("a whole response")
    }

    /// The next response, unless the connection ends before it is whole.
    pub(crate) fn try_reply(&mut self, method: &str) -> io::Result<Reply> {
        let mut reply = self.head()?;
        if method != "HEAD" && reply.status >= 200 && reply.status != 204 && reply.status != 304 {
            reply.body = self.body(&reply)?;
        }
        Ok(reply)
    }

    /// The next response without its body, which is still to be read.
    pub(crate) fn head(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.take(end)).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        Ok(Reply { status, head, body: Vec::new() })
    }

    fn body(&mut self, reply: &Reply) -> io::Result<Vec<u8>> {
        if reply.field("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        match reply.field("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()),
            None => Ok(self.rest()),
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match self.next_chunk()? {
                chunk if chunk.is_empty() => return Ok(body),
                chunk => body.extend_from_slice(&chunk),
            }
        }
    }

    /// The next chunk of a response whose head was read; empty at the end.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let end = loop {
            match find(&self.received, b"\r\n") {
                Some(at) => break at,
                None => self.more()?,
            }
        };
        let line = String::from_utf8(self.take(end + 2)).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
        let mut chunk = self.exactly(size + 2)?;
        assert_eq!(chunk.split_off(size), b"\r\n");
        Ok(chunk)
    }

    fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < n {
            self.more()?;
        }
        Ok(self.take(n))
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.received.split_off(n);
        std::mem::replace(&mut self.received, rest)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.received.extend_from_slice(&buffer[..n]);
                Ok(())
            }
        }
    }

    /// Everything until the server closes, which must be without a reset.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.received);
        self.stream.read_to_end(&mut rest).expect("an orderly end");
        rest
    }

    /// The server has nothing more to say, and closes.
    pub(crate) fn expect_end(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Waits for the first bytes of something, which are not taken.
    pub(crate) fn wait_for_bytes(&mut self) {
        if self.received.is_empty() {
            self.more().unwrap();
        }
    }
}

/// Where `part` begins in `whole`.
pub(crate) fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

/// A request without a body.
pub(crate) fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// A plain GET.
pub(crate) fn get_of(target: &str) -> String {
    request("GET", target, "")
}

/// A request with a body of known length.
pub(crate) fn post_of(target: &str, body: &str) -> String {
    request("POST", target, &format!("Content-Length: {}\r\n", body.len())) + body
}

/// A request with its body in these chunks.
pub(crate) fn chunked_to(target: &str, chunks: &[&str]) -> String {
    let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    request("POST", target, "Transfer-Encoding: chunked\r\n") + &chunks + "0\r\n\r\n"
}

/// Byte number `i` of what /bytes and the like send.
pub(crate) fn pattern(n: usize) -> Vec<u8> {
    let mut pattern = (0..251).collect::<Vec<u8>>().repeat(n / 251 + 1);
    pattern.truncate(n);
    pattern
}

/// A source of `left` bytes of [`pattern`], after which it does as it is told.
struct Source {
    at: usize,
    left: usize,
    then: Then,
    gate: Option<(Arc<Gate>, String)>,
}

enum Then {
    End,
    Fail,
    Panic,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((gate, name)) = &self.gate {
            gate.pass(name);
        }
        if self.left == 0 {
            return match self.then {
                Then::End => Ok(0),
                Then::Fail => Err(io::Error::other("the source is broken")),
                Then::Panic => panic!("{ON_PURPOSE}"),
            };
        }
        let n = buffer.len().min(self.left);
        let start = self.at % 251;
        buffer[..n].copy_from_slice(&pattern(start + n)[start..]);
        self.at += n;
        self.left -= n;
        Ok(n)
    }
}

type TheGate = State<Arc<Gate>>;

/// The routes.
fn app() -> App {
    let text = || "Hello";
    App::new()
        .mount("/probe", get(|| "ok"), EndpointKind::Probe)
        .route("/text", get(text))
        .route("/json", get(|| Json(serde_json::json!({"message": "Hello"}))))
        .route("/ignore", any(|| "ignored"))
        .route("/echo", post(|request: Request| echo(request)))
        .route("/bytes", post(|body: bytes::Bytes| body))
        .route("/string", post(|body: String| body))
        .route("/limited/bytes", post(|body: bytes::Bytes| body).body_limit(10))
        .route("/limited/stream", post(read_to_end).body_limit(10))
        .nest("/small", limited())
        .route("/slurp", post(read_to_end))
        .route("/trickle", post(read_one_by_one))
        .route("/unread", post(|_: Body| "not read"))
        .route("/unread/written", post(|_: Body| Body::writer(|out| out.write_all(b"not read"))))
        .route("/unread/read", post(|_: Body| Body::reader(&b"not read"[..], None)))
        .route("/duplex", any(|body: Body| Body::writer(|out| shout(body, out))))
        .route("/duplex/{n}", post(|Path(n): Path<u64>, body: Body| first(n, body)))
        .route("/first/{n}", any(|Path(n): Path<u64>, body: Body| Body::reader(body.take(n), None)))
        .route("/late/{name}", post(read_late))
        .route(
            "/gate/{name}",
            any(|Path(name): Path<String>, State(gate): TheGate| -> String {
                gate.pass(&name);
                name
            }),
        )
        .route(
            "/gate-body/{name}",
            post(|Path(name): Path<String>, State(gate): TheGate, body: String| -> String {
                gate.pass(&name);
                body
            }),
        )
        .route(
            "/blocking/{name}",
            get(|Path(name): Path<String>, State(gate): TheGate| -> String {
                gate.pass(&name);
                name
            })
            .blocking(),
        )
        .route("/big/{n}", get(|Path(n): Path<usize>| pattern(n)))
        .route("/file/{n}", get(file))
        .route("/named/{path}", get(named))
        .route("/stream/{n}", get(|Path(n): Path<usize>| stream(n, None, Then::End)))
        .route(
            "/stream/{n}/{announced}",
            get(|Path((n, announced)): Path<(usize, u64)>| stream(n, Some(announced), Then::End)),
        )
        .route("/failing/{n}", get(|Path(n): Path<usize>| stream(n, None, Then::Fail)))
        .route(
            "/failing/{n}/{announced}",
            get(|Path((n, announced)): Path<(usize, u64)>| stream(n, Some(announced), Then::Fail)),
        )
        .route("/panicking-stream/{n}", get(|Path(n): Path<usize>| stream(n, None, Then::Panic)))
        .route("/gated-stream/{name}", get(gated_stream))
        .route("/blocking-stream/{name}", get(gated_stream).blocking())
        .route("/fed/{name}", any(fed))
        .route("/gated-writer/{name}", any(gated_writer))
        .route("/blocking-writer/{name}", any(gated_writer).blocking())
        .route("/gate-writer/{name}", get(late_writer).blocking())
        .route("/bad-drop", get(|| Body::reader(BadDrop, None)))
        .nest("/coded", coded())
        .route("/events/{name}", any(events))
        .route(
            "/endless-writer",
            get(|| {
                Body::writer(|out| {
                    loop {
                        out.write_all(&pattern(1000))?
                    }
                })
            }),
        )
        .route("/written/{n}", get(|Path(n): Path<usize>| written(n, Then::End)))
        .route("/badly-written/{n}", get(|Path(n): Path<usize>| written(n, Then::Fail)))
        .route("/panicking-writer/{n}", get(|Path(n): Path<usize>| written(n, Then::Panic)))
        .route("/sleep/{ms}", get(sleep))
        .route("/sleep-blocking/{ms}", get(sleep).blocking())
        .route("/panic", any(|| -> StatusCode { panic!("{ON_PURPOSE}") }))
        .route(
            "/panic-late/{name}",
            get(|Path(name): Path<String>, State(gate): TheGate| -> StatusCode {
                gate.pass(&name);
                panic!("{ON_PURPOSE}")
            }),
        )
        .route("/status/{code}", any(|Path(code): Path<u16>| StatusCode::from_u16(code).unwrap_or_default()))
        .route("/not-modified", get(|| (StatusCode::NOT_MODIFIED, [("etag", "\"a\"")], "never sent")))
        .route("/server-fields", get(server_fields))
        .route("/websocket", get(websocket))
}

/// A WebSocket that says everything again.
#[cfg(feature = "websocket")]
fn websocket(upgrade: rws::app::WebSocketUpgrade) -> Response {
    upgrade.on_message(|socket, message| {
        let _ = socket.send(message);
    })
}

#[cfg(not(feature = "websocket"))]
fn websocket() -> StatusCode {
    StatusCode::NOT_IMPLEMENTED
}

/// Small bodies, and large ones further in.
fn limited() -> Router {
    let routes = || Router::new().route("/bytes", post(|body: bytes::Bytes| body)).route("/stream", post(read_to_end));
    routes().route("/ignore", any(|| "ignored")).nest("/large", routes().body_limit(1 << 20)).body_limit(10)
}

/// Whatever came in goes out as it comes.
fn echo(request: Request) -> Response {
    let length = request.head().field_str("content-length").and_then(|length| length.parse().ok());
    Response::default().with_body(Body::reader(request.into_body(), length))
}

/// Says at once what it hears, but louder.
fn shout(mut body: Body, out: &mut dyn Write) -> io::Result<()> {
    let mut piece = vec![0; 10_000];
    loop {
        match body.read(&mut piece)? {
            0 => return Ok(()),
            n => out.write_all(&piece[..n].to_ascii_uppercase())?,
        }
        out.flush()?;
    }
}

/// Writes the first bytes of a request, and reads no more.
fn first(n: u64, body: Body) -> Body {
    Body::writer(move |out| io::copy(&mut body.take(n), out).map(drop))
}

/// Reads the request when the gate lets it, on a thread of its own.
fn read_late(Path(name): Path<String>, State(gate): TheGate, mut body: Body) -> Body {
    let (sender, answer) = Body::channel();
    thread::spawn(move || {
        gate.pass(&name);
        let read = body.read(&mut [0; 10]);
        sender.send(read.map_or_else(|error| error.to_string(), |n| n.to_string()))
    });
    answer
}

fn read_to_end(mut body: Body) -> Result<String, (StatusCode, String)> {
    let mut all = Vec::new();
    match body.read_to_end(&mut all) {
        Ok(n) => Ok(n.to_string()),
        Err(error) => {
            let status = rws::app::BodyError::of(&error).map_or(StatusCode::IM_A_TEAPOT, |error| error.status());
            Err((status, error.to_string()))
        }
    }
}

#[allow(clippy::unbuffered_bytes, reason = "reading byte by byte is what is tested")]
fn read_one_by_one(body: Body) -> Vec<u8> {
    body.bytes().map_while(Result::ok).collect()
}

/// A handler that takes its time.
fn sleep(Path(ms): Path<u64>) -> &'static str {
    thread::park_timeout(Duration::from_millis(ms));
    "slept"
}

fn file(Path(n): Path<usize>) -> Body {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(n)).unwrap();
    Body::file(file, 0, n as u64)
}

/// The file with this path, as far as the request asks for it.
fn named(Path(path): Path<String>, request: Request) -> Result<Response, Problem> {
    NamedFile::open(path).map(|file| file.answer(request.head()))
}

fn stream(n: usize, announced: Option<u64>, then: Then) -> Response {
    Response::default().with_body(Body::reader(Source { at: 0, left: n, then, gate: None }, announced))
}

/// Ten bytes, and the end, each time the gate lets one pass.
fn gated_stream(Path(name): Path<String>, State(gate): TheGate) -> Response {
    let source = Source { at: 0, left: 10, then: Then::End, gate: Some((gate, name)) };
    Response::stream(source)
}

/// `n` bytes of [`pattern`] in pieces of a thousand, after which it does as it is told.
fn written(n: usize, then: Then) -> Body {
    Body::writer(move |out| {
        pattern(n).chunks(1000).try_for_each(|piece| out.write_all(piece))?;
        match then {
            Then::End => Ok(()),
            Then::Fail => Err(io::Error::other("on purpose")),
            Then::Panic => panic!("{ON_PURPOSE}"),
        }
    })
}

/// A function that writes ten bytes before it comes to the gate, and five behind it.
fn gated_writer(Path(name): Path<String>, State(gate): TheGate) -> Body {
    Body::writer(move |out| {
        out.write_all(&pattern(10))?;
        out.flush()?;
        gate.pass(&name);
        out.write_all(b"after")
    })
}

/// A function that only comes to the gate, from a handler that has been there before it.
fn late_writer(Path(name): Path<String>, State(gate): TheGate) -> Body {
    gate.pass(&name);
    Body::writer(move |_| {
        gate.pass("called");
        Ok(())
    })
}

/// A source whose end is a panic.
struct BadDrop;

impl Read for BadDrop {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Drop for BadDrop {
    fn drop(&mut self) {
        panic!("{ON_PURPOSE}")
    }
}

/// Bodies that are compressed while they are sent.
fn coded() -> Router {
    let noisy = |Path(n): Path<usize>| {
        Body::writer(move |out| {
            let noise = noise();
            (0..n).try_for_each(|_| out.write_all(&noise))
        })
    };
    let gated = |Path(name): Path<String>, State(gate): TheGate| {
        Body::writer(move |out| {
            out.write_all(b"before ")?;
            out.flush()?;
            gate.pass(&name);
            out.write_all(b"and after")
        })
    };
    Router::new()
        .route("/fed/{name}", any(fed))
        .route("/gated/{name}", get(gated))
        .route("/noise/{n}", get(noisy))
        .route("/duplex", post(|body: Body| Body::writer(|out| shout(body, out))))
        .layer(Compression::new())
        .layer(map_response(|response: Response| {
            response.with_header(HeaderName::from_static("content-type"), HeaderValue::from_static("text/plain"))
        }))
}

/// A mebibyte that becomes no shorter.
fn noise() -> Vec<u8> {
    let next = |n: &u64| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1), next).map(|n: u64| (n >> 56) as u8).take(1 << 20).collect()
}

/// A body that the test itself sends, with the sender that [`Gate::sender`] gives it.
fn fed(Path(name): Path<String>, State(gate): TheGate) -> Body {
    let (sender, body) = Body::channel();
    gate.state.lock().unwrap().senders.insert(name, sender);
    gate.changed.notify_all();
    body
}

/// Events that the test itself sends, with the sender that [`Gate::events`] gives it; no comments come to `quiet`.
fn events(Path(name): Path<String>, State(gate): TheGate) -> Sse {
    let options = if name == "quiet" { Sse::builder().keep_alive(None) } else { Sse::builder() };
    let (sender, events) = options.channel();
    gate.state.lock().unwrap().events.insert(name, sender);
    gate.changed.notify_all();
    events
}

/// Tries to write what is the server's to write.
fn server_fields() -> Response {
    [("content-length", "99"), ("transfer-encoding", "chunked"), ("connection", "x"), ("date", "never")]
        .into_iter()
        .fold(Response::default(), |response, (name, text)| {
            response.with_header(HeaderName::from_static(name), HeaderValue::from_static(text))
        })
        .with_body("fields")
}
