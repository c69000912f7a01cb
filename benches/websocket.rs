//! Thousands of idle WebSockets: what they cost, how long one message to all takes, what is left of those that vanish, and
//! how long the goodbye takes. The server is this program once more, in a process of its own.
//!
//! Run with `cargo bench --bench websocket`, or with `-- 10000` for another number. docs/BENCHMARKS.md tells how to read
//! what it prints.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to whoever runs it")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rws::app::websocket::{Room, WebSocketUpgrade};
use rws::{App, Response, State, get};
use tungstenite::WebSocket;
use tungstenite::protocol::WebSocketConfig;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Client = WebSocket<TcpStream>;

/// The first argument that makes this program the server.
const SERVE: &str = "@serve";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much each client sends and gets back, once.
const LARGE: usize = 64 << 10;
/// How often all are sent something.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == SERVE) {
        return App::new().route("/room", get(join)).state(Room::new()).run();
    }
    let few = if arguments.iter().any(|argument| argument == "--test") { 100 } else { 5000 };
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(few);
    match measure(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Text is for all, bytes come back.
fn join(State(room): State<Room>, upgrade: WebSocketUpgrade) -> Response {
    let joining = room.clone();
    upgrade.ping_interval(None).on_open(move |socket| joining.join(socket)).on_message(move |socket, message| {
        if message.text().is_some() {
            room.broadcast(message);
        } else {
            let _ = socket.send(message);
        }
    })
}

fn measure(count: usize) -> Result<()> {
    allow_many_files(count)?;
    let mut server = Server::start(count)?;
    // What grows once, grows now.
    drop(server.clients(100)?);
    server.until_active(0)?;
    println!("| what | figure |\n|---|--:|");
    let before = server.status("VmRSS")?;
    let start = Instant::now();
    let mut clients = server.clients(count)?;
    row("WebSockets, opened one after the other", format!("{count} in {:.1?}", start.elapsed()));
    let each =
        |server: &Server| Ok::<_, Box<dyn Error>>((server.status("VmRSS")?.saturating_sub(before)) * 1024 / count);
    row("resident memory without them", format!("{before} KiB"));
    row("for each of them, idle", format!("{} bytes", each(&server)?));
    clients.iter_mut().try_for_each(exchange)?;
    row("the same after each has sent 64 KiB and got them back", format!("{} bytes", each(&server)?));
    row("threads", server.status("Threads")?);
    let mut rounds = (0..ROUNDS).map(|_| tell_all(&mut clients)).collect::<Result<Vec<_>>>()?;
    rounds.sort();
    row("one message to all, until the last has read it", format!("{:.1?} (median)", rounds[ROUNDS / 2]));
    let start = Instant::now();
    for client in clients.drain(..count / 2) {
        socket2::SockRef::from(client.get_ref()).set_linger(Some(Duration::ZERO))?;
    }
    server.until_active(clients.len())?;
    row("half vanish, until none of them is counted", format!("{:.1?}", start.elapsed()));
    row("messages still reach the others", format!("{:.1?}", tell_all(&mut clients)?));
    row("SIGTERM, until all have got 1001 and the process has ended", format!("{:.1?}", server.stop(clients)?));
    Ok(())
}

fn row(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}

/// Sends much, and takes it back.
fn exchange(client: &mut Client) -> Result<()> {
    client.send(vec![0; LARGE].into())?;
    match client.read()?.len() {
        LARGE => Ok(()),
        other => Err(format!("{other} bytes came back").into()),
    }
}

/// Has one message sent to all, and waits until all have it.
fn tell_all(clients: &mut [Client]) -> Result<Duration> {
    let start = Instant::now();
    clients.first_mut().ok_or("nobody is there")?.send("to all".into())?;
    for client in clients {
        if client.read()? != "to all".into() {
            return Err("something else was heard".into());
        }
    }
    Ok(start.elapsed())
}

/// Both processes have a socket for each client.
fn allow_many_files(count: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < count as u64 + 500) {
        return Err(format!("{count} connections take more open files than may be (`ulimit -Hn`)").into());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// The server's process. It never outlives this one's measurement.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(count: usize) -> Result<Self> {
        // Somebody could take the port before the server does; then it says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(std::env::current_exe()?);
        let foreign = |name: &str| name.starts_with("RWS_CONFIG_") || name.starts_with("KUBERNETES_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(foreign)) {
            command.env_remove(name);
        }
        command.arg(SERVE).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("RWS_CONFIG_IP", "127.0.0.1").env("RWS_CONFIG_PORT", address.port().to_string());
        command.env("RWS_CONFIG_LOG_LEVEL", "error").env("RWS_CONFIG_DRAIN_DELAY", "0s");
        command.env("RWS_CONFIG_MAX_CONNECTIONS", (count + 100).to_string());
        let mut server = Server { child: command.spawn()?, address };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err("the server does not start".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    fn clients(&self, count: usize) -> Result<Vec<Client>> {
        (0..count).map(|_| self.connect()).collect()
    }

    fn connect(&self) -> Result<Client> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(512).write_buffer_size(0);
        Ok(tungstenite::client::client_with_config(format!("ws://{}/room", self.address), stream, Some(config))?.0)
    }

    /// A number that the kernel tells of the process.
    fn status(&self, name: &str) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = value.and_then(|value| value.split_ascii_whitespace().next()).ok_or("the kernel does not tell")?;
        Ok(number.parse()?)
    }

    /// How many WebSockets the server counts.
    fn active(&self) -> Result<usize> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let line = text.lines().find_map(|line| line.strip_prefix("rws_websocket_connections_active "));
        Ok(line.ok_or("/metrics does not tell")?.parse()?)
    }

    fn until_active(&self, count: usize) -> Result<()> {
        let start = Instant::now();
        while self.active()? != count {
            if start.elapsed() > PATIENCE {
                return Err(format!("{} are still counted, not {count}", self.active()?).into());
            }
        }
        Ok(())
    }

    /// Ends it as Kubernetes does. All clients must hear why, and go.
    fn stop(&mut self, mut clients: Vec<Client>) -> Result<Duration> {
        let start = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        for client in &mut clients {
            match client.read()? {
                tungstenite::Message::Close(Some(frame)) if u16::from(frame.code) == 1001 => {
                    // Answers. That the server closes then is no failure.
                    let _ = client.flush();
                }
                other => return Err(format!("{other:?} instead of a goodbye").into()),
            }
        }
        drop(clients);
        match self.child.wait()? {
            status if status.success() => Ok(start.elapsed()),
            status => Err(format!("the server ended with {status}").into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
