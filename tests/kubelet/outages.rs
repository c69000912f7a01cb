//! The outages: each is replayed from the manifest that caused it, with what a person sees of it and what rws says, and
//! healed by what rws named.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::behaviour::{READY, certificate, deployment, with_pod_spec};
use crate::container::binary;
use crate::node::{Node, PATIENCE, eventually, on_a_node};
use crate::pod::Pod;
use crate::probe::get;

/// How fast the kubelet's time runs.
const FAST: u32 = 20;

/// A manifest that caused an outage.
fn seed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/seeds").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The manifest with the fix in place of the fault.
fn fixed(yaml: &str, fault: &str, fix: &str) -> String {
    assert!(yaml.contains(fault), "{fault} is not in {yaml}");
    yaml.replace(fault, fix)
}

/// Liveness kills wait for the drain, in the server's own time.
fn without_delay(node: &Node) {
    node.set("RWS_CONFIG_DRAIN_DELAY", "0s");
}

fn no_endpoint(node: &Node, service: &str) -> bool {
    node.endpoints(service, Duration::ZERO).is_empty()
}

/// Ready, in the endpoints, and not restarted in a good while.
fn is_well(node: &Node, pod: &Pod, service: &str) {
    pod.wait_until_ready();
    let [address] = node.endpoints(service, Duration::ZERO)[..] else { panic!("one endpoint: {}", pod.describe()) };
    assert_eq!(get(address, "/readyz", PATIENCE).unwrap().status, 200);
    let end = Instant::now() + node.scaled(30);
    pod.wait_until("observed", |_| Instant::now() > end);
    assert_eq!((pod.state().restarts, pod.state().ready), (0, true), "{}\n{:#?}", pod.describe(), pod.log());
}

/// The one line that a person needs, on stderr: its message.
fn line(pod: &Pod, needles: &[&str]) -> String {
    let found = pod.said(needles).pop().unwrap_or_else(|| panic!("{needles:?} is not said: {:#?}", pod.log()));
    let line: Value = serde_json::from_str(&found).unwrap();
    line["msg"].as_str().unwrap().to_owned()
}

