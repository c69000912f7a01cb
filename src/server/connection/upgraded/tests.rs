//! A protocol of lines over a real server: each line is given to the user's code, which answers in capitals.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use http::StatusCode;

use crate::app::body::{Body, Kind};
use crate::app::feed::{Feed, LIMIT, Taken, Terms};
use crate::app::upgrade::{Advanced, News, Step, Upgraded};
use crate::app::{App, Response, any, get};
use crate::config::Config;
use crate::server::clock::Clock;
use crate::server::observe::{Exchange, Observer, Recorder};
use crate::server::stats::Stats;
use crate::server::{Report, Server, Stop, Verdict};

const PATIENCE: Duration = Duration::from_secs(20);
const OFFER: &str = "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n";

/// While so much is to be written, the rest stays in the feed.
const ENOUGH: usize = 1000;

/// What the test and the user's code of all connections share.
struct Desk {
    /// What was heard, in order.
    heard: Sender<String>,
    feeds: Sender<Arc<Feed>>,
    /// What `wait` waits for.
    gate: Receiver<()>,
}

struct Lines {
    desk: Arc<Desk>,
    feed: Arc<Feed>,
    /// The line that is to be run, and what came of the last.
    line: Option<String>,
    answer: Option<String>,
    is_lost: bool,
    is_over: bool,
    due: Option<Instant>,
}

impl Upgraded for Lines {
    fn advance(&mut self, input: &[u8], output: &mut Vec<u8>, now: Instant) -> Advanced {
        let step = |used, next| Advanced { used, next };
        if let Some(answer) = self.answer.take() {
            output.extend_from_slice(answer.as_bytes());
            return step(0, Step::Write(None));
        }
        while output.len() < ENOUGH
            && let Taken::Bytes(bytes) = self.feed.take()
        {
            output.extend_from_slice(&bytes);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            let _ = self.desk.heard.send("due".into());
            output.extend_from_slice(b"ding\n");
        }
        if self.is_lost && !std::mem::replace(&mut self.is_over, true) {
            self.line = Some("lost".into());
            return step(0, Step::Run);
        }
        if self.is_over {
            return step(0, Step::Close);
        }
        let Some(end) = memchr::memchr(b'\n', input) else {
            return step(0, if output.len() < ENOUGH { Step::Wait(self.due) } else { Step::Send(self.due) });
        };
        let line = String::from_utf8_lossy(&input[..end]).into_owned();
        let next = match line.as_str() {
            "bye" => Step::Close,
            "later" => {
                self.due = Some(now + Duration::from_secs(3));
                Step::Wait(self.due)
            }
            _ => {
                self.line = Some(line);
                Step::Run
            }
        };
        step(end + 1, next)
    }

    fn run(&mut self) {
        let Some(line) = self.line.take() else { return };
        let _ = self.desk.heard.send(line.clone());
        match line.as_str() {
            "panic" => std::panic::resume_unwind(Box::new("on purpose")),
            "wait" => self.desk.gate.recv_timeout(PATIENCE).unwrap(),
            _ => {}
        }
        self.answer = Some(match line.strip_prefix("big ") {
            Some(n) => "x".repeat(n.parse().unwrap()) + "\n",
            None => line.to_uppercase() + "\n",
        });
    }

    fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    fn hear(&mut self, news: News) {
        let _ = self.desk.heard.send(format!("{news:?}"));
        match news {
            News::Lost | News::Stuck => self.is_lost = true,
            News::Ended | News::Panicked => self.is_over = true,
            News::Stopping => self.answer = Some("stopping\n".into()),
        }
    }
}

struct Witness(Sender<u16>);

impl Observer for Witness {
    fn recorder(&self, _: usize) -> Box<dyn Recorder> {
        Box::new(Witness(self.0.clone()))
    }
}

impl Recorder for Witness {
    fn record(&mut self, exchange: &Exchange<'_>) {
        let _ = self.0.send(exchange.status.as_u16());
    }

    fn flush(&mut self, _: Instant) -> Option<Instant> {
        None
    }

    fn finish(&mut self) {}
}

struct Site {
    address: std::net::SocketAddr,
    stats: Arc<Stats>,
    clock: Clock,
    stop: Stop,
    wake: Box<dyn Fn()>,
    report: Receiver<Report>,
    heard: Receiver<String>,
    feeds: Receiver<Arc<Feed>>,
    open: Sender<()>,
    recorded: Receiver<u16>,
}

