use std::io::Read;

use serde_json::{Value, json};

use super::*;
use crate::ops::telemetry::tests::received;
use crate::server::lifecycle::State;

struct Fixed(&'static str, Verdict);

impl Check for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        self.1.clone()
    }
}

fn probes(state: State) -> Probes {
    probes_with(state, &Config::default())
}

fn probes_with(state: State, config: &Config) -> Probes {
    let lifecycle = Lifecycle::default();
    lifecycle.advance(state);
    Probes::new(config, lifecycle, Arc::default())
}

fn read(mut response: Response) -> (u16, String) {
    let expected = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in expected {
        assert_eq!(response.headers().get(&name), Some(&HeaderValue::from_static(value)));
    }
    let mut body = String::new();
    response.body_mut().read_to_string(&mut body).expect("UTF-8");
    assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
    (response.status().as_u16(), body)
}

fn ask(probes: &Probes, probe: Probe, query: &str) -> (u16, String) {
    let target = format!("/{}{query}", probe.name());
    read(probes.answer(probe, &received("GET", target.as_bytes(), &[]).head))
}

#[test]
fn statuses_follow_the_life_of_the_process() {
    use Probe::*;
    let cases = [
        (State::Starting, [(Healthz, 200), (Readyz, 503), (Startupz, 503)]),
        (State::Ready, [(Healthz, 200), (Readyz, 200), (Startupz, 200)]),
        (State::Draining, [(Healthz, 200), (Readyz, 503), (Startupz, 200)]),
        (State::Stopping, [(Healthz, 200), (Readyz, 503), (Startupz, 200)]),
        (State::Forced, [(Livez, 200), (Readyz, 503), (Startupz, 200)]),
    ];
    for (state, expected) in cases {
        for (probe, status) in expected {
            let (found, body) = ask(&probes(state), probe, "");
            assert_eq!(found, status, "{probe:?} while {state:?}: {body}");
            assert_eq!(body == "ok", status == 200, "{body}");
        }
    }
}

#[test]
fn bodies_are_written_as_kube_apiserver_does() {
    let ready = "[+]ping ok\n[+]startup ok\n[+]shutdown ok\nreadyz check passed\n";
    let draining = "[+]ping ok\n[+]startup ok\n[-]shutdown failed: the server is draining\nreadyz check failed\n";
    let cases = [
        (State::Ready, "?verbose", 200, ready),
        (State::Ready, "?verbose=1&x=y", 200, ready),
        (State::Ready, "?verbose=false", 200, "ok"),
        (State::Ready, "?", 200, "ok"),
        (State::Draining, "", 503, draining),
        (State::Draining, "?verbose=false", 503, draining),
        (State::Draining, "?exclude=shutdown", 200, "ok"),
        (
            State::Draining,
            "?verbose&exclude=shutdown&exclude=%70ing",
            200,
            "[+]ping excluded: ok\n[+]startup ok\n[+]shutdown excluded: ok\nreadyz check passed\n",
        ),
        (State::Ready, "?exclude=db", 200, "warn: there is no check \"db\" to exclude\nok"),
        (State::Ready, "?exclude=%0a%1b%5b0m%22", 200, "warn: there is no check \"???0m?\" to exclude\nok"),
    ];
    for (state, query, status, body) in cases {
        assert_eq!(ask(&probes(state), Probe::Readyz, query), (status, body.to_owned()), "{state:?} {query}");
    }
    assert_eq!(ask(&probes(State::Ready), Probe::Healthz, "?verbose").1, "[+]ping ok\nhealthz check passed\n");
    assert_eq!(ask(&probes(State::Ready), Probe::Livez, "?verbose").1, "[+]ping ok\nlivez check passed\n");
}

#[test]
fn the_status_of_a_drain_can_be_chosen() {
    for (chosen, expected) in [(429, 429), (404, 404), (0, 503)] {
        let config = Config { drain_ready_status: chosen, ..Config::default() };
        assert_eq!(ask(&probes_with(State::Draining, &config), Probe::Readyz, "").0, expected);
    }
    let config = Config { drain_ready_status: 200, ..Config::default() };
    let (status, body) = ask(&probes_with(State::Draining, &config), Probe::Readyz, "");
    assert_eq!((status, body.contains("[~]shutdown degraded: the server is draining")), (200, true), "{body}");
    assert!(body.ends_with("readyz check passed\n"));
}

