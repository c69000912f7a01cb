//! deploy/monitoring against the real thing: every metric that is used there is one that a server exposes, the rules do
//! what their tests say, and a Prometheus scrapes a server in both formats and answers with the right numbers.
//!
//! Run with `RWS_UPDATE_DOCS=1 cargo test --test monitoring` to write prometheusrule.yaml anew.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Client, PATIENCE, Server, free_port, let_pass, program, rws};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(name)
}

fn file(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of metrics in a text: words that begin as ours do.
fn names(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_word(c)).filter(|word| !word.contains(':'));
    let ours = |word: &&str| ["rws_", "http_server_", "process_"].iter().any(|start| word.starts_with(start));
    words.filter(ours).map(str::to_owned).collect()
}

/// Metrics that are only there when a server is set up for them, and so not on the one below.
const SOMETIMES: [&str; 1] = ["rws_tls_cert_not_after_timestamp_seconds"];

#[test]
fn every_metric_that_is_used_is_one_that_a_server_exposes() {
    let server = rws(&[]).start();
    assert_eq!(server.get("/demo/plaintext").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let text = server.get("/metrics").text();
    let exposed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in ["rules.yaml", "rules_test.yaml", "operator/dashboard.json", "adapter-rules.yaml"] {
        let used = names(&file(name));
        assert!(used.len() > 2, "{name} uses {used:?}");
        for metric in used {
            let bare = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix));
            let is_there = |name: &str| exposed.contains(name) || SOMETIMES.contains(&name);
            assert!(is_there(&metric) || bare.is_some_and(is_there), "{name} uses {metric}, which nobody exposes");
        }
    }
}

#[test]
fn the_operator_gets_the_same_alerts() {
    let rules = file("rules.yaml");
    let groups = &rules[rules.find("groups:").unwrap()..];
    let indented: String =
        groups.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
    let manifest = file("operator/prometheusrule.yaml");
    let (head, below) = manifest.split_once("\nspec:\n").unwrap();
    if std::env::var_os("RWS_UPDATE_DOCS").is_some() {
        fs::write(path("operator/prometheusrule.yaml"), format!("{head}\nspec:\n{indented}")).unwrap();
    } else {
        assert_eq!(below, indented, "run RWS_UPDATE_DOCS=1 cargo test --test monitoring");
    }
}

/// Runs a tool, which must end well, and returns what it said.
fn succeeds(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(path("")).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let Some(promtool) = program("promtool") else { return };
    succeeds(&promtool, &["check", "rules", "rules.yaml"]);
    succeeds(&promtool, &["test", "rules", "rules_test.yaml"]);
    // Every alert is in a test.
    let tests = file("rules_test.yaml");
    for alert in file("rules.yaml").lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(alert), "{alert} is not tested");
    }
}

#[test]
fn kustomize_takes_the_manifests() {
    let Some(kubectl) = program("kubectl") else { return };
    for (directory, port) in [("operator", "port: http"), ("admin-port", "port: admin")] {
        let all = succeeds(&kubectl, &["kustomize", directory]);
        for part in ["kind: ServiceMonitor", "kind: PrometheusRule", "kind: ConfigMap", port] {
            assert!(all.contains(part), "{directory} has no {part}");
        }
    }
}

/// Every `expr` of the dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| expressions(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&file("operator/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut places = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(places.insert((panel["gridPos"]["x"].to_string(), panel["gridPos"]["y"].to_string())), "{title}");
        if panel["type"] != "row" {
            assert!(!panel["targets"].as_array().unwrap().is_empty() && panel["description"].is_string(), "{title}");
        }
    }
    let variables: BTreeSet<_> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "namespace", "pod"]));

    let mut all = Vec::new();
    expressions(&dashboard, &mut all);
    assert!(all.len() > 30, "{all:#?}");
    let Some(promtool) = program("promtool") else { return };
    // As Grafana fills them in, in a file of rules, which promtool can check.
    let fill = |expr: &String| expr.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$pod", ".*");
    let rules: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(at, expr)| serde_json::json!({"record": format!("panel:{at}"), "expr": fill(expr)}))
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let directory = tempfile::tempdir().unwrap();
    let rules_file = directory.path().join("rules.yaml");
    fs::write(&rules_file, rules.to_string()).unwrap();
    succeeds(&promtool, &["check", "rules", rules_file.to_str().unwrap()]);
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Forwards scrapes without their `Accept`, so that the answer is in the text format whatever this Prometheus prefers.
fn without_accept(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // Whoever does not get an answer shows in the test.
            let _ = forward(client, to);
        }
    });
    address
}

fn forward(client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(&client);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if line == "\r\n" {
            break;
        }
        if !["accept", "connection"].contains(&name.as_str()) {
            head += &line;
        }
    }
    let mut server = TcpStream::connect(to)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    (&client).write_all(&answer)?;
    client.shutdown(Shutdown::Write)
}

