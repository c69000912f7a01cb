//! What the server tells of its own health: idle, busy and wedged are three different things.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use rws::app::service::{Endpoint, Resolved, Service};
use rws::app::{BuiltApp, Request, get};
use rws::config::Config;
use rws::ops::probes::{Check, EngineCheck, Probe, Verdict};
use rws::semantics::head::RequestHead;
use rws::server::Server;
use rws::server::clock::Clock;
use rws::server::vitals::Vitals;
use rws::{App, Response};

use super::support::{Client, Site, config, get_of, request, until};

const SECOND: Duration = Duration::from_secs(1);
/// As long as RWS_CONFIG_LIVENESS_STALL is by default.
const STALL: Duration = Duration::from_secs(60);
/// How long nobody asks again after an answer.
const PAUSE: Duration = Duration::from_secs(15);

fn site(config: Config) -> (Site, Vitals) {
    let vitals = Vitals::default();
    let shown = vitals.clone();
    (Site::of(config, Clock::manual(), move |server| server.with_vitals(shown)), vitals)
}

/// What the checks for this server say, by name; only what is wrong.
fn failing(vitals: &Vitals) -> Vec<(String, String)> {
    let checks = EngineCheck::all(vitals, STALL);
    let verdict = |check: &EngineCheck| match check.verdict(Probe::Healthz) {
        Verdict::Fail(reason) => Some((check.name().to_owned(), reason.full().to_owned())),
        Verdict::Pass => None,
        other => panic!("{other:?}"),
    };
    checks.iter().filter_map(verdict).collect()
}

fn assert_well(vitals: &Vitals) {
    assert_eq!(failing(vitals), []);
}

/// Waits until both kinds of loops have answered the question that was asked last. Time has to move a little: at the
/// moment of the question nobody has been silent yet.
fn answers(site: &Site, vitals: &Vitals) {
    until("all loops have answered", || {
        site.clock.advance(Duration::from_micros(1));
        vitals.reactors(PAUSE).1.is_zero() && vitals.accept_loop(PAUSE).is_zero()
    });
}

#[test]
fn an_idle_server_is_well_however_long_it_sleeps() {
    let (site, vitals) = site(Config { reactor_count: 3, ..config() });
    let mut client = site.send(get_of("/text"));
    assert_eq!(client.reply().status, 200);
    for _ in 0..5 {
        assert_well(&vitals);
        answers(&site, &vitals);
        // Nobody asks for an hour. The clock only moves: no reactor is woken but by the question.
        site.clock.advance(3600 * SECOND);
        assert_well(&vitals);
        answers(&site, &vitals);
    }
}

#[test]
fn workers_that_get_nothing_done_while_requests_wait_are_told_with_their_routes() {
    let (site, vitals) = site(Config { thread_count: 2, ..config() });
    let crowd: Vec<Client> = (0..5).map(|i| site.send(get_of(&format!("/blocking/{i}")))).collect();
    site.gate.wait_for(2);
    site.until("three wait", |_| vitals.queue_depth() == 3);
    assert_well(&vitals);
    answers(&site, &vitals);
    site.pass(STALL - SECOND);
    assert_well(&vitals);
    answers(&site, &vitals);
    site.pass(2 * SECOND);
    let found = failing(&vitals);
    let text = "no worker has finished anything for 61s while 3 requests wait; \
                running: GET /blocking/{name} (2 for up to 61s)";
    assert_eq!(found, [("workers".to_owned(), text.to_owned())]);

    // One that comes through is enough.
    let (first, second) = (site.gate.arrived()[0].clone(), site.gate.arrived()[1].clone());
    site.gate.open(&first);
    site.gate.wait_for(3);
    assert_well(&vitals);
    site.gate.open(&second);
    site.gate.open_for_good();
    for mut client in crowd {
        assert_eq!(client.reply().status, 200);
    }
    site.pass(1000 * SECOND);
    assert_well(&vitals);
}

#[test]
fn a_pool_that_is_slow_but_works_is_well() {
    let (site, vitals) = site(Config { thread_count: 2, ..config() });
    let _crowd: Vec<Client> = (0..12).map(|i| site.send(get_of(&format!("/blocking/{i}")))).collect();
    for done in 0..10 {
        site.gate.wait_for(done + 2);
        assert_well(&vitals);
        answers(&site, &vitals);
        site.pass(30 * SECOND);
        assert_well(&vitals);
        site.gate.open(&site.gate.arrived()[done]);
    }
}

