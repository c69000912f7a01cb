//! The outages that `rws check` is for. Each must be found before it happens, with its fix in the same line.

use std::fs;

use crate::support::{check, directory, found};

/// Rule, severity, line, and what the message says.
type Fault = (&'static str, &'static str, usize, &'static [&'static str]);

/// Asserts that the manifests of an outage have these faults, and that whoever runs the check sees this.
fn finds(file: &str, faults: &[Fault], shown: &str) {
    let file = format!("seeds/{file}");
    let found = found(&file);
    for (rule, severity, line, words) in faults {
        let hit = found.iter().find(|found| found.rule == *rule && found.line == *line);
        let hit = hit.unwrap_or_else(|| panic!("{rule} in line {line} is not among {found:#?}"));
        assert_eq!(hit.severity, *severity, "{rule}");
        for word in *words {
            assert!(hit.message.contains(word), "{word:?} is not in {:?}", hit.message);
        }
    }
    let run = check(&["--min-severity", "warning", &file]);
    assert_eq!(run.stdout, shown, "{}", run.stdout);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn every_outage_has_a_test() {
    let tests = include_str!("outages.rs");
    for entry in fs::read_dir(directory().join("seeds")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("\"{name}\"")), "{name}");
    }
}

/// The pods crashed or never became ready: the server listened on 127.0.0.1.
#[test]
fn probes_refused_because_the_server_listens_on_loopback() {
    finds(
        "000-loopback-bind.yaml",
        &[
            ("loopback-bind", "error", 8, &["RWS_CONFIG_IP=\"127.0.0.1\"", "set RWS_CONFIG_IP=0.0.0.0"]),
            ("tcp-probe", "note", 38, &["startupProbe.tcpSocket", "/startupz"]),
            ("tcp-probe", "note", 44, &["livenessProbe.tcpSocket", "/healthz"]),
            ("tcp-probe", "warning", 50, &["readinessProbe.tcpSocket", "use httpGet with path /readyz"]),
            ("probes-identical", "warning", 48, &["use /healthz and /readyz"]),
        ],
        r#"error[loopback-bind]: RWS_CONFIG_IP="127.0.0.1": must not be a loopback address inside Kubernetes: kubelet probes and Services reach the pod IP, never 127.0.0.1: set RWS_CONFIG_IP=0.0.0.0 (or RWS_CONFIG_ALLOW_LOOPBACK=true if only this pod is to reach it)
 --> seeds/000-loopback-bind.yaml:8:18
  |
8 |   RWS_CONFIG_IP: "127.0.0.1"
  |                  ^^^^^^^^^^^

warning[probes-identical]: livenessProbe and readinessProbe ask the same: whatever takes the pod out of service restarts it as well; use /healthz and /readyz
  --> seeds/000-loopback-bind.yaml:48:11
   |
48 |           readinessProbe:
   |           ^^^^^^^^^^^^^^

warning[tcp-probe]: readinessProbe.tcpSocket only sees that the port is open, not that rws works: use httpGet with path /readyz
  --> seeds/000-loopback-bind.yaml:50:15
   |
50 |               port: 8080
   |               ^^^^^^^^^^

1 error, 2 warnings in seeds/000-loopback-bind.yaml
"#,
    );
}

/// The liveness probe asked for a path that nothing served.
#[test]
fn a_restart_loop_because_the_liveness_probe_gets_404() {
    finds(
        "001-restart-loop.yaml",
        &[
            (
                "probe-path",
                "error",
                37,
                &[
                    "/nonexistent-healthz, which rws does not serve",
                    "404",
                    "restart the container again and again",
                    "use /healthz",
                ],
            ),
            ("probe-too-tight", "warning", 41, &["after 10 s", "failureThreshold 3"]),
            ("initial-delay", "note", 39, &["add a startupProbe with path /startupz"]),
        ],
        r#"error[probe-path]: livenessProbe.httpGet.path is /nonexistent-healthz, which rws does not serve: it would get 404, and the kubelet would restart the container again and again; use /healthz
  --> seeds/001-restart-loop.yaml:37:21
   |
37 |               path: /nonexistent-healthz
   |                     ^^^^^^^^^^^^^^^^^^^^

warning[probe-too-tight]: livenessProbe: after 10 s without an answer (periodSeconds 5 × failureThreshold 2) the container is restarted, which a busy node is enough for; use periodSeconds 10 and failureThreshold 3
  --> seeds/001-restart-loop.yaml:41:31
   |
41 |             failureThreshold: 2
   |                               ^

1 error, 1 warning in seeds/001-restart-loop.yaml
"#,
    );
}

