//! Whether the stand-in does what a kubelet does: without that, the other tests prove nothing.

use std::time::{Duration, Instant};

use crate::environment::expand;
use crate::manifest::{Manifest, Probe};
use crate::node::{eventually, on_a_node};

/// A Deployment and what stands beside it; `container` is indented to stand in the container.
pub(crate) fn deployment(settings: &[(&str, &str)], container: &str) -> String {
    with_pod_spec(settings, container, "")
}

/// The same with more in the pod's `spec`.
pub(crate) fn with_pod_spec(settings: &[(&str, &str)], container: &str, pod_spec: &str) -> String {
    let indented = |text: &str, by: usize| text.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<String>();
    let data: String = settings.iter().map(|(name, value)| format!("  RWS_CONFIG_{name}: {value:?}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: web }}\ndata:\n  RWS_CONFIG_DEMO_ROUTES: 'true'\n{data}\
         ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  selector: \
         {{ matchLabels: {{ app: web }} }}\n  template:\n    metadata: {{ labels: {{ app: web }} }}\n    spec:\n\
         {}      containers:\n        - name: rws\n          image: rws:0.1.0\n          \
         ports: [{{ name: http, containerPort: 7878 }}]\n          envFrom: [{{ configMapRef: {{ name: web }} }}]\n{}\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec:\n  selector: {{ app: web }}\n  \
         ports: [{{ port: 80, targetPort: http }}]\n",
        indented(pod_spec, 6),
        indented(container, 10),
    )
}

/// Without a readiness probe a container is ready before it listens.
pub(crate) const READY: &str =
    "readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 1, timeoutSeconds: 10 }\n";

const AT_ONCE: (&str, &str) = ("DRAIN_DELAY", "0s");

#[test]
fn defaults_are_those_of_the_api() {
    let yaml = deployment(&[], "livenessProbe: { httpGet: { port: http } }");
    let manifest = Manifest::parse(&yaml).unwrap();
    let spec = &manifest.deployments[0].spec.template.spec;
    let probe: &Probe = spec.containers[0].liveness_probe.as_ref().unwrap();
    assert_eq!((probe.initial_delay_seconds, probe.period_seconds, probe.timeout_seconds), (0, 10, 1));
    assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
    assert_eq!(spec.termination_grace_period_seconds, 30);
}

#[test]
fn a_number_where_the_api_wants_text_is_refused() {
    let error = Manifest::parse("kind: ConfigMap\nmetadata: { name: a }\ndata: { RWS_CONFIG_PORT: 8080 }").unwrap_err();
    assert!(error.contains("ConfigMap a") && error.contains("string"), "{error}");
}

#[test]
fn references_to_variables_are_expanded() {
    let known = |name: &str| (name == "HOST").then(|| "10.0.0.1".to_owned());
    for (text, expected) in [
        ("$(HOST):80", "10.0.0.1:80"),
        ("$$(HOST)", "$(HOST)"),
        ("$(NOBODY) $HOST", "$(NOBODY) $HOST"),
        ("$(HOST", "$(HOST"),
        ("$$$(HOST)$", "$10.0.0.1$"),
        ("", ""),
    ] {
        assert_eq!(expand(text, known), expected, "{text}");
    }
}

#[test]
fn the_environment_is_the_one_of_a_pod() {
    on_a_node(20, |node| {
        let route =
            |name: &str| format!("- name: RWS_CONFIG_ROUTE_{name}\n  value: 'GET /{name} -> respond 200 text/plain ");
        let env = format!(
            "{READY}env:\n- name: WHERE\n  valueFrom: {{ fieldRef: {{ fieldPath: status.podIP }} }}\n\
             - name: LEVEL\n  valueFrom: {{ configMapKeyRef: {{ name: web, key: RWS_CONFIG_LOG_LEVEL }} }}\n\
             {}$(WHERE)'\n{}$(WEB_PORT)'\n{}$(KUBERNETES_SERVICE_HOST)'\n{}$(LEVEL)'\n",
            route("IP"),
            route("LINK"),
            route("API"),
            route("LEVEL"),
        );
        let pod = node.apply(&deployment(&[AT_ONCE, ("LOG_LEVEL", "debug")], &env));
        pod.wait_until_ready();
        assert_eq!(pod.get("/IP").text, "10.244.0.2");
        assert_eq!(pod.get("/LINK").text, "tcp://10.96.0.2:80");
        assert_eq!(pod.get("/API").text, "10.96.0.1");
        assert_eq!(pod.get("/LEVEL").text, "debug");

        let pod = node.apply(&with_pod_spec(&[AT_ONCE, ("LOG_LEVEL", "debug")], &env, "enableServiceLinks: false"));
        pod.wait_until_ready();
        assert_eq!(pod.get("/LINK").text, "$(WEB_PORT)", "no links");
        assert_eq!(pod.get("/API").text, "10.96.0.1", "but the API server is there");
    });
}

#[test]
fn only_the_pods_address_is_reached_from_the_node() {
    on_a_node(20, |node| {
        let open = node.apply(&deployment(&[AT_ONCE], READY));
        let closed = node.apply(&deployment(&[AT_ONCE, ("IP", "127.0.0.1"), ("ALLOW_LOOPBACK", "true")], ""));
        open.wait_until_ready();
        closed.wait_until("serving inside", |pod| !pod.said(&[r#""state":"ready""#]).is_empty());
        assert_eq!(open.get("/demo/plaintext").status, 200);
        assert!(closed.try_get("/demo/plaintext").is_err());
    });
}

#[test]
fn startup_gates_the_other_probes() {
    on_a_node(20, |node| {
        // Nothing listens on 81, so startup never succeeds; the others would fail too.
        let probes = "startupProbe: { tcpSocket: { port: 81 }, periodSeconds: 1, failureThreshold: 5 }\n\
                      livenessProbe: { tcpSocket: { port: 82 }, periodSeconds: 1 }\n\
                      readinessProbe: { tcpSocket: { port: 83 }, periodSeconds: 1 }\n";
        let pod = node.apply(&deployment(&[AT_ONCE], probes));
        pod.wait_until("restarted", |pod| pod.state().restarts > 0);
        let refused = "Startup probe failed: dial tcp 10.244.0.2:81: connect: connection refused";
        assert!(pod.events.count("Unhealthy", refused) >= 5, "{}", pod.describe());
        assert_eq!(pod.events.count("Unhealthy", "Liveness") + pod.events.count("Unhealthy", "Readiness"), 0);
        assert_eq!(pod.events.count("Killing", "Container rws failed startup probe, will be restarted"), 1);
    });
}

#[test]
fn thresholds_count_results_in_a_row() {
    on_a_node(20, |node| {
        let probes = "livenessProbe: { httpGet: { path: /demo/status/500, port: http }, periodSeconds: 2, \
                      failureThreshold: 4, initialDelaySeconds: 10 }\n";
        let begun = Instant::now();
        let pod = node.apply(&deployment(&[AT_ONCE], probes));
        pod.wait_until("restarted", |pod| pod.state().restarts == 1);
        let failed = "Liveness probe failed: HTTP probe failed with statuscode: 500";
        assert_eq!(pod.events.count("Unhealthy", failed), 4, "{}", pod.describe());
        // A delay of 10 s and three periods of 2 s.
        assert!(begun.elapsed() >= node.scaled(16), "{:?}", begun.elapsed());
    });
}

#[test]
fn redirects_are_followed_on_the_same_host_only() {
    on_a_node(20, |node| {
        let near = ("ROUTE_NEAR", "GET /near -> redirect 302 /demo/plaintext");
        let astray = ("ROUTE_ASTRAY", "GET /astray -> redirect 302 /nowhere");
        let far = ("ROUTE_FAR", "GET /far -> redirect 302 https://example.com/");
        let pods = ["near", "astray", "far"].map(|path| {
            let probe = format!("readinessProbe: {{ httpGet: {{ path: /{path}, port: http }}, periodSeconds: 1 }}");
            node.apply(&deployment(&[AT_ONCE, near, astray, far], &probe))
        });
        let [near, astray, far] = &pods;
        near.wait_until_ready();
        assert_eq!(near.events.count("ProbeWarning", ""), 0);
        far.wait_until_ready();
        assert!(far.events.count("ProbeWarning", "Readiness probe warning: Probe terminated redirects") > 0);
        astray.wait_until("told", |pod| pod.events.count("Unhealthy", "statuscode: 404") > 2);
        assert!(!astray.state().ready);
    });
}

#[test]
fn a_server_that_keeps_ending_is_started_ever_more_rarely() {
    on_a_node(100, |node| {
        let pod = node.apply(&deployment(&[("PORT", "banana")], ""));
        let mut ends = Vec::new();
        for restarts in 1..=5 {
            pod.wait_until("restarted", |pod| pod.state().restarts >= restarts);
            ends.push(Instant::now());
        }
        // At once, then after 10 s, 20 s, 40 s and 80 s.
        let pauses: Vec<Duration> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, seconds) in pauses.iter().zip([10, 20, 40, 80]) {
            assert!(*pause > node.scaled(seconds) * 8 / 10, "{pauses:?}");
        }
        assert_eq!(pod.state().last.unwrap().code, 2);
        assert!(pod.events.count("BackOff", "Back-off restarting failed container rws in pod web-") >= 3);
        assert!(pod.describe().contains("RWS_CONFIG_PORT=\"banana\""), "{}", pod.describe());
    });
}

#[test]
fn deletion_runs_the_hook_sends_sigterm_and_kills_when_the_grace_period_is_over() {
    on_a_node(20, |node| {
        let hook = format!("{READY}lifecycle: {{ preStop: {{ sleep: {{ seconds: 1 }} }} }}");
        let pod = node.apply(&with_pod_spec(&[("DRAIN_DELAY", "1m")], &hook, "terminationGracePeriodSeconds: 3"));
        pod.wait_until_ready();
        let begun = Instant::now();
        node.delete(&pod);
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(pod.state().last.unwrap().code, 137);
        assert_eq!(pod.events.count("Killing", "Stopping container rws"), 1);
        assert!(!pod.said(&["signal received"]).is_empty());
    });
}

#[test]
fn a_pod_that_is_deleted_leaves_the_endpoints_and_is_only_asked_whether_it_is_ready() {
    on_a_node(20, |node| {
        let probes = "livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1 }\n\
                      readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 1 }\n";
        let pod = node.apply(&deployment(&[("DRAIN_DELAY", "1s"), ("LOG_PROBES", "all")], probes));
        assert!(node.endpoints("web", Duration::ZERO).is_empty());
        assert!(eventually(|| node.endpoints("web", Duration::ZERO).len() == 1));
        assert!(eventually(|| !pod.log_lines(&["/healthz"]).is_empty()));
        pod.delete();
        assert!(node.endpoints("web", Duration::ZERO).is_empty());
        assert_eq!(node.endpoints("web", Duration::from_secs(1)).len(), 0, "it was never there that long");
        pod.wait_until("gone", |pod| pod.state().gone);
        assert_eq!(pod.state().last.unwrap().code, 0);
        let after = |path: &str| {
            let log = pod.log();
            let draining = log.iter().position(|line| line.contains(r#""draining""#)).unwrap();
            log[draining..].iter().filter(|line| line.contains(path)).count()
        };
        assert!(after("/readyz") > 3, "{:#?}", pod.log());
        assert!(after("/healthz") <= 1, "{:#?}", pod.log());
        assert!(pod.events.count("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") > 0);
    });
}

#[test]
fn volumes_are_there_and_change_as_one() {
    on_a_node(20, |node| {
        let container = "readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 1 }\n\
                         volumeMounts:\n- { name: settings, mountPath: /etc/rws }\n\
                         env: [{ name: RWS_CONFIG_DIR, value: /etc/rws }]\n\
                         securityContext: { readOnlyRootFilesystem: true }";
        let volumes = "volumes: [{ name: settings, configMap: { name: mounted } }]";
        let mounted = "---\nkind: ConfigMap\nmetadata: { name: mounted }\ndata:\n  \
                       RWS_CONFIG_ROUTE_A: 'GET /a -> respond 200 text/plain mounted'\n";
        let pod = node.apply(&(with_pod_spec(&[AT_ONCE], container, volumes) + mounted));
        pod.wait_until_ready();
        assert_eq!(pod.get("/a").text, "mounted");
        let directory = node.directory.join(&pod.name).join("volumes/settings");
        let version = || std::fs::read_link(directory.join("..data")).unwrap();
        let first = version();
        node.update_config_map("mounted", "RWS_CONFIG_LOG_LEVEL", "debug");
        assert_ne!(version(), first);
        assert!(!directory.join(first).exists());
        assert_eq!(std::fs::read_to_string(directory.join("RWS_CONFIG_LOG_LEVEL")).unwrap(), "debug");
    });
}

#[test]
fn an_exec_probe_runs_inside_the_container() {
    on_a_node(20, |node| {
        let probes = "readinessProbe: { exec: { command: [rws, --version] }, periodSeconds: 1, timeoutSeconds: 20 }\n\
                      livenessProbe: { exec: { command: [rws, --no-such-flag] }, periodSeconds: 1, timeoutSeconds: 20 }\n";
        let pod = node.apply(&deployment(&[AT_ONCE], probes));
        pod.wait_until_ready();
        pod.wait_until("restarted", |pod| pod.state().restarts > 0);
        let failed = pod.events.count("Unhealthy", "Liveness probe failed: error: unexpected argument");
        assert!(failed >= 3, "{}", pod.describe());
    });
}

#[test]
fn what_is_missing_keeps_the_container_from_being_created() {
    on_a_node(20, |node| {
        let missing = "env: [{ name: A, valueFrom: { secretKeyRef: { name: nobody, key: a } } }]";
        let pod = node.apply(&deployment(&[], missing));
        let reason = |pod: &crate::pod::Pod| pod.state().waiting.map(|(reason, _)| reason);
        pod.wait_until("refused", |pod| pod.events.count("Failed", "Error: secret \"nobody\" not found") > 1);
        assert_eq!((reason(&pod), pod.state().restarts), (Some("CreateContainerConfigError"), 0), "{}", pod.describe());

        let mount = "volumeMounts: [{ name: a, mountPath: /a }]";
        let pod = node.apply(&with_pod_spec(&[], mount, "volumes: [{ name: a, configMap: { name: nobody } }]"));
        pod.wait_until("refused", |pod| pod.events.count("FailedMount", "\"nobody\" not found") > 1);
        assert_eq!((reason(&pod), pod.state().restarts), (Some("ContainerCreating"), 0), "{}", pod.describe());

        let shell = "command: [/bin/sh, -c, rws]";
        let pod = node.apply(&deployment(&[], shell));
        pod.wait_until("refused", |pod| reason(pod).is_some());
        assert!(pod.events.count("Failed", "stat /bin/sh: no such file or directory") > 0, "{}", pod.describe());
        assert_eq!(pod.state().last.unwrap().code, 128);
    });
}

/// A Secret as cert-manager writes it.
pub(crate) fn certificate(name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["web".to_owned()]).unwrap();
    let block = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "---\nkind: Secret\nmetadata: {{ name: {name} }}\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        block(&made.cert.pem()),
        block(&made.signing_key.serialize_pem()),
    )
}
