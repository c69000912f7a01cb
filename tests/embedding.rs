//! Servers inside a larger program and in tests: on the caller's listener, stopped by the caller, gone without a trace.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rws::config::{Config, LogFormat, Sources};
use rws::error::ErrorKind;
use rws::prometheus::{IntCounter, Registry};
use rws::server::Verdict;
use rws::server::lifecycle::State;
use rws::{App, TestServer, get};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn quiet() -> Config {
    Config { log_format: LogFormat::Off, ..Config::default() }
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Status and body.
fn ask(address: SocketAddr, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn two_servers_live_in_one_process_and_end_each_by_itself() {
    let named = |name: &'static str| App::new().route("/", get(move || name)).serve(free_port(), quiet()).unwrap();
    let (one, two) = (named("one"), named("two"));
    assert!(one.wait_until_ready() && two.wait_until_ready());
    assert_eq!(ask(one.address(), "/"), (200, "one".to_owned()));
    assert_eq!(ask(two.address(), "/"), (200, "two".to_owned()));
    let address = one.address();
    one.stop();
    one.stop();
    assert_eq!(one.wait().unwrap().verdict, Verdict::Drained);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    assert_eq!(ask(two.address(), "/readyz").0, 200);
    let metrics = ask(two.address(), "/metrics").1;
    assert!(metrics.contains("http_route=\"/\""), "{metrics}");
    two.stopper().abort();
    assert_eq!(two.wait().unwrap().verdict, Verdict::Killed(0));
}

#[test]
fn whoever_has_the_stopper_stops_it_and_what_has_begun_is_finished() {
    let (entered, has_entered) = crossbeam_channel::bounded(1);
    let (leave, may_leave) = crossbeam_channel::bounded::<()>(1);
    let slow = move || {
        entered.send(()).unwrap();
        may_leave.recv_timeout(PATIENCE).unwrap();
        "done"
    };
    let server = App::new().route("/slow", get(slow)).serve(free_port(), quiet()).unwrap();
    let (address, stopper) = (server.address(), server.stopper());
    let client = thread::spawn(move || ask(address, "/slow"));
    has_entered.recv_timeout(PATIENCE).unwrap();
    thread::spawn(move || stopper.stop()).join().unwrap();
    let end = Instant::now() + PATIENCE;
    while server.state() < State::Draining {
        assert!(Instant::now() < end, "it does not drain");
        thread::park_timeout(Duration::from_millis(5));
    }
    leave.send(()).unwrap();
    let report = server.wait().unwrap();
    assert_eq!((report.verdict, report.served_while_draining), (Verdict::Drained, 1));
    assert_eq!(client.join().unwrap(), (200, "done".to_owned()));
}

#[test]
fn hooks_and_checks_come_before_it_is_ready_and_after_it_has_ended() {
    let count = Arc::new(AtomicUsize::new(0));
    let (up, checked, down) = (count.clone(), count.clone(), count.clone());
    let mut app = App::new()
        .on_startup("up", move || assert_eq!(up.fetch_add(1, Ordering::SeqCst), 0))
        .on_shutdown("down", move || assert_eq!(down.fetch_add(100, Ordering::SeqCst), 11));
    app.health().check("store").run(move || match checked.fetch_add(10, Ordering::SeqCst) {
        0 => Err("checked before the hook"),
        _ => Ok(()),
    });
    let server = TestServer::start(app).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 11);
    assert!(ask(server.address(), "/readyz?verbose").1.contains("[+]store ok"));
    assert_eq!(server.stop().unwrap().verdict, Verdict::Drained);
    assert_eq!(count.load(Ordering::SeqCst), 111);
}

#[test]
fn a_start_that_fails_says_why() {
    let failing = || App::new().on_startup("migrate", || Err::<(), _>("no such table"));
    let error = TestServer::start(failing()).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    let server = failing().serve(free_port(), quiet()).unwrap();
    assert!(!server.wait_until_ready());
    assert!(matches!(server.wait().unwrap_err().kind(), ErrorKind::Startup(_)));

    let twice = App::new().route("/a", get(|| "")).route("/a", get(|| ""));
    assert!(matches!(twice.serve(free_port(), quiet()).unwrap_err().kind(), ErrorKind::Build(_)));
    let taken = free_port();
    let port = taken.local_addr().unwrap().port();
    let config = Config { admin_port: Some(port), admin_ip: Some([127, 0, 0, 1].into()), ..quiet() };
    assert!(matches!(App::new().serve(free_port(), config).unwrap_err().kind(), ErrorKind::AdminBind(..)));
}

#[test]
fn a_configuration_in_code_that_is_wrong_is_refused_by_name() {
    let refused = |config| {
        let error = App::new().serve(free_port(), config).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error}");
        error.to_string()
    };
    let text = refused(Config { thread_count: 0, idle_timeout: Duration::ZERO, ..quiet() });
    for part in ["RWS_CONFIG_THREAD_COUNT=\"0\"", "from 1 to 65535", "RWS_CONFIG_IDLE_TIMEOUT"] {
        assert!(text.contains(part), "{text}");
    }
    let text = refused(Config { healthz_path: "/same".to_owned(), metrics_path: "/same".to_owned(), ..quiet() });
    assert!(text.contains("_PATH"), "{text}");
}