/// What `rws check` says of a manifest before it is applied.
pub(crate) fn check(yaml: &str) -> String {
    let mut check = Command::new(binary());
    check.args(["check", "-"]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = check.spawn().unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `rws check` finds the fault by this rule, names this fix, and has nothing to say of it any more in what is `fixed`.
fn foretold(faulty: &str, rule: &str, fix: &str, fixed: &str) {
    let found = check(faulty);
    let finding = format!("[{rule}]: ");
    let said = found.lines().find(|line| line.contains(&finding) && line.contains(fix));
    println!("{}", said.unwrap_or_else(|| panic!("no {rule} with {fix:?} in {found}")));
    assert!(!check(fixed).lines().any(|line| line.contains(&finding) && line.contains(fix)), "{}", check(fixed));
    assert!(guide().contains(&format!("`{rule}`")), "docs/KUBERNETES.md should name the rule {rule}");
}

fn guide() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/KUBERNETES.md")).unwrap()
}

/// Shows what happened, and fails unless docs/KUBERNETES.md has these words for it.
fn documented(pod: &Pod, words: &[&str]) {
    println!("{}\n{}\n", pod.describe(), words.join("\n"));
    let text = guide();
    for words in words {
        assert!(text.contains(words), "docs/KUBERNETES.md should say: {words}");
    }
}

#[test]
fn a_server_on_loopback_says_so_in_the_pods_status() {
    on_a_node(FAST, |node| {
        let yaml = seed("000-loopback-bind.yaml");
        let pod = node.apply(&yaml);
        pod.wait_until("in a crash loop", |pod| {
            pod.events.count("BackOff", "Back-off restarting failed container") > 0
        });
        let last = pod.state().last.unwrap();
        assert_eq!(last.code, 2);
        let says = "RWS_CONFIG_IP=\"127.0.0.1\": must not be a loopback address inside Kubernetes";
        assert!(last.message.contains(says) && last.message.contains("set RWS_CONFIG_IP=0.0.0.0"), "{}", last.message);
        assert!(pod.describe().contains("CrashLoopBackOff") && pod.describe().contains(says), "{}", pod.describe());
        assert!(no_endpoint(node, "websocket-server"));
        documented(&pod, &[&last.message, "Back-off restarting failed container"]);
        pod.discard();

        let healed = fixed(&yaml, "RWS_CONFIG_IP: \"127.0.0.1\"", "RWS_CONFIG_IP: \"0.0.0.0\"");
        foretold(&yaml, "loopback-bind", "set RWS_CONFIG_IP=0.0.0.0", &healed);
        is_well(node, &node.apply(&healed), "websocket-server");
    });
}

/// What the kubelet does with a liveness probe on a path that is not there.
fn restart_loop(pod: &Pod, path: &str) {
    pod.wait_until("in a restart loop", |pod| pod.state().restarts > 1);
    let container = &pod.container.name;
    let killing = format!("Container {container} failed liveness probe, will be restarted");
    assert!(pod.events.count("Killing", &killing) > 1, "{}", pod.describe());
    assert!(pod.events.count("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404") > 1);
    assert_eq!(pod.state().last.unwrap().code, 0, "the server itself is well, and drains");
    let said = line(pod, &[r#""level":"warn""#, &format!("kubelet probes GET {path}: 404")]);
    assert!(said.contains("/healthz"), "{said}");
    documented(pod, &[&said, "failed liveness probe, will be restarted"]);
    pod.discard();
}

#[test]
fn a_liveness_probe_on_a_wrong_path_restarts_a_healthy_server() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let yaml = seed("001-restart-loop.yaml");
        restart_loop(&node.apply(&yaml), "/nonexistent-healthz");
        let healed = fixed(&yaml, "path: /nonexistent-healthz", "path: /healthz");
        foretold(&yaml, "probe-path", "use /healthz", &healed);
        is_well(node, &node.apply(&healed), "mission");
    });
}

#[test]
fn a_probe_for_a_version_that_is_not_deployed_takes_every_pod_down() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let yaml = seed("001-v2-health.yaml");
        let pods = node.apply_replicas(&yaml, 3);
        pods[1..].iter().for_each(|pod| pod.wait_until("restarted", |pod| pod.state().restarts > 0));
        restart_loop(&pods[0], "/v2/health");
        pods[1..].iter().for_each(|pod| pod.discard());
        let healed = fixed(&yaml, "path: /v2/health", "path: /healthz");
        foretold(&yaml, "probe-path", "use /healthz", &healed);
        let gently = fixed(&healed, "maxUnavailable: 100%", "maxUnavailable: 0");
        foretold(&yaml, "rollout-takes-all-down", "maxUnavailable: 0", &gently);
        is_well(node, &node.apply(&gently), "auth-service");
    });
}

#[test]
fn probe_paths_of_another_product_are_told_from_ours() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let yaml = seed("004-foreign-health-paths.yaml");
        let pod = node.apply(&yaml);
        pod.wait_until("restarted", |pod| pod.state().restarts > 0);
        assert!(!pod.state().ready && no_endpoint(node, "tracker"));
        let live = line(&pod, &["kubelet probes GET /health/live/: 404", "livenessProbe.httpGet.path to /healthz"]);
        let ready = line(&pod, &["kubelet probes GET /health/ready/: 404", "readinessProbe.httpGet.path to /readyz"]);
        documented(&pod, &[&live, &ready]);
        pod.discard();

        let half = fixed(&yaml, "path: /health/live/", "path: /healthz");
        let healed = fixed(&half, "path: /health/ready/", "path: /readyz");
        foretold(&yaml, "probe-path", "use /healthz", &half);
        foretold(&half, "probe-path", "use /readyz", &healed);
        is_well(node, &node.apply(&healed), "tracker");
    });
}