/// Fifty pods at once were restarted for a path on another branch.
#[test]
fn a_sign_in_service_down_because_a_probe_was_ahead_of_its_code() {
    finds(
        "001-v2-health.yaml",
        &[
            ("probe-path", "error", 42, &["/v2/health, which rws does not serve", "use /healthz"]),
            ("probe-too-tight", "warning", 45, &["after 10 s", "periodSeconds 5 × failureThreshold 2"]),
            ("rollout-takes-all-down", "warning", 22, &["100%", "all 50 pods", "maxUnavailable: 0"]),
        ],
        r#"warning[rollout-takes-all-down]: maxUnavailable 100% lets a rollout stop all 50 pods before a new one works; use maxUnavailable: 0 and maxSurge: 1
  --> seeds/001-v2-health.yaml:22:23
   |
22 |       maxUnavailable: 100%
   |                       ^^^^

error[probe-path]: livenessProbe.httpGet.path is /v2/health, which rws does not serve: it would get 404, and the kubelet would restart the container again and again; use /healthz
  --> seeds/001-v2-health.yaml:42:21
   |
42 |               path: /v2/health
   |                     ^^^^^^^^^^

warning[probe-too-tight]: livenessProbe: after 10 s without an answer (periodSeconds 5 × failureThreshold 2) the container is restarted, which a busy node is enough for; use periodSeconds 10 and failureThreshold 3
  --> seeds/001-v2-health.yaml:45:31
   |
45 |             failureThreshold: 2
   |                               ^

1 error, 2 warnings in seeds/001-v2-health.yaml
"#,
    );
}

/// The container declared, and the readiness probe asked, another port than the server listened on.
#[test]
fn never_ready_because_port_80_is_not_8080() {
    finds(
        "002-port-mismatch.yaml",
        &[
            (
                "container-port",
                "warning",
                30,
                &["containerPort is 80", "rws listens on 8080", "set containerPort to 8080"],
            ),
            (
                "probe-port",
                "error",
                37,
                &["readinessProbe.httpGet.port is 80, where nothing listens", "use port: 8080"],
            ),
            ("image-tag", "warning", 28, &["rws:latest", "name a version"]),
            ("probe-too-tight", "warning", 41, &["periodSeconds 1 × failureThreshold 1"]),
            ("initial-delay", "note", 38, &["initialDelaySeconds is 2"]),
            ("missing-liveness-probe", "note", 27, &["add httpGet with path /healthz and port 8080"]),
            ("readiness-on-liveness", "warning", 36, &["use /readyz"]),
        ],
        r#"warning[image-tag]: the image registry.example.com/rws:latest is whatever is newest on each node: name a version
  --> seeds/002-port-mismatch.yaml:28:18
   |
28 |           image: registry.example.com/rws:latest
   |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

warning[container-port]: containerPort is 80, but rws listens on 8080 (RWS_CONFIG_PORT): set containerPort to 8080, or RWS_CONFIG_PORT to 80
  --> seeds/002-port-mismatch.yaml:30:30
   |
30 |             - containerPort: 80
   |                              ^^

warning[readiness-on-liveness]: readinessProbe asks for /healthz, which stays 200 during a drain and while a readiness check fails; use /readyz
  --> seeds/002-port-mismatch.yaml:36:21
   |
36 |               path: /healthz
   |                     ^^^^^^^^

error[probe-port]: readinessProbe.httpGet.port is 80, where nothing listens: rws listens on 8080 (RWS_CONFIG_PORT), and the pod would never get traffic; use port: 8080
  --> seeds/002-port-mismatch.yaml:37:21
   |
37 |               port: 80
   |                     ^^

warning[probe-too-tight]: readinessProbe: after 1 s without an answer (periodSeconds 1 × failureThreshold 1) the pod is out of service, which a busy node is enough for; use periodSeconds 5 and failureThreshold 3
  --> seeds/002-port-mismatch.yaml:41:31
   |
41 |             failureThreshold: 1
   |                               ^

1 error, 4 warnings in seeds/002-port-mismatch.yaml
"#,
    );
}