fn lines(desk: &Arc<Desk>) -> Response {
    let feed = Feed::new(LIMIT, Terms::default());
    desk.feeds.send(feed.clone()).unwrap();
    let (line, answer, desk) = (None, None, desk.clone());
    let protocol = Lines { desk, feed, line, answer, is_lost: false, is_over: false, due: None };
    let kind = Kind::Upgrade(Box::new(protocol));
    Response { status: StatusCode::SWITCHING_PROTOCOLS, body: Body { kind }, ..Response::default() }
}

/// A stream without an end, with a sign of life every ten seconds.
fn endless(desk: &Arc<Desk>) -> Body {
    let terms = Terms { is_endless: true, keep_alive: Some((Duration::from_secs(10), ":\n".into())) };
    let feed = Feed::new(LIMIT, terms);
    desk.feeds.send(feed.clone()).unwrap();
    Body::feed(feed)
}

impl Site {
    fn start() -> Site {
        let ((heard, hears), (feeds, fed), (open, gate)) = (unbounded(), unbounded(), unbounded());
        let (recorder, recorded) = unbounded();
        let desk = Arc::new(Desk { heard, feeds, gate });
        let (slow, events) = (desk.clone(), desk.clone());
        let service = App::new()
            .route("/text", get(|| "Hello"))
            .route("/lines", any(move || lines(&desk)))
            .route("/events", get(move || endless(&events)))
            .route("/slow", any(move || lines(&slow)).blocking())
            .build()
            .unwrap();
        let config = Config {
            reactor_count: 1,
            thread_count: 2,
            write_timeout: Duration::from_secs(5),
            drain_timeout: PATIENCE * 3,
            ..Config::default()
        };
        let (stats, clock) = (Arc::<Stats>::default(), Clock::manual());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let running = Server::new(listener, Arc::new(service), Arc::new(Witness(recorder)), config)
            .with_clock(clock.clone())
            .with_handles(stats.clone(), Default::default())
            .start()
            .unwrap();
        let (address, stop, wake) = (running.address(), running.stop(), Box::new(running.waker()));
        let (done, report) = unbounded();
        thread::spawn(move || done.send(running.wait()));
        Site { address, stats, clock, stop, wake, report, heard: hears, feeds: fed, open, recorded }
    }

    fn send(&self, bytes: &str) -> Peer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        (&stream).write_all(bytes.as_bytes()).unwrap();
        Peer(BufReader::new(stream))
    }

    fn upgrade(&self) -> Peer {
        let mut peer = self.send(OFFER);
        peer.expect_upgrade();
        peer
    }

    fn hears(&self, what: &str) {
        assert_eq!(self.heard.recv_timeout(PATIENCE).unwrap(), what);
    }

    fn until(&self, what: &str, condition: impl Fn(&Stats) -> bool) {
        until(what, || condition(&self.stats));
    }

    fn until_deserted(&self) {
        self.until("all are closed", |stats| stats.connections_active.load(Ordering::SeqCst) == 0);
        let count = |n: &std::sync::atomic::AtomicUsize| n.load(Ordering::SeqCst);
        let left = [&self.stats.websocket_connections_active, &self.stats.requests_active, &self.stats.workers_busy];
        assert_eq!(left.map(count), [0; 3]);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        (self.wake)();
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::yield_now();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.abort(9);
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.line();
        }
        head
    }

    fn expect_upgrade(&mut self) {
        let head = self.head().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && head.contains("connection: upgrade\r\n"), "{head}");
    }

    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

#[test]
fn lines_are_answered_whoever_runs_them() {
    let site = Site::start();
    for offer in [OFFER.to_owned(), OFFER.replace("/lines", "/slow")] {
        let mut peer = site.send(&(offer + "first\nsecond\n"));
        peer.expect_upgrade();
        assert_eq!((peer.line(), peer.line()), ("FIRST\n".into(), "SECOND\n".into()), "what came with the request");
        assert_eq!(site.recorded.recv_timeout(PATIENCE).unwrap(), 101);
        assert_eq!(site.stats.websocket_connections_active.load(Ordering::SeqCst), 1);
        for line in ["a\n", "b\nc\n"] {
            peer.say(line);
            line.lines().for_each(|line| assert_eq!(peer.line(), line.to_uppercase() + "\n"));
        }
        peer.say("bye\nignored\n");
        peer.expect_end();
        drop(peer);
        site.until_deserted();
        assert!(site.feeds.recv().unwrap().closed().is_some(), "who sends is told");
    }
}

