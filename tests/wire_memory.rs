//! What an idle keep-alive connection costs in memory, and a response that is compressed while it is sent. A process of its own, so that nothing else disturbs it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "wire/support.rs"]
mod support;

use std::fs;
#[cfg(feature = "websocket")]
use std::io::Read;

use support::{Client, Site, config, get_of, post_of, request};

const CONNECTIONS: usize = 500;
const MOST: usize = 2048;
/// A WebSocket has a session of its own besides, and a buffer for what it reads.
#[cfg(feature = "websocket")]
const MOST_OF_WEBSOCKET: usize = 4096;

/// Bytes of memory that this process occupies.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line with the resident memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

/// Opens connections, does `exchange` on each, and returns the memory of both ends of one, apart from what the first
/// ones have made the server set aside for all.
fn cost(site: &Site, clients: &mut Vec<Client>, exchange: impl Fn(&mut Client)) -> usize {
    let mut open = |n| {
        for _ in 0..n {
            let mut client = site.connect();
            exchange(&mut client);
            clients.push(client);
        }
        site.settle();
        resident()
    };
    let before = open(20);
    open(CONNECTIONS).saturating_sub(before) / CONNECTIONS
}

/// One after the other: they would disturb each other.
#[test]
fn connections_and_streams_cost_little() {
    let site = Site::start(config());
    an_idle_connection_costs_little_whatever_it_was_used_for(&site);
    what_is_compressed_while_it_is_written_is_never_in_memory(&site);
}

fn an_idle_connection_costs_little_whatever_it_was_used_for(site: &Site) {
    let body = "x".repeat(50_000);
    type Use<'a> = (&'a str, &'a dyn Fn(&mut Client));
    let uses: [Use<'_>; 6] = [
        ("nothing", &|_| {}),
        ("half a head", &|client| client.send("GET /text HTTP/1.1\r\nHost: a\r\n")),
        ("a small response", &|client| ask(client, &get_of("/text"))),
        ("a large response", &|client| ask(client, &get_of("/big/16000"))),
        ("a streamed response", &|client| ask(client, &get_of("/stream/100000"))),
        ("a large request", &|client| ask(client, &post_of("/slurp", &body))),
    ];
    // All stay open: memory that one sort gave back would hide what the next takes.
    let mut clients = Vec::with_capacity(uses.len() * (CONNECTIONS + 20));
    for (used_for, exchange) in uses {
        let each = cost(site, &mut clients, exchange);
        assert!(each <= MOST, "{each} bytes for a connection that was used for {used_for}");
    }
    #[cfg(feature = "websocket")]
    websockets(site, &mut clients);
}

fn what_is_compressed_while_it_is_written_is_never_in_memory(site: &Site) {
    const MIB: usize = 1 << 20;
    let ask = |n: usize| {
        let fields = "Accept-Encoding: gzip\r\n";
        let mut client = site.send(request("GET", &format!("/coded/noise/{n}"), fields));
        client.head().unwrap();
        let (mut total, mut most) = (0, 0);
        while let Some(chunk) = client.next_chunk().ok().filter(|chunk| !chunk.is_empty()) {
            if total / MIB != (total + chunk.len()) / MIB {
                most = most.max(resident());
            }
            total += chunk.len();
        }
        assert!(total >= n * MIB, "{total} bytes");
        most
    };
    let before = ask(2);
    let most = ask(32);
    assert!(most < before + 8 * MIB, "{} KiB more", (most - before) / 1024);
}

#[cfg(feature = "websocket")]
fn websockets(site: &Site, clients: &mut Vec<Client>) {
    let small = [&[0x82, 0x80 | 100, 0, 0, 0, 0][..], &[0; 100]].concat();
    let large = [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0][..], &[0; 100_000]].concat();
    let mut halves = [&[0x02, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0][..], &[0; 100_000]].concat();
    halves.extend([0x80, 0x80, 0, 0, 0, 0]);
    let uses: [(&str, Vec<u8>, usize); 3] = [
        ("nothing", Vec::new(), 0),
        ("a large message in fragments", halves, 100_010),
        ("a large message and a small one", [large, small].concat(), 100_010 + 102),
    ];
    for (used_for, frames, answer) in uses {
        let each = cost(site, clients, |client| {
            client.send(OFFER);
            assert_eq!(client.reply().status, 101);
            client.send(&frames);
            client.stream.read_exact(&mut vec![0; answer]).unwrap();
        });
        assert!(each <= MOST_OF_WEBSOCKET, "{each} bytes for a WebSocket that was used for {used_for}");
    }
}

#[cfg(feature = "websocket")]
const OFFER: &str = "GET /websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn ask(client: &mut Client, request: &str) {
    client.send(request);
    assert_eq!(client.reply().status, 200);
}