#[test]
fn a_probe_on_another_port_never_finds_the_server() {
    on_a_node(FAST, |node| {
        let yaml = seed("002-port-mismatch.yaml");
        let pod = node.apply(&yaml);
        let missing = |pod: &Pod| pod.events.count("Failed", "Error: ErrImagePull") > 0;
        pod.wait_until("without an image", missing);
        assert!(pod.events.count("Failed", "registry.example.com/rws:latest: not found") > 0, "{}", pod.describe());
        documented(&pod, &["Error: ErrImagePull"]);
        pod.discard();

        let tagged = fixed(&yaml, "rws:latest", "rws:0.1.0");
        foretold(&yaml, "image-tag", "name a version", &tagged);
        let yaml = tagged;
        let pod = node.apply(&yaml);
        let refused = "Readiness probe failed: Get \"http://10.244.0.3:80/healthz\": dial tcp 10.244.0.3:80: connect: \
                       connection refused";
        pod.wait_until("refused", |pod| pod.events.count("Unhealthy", refused) > 5);
        assert!(!pod.state().ready && no_endpoint(node, "sre-service"));
        // The server cannot see a probe that goes elsewhere, but it says where it listens.
        line(&pod, &[r#""state":"ready""#, "0.0.0.0:8080"]);
        documented(&pod, &["dial tcp 10.244.0.3:80: connect: connection refused", r#""address":"0.0.0.0:8080""#]);
        pod.discard();

        let half = fixed(&yaml, "containerPort: 80\n", "containerPort: 8080\n");
        foretold(&yaml, "container-port", "set containerPort to 8080", &half);
        let healed = fixed(&half, "port: 80\n            initial", "port: 8080\n            initial");
        foretold(&half, "probe-port", "use port", &healed);
        is_well(node, &node.apply(&healed), "sre-service");
    });
}

#[test]
fn a_service_that_points_at_another_port_has_endpoints_that_refuse() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let yaml = deployment(&[], READY);
        let faulty = fixed(&yaml, "targetPort: http", "targetPort: 8080");
        foretold(&faulty, "service-port", "http", &yaml);
        let pod = node.apply(&faulty);
        pod.wait_until_ready();
        let [endpoint] = node.endpoints("web", Duration::ZERO)[..] else { panic!("one endpoint") };
        assert_eq!(TcpStream::connect(endpoint).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        pod.discard();
        is_well(node, &node.apply(&yaml), "web");
    });
}

#[test]
fn a_route_of_the_application_that_answers_500_is_no_probe() {
    on_a_node(FAST, |node| {
        let route = ("ROUTE_HEALTH", "GET /health -> respond 500 application/json {\"status\":\"ok\"}");
        let yaml = deployment(&[route], "readinessProbe: { httpGet: { path: /health, port: http }, periodSeconds: 5 }");
        let pod = node.apply(&yaml);
        let failed = "Readiness probe failed: HTTP probe failed with statuscode: 500";
        pod.wait_until("refused", |pod| pod.events.count("Unhealthy", failed) > 3);
        assert!(!pod.state().ready && no_endpoint(node, "web"));
        let said = line(&pod, &["kubelet probes GET /health: 500", "a route of the application", "/readyz"]);
        documented(&pod, &[&said, failed]);
        let metrics = pod.get("/metrics").text;
        let counted = |line: &str| line.starts_with("rws_probe_misrouted_total{") && !line.ends_with(" 0");
        assert!(metrics.lines().any(counted), "{metrics}");
        pod.discard();
        let healed = fixed(&yaml, "path: /health,", "path: /readyz,");
        foretold(&yaml, "probe-path", "/readyz", &healed);
        is_well(node, &node.apply(&healed), "web");
    });
}

#[test]
fn the_scheme_of_a_probe_has_to_be_that_of_the_port() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let probe = |scheme: &str| {
            let get = format!("httpGet: {{ path: /readyz, port: http, scheme: {scheme} }}");
            format!("readinessProbe: {{ {get}, periodSeconds: 1, timeoutSeconds: 5 }}\n")
        };
        let mounted = "volumeMounts: [{ name: tls, mountPath: /tls }]\n\
                       env:\n- { name: RWS_CONFIG_TLS_CERT_FILE, value: /tls/tls.crt }\n\
                       - { name: RWS_CONFIG_TLS_KEY_FILE, value: /tls/tls.key }\n";
        let volume = "volumes: [{ name: tls, secret: { secretName: web-tls } }]";
        let secret = certificate("web-tls");
        let [https, http] = ["HTTPS", "HTTP"].map(|scheme| with_pod_spec(&[], &(probe(scheme) + mounted), volume));

        let pod = node.apply(&(http.clone() + &secret));
        let failed = "Readiness probe failed: HTTP probe failed with statuscode: 400";
        pod.wait_until("refused", |pod| pod.events.count("Unhealthy", failed) > 2);
        let said = line(&pod, &[r#""level":"warn""#, "the HTTPS port 7878"]);
        documented(&pod, &[failed, &said]);
        foretold(&http, "probe-scheme", "HTTPS", &https);
        pod.discard();
        // The certificate is one that nobody signed.
        let pod = node.apply(&(https + &secret));
        pod.wait_until_ready();
        pod.discard();

        let yaml = deployment(&[], &probe("HTTPS"));
        let pod = node.apply(&yaml);
        let failed = "http: server gave HTTP response to HTTPS client";
        pod.wait_until("refused", |pod| pod.events.count("Unhealthy", failed) > 2);
        let said = line(&pod, &[r#""level":"warn""#, "the plain-HTTP port 7878"]);
        documented(&pod, &[failed, &said]);
        let healed = fixed(&yaml, "scheme: HTTPS", "scheme: HTTP");
        foretold(&yaml, "probe-scheme", "HTTP", &healed);
        pod.discard();
        is_well(node, &node.apply(&healed), "web");
    });
}

/// Deletes a pod of `yaml` while a request runs for two seconds: whether it was answered, and the pod, which is gone.
fn delete_during_a_request(node: &Node, yaml: &str) -> (bool, Arc<Pod>) {
    let pod = node.apply(yaml);
    pod.wait_until_ready();
    let answered = thread::scope(|scope| {
        let address = SocketAddr::from((pod.ip, 7878));
        let request = scope.spawn(move || get(address, "/demo/delay/2000", PATIENCE));
        let active = |pod: &Pod| pod.get("/metrics").text.contains("http_server_active_requests 1");
        pod.wait_until("asked", active);
        node.delete(&pod);
        request.join().unwrap().is_ok_and(|answer| answer.status == 200)
    });
    (answered, pod)
}

#[test]
fn a_drain_that_is_cut_short_loses_requests_and_tells_which_unless_it_is_killed() {
    on_a_node(FAST, |node| {
        let settings = [("DRAIN_DELAY", "0s"), ("DRAIN_TIMEOUT", "1s")];
        let short = with_pod_spec(&settings, READY, "terminationGracePeriodSeconds: 10");
        let (answered, pod) = delete_during_a_request(node, &short);
        let last = pod.state().last.unwrap();
        assert_eq!((answered, last.code), (false, 4));
        let what = "the drain timed out: RWS_CONFIG_DRAIN_TIMEOUT=1s was over; 1 request was aborted";
        let advice = "raise RWS_CONFIG_DRAIN_TIMEOUT, and terminationGracePeriodSeconds with it, or make the aborted requests faster";
        assert!(
            [what, advice, "GET /demo/delay/2000"].iter().all(|text| last.message.contains(text)),
            "{}",
            last.message
        );
        documented(&pod, &[what, advice]);

        let killed = with_pod_spec(&[("DRAIN_DELAY", "1m")], READY, "terminationGracePeriodSeconds: 0");
        let (answered, pod) = delete_during_a_request(node, &killed);
        let last = pod.state().last.unwrap();
        assert_eq!((answered, last.code, last.message.as_str()), (false, 137, ""), "who is killed says nothing");

        let enough = with_pod_spec(&[("DRAIN_DELAY", "0s")], READY, "terminationGracePeriodSeconds: 30");
        foretold(&killed, "grace-period", "set it to", &enough);
        let (answered, pod) = delete_during_a_request(node, &enough);
        assert_eq!((answered, pod.state().last.unwrap().code), (true, 0));
    });
}

#[test]
fn a_slow_start_is_killed_by_liveness_and_saved_by_a_startup_probe() {
    on_a_node(FAST, |node| {
        without_delay(node);
        // What an entry point that migrates a database first is like: 20 s in the kubelet's time.
        node.start_takes(node.scaled(20));
        let tight = "livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 3, failureThreshold: 2 }\n\
                     readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 1 }\n";
        let yaml = with_pod_spec(&[], tight, "terminationGracePeriodSeconds: 0");
        let pod = node.apply(&yaml);
        pod.wait_until("killed before it has started", |pod| pod.state().restarts > 1);
        assert!(pod.said(&["life cycle"]).is_empty(), "{:#?}", pod.log());
        assert_eq!(pod.state().last.unwrap().code, 137);
        assert!(pod.events.count("Killing", "failed liveness probe") > 1, "{}", pod.describe());
        documented(&pod, &[]);
        pod.discard();

        let startup =
            "startupProbe: { httpGet: { path: /startupz, port: http }, periodSeconds: 1, failureThreshold: 60 }\n";
        let calm = fixed(tight, "periodSeconds: 3, failureThreshold: 2", "periodSeconds: 10, failureThreshold: 3");
        let healed = deployment(&[], &(calm + startup));
        foretold(&yaml, "probe-too-tight", "use periodSeconds 10 and failureThreshold 3", &healed);
        is_well(node, &node.apply(&healed), "web");
    });
}

#[test]
fn an_exec_probe_with_a_shell_is_never_answered_by_an_image_without_one() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let shell = "readinessProbe: { exec: { command: [/bin/sh, -c, 'wget -q localhost:7878/readyz'] }, \
                     periodSeconds: 5, timeoutSeconds: 10 }";
        let yaml = deployment(&[], shell);
        let pod = node.apply(&yaml);
        let errored = "Readiness probe errored";
        pod.wait_until("asked", |pod| pod.events.count("Unhealthy", errored) > 2);
        assert!(pod.events.count("Unhealthy", "stat /bin/sh: no such file or directory") > 2, "{}", pod.describe());
        assert!(!pod.state().ready && no_endpoint(node, "web"));
        documented(&pod, &["exec: \"/bin/sh\": stat /bin/sh: no such file or directory"]);
        pod.discard();
        let probe = "[/bin/sh, -c, 'wget -q localhost:7878/readyz']";
        let healed = fixed(&yaml, probe, "[/usr/local/bin/rws, probe, readyz, --timeout, 5s]");
        foretold(&yaml, "exec-probe", "rws", &healed);
        is_well(node, &node.apply(&healed), "web");
    });
}