#[test]
fn without_an_offer_there_is_no_upgrade() {
    let site = Site::start();
    for offer in [OFFER.replace("Upgrade: lines\r\n", ""), OFFER.replace("1.1\r", "1.0\r")] {
        let mut peer = site.send(&offer);
        assert!(peer.head().contains(" 500 "), "{offer}");
        assert_eq!(site.stats.websocket_connections_active.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn an_offer_is_a_request_like_any_other() {
    let site = Site::start();
    let offer = |fields: &str| OFFER.replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
    for body in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
        let (framing, body) = body.split_once("\r\n\r\n").unwrap();
        let framing = framing.to_owned() + "\r\n";
        let mut peer = site.send(&(offer(&framing) + body + "first\n"));
        peer.expect_upgrade();
        assert_eq!(peer.line(), "FIRST\n", "the body is not taken for lines");
    }
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: identity\r\n",
    ] {
        let mut peer = site.send(&(offer(fields) + "3\r\nabc\r\n0\r\n\r\n"));
        let head = peer.head().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 400 ") && head.contains("connection: close\r\n"), "{head}");
    }
    site.until_deserted();
}

#[test]
fn what_it_holds_back_goes_out_when_there_is_room() {
    let site = Site::start();
    let mut peer = site.upgrade();
    let feed = site.feeds.recv().unwrap();
    peer.say("wait\n");
    site.hears("wait");
    let lines: Vec<String> = (0..100).map(|n| format!("{n:0>100}\n")).collect();
    lines.iter().for_each(|line| feed.put(line.clone().into()).unwrap());
    site.open.send(()).unwrap();
    assert_eq!(peer.line(), "WAIT\n");
    lines.iter().for_each(|line| assert_eq!(peer.line(), *line));
}

#[test]
fn user_code_that_blocks_holds_up_nobody_else_and_loses_nothing() {
    let site = Site::start();
    let mut peer = site.upgrade();
    let feed = site.feeds.recv().unwrap();
    peer.say("wait\nnext\n");
    site.hears("wait");
    let mut other = site.upgrade();
    other.say("meanwhile\n");
    assert_eq!(other.line(), "MEANWHILE\n");
    assert!(site.send("GET /text HTTP/1.1\r\nHost: a\r\n\r\n").head().contains(" 200 "));
    feed.put("from afar\n".into()).unwrap();
    site.open.send(()).unwrap();
    assert_eq!([peer.line(), peer.line(), peer.line()].concat(), "WAIT\nfrom afar\nNEXT\n");
    assert_eq!(site.stats.handoffs.load(Ordering::SeqCst), 1);
    drop((peer, other));
    site.until_deserted();
}

#[test]
fn the_answer_to_an_upgrade_does_not_wait_for_user_code() {
    let site = Site::start();
    let mut peer = site.send(&(OFFER.to_owned() + "wait\n"));
    site.hears("wait");
    peer.expect_upgrade();
    site.open.send(()).unwrap();
    assert_eq!(peer.line(), "WAIT\n");
}

#[test]
fn other_threads_and_the_clock_wake_it_and_no_deadline_of_http_does() {
    let site = Site::start();
    let mut peer = site.upgrade();
    let feed = site.feeds.recv().unwrap();
    for n in 0..100 {
        feed.put(format!("{n}\n").into()).unwrap();
        assert_eq!(peer.line(), format!("{n}\n"));
    }
    site.pass(100_000);
    peer.say("later\nstill here\n");
    assert_eq!(peer.line(), "STILL HERE\n");
    site.pass(8);
    assert_eq!(peer.line(), "ding\n");
    // A place that another has taken meanwhile.
    drop(peer);
    site.until_deserted();
    let mut other = site.upgrade();
    assert!(feed.put("stale".into()).is_err());
    other.say("mine\n");
    assert_eq!(other.line(), "MINE\n");
}

#[test]
fn it_hears_of_ends_losses_and_panics() {
    let site = Site::start();
    let mut ends = site.upgrade();
    ends.0.get_ref().shutdown(Shutdown::Write).unwrap();
    site.hears("Ended");
    ends.expect_end();

    let lost = site.upgrade();
    socket2::SockRef::from(lost.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(lost);
    site.hears("Lost");
    site.hears("lost");

    let mut panics = site.upgrade();
    panics.say("panic\n");
    site.hears("panic");
    site.hears("Panicked");
    panics.expect_end();
    assert_eq!(site.stats.handler_panics.load(Ordering::SeqCst), 1);
    drop((ends, panics));
    site.until_deserted();
}

#[test]
fn who_does_not_read_is_lost_in_time() {
    let site = Site::start();
    let mut stuck = site.upgrade();
    stuck.say("big 50000000\nnever\n");
    site.hears("big 50000000");
    stuck.0.fill_buf().unwrap();
    // The first turns fill the socket's buffers; what they took starts the time anew.
    let end = Instant::now() + PATIENCE;
    while site.heard.is_empty() {
        assert!(Instant::now() < end, "it is never given up");
        site.pass(6);
        thread::yield_now();
    }
    site.hears("Stuck");
    site.hears("lost");
    site.until_deserted();
    let mut reads = site.upgrade();
    reads.say("big 50000000\nthen\n");
    assert_eq!((reads.line().len(), reads.line()), (50_000_001, "THEN\n".into()));
}

#[test]
fn what_is_due_is_due_although_nothing_can_be_written() {
    let site = Site::start();
    let mut peer = site.upgrade();
    let feed = site.feeds.recv().unwrap();
    peer.say("later\nthen\n");
    assert_eq!(peer.line(), "THEN\n");
    site.hears("then");
    feed.put(vec![b'x'; 50_000_000].into()).unwrap();
    peer.0.fill_buf().unwrap();
    site.pass(3);
    site.hears("due");
}

#[test]
fn stopping_is_told_and_bounded() {
    let site = Site::start();
    let (mut polite, mut rude) = (site.upgrade(), site.upgrade());
    site.stop.drain(false, 15);
    assert_eq!((polite.line(), rude.line()), ("stopping\n".into(), "stopping\n".into()));
    polite.say("bye\n");
    polite.expect_end();
    drop(polite);
    assert!(site.report.is_empty());
    site.pass(3);
    rude.expect_end();
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);
}

const EVENTS: &str = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn endless_feeds_show_that_they_live_and_end_with_their_client() {
    let site = Site::start();
    let mut peer = site.send(EVENTS);
    let feed = site.feeds.recv().unwrap();
    assert!(peer.head().contains("chunked"));
    let chunk = |peer: &mut Peer| [peer.line(), peer.line()].concat();
    for _ in 0..3 {
        site.pass(10);
        assert_eq!(chunk(&mut peer), "2\r\n:\n", "a sign of life");
        assert_eq!(peer.line(), "\r\n");
    }
    // Half of the time, something that is sent, and half of it again: not yet.
    site.pass(5);
    feed.put("x\n".into()).unwrap();
    assert_eq!(chunk(&mut peer) + &peer.line(), "2\r\nx\n\r\n");
    site.pass(5);
    feed.put("y\n".into()).unwrap();
    assert_eq!(chunk(&mut peer) + &peer.line(), "2\r\ny\n\r\n");
    peer.0.get_ref().shutdown(Shutdown::Write).unwrap();
    peer.0.read_to_end(&mut Vec::new()).unwrap();
    assert!(feed.closed().is_some());
    site.until_deserted();
}

#[test]
fn a_drain_does_not_wait_for_who_does_not_take_an_endless_feed() {
    let site = Site::start();
    let peer = site.send(EVENTS);
    let feed = site.feeds.recv().unwrap();
    let mut full = 0;
    while full < 100 {
        full = if feed.put(vec![0; LIMIT].into()).is_ok() { 0 } else { full + 1 };
        assert!(site.send("GET /text HTTP/1.1\r\nHost: a\r\n\r\n").head().contains(" 200 "));
    }
    site.stop.drain(false, 15);
    until("its sender is told", || feed.closed().is_some());
    site.pass(3);
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);
    drop(peer);
}