#[test]
fn another_failure_outranks_the_drain() {
    let config = Config { drain_ready_status: 429, ..Config::default() };
    for state in [State::Ready, State::Draining] {
        let mut probes = probes_with(state, &config);
        probes.add(Fixed("db", Verdict::Fail("no answer".into())));
        let (status, body) = ask(&probes, Probe::Readyz, "");
        assert_eq!(status, 503);
        assert!(body.contains("[-]db failed: no answer\n"), "{body}");
        assert_eq!(ask(&probes, Probe::Healthz, "").0, 200);
    }
}

#[test]
fn one_check_can_be_asked_for() {
    let ask = |state, name: &str| {
        read(probes(state).answer_check(Probe::Readyz, name, &received("GET", b"/readyz/x", &[]).head))
    };
    assert_eq!(ask(State::Draining, "ping"), (200, "ok".into()));
    assert_eq!(ask(State::Draining, "%70ing"), (200, "ok".into()));
    let failed = "[-]shutdown failed: the server is draining\nreadyz check failed\n";
    assert_eq!(ask(State::Draining, "shutdown"), (503, failed.into()));
    assert_eq!(ask(State::Ready, "db\n<script>"), (404, "readyz has no check \"db??script?\"\n".into()));
}

#[test]
fn json_has_the_shape_of_microprofile_health() {
    let mut probes = probes(State::Draining);
    probes.add(Fixed("cache", Verdict::Degraded("cold".into())));
    let (status, body) = ask(&probes, Probe::Readyz, "?format=json&exclude=startup");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let expected = json!({ "status": "DOWN", "checks": [
        { "name": "ping", "status": "UP", "data": {} },
        { "name": "startup", "status": "UP", "data": { "excluded": true } },
        { "name": "shutdown", "status": "DOWN", "data": {
            "state": "draining", "requests_active": 0, "connections_active": 0, "reason": "the server is draining" } },
        { "name": "cache", "status": "UP", "data": { "degraded": "cold" } },
    ]});
    assert_eq!((status, body), (503, expected));
    let (_, body) = ask(&self::probes(State::Ready), Probe::Healthz, "?format=json");
    assert_eq!(body, r#"{"status":"UP","checks":[{"name":"ping","status":"UP","data":{}}]}"#);
}

#[test]
fn bodies_stay_small_and_show_failures_first() {
    let mut probes = probes(State::Ready);
    for n in 0..100 {
        let name: &'static str = format!("check-with-a-rather-long-name-number-{n}").leak();
        probes.add(Fixed(name, Verdict::Pass));
    }
    probes.add(Fixed("last", Verdict::Fail("x".repeat(10_000).into())));
    let (_, body) = ask(&probes, Probe::Readyz, "");
    assert!(body.starts_with("[-]last failed: xxx") && body.ends_with("\nreadyz check failed\n"), "{body}");
    let (_, body) = ask(&probes, Probe::Readyz, "?format=json");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["checks"][0]["name"], "last");
    // Warnings about names that do not exist cannot push it over the limit.
    let query = format!("?verbose{}", format!("&exclude={}", "y".repeat(300)).repeat(20));
    ask(&probes, Probe::Readyz, &query);
}

#[test]
fn a_hundred_checks_with_the_longest_names_leave_room_for_the_one_that_fails() {
    let mut probes = probes(State::Ready);
    for n in 0..100 {
        let name: &'static str = format!("{n:0>63}").leak();
        probes.add(Fixed(name, if n == 70 { Verdict::Fail("gone".into()) } else { Verdict::Pass }));
    }
    let name = format!("{:0>63}", 70);
    let (status, body) = ask(&probes, Probe::Readyz, "");
    assert_eq!((status, body.starts_with(&format!("[-]{name} failed: gone\n[+]ping ok\n"))), (503, true), "{body}");
    let shown = body.lines().filter(|line| line.starts_with('[')).count();
    assert!(body.ends_with(&format!("\n({} more checks)\nreadyz check failed\n", 103 - shown)), "{body}");
    let (_, body) = ask(&probes, Probe::Readyz, "?format=json");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let expected = json!({ "name": name, "status": "DOWN", "data": { "reason": "gone" } });
    assert_eq!((&body["checks"][0], &body["status"]), (&expected, &json!("DOWN")));
    assert!(body["checks"].as_array().is_some_and(|checks| checks.len() > 30));
}