/// What the API of Prometheus answers; `None` while it does not answer.
fn api(address: SocketAddr, path: &str) -> Option<Value> {
    let mut client = Client::new(address).ok()?;
    client.send(format!("GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n")).ok()?;
    let answer = client.read_to_end();
    let text = String::from_utf8(answer).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

fn query(address: SocketAddr, expr: &str) -> Option<String> {
    let encoded: String = expr.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = api(address, &format!("/api/v1/query?query={encoded}"))?;
    answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        let_pass(Duration::from_millis(50));
    }
}

/// A Prometheus that scrapes these targets, each a job of its own, and has our rules.
fn prometheus(program: &str, directory: &std::path::Path, targets: &[(&str, SocketAddr)]) -> (Running, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut config = format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nrule_files: ['{}']\nscrape_configs:\n",
        path("rules.yaml").display()
    );
    for (job, target) in targets {
        config += &format!(
            "  - job_name: {job}\n    static_configs:\n      - targets: ['{target}']\n        labels: {{namespace: shop, pod: {job}}}\n"
        );
    }
    let file = directory.join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let child = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join("log")).unwrap())
        .spawn()
        .unwrap();
    (Running(child), address)
}

fn ask_several_times(server: &Server, times: usize) {
    let mut client = server.connect();
    for _ in 0..times {
        assert_eq!(client.get("/demo/plaintext").unwrap().status, 200);
    }
}

#[test]
fn a_prometheus_reads_both_formats_and_knows_the_alerts() {
    let Some(program) = program("prometheus") else { return };
    let server = rws(&[]).start();
    ask_several_times(&server, 7);
    let misrouted = "GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: kube-probe/1.31\r\nConnection: close\r\n\r\n";
    assert_eq!(server.connect().ask(misrouted).unwrap().status, 404);
    let directory = tempfile::tempdir().unwrap();
    let targets = [("open", server.address()), ("text", without_accept(server.address()))];
    let (_prometheus, address) = prometheus(&program, directory.path(), &targets);
    let log = || fs::read_to_string(directory.path().join("log")).unwrap_or_default();

    for job in ["open", "text"] {
        let answers = [
            (format!(r#"http_server_request_duration_seconds_count{{job="{job}",http_route="/demo/plaintext"}}"#), "7"),
            (
                format!(
                    r#"sum(http_server_request_duration_seconds_bucket{{job="{job}",http_route="/demo/plaintext",le="+Inf"}})"#
                ),
                "7",
            ),
            (format!(r#"rws_probe_misrouted_total{{job="{job}",reason="not_found"}}"#), "1"),
            (format!(r#"sum(rws_lifecycle_state{{job="{job}"}})"#), "1"),
            (format!(r#"count(rws_build_info{{job="{job}"}})"#), "1"),
            (format!(r#"up{{job="{job}"}}"#), "1"),
        ];
        for (expr, expected) in answers {
            let what = format!("{expr} does not become {expected}");
            until(&what, || {
                query(address, &expr).filter(|answer| answer == expected).or_else(|| {
                    (!log().contains("Server is ready")).then(|| let_pass(Duration::from_millis(20)));
                    None
                })
            });
        }
    }
    // It says the types and units only of what it has read as OpenMetrics, and bounds differ: that it was both formats.
    let bound = |job: &str, le: &str| {
        query(address, &format!(r#"count(rws_queue_wait_seconds_bucket{{job="{job}",le="{le}"}})"#))
    };
    assert_eq!((bound("open", "1.0").as_deref(), bound("text", "1").as_deref()), (Some("1"), Some("1")));
    assert_eq!((bound("open", "1"), bound("text", "1.0")), (None, None));

    // A traced request brings an exemplar, which must not disturb whoever reads it.
    let traced = "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                  traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    assert_eq!(server.connect().ask(traced).unwrap().status, 200);
    let open = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n";
    let text = server.connect().ask(open).unwrap().text();
    assert!(text.contains(r#"# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"}"#), "{text}");
    let count = r#"http_server_request_duration_seconds_count{job="open",http_route="/demo/plaintext"}"#;
    until("the traced request is not counted", || query(address, count).filter(|count| count == "8"));

    let targets = api(address, "/api/v1/targets").unwrap();
    for target in targets["data"]["activeTargets"].as_array().unwrap() {
        assert_eq!(target["lastError"], "", "{target}");
    }
    let rules = api(address, "/api/v1/rules").unwrap();
    let loaded: Vec<&Value> = rules["data"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert_eq!(loaded.len(), file("rules.yaml").matches("\n        expr: ").count(), "{}", log());
    assert!(loaded.iter().all(|rule| rule["lastError"].is_null() || rule["lastError"] == ""), "{loaded:#?}");
}