#[test]
fn the_admin_port_shows_the_settings_in_force_and_who_made_them() {
    let admin_ip = Some([127, 0, 0, 1].into());
    let config = Config { thread_count: 3, admin_port: Some(0), admin_ip, ..quiet() };
    let server = App::new().serve(free_port(), config).unwrap();
    let configz = ask(server.admin_address().unwrap(), "/configz").1;
    let configz: serde_json::Value = serde_json::from_str(&configz).unwrap();
    let setting = |name: &str| {
        let variables = configz["variables"].as_array().unwrap();
        let found = variables.iter().find(|variable| variable["name"] == format!("RWS_CONFIG_{name}")).unwrap();
        (found["value"].as_str().unwrap().to_owned(), found["source"].as_str().unwrap().to_owned())
    };
    assert_eq!(setting("THREAD_COUNT"), ("3".to_owned(), "code".to_owned()));
    assert_eq!(setting("LOG_FORMAT"), ("off".to_owned(), "code".to_owned()));
    assert_eq!(setting("QUEUE_DEPTH"), ("1000".to_owned(), "default".to_owned()));
    assert!(App::new().serve(free_port(), quiet()).unwrap().admin_address().is_none());
}

#[test]
fn what_the_configuration_asks_for_is_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("index.html"), "a page").unwrap();
    let settings = [
        ("RWS_CONFIG_STATIC_DIR", dir.path().to_str().unwrap()),
        ("RWS_CONFIG_READYZ_PATH", "/ready"),
        ("RWS_CONFIG_LOG_FORMAT", "off"),
    ];
    let server = TestServer::start_with(App::new(), Config::load(&Sources::new(settings)).unwrap()).unwrap();
    assert_eq!(ask(server.address(), "/"), (200, "a page".to_owned()));
    assert_eq!(ask(server.address(), "/ready").0, 200);
    assert_eq!(server.url("/ready"), format!("http://{}/ready", server.address()));
}

#[test]
fn a_server_that_is_dropped_drains() {
    let server = App::new().serve(free_port(), quiet()).unwrap();
    assert_ne!(server.state(), State::Stopped);
    let address = server.address();
    drop(server);
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok() {
        assert!(Instant::now() < end, "it goes on");
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn no_thread_is_left_behind() {
    /// Set in the process that has no other tests.
    const ALONE: &str = "--exact";
    if !std::env::args().any(|argument| argument == ALONE) {
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["no_thread_is_left_behind", ALONE])
            .output()
            .unwrap();
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
        return;
    }
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("rws-")).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let mut app = App::new().route("/", get(|| "hello"));
        app.health().check("store").run(|| Ok::<(), String>(()));
        let server = TestServer::start(app).unwrap();
        assert_eq!(ask(server.address(), "/").0, 200);
        assert!(threads().len() > 3);
        assert_eq!(server.stop().unwrap().verdict, Verdict::Drained);
    }
    let end = Instant::now() + PATIENCE;
    while !threads().is_empty() {
        assert!(Instant::now() < end, "still there: {:?}", threads());
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn metrics_of_the_application_stand_beside_the_server_s_own() {
    let counter = |name: &str| IntCounter::new(name, "Of the test.").unwrap();
    let (single, registered) = (counter("test_single_total"), counter("test_registered_total"));
    let registry = Registry::new();
    registry.register(Box::new(registered.clone())).unwrap();
    single.inc_by(3);
    registered.inc_by(4);
    let server = TestServer::start(App::new().metric(single.clone()).metrics(registry)).unwrap();
    let metrics = || ask(server.address(), "/metrics").1;
    let has = |line: &str| assert!(metrics().lines().any(|other| other == line), "{line} is missing:\n{}", metrics());
    has("test_single_total 3");
    has("# HELP test_single_total Of the test.");
    has("test_registered_total 4");
    single.inc();
    has("test_single_total 4");
    assert!(metrics().contains("\nrws_build_info{"), "{}", metrics());
}

#[test]
fn a_metric_whose_name_is_taken_keeps_the_server_from_starting_and_is_named() {
    let counter = |name: &str| IntCounter::new(name, "Of the test.").unwrap();
    let registry = |name: &str| {
        let registry = Registry::new();
        registry.register(Box::new(counter(name))).unwrap();
        registry
    };
    let own = ["http_server_request_duration_seconds", "rws_rate_limited_total", "process_open_fds", "rws_any_name"];
    let taken = own
        .iter()
        .flat_map(|name| [(*name, App::new().metric(counter(name))), (*name, App::new().metrics(registry(name)))]);
    let twice = || counter("test_total");
    let others = [
        ("test_total", App::new().metric(twice()).metric(twice())),
        ("test_total", App::new().metric(twice()).metrics(registry("test_total"))),
        ("test_total", App::new().metrics(registry("test_total")).metrics(registry("test_total"))),
    ];
    for (number, (name, app)) in taken.chain(others).enumerate() {
        let error = TestServer::start(app).expect_err(&format!("{name} in case {number}"));
        assert!(matches!(error.kind(), ErrorKind::Metrics(_) | ErrorKind::Build(_)), "{error}");
        assert!(error.to_string().contains(name), "case {number}: {error}");
    }
}
