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
fn a_plain_ok_allocates_nothing() {
    let mut response = probes(State::Ready).answer(Probe::Readyz, &RequestHead::default());
    assert_eq!(response.headers().len(), 3);
    let crate::app::body::Kind::Bytes(bytes) = std::mem::take(response.body_mut()).kind else { panic!("no bytes") };
    // What lies in the heap is unique to its first owner; what lies in the program is everybody's.
    assert!(bytes == OK && !bytes.is_unique());
}