#[test]
fn nothing_starts_through_a_shell_and_a_server_without_probes_is_ready_before_it_is() {
    on_a_node(FAST, |node| {
        let yaml = seed("003-no-probes-no-drain.yaml");
        let pod = node.apply(&yaml);
        let reason = "exec: \"/bin/sh\": stat /bin/sh: no such file or directory";
        pod.wait_until("refused", |pod| pod.events.count("Failed", reason) > 1);
        pod.discard();

        // Loopback was allowed, so it starts; nobody asks whether it can be reached, so it counts as ready.
        let command = "          command: [\"/bin/sh\", \"-c\", \"rws 2>&1 | sed 's/^/web: /'\"]\n";
        let half = fixed(&yaml, command, "");
        foretold(&yaml, "sigterm-lost", "/usr/local/bin/rws", &half);
        let yaml = half;
        let pod = node.apply(&yaml);
        pod.wait_until("serving its own pod", |pod| !pod.said(&[r#""state":"ready""#, "127.0.0.1:7878"]).is_empty());
        let [endpoint] = node.endpoints("web", Duration::ZERO)[..] else { panic!("one endpoint") };
        assert!(TcpStream::connect(endpoint).is_err(), "nobody can reach it");
        pod.discard();

        let open = fixed(&yaml, "  RWS_CONFIG_IP: \"127.0.0.1\"\n  RWS_CONFIG_ALLOW_LOOPBACK: \"true\"\n", "");
        foretold(&yaml, "loopback-bind", "0.0.0.0", &open);
        let probed = fixed(&open, "          envFrom:", &format!("          {READY}          envFrom:"));
        foretold(&open, "missing-readiness-probe", "/readyz", &probed);
        let healed = fixed(&probed, "  RWS_CONFIG_DRAIN_DELAY: \"0\"\n", "");
        foretold(&probed, "drain-off", "remove it", &healed);
        is_well(node, &node.apply(&healed), "web");
    });
}

#[test]
fn a_service_link_is_not_taken_for_a_port() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let link =
            "---\napiVersion: v1\nkind: Service\nmetadata: { name: rws-config }\nspec: { ports: [{ port: 80 }] }\n";
        let yaml = deployment(&[], READY) + link;
        let pod = node.apply(&yaml);
        is_well(node, &pod, "web");
        let said = line(&pod, &[r#""level":"warn""#, "RWS_CONFIG_PORT", "enableServiceLinks: false"]);
        documented(&pod, &[&said]);
        pod.discard();

        let healed = with_pod_spec(&[], READY, "enableServiceLinks: false") + link;
        foretold(&yaml, "service-links", "enableServiceLinks: false", &healed);
        let pod = node.apply(&healed);
        is_well(node, &pod, "web");
        assert!(pod.said(&["enableServiceLinks"]).is_empty());
    });
}

/// Requests to whatever endpoints the Service has, as a list that is `lag` behind says, until `over`.
fn ask_service(node: &Node, lag: Duration, over: &AtomicBool, answered: &AtomicU64, failures: &Mutex<Vec<String>>) {
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let endpoints = node.endpoints("web", lag);
        let Some(endpoint) = endpoints.get(n % endpoints.len().max(1)) else { continue };
        match get(*endpoint, "/demo/delay/5", Duration::from_secs(3)) {
            Ok(answer) if answer.status == 200 => _ = answered.fetch_add(1, Ordering::Relaxed),
            other => failures.lock().unwrap().push(format!("{endpoint}: {other:?}")),
        }
    }
}

/// Deletes one of two pods under load, with endpoint lists that are `lag` behind: how many requests were answered, and
/// what became of the others.
fn delete_under_load(node: &Node, settings: &[(&str, &str)], lag: Duration) -> (u64, Vec<String>) {
    let pods = node.apply_replicas(&deployment(settings, READY), 2);
    assert!(eventually(|| node.endpoints("web", lag).len() == 2));
    let (over, answered, failures) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask_service(node, lag, &over, &answered, &failures));
        }
        assert!(eventually(|| answered.load(Ordering::Relaxed) > 100), "no load");
        node.delete(&pods[0]);
        assert!(eventually(|| node.endpoints("web", lag).len() == 1));
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(pods[0].state().last.unwrap().code, 0, "it was drained");
    pods[1].discard();
    (answered.into_inner(), failures.into_inner().unwrap())
}