#[test]
fn a_drain_ends_endless_feeds_cleanly() {
    let site = Site::start();
    let mut peer = site.send(EVENTS);
    let feed = site.feeds.recv().unwrap();
    peer.head();
    feed.put("last\n".into()).unwrap();
    site.stop.drain(false, 15);
    let mut rest = String::new();
    peer.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "5\r\nlast\n\r\n0\r\n\r\n");
    assert_eq!(feed.put("x".into()), Err(crate::app::SendError::Stopping), "that is why");
    drop(peer);
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);

    let site = Site::start();
    let mut peer = site.send(&(EVENTS.to_owned() + "GET /text HTTP/1.1\r\nHost: a\r\n\r\n"));
    site.feeds.recv().unwrap();
    peer.head();
    // It is sure to have been read when another one on its reactor is answered.
    assert!(site.send("GET /text HTTP/1.1\r\nHost: a\r\n\r\n").head().contains(" 200 "));
    site.stop.drain(false, 15);
    let mut rest = String::new();
    peer.0.read_to_string(&mut rest).unwrap();
    let answer = rest.strip_prefix("0\r\n\r\nHTTP/1.1 200 ").expect("what was asked behind it is answered");
    assert!(answer.to_ascii_lowercase().contains("connection: close\r\n") && answer.ends_with("Hello"), "{answer}");
    drop(peer);
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);
}
