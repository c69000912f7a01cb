//! WebSockets over real sockets: a server in this process, and clients of several kinds.

#![cfg(feature = "websocket")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

#[path = "websocket/cases.rs"]
mod cases;
#[path = "websocket/endings.rs"]
mod endings;
#[path = "websocket/hostile.rs"]
mod hostile;
#[cfg(feature = "tls")]
#[path = "websocket/secured.rs"]
mod secured;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rws::app::websocket::{CloseCode, Closed, ConnectionLimit, Room, WebSocketUpgrade};
use rws::app::{App, Response, State, get};
use rws::config::Config;
use rws::server::observe::{Exchange, Observer, Recorder};
use rws::server::stats::Stats;
use rws::server::{Report, Server, Stop};
use tungstenite::{Message, WebSocket};

use cases::{FIN, MAX_MESSAGE, Seen, TEXT, cases, frame, goodbye, parse};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server has heard of its clients' ends: whose, and how.
type Ends = Receiver<(String, Closed)>;

#[derive(Clone)]
struct Shared {
    room: Room,
    limit: ConnectionLimit,
    ends: Sender<(String, Closed)>,
    /// Who says "wait" comes here first,
    waiting: Sender<()>,
    /// and goes on when something comes from there, or nobody is left who could send it.
    gate: Receiver<()>,
}

fn echo(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .limit(&shared.limit)
        .on_close(move |socket, closed| {
            let _ = shared.ends.send((socket.id().to_owned(), closed.clone()));
        })
        .on_message(move |socket, message| match message.text() {
            Some("panic") => panic!("on purpose"),
            Some("wait") => {
                let _ = shared.waiting.send(());
                let _ = shared.gate.recv();
            }
            Some("close") => socket.close(CloseCode::application(4000).unwrap(), "as you wish"),
            _ => {
                let _ = socket.send(message);
            }
        })
}

fn room(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    let room = shared.room.clone();
    upgrade
        .max_message_size(MAX_MESSAGE)
        .limit(&shared.limit)
        .on_open(move |socket| shared.room.join(socket))
        .on_close(move |socket, closed| {
            let _ = shared.ends.send((socket.id().to_owned(), closed.clone()));
        })
        .on_message(move |_, message| {
            room.broadcast(message);
        })
}

struct Site {
    address: SocketAddr,
    stop: Stop,
    stats: Arc<Stats>,
    report: Receiver<Report>,
    ends: Ends,
    waiting: Receiver<()>,
    /// Opens the gate: for one, or dropped, for all.
    gate: Option<Sender<()>>,
    shared: Shared,
}

/// Nobody looks.
struct Blind;

impl Observer for Blind {
    fn recorder(&self, _: usize) -> Box<dyn Recorder> {
        Box::new(Blind)
    }
}