#[test]
fn without_a_drain_delay_requests_are_lost_at_every_deletion_and_by_default_none() {
    on_a_node(FAST, |node| {
        let lag = Duration::from_secs(1);
        foretold(&deployment(&[("DRAIN_DELAY", "0s")], READY), "drain-off", "remove it", &deployment(&[], READY));
        let (answered, lost) = delete_under_load(node, &[("DRAIN_DELAY", "0s")], lag);
        println!("DRAIN_DELAY=0s: {answered} answered, {} lost", lost.len());
        assert!(!lost.is_empty());
        let (answered, lost) = delete_under_load(node, &[], lag);
        println!("DRAIN_DELAY=auto: {answered} answered, {} lost", lost.len());
        assert!(lost.is_empty(), "{answered}, {lost:#?}");
    });
}

#[test]
fn busy_workers_do_not_starve_the_probes() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let probes = format!(
            "{READY}livenessProbe: {{ httpGet: {{ path: /healthz, port: http }}, periodSeconds: 1, timeoutSeconds: 1, \
             failureThreshold: 3 }}"
        );
        let settings = [("THREAD_COUNT", "2"), ("QUEUE_DEPTH", "4"), ("REACTOR_COUNT", "1")];
        let pod = node.apply(&deployment(&settings, &probes));
        pod.wait_until_ready();
        // Twice as many as can run and wait together, over and over.
        let over = Arc::new(AtomicBool::new(false));
        let address = SocketAddr::from((pod.ip, 7878));
        let clients: Vec<_> = (0..12)
            .map(|_| {
                let over = over.clone();
                thread::spawn(move || {
                    let mut statuses = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        statuses.push(get(address, "/demo/delay/500", PATIENCE).unwrap().status);
                    }
                    statuses
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(3);
        pod.wait_until("observed", |_| Instant::now() > end);
        let restarts = pod.state().restarts;
        over.store(true, Ordering::Relaxed);
        let statuses: Vec<u16> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(statuses.contains(&503) && statuses.contains(&200), "busy, and the queue full: {statuses:?}");
        assert_eq!((restarts, pod.state().restarts), (0, 0), "{}", pod.describe());
        assert_eq!(pod.events.count("Killing", ""), 0, "{}", pod.describe());
    });
}

