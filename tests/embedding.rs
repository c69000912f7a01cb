//! Servers inside a larger program and in tests: on the caller's listener, stopped by the caller, gone without a trace.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
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
    let address = two.address();
    two.stopper().abort();
    assert_eq!(two.wait().unwrap().verdict, Verdict::Killed(0));
    nobody_listens(address);
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
    nobody_listens(address);
}

/// Waits until that is so.
fn nobody_listens(address: SocketAddr) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok() {
        assert!(Instant::now() < end, "it goes on");
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_listener_of_which_the_caller_keeps_a_clone_can_be_served_again() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        for round in ["one", "two"] {
            let server =
                App::new().route("/", get(move || round)).serve(listener.try_clone().unwrap(), quiet()).unwrap();
            assert_eq!(ask(server.address(), "/"), (200, round.to_owned()));
            server.stop();
            assert_eq!(server.wait().unwrap().verdict, Verdict::Drained);
        }
    }
}

#[test]
fn it_may_be_stopped_at_any_time_by_any_number_of_threads() {
    let (hold, held) = crossbeam_channel::bounded::<()>(0);
    let slow_start = App::new().on_startup("slow", move || _ = held.recv_timeout(PATIENCE));
    let server = slow_start.serve(free_port(), quiet()).unwrap();
    let stoppers: Vec<_> = (0..8).map(|_| server.stopper()).collect();
    let threads: Vec<_> = stoppers.into_iter().map(|stopper| thread::spawn(move || stopper.stop())).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(hold);
    assert!(!server.wait_until_ready(), "it was stopped before");
    assert_eq!(server.wait().unwrap().verdict, Verdict::Drained);

    let server = App::new().serve(free_port(), quiet()).unwrap();
    let stopper = server.stopper();
    server.stop();
    assert_eq!(server.wait().unwrap().verdict, Verdict::Drained);
    stopper.stop();
    stopper.abort();
}