/// Nothing probed the server, SIGTERM did not reach it, and it listened on loopback.
#[test]
fn requests_lost_at_every_rollout_without_probes_and_drain() {
    finds(
        "003-no-probes-no-drain.yaml",
        &[
            (
                "loopback-bind",
                "error",
                8,
                &["Service web connects to the address of the pod", "set RWS_CONFIG_IP to 0.0.0.0"],
            ),
            ("missing-readiness-probe", "warning", 31, &["add httpGet with path /readyz and port 7878"]),
            ("missing-liveness-probe", "note", 31, &["add httpGet with path /healthz and port 7878"]),
            ("sigterm-lost", "warning", 33, &["rws never drains", "command: [\"/usr/local/bin/rws\"]"]),
            ("drain-off", "warning", 11, &["RWS_CONFIG_DRAIN_DELAY is 0", "remove it"]),
            ("grace-period", "warning", 29, &["terminationGracePeriodSeconds is 10", "set it to 25"]),
        ],
        r#"error[loopback-bind]: RWS_CONFIG_IP is 127.0.0.1: Service web connects to the address of the pod and would be refused; set RWS_CONFIG_IP to 0.0.0.0
 --> seeds/003-no-probes-no-drain.yaml:8:18
  |
8 |   RWS_CONFIG_IP: "127.0.0.1"
  |                  ^^^^^^^^^^^

warning[drain-off]: RWS_CONFIG_DRAIN_DELAY is 0: rws stops listening while nodes still send it requests; remove it (5s is the default inside Kubernetes)
  --> seeds/003-no-probes-no-drain.yaml:11:27
   |
11 |   RWS_CONFIG_DRAIN_DELAY: "0"
   |                           ^^^

warning[grace-period]: terminationGracePeriodSeconds is 10, but RWS_CONFIG_DRAIN_DELAY 0 s + RWS_CONFIG_DRAIN_TIMEOUT 20 s take 20 s: the kubelet kills rws before its requests are answered; set it to 25
  --> seeds/003-no-probes-no-drain.yaml:29:38
   |
29 |       terminationGracePeriodSeconds: 10
   |                                      ^^

warning[missing-readiness-probe]: container web has no readinessProbe: it gets traffic before rws listens, and rollouts do not wait for it; add httpGet with path /readyz and port 7878
  --> seeds/003-no-probes-no-drain.yaml:31:17
   |
31 |         - name: web
   |                 ^^^

warning[sigterm-lost]: the shell gets SIGTERM and does not pass it on: rws never drains and is killed with its requests; use command: ["/usr/local/bin/rws"]
  --> seeds/003-no-probes-no-drain.yaml:33:20
   |
33 |           command: ["/bin/sh", "-c", "rws 2>&1 | sed 's/^/web: /'"]
   |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

1 error, 4 warnings in seeds/003-no-probes-no-drain.yaml
"#,
    );
}

/// Liveness and readiness asked for /health/live/ and /health/ready/.
#[test]
fn never_ready_because_the_probes_are_those_of_another_product() {
    finds(
        "004-foreign-health-paths.yaml",
        &[
            ("probe-path", "error", 37, &["/health/live/", "restart the container again and again", "use /healthz"]),
            ("probe-path", "error", 45, &["/health/ready/", "the pod would never get traffic", "use /readyz"]),
            ("initial-delay", "note", 39, &["initialDelaySeconds is 30"]),
            ("initial-delay", "note", 47, &["initialDelaySeconds is 15"]),
        ],
        r#"error[probe-path]: livenessProbe.httpGet.path is /health/live/, which rws does not serve: it would get 404, and the kubelet would restart the container again and again; use /healthz
  --> seeds/004-foreign-health-paths.yaml:37:21
   |
37 |               path: /health/live/
   |                     ^^^^^^^^^^^^^

error[probe-path]: readinessProbe.httpGet.path is /health/ready/, which rws does not serve: it would get 404, and the pod would never get traffic; use /readyz
  --> seeds/004-foreign-health-paths.yaml:45:21
   |
45 |               path: /health/ready/
   |                     ^^^^^^^^^^^^^^

2 errors in seeds/004-foreign-health-paths.yaml
"#,
    );
}