#[test]
fn a_changed_config_map_is_taken_up_without_a_restart_unless_it_is_mounted_with_a_sub_path() {
    on_a_node(FAST, |node| {
        without_delay(node);
        let mounted = "---\nkind: ConfigMap\nmetadata: { name: live }\ndata: { RWS_CONFIG_LOG_LEVEL: info }\n";
        let container = |mount: &str| {
            format!("{READY}env: [{{ name: RWS_CONFIG_DIR, value: /etc/rws }}]\nvolumeMounts: [{mount}]\n")
        };
        let volume = "volumes: [{ name: live, configMap: { name: live } }]";
        let whole = container("{ name: live, mountPath: /etc/rws }");
        let part = container("{ name: live, mountPath: /etc/rws/RWS_CONFIG_LOG_LEVEL, subPath: RWS_CONFIG_LOG_LEVEL }");
        let [whole, part] = [whole, part].map(|container| with_pod_spec(&[], &container, volume) + mounted);
        foretold(&part, "subpath-no-reload", "subPath", &whole);
        let live = node.apply(&whole);
        let fixed = node.apply(&part);
        [&live, &fixed].into_iter().for_each(|pod| pod.wait_until_ready());
        node.update_config_map("live", "RWS_CONFIG_LOG_LEVEL", "debug");
        live.wait_until("reloaded", |pod| !pod.said(&["RWS_CONFIG_LOG_LEVEL"]).is_empty());
        documented(&live, &[&line(&live, &["RWS_CONFIG_LOG_LEVEL"])]);
        assert!(fixed.said(&["RWS_CONFIG_LOG_LEVEL"]).is_empty(), "a subPath never changes: {:#?}", fixed.log());
        assert_eq!((live.state().restarts, fixed.state().restarts), (0, 0));
    });
}