#[test]
fn details_are_for_those_who_ask_for_them() {
    let reason = || Reason::from("no progress").with_detail("GET /slow hangs".into());
    let secret = || Reason::withheld("postgres://me:pw@db".into());
    for (details, db, cache) in [
        (HealthDetails::None, "", ""),
        (HealthDetails::Names, "[-]db failed: no progress\n", "[~]cache degraded: reason withheld\n"),
        (HealthDetails::Full, "[-]db failed: GET /slow hangs\n", "[~]cache degraded: postgres://me:pw@db\n"),
    ] {
        let mut probes = probes_with(State::Ready, &Config { health_details: details, ..Config::default() });
        probes.add(Fixed("db", Verdict::Fail(reason())));
        probes.add(Fixed("cache", Verdict::Degraded(secret())));
        let (status, body) = ask(&probes, Probe::Readyz, "?verbose");
        let own = if details == HealthDetails::None { "" } else { "[+]ping ok\n[+]startup ok\n[+]shutdown ok\n" };
        assert_eq!((status, body), (503, format!("{own}{db}{cache}readyz check failed\n")));
        let (_, json) = ask(&probes, Probe::Readyz, "?format=json");
        assert_eq!(json.contains("postgres"), details == HealthDetails::Full, "{json}");
        assert_eq!(json.contains("cache"), details != HealthDetails::None, "{json}");
        assert_eq!(ask(&probes, Probe::Readyz, "?exclude=db").0, 200);
    }
}

#[test]
fn startupz_passes_once_it_has_started_although_it_is_not_ready() {
    let probes = probes(State::Starting);
    assert_eq!(ask(&probes, Probe::Startupz, "").0, 503);
    probes.started();
    assert_eq!((ask(&probes, Probe::Startupz, "").0, ask(&probes, Probe::Readyz, "?exclude=x").0), (200, 200));
}

/// A sink that takes something only when it is told to, and then may fail.
struct Valve(crossbeam_channel::Receiver<std::io::Result<()>>);

impl std::io::Write for Valve {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.recv().unwrap_or(Ok(())).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_loses_lines_degrades_readiness_and_fails_nothing() {
    let (valve, valves) = crossbeam_channel::unbounded();
    let (log, _) = crate::ops::log_writer::LogWriter::spawn("log", Valve(valves), 1).expect("a thread");
    let mut probes = probes(State::Ready);
    probes.add(LogCheck::new(vec![log.clone()]));
    let state = || {
        let (status, body) = ask(&probes, Probe::Readyz, "?verbose");
        assert_eq!((status, ask(&probes, Probe::Healthz, "").1), (200, "ok".into()));
        body.lines().find(|line| line.contains("log-writer")).expect("it is shown").to_owned()
    };
    // Every buffer is another attempt.
    let until = |wanted: &str| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while state() != wanted {
            log.send(&mut b"line\n".to_vec());
            assert!(std::time::Instant::now() < end, "{} and not {wanted}", state());
            std::thread::yield_now();
        }
    };
    assert_eq!(state(), "[+]log-writer ok");
    until("[~]log-writer degraded: whoever reads the log is too slow, lines are dropped");
    for _ in 0..1000 {
        valve.send(Err(std::io::ErrorKind::StorageFull.into())).expect("it is there");
    }
    until("[~]log-writer degraded: log lines cannot be written and are dropped");
    drop(valve);
    until("[+]log-writer ok");
}

#[test]
fn a_plain_ok_allocates_nothing() {
    let mut response = probes(State::Ready).answer(Probe::Readyz, &RequestHead::default());
    assert_eq!(response.headers().len(), 3);
    let crate::app::body::Kind::Bytes(bytes) = std::mem::take(response.body_mut()).kind else { panic!("no bytes") };
    // What lies in the heap is unique to its first owner; what lies in the program is everybody's.
    assert!(bytes == OK && !bytes.is_unique());
}