#[test]
fn a_full_pool_without_anybody_waiting_is_well() {
    let (site, vitals) = site(Config { thread_count: 2, ..config() });
    let _crowd: Vec<Client> = (0..2).map(|i| site.send(get_of(&format!("/blocking/{i}")))).collect();
    site.gate.wait_for(2);
    for _ in 0..5 {
        assert_well(&vitals);
        answers(&site, &vitals);
        site.pass(2 * STALL);
    }
}

#[test]
fn a_worker_that_gets_a_body_bit_by_bit_is_not_stuck() {
    let (site, vitals) = site(Config { thread_count: 1, ..config() });
    let mut slow = site.send(request("POST", "/slurp", "Transfer-Encoding: chunked\r\n"));
    site.until("it is being read", |stats| stats.workers_busy.load(Ordering::SeqCst) == 1);
    let mut waiting = site.send(get_of("/blocking/x"));
    site.until("one waits", |_| vitals.queue_depth() == 1);
    for _ in 0..5 {
        assert_well(&vitals);
        answers(&site, &vitals);
        slow.send("1\r\na\r\n");
        until("it has been read", || {
            site.clock.advance(Duration::from_micros(1));
            vitals.workers(PAUSE).is_zero()
        });
        site.pass(30 * SECOND);
    }
    assert_well(&vitals);
    answers(&site, &vitals);
    site.pass(STALL + SECOND);
    let found = failing(&vitals);
    assert!(matches!(&found[..], [(name, text)] if name == "workers" && text.contains("POST /slurp")), "{found:?}");
    slow.send("0\r\n\r\n");
    assert_eq!(slow.reply().text(), "5");
    site.gate.open("x");
    assert_eq!(waiting.reply().status, 200);
}

/// A service that keeps a reactor for itself, which the contract of `resolve` forbids.
struct Wedge {
    app: BuiltApp,
    release: Receiver<()>,
}

impl Service for Wedge {
    fn endpoints(&self) -> &[Endpoint] {
        self.app.endpoints()
    }

    fn resolve(&self, head: &RequestHead) -> Resolved {
        if head.path() == "/wedge" {
            let _ = self.release.recv();
        }
        self.app.resolve(head)
    }

    fn call(&self, request: Request) -> Response {
        self.app.call(request)
    }
}

#[test]
fn a_reactor_that_does_not_come_round_is_told_while_the_others_serve() {
    let (release, released) = bounded::<()>(0);
    let app = App::new().route("/", get(|| "")).build().unwrap();
    let (clock, vitals) = (Clock::manual(), Vitals::default());
    let server = Server::new(
        TcpListener::bind("127.0.0.1:0").unwrap(),
        Arc::new(Wedge { app, release: released }),
        Arc::new(super::support::Nobody),
        Config { reactor_count: 2, ..config() },
    );
    let running = server.with_clock(clock.clone()).with_vitals(vitals.clone()).start().unwrap();
    let (address, stop) = (running.address(), running.stop());
    let end = thread::spawn(move || running.wait());

    assert_well(&vitals);
    let mut wedged = Client::connect(address);
    wedged.send(get_of("/wedge"));
    until("one reactor does not answer any more", || {
        clock.advance(SECOND / 10);
        vitals.reactors(Duration::ZERO).1 > SECOND
    });
    // In steps, for the time is the same for who has just been asked and has had no CPU yet to answer.
    until("it alone is told", || {
        clock.advance(SECOND);
        let found = failing(&vitals);
        matches!(&found[..], [(name, text)] if name == "reactors" && text.contains("has not come round for"))
    });
    let mut other = Client::connect(address);
    other.send(get_of("/"));
    assert_eq!(other.reply().status, 200);

    drop(release);
    assert_eq!(wedged.reply().status, 404);
    until("both come round again", || failing(&vitals).is_empty());
    stop.abort(9);
    end.join().unwrap();
    clock.advance(1000 * STALL);
    assert_well(&vitals);
}
