//! The servers that live in this executable, each run in a process of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use bytes::BufMut;
use may_minihttp::{HttpServer, HttpService, Request, Response};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rws::app::get;
use rws::config::Config;
use rws::server::observe::{Exchange, Observer, Recorder};
use rws::{App, Json, Server};
use serde::Serialize;

use crate::Result;

/// Serves until the process is killed.
pub(crate) fn serve(peer: &str, address: SocketAddr) -> Result<()> {
    match peer {
        "may_minihttp" => serve_may(address),
        "bare" => serve_bare(address),
        "floor" => serve_floor(address),
        _ => Err(format!("there is no peer called {peer}").into()),
    }
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

const MESSAGE: Message = Message { message: "Hello, World!" };

/// The engine and the router, without metrics and logs.
fn serve_bare(address: SocketAddr) -> Result<()> {
    let app = App::new()
        .route("/demo/plaintext", get(|| "Hello, World!"))
        .route("/demo/json", get(|| Json(MESSAGE)))
        .build()?;
    let listener = TcpListener::bind(address)?;
    Server::new(listener, Arc::new(app), Arc::new(Unobserved), Config::default()).start()?.wait();
    Ok(())
}

/// Takes note of nothing.
struct Unobserved;

impl Observer for Unobserved {
    fn recorder(&self, _reactor: usize) -> Box<dyn Recorder> {
        Box::new(Unobserved)
    }
}

impl Recorder for Unobserved {
    fn record(&mut self, _exchange: &Exchange<'_>) {}

    fn flush(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

/// The yardstick, with as many threads as rws has reactors.
fn serve_may(address: SocketAddr) -> Result<()> {
    may::config().set_workers(available_parallelism()?.get()).set_pool_capacity(1000);
    let server = HttpServer(MayService).start(address)?;
    server.join().map_err(|_| "may_minihttp panicked".into())
}

#[derive(Clone)]
struct MayService;

impl HttpService for MayService {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match request.path() {
            "/demo/plaintext" => response.header("Content-Type: text/plain; charset=utf-8").body("Hello, World!"),
            "/demo/json" => {
                response.header("Content-Type: application/json");
                serde_json::to_writer(response.body_mut().writer(), &MESSAGE)?;
            }
            _ => response.status_code(404, "Not Found").body(""),
        }
        Ok(())
    }
}

/// What the kernel takes: one thread that counts the requests it reads and writes as many ready-made responses.
fn serve_floor(address: SocketAddr) -> Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections = slab::Slab::new();
    let mut room = vec![0; 1 << 16];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(place) = event.token();
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let entry = connections.vacant_entry();
                    let token = Token(entry.key());
                    poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), token, Interest::READABLE)?;
                    entry.insert(stream);
                }
            } else if connections.get_mut(place).is_some_and(|stream| !serve_floor_once(stream, &mut room)) {
                connections.remove(place);
            }
        }
    }
}

/// Answers what a read brings, which is whole requests with a client like wrk. Returns whether the connection goes on.
fn serve_floor_once(stream: &mut TcpStream, room: &mut [u8]) -> bool {
    const RESPONSE: &str = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 13\r\n\
                            Content-Type: text/plain; charset=utf-8\r\n\r\nHello, World!";
    match stream.read(room) {
        Ok(0) => false,
        Ok(read) => {
            let requests = memchr::memmem::find_iter(&room[..read], b"\r\n\r\n").count();
            stream.write_all(RESPONSE.repeat(requests).as_bytes()).is_ok()
        }
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
