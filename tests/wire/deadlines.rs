//! Every wait has a deadline (F3), shown on a clock that is moved by hand.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rws::config::Config;
use rws::server::observe::Outcome;
use rws::server::stats::ErrorKind;

use super::support::{Client, PATIENCE, Site, config, get_of, post_of, request};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How long the server goes on reading after its last word.
const LINGER: Duration = seconds(2);

const MOMENT: Duration = Duration::from_millis(1);

/// Deadlines that cannot be mistaken for each other.
fn deadlines() -> Config {
    Config {
        head_timeout: seconds(10),
        body_timeout: seconds(20),
        write_timeout: seconds(30),
        idle_timeout: seconds(60),
        ..config()
    }
}

/// Nothing has come and nothing has ended.
fn expect_silence(site: &Site, client: &Client) {
    site.settle();
    client.stream.set_nonblocking(true).unwrap();
    let kind = client.stream.peek(&mut [0]).map_err(|error| error.kind());
    client.stream.set_nonblocking(false).unwrap();
    assert_eq!(kind, Err(std::io::ErrorKind::WouldBlock), "it is quiet");
}

#[test]
fn an_idle_connection_is_closed() {
    let site = Site::start(deadlines());
    let (mut fresh, mut used, mut reused) = (site.connect(), site.send(get_of("/text")), site.send(get_of("/text")));
    assert_eq!((used.reply().status, reused.reply().status), (200, 200));
    site.settle();
    site.pass(seconds(40));
    reused.send(get_of("/text"));
    assert_eq!(reused.reply().status, 200);
    site.pass(seconds(20) - MOMENT);
    for client in [&fresh, &used, &reused] {
        expect_silence(&site, client);
    }
    site.pass(MOMENT);
    fresh.expect_end();
    used.expect_end();
    expect_silence(&site, &reused);
    site.pass(seconds(40));
    reused.expect_end();
    drop((fresh, used, reused));
    site.until_deserted();
}

#[test]
fn a_head_must_come_in_time_however_it_trickles() {
    let site = Site::start(deadlines());
    for (before, head) in [("", "GET /text HTTP/1.1\r\nHo"), (&*get_of("/text"), "GET /te"), ("", "\r\n"), ("", "G")] {
        let mut client = site.connect();
        site.settle();
        site.pass(seconds(30));
        client.send(before.to_owned() + head);
        if !before.is_empty() {
            assert_eq!(client.reply().status, 200);
        }
        site.settle();
        for _ in 0..9 {
            site.pass(seconds(1));
            client.send(if head == "\r\n" { "" } else { "x" });
            expect_silence(&site, &client);
        }
        site.pass(seconds(1));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (408, true), "{head:?}");
        client.expect_end();
        let seen = std::iter::repeat_with(|| site.next_seen()).find(|seen| seen.status != 200).unwrap();
        assert_eq!((seen.path.as_str(), seen.status, seen.outcome), ("", 408, Outcome::Timeout));
    }
    assert_eq!(site.errors(ErrorKind::HeadTimeout), 4);
    site.until_deserted();
}

#[test]
fn a_body_must_go_on_coming() {
    let site = Site::start(deadlines());
    for framing in ["Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"] {
        let mut client = site.send(format!("POST /string HTTP/1.1\r\nHost: a\r\n{framing}"));
        for _ in 0..3 {
            site.settle();
            site.pass(seconds(20) - MOMENT);
            expect_silence(&site, &client);
            client.send("x");
        }
        site.settle();
        site.pass(seconds(20));
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (408, true));
        client.expect_end();
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome, seen.bytes_in), ("/string", Outcome::Timeout, 3));
    }
    assert_eq!(site.errors(ErrorKind::BodyTimeout), 2);
    site.until_deserted();
}

#[test]
fn a_body_that_a_handler_reads_must_go_on_coming() {
    // Waiting in a handler is real.
    let site = Site::start(Config { body_timeout: Duration::from_millis(30), ..config() });
    for input in [
        request("POST", "/slurp", "Content-Length: 100000\r\n") + "some",
        request("POST", "/slurp", "Transfer-Encoding: chunked\r\n") + "4\r\nso",
        request("POST", "/slurp", "Content-Length: 4\r\nExpect: 100-continue\r\n"),
    ] {
        let mut client = site.send(input);
        let mut reply = client.reply();
        if reply.status == 100 {
            reply = client.reply();
        }
        assert_eq!((reply.status, reply.closes()), (408, true));
        client.expect_end();
    }
    assert_eq!(site.errors(ErrorKind::BodyTimeout), 3);
    site.until_deserted();
}

