//! Everything at once for a moment: fast, slow, panicking and streaming handlers, pipelining, and clients that leave in
//! the middle. Afterwards every complete answer was right, and nothing is left over.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "wire/support.rs"]
mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rws::config::Config;
use rws::server::clock::Clock;
use rws::server::observe::Outcome;
use rws::server::{Verdict, lifecycle::State};
use support::{Client, Site, chunked_to, get_of, pattern, post_of, request};

const CLIENTS: u64 = 24;
const LASTS: Duration = Duration::from_millis(2500);

/// A generator of numbers that look random, the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What came of the requests of all clients.
#[derive(Default)]
struct Count {
    answered: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
    left: AtomicU64,
}

/// A request and what must come back.
struct Exchange {
    input: String,
    status: u16,
    body: Option<Vec<u8>>,
}

fn exchange(numbers: &mut Numbers) -> Exchange {
    let n = numbers.below(60_000) as usize;
    let text: String = "abcdefghij".chars().cycle().take(n).collect();
    let of = |input: String, body: Vec<u8>| Exchange { input, status: 200, body: Some(body) };
    match numbers.below(16) {
        0..=4 => of(get_of("/text"), b"Hello".into()),
        5 => of(get_of("/json"), br#"{"message":"Hello"}"#.into()),
        6 => of(get_of(&format!("/sleep/{}", 5 + numbers.below(25))), b"slept".into()),
        7 => of(get_of(&format!("/sleep-blocking/{}", 5 + numbers.below(25))), b"slept".into()),
        8 => Exchange { input: get_of("/panic"), status: 500, body: None },
        9 => of(get_of(&format!("/stream/{n}")), pattern(n)),
        10 => of(get_of(&format!("/file/{n}")), pattern(n)),
        11 => of(get_of(&format!("/big/{}", n * 5)), pattern(n * 5)),
        12 => of(post_of("/echo", &(text.clone() + &text)), (text.clone() + &text).into()),
        13 => of(chunked_to("/string", &["some", "and", "more"]), b"someandmore".into()),
        14 => of(chunked_to("/echo", &["some", "chunks"]), b"somechunks".into()),
        _ => Exchange { input: get_of("/nowhere"), status: 404, body: None },
    }
}

/// Talks to the server on one connection after the other until the time is up.
fn client(site: &Site, seed: u64, end: Instant, count: &Count) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    while Instant::now() < end {
        let mut client = site.connect();
        for _ in 0..=numbers.below(20) {
            if !talk(&mut client, &mut numbers, count) {
                break;
            }
        }
    }
}

/// A few pipelined requests and their answers. Returns whether the connection goes on.
fn talk(client: &mut Client, numbers: &mut Numbers, count: &Count) -> bool {
    let exchanges: Vec<Exchange> = (0..=numbers.below(4)).map(|_| exchange(numbers)).collect();
    let input: String = exchanges.iter().map(|exchange| exchange.input.as_str()).collect();
    let whole = if numbers.below(12) == 0 { &input[..numbers.below(input.len() as u64) as usize] } else { &input };
    let mut sender = client.stream.try_clone().unwrap();
    let bytes = whole.as_bytes().to_vec();
    // Sent beside reading, or large bodies each way would wait for each other.
    let sending = thread::spawn(move || std::io::Write::write_all(&mut sender, &bytes));
    let leaves_after = if whole.len() < input.len() { 0 } else { numbers.below(40) as usize };
    let mut goes_on = true;
    for (i, exchange) in exchanges.iter().enumerate() {
        if leaves_after == i && numbers.below(3) > 0 || whole.len() < input.len() {
            count.left.fetch_add(1, Ordering::Relaxed);
            let _ = client.stream.shutdown(std::net::Shutdown::Both);
            goes_on = false;
            break;
        }
        let reply = client.reply();
        if reply.status == 503 {
            count.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            assert_eq!(reply.status, exchange.status, "{}", &exchange.input[..exchange.input.len().min(100)]);
            if let Some(body) = &exchange.body {
                assert!(reply.body == *body, "a wrong body for {}", &exchange.input[..exchange.input.len().min(100)]);
            }
            let counter = if reply.status == 500 { &count.panicked } else { &count.answered };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if reply.closes() {
            assert!([500, 503].contains(&reply.status), "{reply:?}");
            goes_on = false;
            break;
        }
    }
    // Those behind an answer that closes were not taken.
    let _ = sending.join().unwrap();
    goes_on
}

#[test]
fn everything_at_once() {
    let config = Config {
        reactor_count: 2,
        thread_count: 8,
        queue_depth: 30,
        drain_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(20),
        ..Config::default()
    };
    let site = Site::on(config, Clock::default());
    let (count, end) = (Count::default(), Instant::now() + LASTS);
    thread::scope(|scope| {
        for seed in 1..=CLIENTS {
            let (site, count) = (&site, &count);
            scope.spawn(move || client(site, seed, end, count));
        }
        // Somebody who never reads, somebody who never ends a head, and somebody who never ends a body.
        let mut stuck = [
            site.send(get_of("/big/20000000")),
            site.send("GET /te"),
            site.send(request("POST", "/string", "Content-Length: 100\r\n") + "some"),
        ];
        // The probe is answered all the time, and quickly on the whole.
        let mut probe = site.connect();
        while Instant::now() < end {
            probe.send(get_of("/probe"));
            assert_eq!(probe.reply().text(), "ok");
        }
        stuck[0].wait_for_bytes();
    });
    let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    assert!(get(&count.answered) > 200 && get(&count.panicked) > 0 && get(&count.left) > 0);

    site.until_deserted();
    let stats = &site.stats;
    site.until("no worker is busy", |stats| stats.workers_busy.load(Ordering::SeqCst) == 0);
    assert_eq!(stats.queue_depth.load(Ordering::SeqCst), 0);
    assert!(stats.handler_panics.load(Ordering::SeqCst) >= get(&count.panicked));
    assert!(stats.worker_threads.load(Ordering::SeqCst) <= 8 + 2 + 2, "{stats:?}");
    every_worker_is_still_there(&site);

    assert_eq!(site.lifecycle.state(), State::Ready);
    let report = site.drain();
    assert_eq!((report.verdict, report.aborted), (Verdict::Drained, Vec::new()));
    let mut outcomes = HashMap::new();
    for seen in site.seen.try_iter().filter(|seen| seen.path != "/probe") {
        *outcomes.entry(seen.outcome.name()).or_insert(0) += 1;
    }
    let ok = outcomes.get(Outcome::Ok.name()).copied().unwrap_or(0);
    assert!(ok >= get(&count.answered), "{ok} recorded of {}", get(&count.answered));
}

/// As many handlers as there are threads can block at once, and all go on.
fn every_worker_is_still_there(site: &Site) {
    let mut clients: Vec<Client> = (0..8).map(|i| site.send(get_of(&format!("/blocking/{i}")))).collect();
    site.gate.wait_for(8);
    site.gate.open_for_good();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), i.to_string());
    }
    drop(clients);
    site.until_deserted();
}