#[test]
fn panics_are_told_and_end_nothing_that_they_need_not() {
    let mut app = App::new()
        .route("/", get(|| "fine"))
        .route("/panic", get(|| -> &'static str { panic!("on purpose") }))
        .on_shutdown("flush", || -> Result<(), String> { panic!("on purpose") });
    app.health().check("store").critical(false).run(|| -> Result<(), String> { panic!("on purpose") });
    let server = TestServer::start(app).unwrap();
    assert_eq!(ask(server.address(), "/panic").0, 500);
    assert_eq!(ask(server.address(), "/").0, 200);
    assert!(ask(server.address(), "/readyz?verbose").1.contains("store"));
    assert_eq!(server.stop().unwrap().verdict, Verdict::Drained);

    let error =
        TestServer::start(App::new().on_startup("migrate", || -> Result<(), String> { panic!("no such table") }))
            .unwrap_err()
            .to_string();
    assert!(error.contains("migrate") && error.contains("no such table"), "{error}");
}

#[test]
fn metrics_are_those_of_each_server_and_a_registry_may_be_of_several() {
    let (own, shared) = (Registry::new(), Registry::new());
    for (registry, name) in [(&own, "own_total"), (&shared, "shared_total")] {
        let counter = IntCounter::new(name, "A test's.").unwrap();
        counter.inc();
        registry.register(Box::new(counter)).unwrap();
    }
    let app = || App::new().route("/orders", get(|| "")).metrics(shared.clone());
    let one = app().metrics(own).serve(free_port(), quiet()).unwrap();
    let two = app().serve(free_port(), quiet()).unwrap();
    assert_eq!(ask(one.address(), "/orders").0, 200);
    let scraped = [&one, &two].map(|server| ask(server.address(), "/metrics").1);
    let served =
        |text: &str| text.lines().any(|line| line.contains(r#"http_route="/orders""#) && !line.ends_with(" 0"));
    assert_eq!(scraped.each_ref().map(|text| served(text)), [true, false]);
    assert_eq!(scraped.each_ref().map(|text| text.contains("own_total 1")), [true, false]);
    assert_eq!(scraped.each_ref().map(|text| text.contains("shared_total 1")), [true, true]);
}

/// Whether this is the process in which the test called `name` is alone; else runs it there.
fn is_alone(name: &str) -> bool {
    const ALONE: &str = "--exact";
    if std::env::args().any(|argument| argument == ALONE) {
        return true;
    }
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, ALONE])
        .envs([("RWS_CONFIG_THREAD_COUNT", "banana"), ("RWS_CONFIG_HEALTHZ_PATH", "/elsewhere")])
        .env("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&alone.stderr));
    false
}

/// Whoever was told to end at once may need a moment to close its listener.
fn bind_again(address: SocketAddr) -> TcpListener {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// The threads and the descriptors of this process.
fn belongings() -> (Vec<String>, usize) {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut names: Vec<_> = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect();
    names.sort();
    (names, fs::read_dir("/proc/self/fd").unwrap().count())
}

fn wait_until_there_are_only(before: &(Vec<String>, usize)) {
    let end = Instant::now() + PATIENCE;
    while belongings() != *before {
        assert!(Instant::now() < end, "{before:?} before, and now {:?}", belongings());
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

#[test]
fn nothing_is_left_behind_and_the_environment_is_not_read() {
    if !is_alone("nothing_is_left_behind_and_the_environment_is_not_read") {
        return;
    }
    let before = belongings();
    let registry = Registry::new();
    let address = free_port().local_addr().unwrap();
    let config = || Config { admin_port: Some(0), admin_ip: Some(address.ip()), ..quiet() };
    for round in 0..10 {
        let mut app = App::new().route("/", get(|| "hello")).metrics(registry.clone());
        app.health().check("store").run(|| Ok::<(), String>(()));
        let server = app.serve(bind_again(address), config()).unwrap();
        assert!(server.wait_until_ready());
        assert_eq!(ask(address, "/").0, 200);
        assert_eq!(ask(server.admin_address().unwrap(), "/healthz").0, 200);
        assert!(belongings().0.len() > before.0.len() + 3);
        match round % 2 {
            0 => server.stop(),
            _ => server.stopper().abort(),
        }
        let verdict = server.wait().unwrap().verdict;
        assert_eq!(verdict, if round % 2 == 0 { Verdict::Drained } else { Verdict::Killed(0) });
    }
    wait_until_there_are_only(&before);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    if !is_alone("a_start_that_fails_leaves_nothing_behind") {
        return;
    }
    let before = belongings();
    let taken = free_port();
    let (ip, port) = (taken.local_addr().unwrap().ip(), taken.local_addr().unwrap().port());
    let admin = |port| Config { admin_port: Some(port), admin_ip: Some(ip), ..quiet() };
    for _ in 0..5 {
        assert!(App::new().serve(free_port(), admin(port)).is_err());
        assert!(App::new().route("nowhere", get(|| "")).serve(free_port(), admin(0)).is_err());
        assert!(App::new().serve(free_port(), Config { static_dir: Some("/no/such".into()), ..admin(0) }).is_err());
        let failing = App::new().on_startup("migrate", || Err::<(), _>("no such table"));
        assert!(failing.serve(free_port(), admin(0)).unwrap().wait().is_err());
        // More event loops than there is memory for the stacks of.
        let many = || App::new().serve(free_port(), Config { reactor_count: 150, ..admin(0) });
        let error = with_limit(Resource::As, addresses() + (100 << 20), many).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::System(_)), "{error}");
    }
    drop(taken);
    wait_until_there_are_only(&before);
}

/// The bytes of addresses that this process has taken.
fn addresses() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
    pages * rustix::param::page_size() as u64
}

/// What `run` returns while there is only so much of something.
fn with_limit<T>(resource: Resource, current: u64, run: impl FnOnce() -> T) -> T {
    let limit = getrlimit(resource);
    setrlimit(resource, Rlimit { current: Some(current), maximum: limit.maximum }).unwrap();
    let result = run();
    setrlimit(resource, limit).unwrap();
    result
}