impl Recorder for Blind {
    fn record(&mut self, _: &Exchange<'_>) {}

    fn flush(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

impl Site {
    fn start() -> Self {
        Site::of(Config::default(), |server| server)
    }

    /// With other settings, and something done to the server before it starts.
    fn of(config: Config, prepare: impl FnOnce(Server) -> Server) -> Self {
        Site::with(config, |app| app, prepare)
    }

    /// With more to serve, too.
    fn with(config: Config, extend: impl FnOnce(App) -> App, prepare: impl FnOnce(Server) -> Server) -> Self {
        let ((sender, ends), (waits, waiting), (open, gate)) = (unbounded(), unbounded(), unbounded());
        let limit = ConnectionLimit::new(5000);
        let shared = Shared { room: Room::new(), limit, ends: sender, waiting: waits, gate };
        let app = extend(App::new().route("/echo", get(echo)).route("/room", get(room))).state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config { reactor_count: 1, thread_count: 4, ..config };
        let stats = Arc::<Stats>::default();
        let server = Server::new(listener, Arc::new(app.build().unwrap()), Arc::new(Blind), config)
            .with_handles(stats.clone(), Default::default());
        let running = prepare(server).start().unwrap();
        let (address, stop) = (running.address(), running.stop());
        let (done, report) = unbounded();
        thread::spawn(move || done.send(running.wait()));
        Site { address, stop, stats, report, ends, waiting, gate: Some(open), shared }
    }

    fn connect(&self, path: &str) -> WebSocket<TcpStream> {
        tungstenite::client(format!("ws://{}{path}", self.address), self.tcp()).unwrap().0
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection that speaks WebSocket, and on which nothing was said yet.
    fn raw(&self) -> TcpStream {
        let mut stream = self.tcp();
        shake_hands(&mut stream);
        stream
    }

    /// How the next connection has ended that did.
    fn closed(&self) -> Closed {
        self.ends.recv_timeout(PATIENCE).unwrap().1
    }

    fn end(&self) -> (u16, bool) {
        let closed = self.closed();
        (closed.code.get(), closed.is_clean)
    }

    /// Nobody is counted any more, anywhere.
    fn until_deserted(&self) {
        let active = || {
            let stats = &self.stats;
            let gauges = [&stats.websocket_connections_active, &stats.requests_active];
            (gauges.map(|gauge| gauge.load(Ordering::SeqCst)), self.shared.limit.active(), self.shared.room.len())
        };
        let end = Instant::now() + PATIENCE;
        while active() != ([0; 2], 0, 0) {
            assert!(Instant::now() < end, "still counted: {:?}", active());
            thread::yield_now();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.gate.take();
        self.stop.abort(9);
    }
}

const OFFER: &str = "GET /echo HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The head of a response, in lower case.
fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// Makes a WebSocket of a connection.
fn shake_hands(stream: &mut (impl Read + Write)) {
    stream.write_all(OFFER.as_bytes()).unwrap();
    let head = read_head(stream);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for field in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-accept: "] {
        assert!(head.contains(field), "{field} is not in {head}");
    }
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
}

#[test]
fn the_cases_of_autobahn_pass_over_a_socket() {
    let site = Site::start();
    for case in cases() {
        let mut stream = site.raw();
        let mut reader = stream.try_clone().unwrap();
        let reading = thread::spawn(move || {
            let mut bytes = Vec::new();
            // However it ends: what counts is what came before.
            let end = reader.read_to_end(&mut bytes);
            (bytes, end)
        });
        // The server may have enough before it has all.
        let _ = stream.write_all(&case.sent);
        let (bytes, end) = reading.join().unwrap();
        assert!(end.is_ok(), "case {}: {end:?}", case.id);
        assert_eq!(parse(&bytes), (case.expected, bytes.len()), "case {}", case.id);
        site.end();
    }
    assert_eq!(site.shared.limit.active(), 0);
}

#[test]
fn a_client_talks_and_says_goodbye() {
    let site = Site::start();
    let mut client = site.connect("/echo");
    let messages: [Message; 3] = ["hello".into(), vec![7; 50_000].into(), "ü".repeat(40_000).into()];
    for message in messages {
        client.send(message.clone()).unwrap();
        assert_eq!(client.read().unwrap(), message);
    }
    client.close(None).unwrap();
    while client.read().is_ok() {}
    assert_eq!(site.end(), (1005, true));

    let mut client = site.connect("/echo");
    client.send("close".into()).unwrap();
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("it does not close") };
    assert_eq!((u16::from(frame.code), &*frame.reason), (4000, "as you wish"));
    while client.read().is_ok() {}
    assert_eq!(site.end(), (4000, true));
}

#[test]
fn a_panic_closes_its_connection_and_no_other() {
    let site = Site::start();
    let [mut one, mut other] = [(); 2].map(|()| site.connect("/echo"));
    one.send("panic".into()).unwrap();
    let Message::Close(Some(frame)) = one.read().unwrap() else { panic!("it does not close") };
    assert_eq!((u16::from(frame.code), site.end()), (1011, (1011, false)));
    other.send("still here".into()).unwrap();
    assert_eq!(other.read().unwrap(), "still here".into());
}

#[test]
fn a_client_that_vanishes_is_noticed() {
    let site = Site::start();
    drop(site.raw());
    assert_eq!(site.end(), (1006, false));
    assert_eq!(site.shared.limit.active(), 0);
}

#[test]
fn a_room_hears_everybody_and_idle_ones_hold_no_thread() {
    let site = Site::start();
    // Many more than there are threads.
    let mut clients: Vec<_> = (0..200).map(|_| site.connect("/room")).collect();
    while site.shared.room.len() < 200 {
        thread::yield_now();
    }
    clients[0].send("hello".into()).unwrap();
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), "hello".into());
    }
    clients.truncate(100);
    while site.shared.room.len() > 100 {
        thread::yield_now();
    }
    assert_eq!(site.shared.room.broadcast("from outside"), 100);
    assert!(clients.iter_mut().all(|client| client.read().unwrap() == "from outside".into()));
}

#[test]
fn all_hear_that_the_server_stops() {
    let site = Site::start();
    let mut client = site.connect("/echo");
    client.send("hello".into()).unwrap();
    client.read().unwrap();
    site.stop.drain(false, 15);
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no goodbye") };
    assert_eq!(u16::from(frame.code), 1001);
    while client.read().is_ok() {}
    assert_eq!(site.end(), (1001, true));
    site.report.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn who_does_not_read_is_not_read_from() {
    let site = Site::start();
    let mut stream = site.raw();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let message = frame(FIN | TEXT, &[b'x'; 50_000]);
    // What the system buffers on both sides is some megabytes; a server that read on would take all of it.
    let sent = (0..2000).take_while(|_| stream.write_all(&message).is_ok()).count();
    assert!(sent < 2000, "it reads although nobody listens");
}

#[test]
fn many_small_messages_at_once_are_answered_in_order() {
    let site = Site::start();
    let mut stream = site.raw();
    let all: Vec<u8> = (0..1000).flat_map(|n: u32| frame(FIN | TEXT, n.to_string().as_bytes())).collect();
    stream.write_all(&[all, goodbye(1000, b"")].concat()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let texts = (0..1000).map(|n: u32| Seen::Text(n.to_string().into_bytes()));
    assert_eq!(parse(&bytes).0, texts.chain([Seen::Close(Some(1000))]).collect::<Vec<_>>());
}

#[test]
fn python_websockets_talks_to_it() {
    let found = Command::new("python3").args(["-c", "import websockets.sync.client"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return eprintln!("SKIPPED: the Python package websockets is not installed");
    }
    let site = Site::start();
    let script = format!(
        r#"
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed
with connect("ws://{}/echo", origin="http://{}") as socket:
    for message in ["hello", "", "ü" * 1000, bytes([0, 255]) * 5000, "x" * 100000]:
        socket.send(message)
        assert socket.recv(timeout=30) == message
    socket.send(["in ", "pieces"])
    assert socket.recv(timeout=30) == "in pieces"
    assert socket.ping().wait(30)
    socket.send("close")
    try:
        socket.recv(timeout=30)
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 4000, closed
    else:
        raise AssertionError("not closed")
"#,
        site.address, site.address
    );
    let output = Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(site.end(), (4000, true));
}