#[test]
fn a_client_must_go_on_reading() {
    let site = Site::start(deadlines());
    for target in ["/big/20000000", "/file/20000000", "/stream/20000000"] {
        let patience = Instant::now() + PATIENCE;
        let mut client = site.send(get_of(target));
        client.wait_for_bytes();
        site.settle();
        site.pass(seconds(30) - MOMENT);
        site.settle();
        assert!(site.seen.try_iter().all(|seen| seen.path == "/probe"), "{target} is still being sent");
        // The deadline counts from the last progress. When a worker made that, nobody tells us when it was.
        let seen = loop {
            site.pass(seconds(30));
            site.settle();
            if let Some(seen) = site.seen.try_iter().find(|seen| seen.path != "/probe") {
                break seen;
            }
            // A worker that has the connection may be slow to give it back, whatever the other clock says.
            assert!(Instant::now() < patience, "{target} is never given up");
        };
        assert_eq!((seen.path.as_str(), seen.outcome), (target, Outcome::Timeout));
        assert!(seen.bytes_out < 20_000_000);
        drop(client);
    }
    assert_eq!(site.errors(ErrorKind::WriteTimeout), 3);
    site.until_deserted();
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    const LENGTH: usize = 20_000_000;
    let site = Site::start(deadlines());
    for kind in ["big", "file", "stream"] {
        let mut client = site.send(request("GET", &format!("/{kind}/{LENGTH}"), "Connection: close\r\n"));
        let mut buffer = vec![0; 1_000_000];
        let mut taken = 0;
        for _ in 0..8 {
            // The sockets hold some of it, so the server makes progress every other time or so.
            for _ in 0..2 {
                std::io::Read::read_exact(&mut client.stream, &mut buffer).unwrap();
                taken += buffer.len();
            }
            site.settle();
            site.pass(seconds(9));
            site.settle();
        }
        assert!(client.rest().len() + taken > LENGTH, "{kind}");
    }
    site.until_deserted();
}

#[test]
fn lingering_ends() {
    let site = Site::start(deadlines());
    let mut client = site.send("nonsense\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_end();
    site.settle();
    for _ in 0..3 {
        client.send("more and more");
        site.settle();
        assert!(site.stats.connections_active.load(Ordering::SeqCst) >= 1, "it still listens");
        site.pass(Duration::from_millis(666));
    }
    site.pass(Duration::from_millis(2));
    site.until_deserted();
    drop(client);
}

#[test]
fn lingering_ends_although_the_client_sends_as_fast_as_it_can() {
    let site = Site::start(deadlines());
    let mut client = site.send("nonsense\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    let mut sender = client.stream.try_clone().unwrap();
    let flooding = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        while std::io::Write::write_all(&mut sender, &piece).is_ok() {}
    });
    // Others are served meanwhile.
    for _ in 0..5 {
        site.settle();
    }
    site.pass(LINGER);
    flooding.join().unwrap();
    site.until_deserted();
}

#[test]
fn a_handler_has_all_the_time_it_wants() {
    let site = Site::start(deadlines());
    let mut client = site.send(get_of("/gate/x"));
    site.gate.wait_for(1);
    site.pass(seconds(1000));
    site.settle();
    site.gate.open("x");
    assert_eq!(client.reply().text(), "x");
    // And then the connection has its time again.
    site.settle();
    site.pass(seconds(60) - MOMENT);
    client.send(get_of("/text"));
    assert_eq!(client.reply().status, 200);
    site.settle();
    site.pass(seconds(60));
    client.expect_end();
}

#[test]
fn deadlines_come_true_on_the_real_clock() {
    let short = Config {
        head_timeout: Duration::from_millis(20),
        body_timeout: Duration::from_millis(30),
        idle_timeout: Duration::from_millis(40),
        ..config()
    };
    let site = Site::on(short, rws::server::clock::Clock::default());
    let (mut idle, mut head) = (site.connect(), site.send("GET"));
    let body = post_of("/string", "abc");
    let mut body = site.send(&body[..body.len() - 1]);
    assert!(PATIENCE > seconds(1));
    idle.expect_end();
    assert_eq!((head.reply().status, body.reply().status), (408, 408));
}
