//! A thousand browsers that listen to examples/sse.rs at once, from the first event to the drain; and streams through a proxy.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use rws::app::{Event, Sse, SseBroadcast};
use rws::{App, TestServer, get};

use nginx::Nginx;
use support as process;
use support::{Client, PATIENCE, Server, Sig, rws};

#[path = "files/nginx.rs"]
mod nginx;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

const LISTENERS: usize = 1000;

/// The example that cargo built beside this test, with a few threads only.
fn start() -> Server {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let test = std::env::current_exe().unwrap();
    let example = test.parent().and_then(Path::parent).unwrap().join("examples/sse");
    assert!(example.exists(), "cargo test builds {}", example.display());
    rws(&[("THREAD_COUNT", "2")]).shell(&format!("exec '{}'", example.display())).start()
}

fn listen(server: &Server, fields: &str) -> Client {
    let client = server.connect();
    client.send(format!("GET /events HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).unwrap();
    client
}

fn publish(server: &Server, text: &str) {
    let length = text.len();
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    assert_eq!(server.connect().ask(request).unwrap().status, 204);
}

/// Reads up to the line that is, or where it ends with a space begins with, `wanted`, and says what came.
fn read_to(client: &mut Client, wanted: &str) -> String {
    let mut all = String::new();
    loop {
        let start = all.len();
        assert!(client.socket.read_line(&mut all).unwrap() > 0, "the stream ended before {wanted:?}: {all}");
        let line = all[start..].trim_end();
        if line == wanted || (wanted.ends_with(' ') && line.starts_with(wanted)) {
            return all;
        }
    }
}

fn threads(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count()
}

#[test]
fn a_thousand_streams_hold_no_thread_and_end_cleanly_at_the_drain() {
    let mut server = start();
    assert_eq!(server.get("/").status, 200);
    let before = threads(&server);
    let mut listeners: Vec<_> = (0..LISTENERS).map(|_| listen(&server, "")).collect();
    for listener in &mut listeners {
        let head = read_to(listener, "").to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        for field in [
            "content-type: text/event-stream\r\n",
            "cache-control: no-cache, no-transform\r\n",
            "x-accel-buffering: no\r\n",
        ] {
            assert!(head.contains(field), "{field} is missing: {head}");
        }
    }
    publish(&server, "It rains");
    for listener in &mut listeners {
        read_to(listener, "data: It rains");
    }
    // With all of them open, others are served.
    assert_eq!(server.get("/").status, 200);
    let with_all = threads(&server);
    println!("{before} threads before, {with_all} with {LISTENERS} streams");
    assert!(with_all <= before + 4, "{before} threads before, {with_all} with all streams");

    publish(&server, "The last");
    server.signal(Sig::TERM);
    for listener in &mut listeners {
        let rest = String::from_utf8(listener.read_to_end()).unwrap();
        assert!(rest.contains("data: The last\n"), "what was sent before the end arrives: {rest}");
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "the end is a clean one: {rest}");
    }
    assert_eq!(server.wait(PATIENCE), 0, "{:#?}", server.stderr.so_far());
}

#[test]
fn who_connects_again_gets_what_came_meanwhile() {
    let mut server = start();
    for text in ["one", "two", "three"] {
        publish(&server, text);
    }
    let mut first = listen(&server, "");
    let place = read_to(&mut first, "id: ").lines().last().map(str::to_owned).unwrap();
    let latest: u64 = place.strip_prefix("id: ").unwrap().parse().unwrap();
    let mut returned = listen(&server, &format!("Last-Event-ID: {}\r\n", latest - 2));
    let came = read_to(&mut returned, &place);
    assert!(came.contains(&format!("data: two\nid: {}\n", latest - 1)) && came.contains("data: three\n"), "{came}");
    assert!(!came.contains("data: one"), "{came}");
    // An earlier run has told it an id that is unknown now: it has seen nothing of this one.
    let mut stranger = listen(&server, "Last-Event-ID: 7\r\n");
    let came = read_to(&mut stranger, &place);
    let order: Vec<_> = came.lines().filter(|line| line.starts_with("data: ")).collect();
    assert_eq!(order, ["data: one", "data: two", "data: three"]);
    drop((first, stranger));
    drop(returned);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_stream_through_nginx_outlives_its_idle_limit_and_is_not_held_back() {
    let options = Sse::builder().keep_alive(Duration::from_millis(100));
    let news = SseBroadcast::new().options(options);
    let silent = SseBroadcast::new().options(Sse::builder().keep_alive(None));
    let (noisy, mute) = (news.clone(), silent.clone());
    let app =
        App::new().route("/events", get(move || noisy.subscribe())).route("/silent", get(move || mute.subscribe()));
    let server = TestServer::start(app).unwrap();
    // It buffers responses unless it is told not to, and a minute would be its own limit.
    let proxied = format!("location / {{ proxy_pass {}; proxy_read_timeout 1s; }}", server.url(""));
    let Some(nginx) = Nginx::of(&proxied) else { return };
    let listen = |path: &str| {
        let mut client = TcpStream::connect(nginx.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        BufReader::new(client).lines().map(Result::unwrap)
    };
    let comments = listen("/events").filter(|line| line == ":").take(25).count();
    assert_eq!(comments, 25, "as many as fit into more than two of its limits");
    let mut lines = listen("/events");
    assert!(lines.any(|line| line == ":"));
    news.send(Event::new("It rains"));
    assert!(lines.any(|line| line == "data: It rains"));
    // Without comments it is cut off.
    let rest: Vec<_> = listen("/silent").skip_while(|line| !line.is_empty()).collect();
    assert!(rest.iter().all(|line| line.is_empty() || line == "0"), "{rest:?}");
}
