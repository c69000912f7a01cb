//! The image that the Dockerfile makes, run by podman as a cluster would run it.
//!
//! What is tested is the Dockerfile's last stage, as it stands, with this test's own binary in place of the stage that
//! compiles, and with a base image made of this machine's C library in place of distroless: no registry is asked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "image/podman.rs"]
mod podman;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use podman::{Container, Podman};
use serde_json::Value;
use support::{Client, PATIENCE, Reply, free_port, let_pass, program};

const IMAGE: &str = "localhost/rws:test";

/// cargo looks for the file of a target without a path before it builds anything.
#[test]
fn what_cargo_looks_for_is_in_the_build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sent = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let sent: Vec<&str> = sent.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let mut targets = 0;
    for (header, directory) in [("[[example]]", "examples"), ("[[bench]]", "benches"), ("[[test]]", "tests")] {
        for section in manifest.split(header).skip(1) {
            let section = section.split("\n[").next().unwrap();
            let has_path = section.lines().any(|line| line.starts_with("path ="));
            assert!(has_path || sent.contains(&directory), "needs a path, or !{directory} in .dockerignore: {section}");
            targets += 1;
        }
    }
    assert!(targets >= 4, "{targets}");
}

#[test]
fn the_image_runs_as_a_cluster_runs_it() {
    let Some(podman) = Podman::prepare() else { return };
    podman.build(IMAGE);
    says_what_it_is(&podman);
    runs_unprivileged_and_drains_as_pid_1(&podman);
    refuses_a_bad_configuration(&podman);
    runs_from_the_manifests(&podman);
}

fn says_what_it_is(podman: &Podman) {
    let image: Value = serde_json::from_str(&podman.ok(&["image", "inspect", IMAGE])).unwrap();
    let image = &image[0];
    let config = &image["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/local/bin/rws"]));
    assert!(config["ExposedPorts"]["7878/tcp"].is_object(), "{config}");
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    for label in ["title", "description", "licenses", "revision"] {
        assert!(labels[format!("org.opencontainers.image.{label}")].is_string(), "{label}");
    }
    assert_eq!(image["Healthcheck"]["Test"][2], "probe", "{}", image["Healthcheck"]);
    println!("the image has {} KiB, with a binary for debugging", image["Size"].as_u64().unwrap() / 1024);
}

fn runs_unprivileged_and_drains_as_pid_1(podman: &Podman) {
    let port = free_port();
    let start = Instant::now();
    let container = podman.start(&[
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--network=host",
        "--env=RWS_CONFIG_IP=127.0.0.1",
        "--env=RWS_CONFIG_DEMO_ROUTES=true",
        "--env=RWS_CONFIG_DRAIN_DELAY=100ms",
        IMAGE,
        // The health check is not given this: it has to find out.
        &format!("--port={port}"),
    ]);
    wait_until_ready(port, &container);
    println!("{:?} from podman run to an answer of /readyz", start.elapsed());

    is_unprivileged(&container);
    is_healthy(&container);
    let probe = container.podman(&["exec"], &["/usr/local/bin/rws", "probe", "readyz"]);
    let (out, err) = (String::from_utf8_lossy(&probe.stdout), String::from_utf8_lossy(&probe.stderr));
    // What is degraded, as checks are that have not run yet, is told before.
    assert!(out.ends_with("ok\n"), "{out}{err}");

    let (sender, replies) = mpsc::channel();
    for _ in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || sender.send(get(port, "/demo/delay/1500").map(|reply| reply.status).unwrap_or_default()));
    }
    wait_for(|| get(port, "/metrics").is_some_and(|reply| reply.text().contains("http_server_active_requests 4")));
    let drain = Instant::now();
    assert!(container.podman(&["kill", "--signal=TERM"], &[]).status.success());
    for _ in 0..4 {
        assert_eq!(replies.recv_timeout(PATIENCE), Ok(200), "{}", container.logs());
    }
    let code = container.wait();
    let took = drain.elapsed();
    assert_eq!(code, 0, "{}", container.logs());
    assert!(took < PATIENCE, "{took:?}");
    println!("drained in {took:?} with 4 requests of 1.5 s in flight");
}

/// What the kernel says of the process, not what was asked for.
fn is_unprivileged(container: &Container<'_>) {
    let pid = container.inspect("{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("Uid:"), "65532\t65532\t65532\t65532");
    assert_eq!(field("CapEff:"), "0000000000000000");
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("NSpid:").split('\t').next_back(), Some("1"), "it is PID 1");
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
}

/// Runs the health check of the image. On a loaded machine it may take more
/// than its second, so not every one must be in time.
fn is_healthy(container: &Container<'_>) {
    let end = Instant::now() + PATIENCE;
    while !container.podman(&["healthcheck", "run"], &[]).status.success() {
        let health = container.inspect("{{json .State}}");
        assert!(Instant::now() < end, "is not healthy: {health}; its log:\n{}", container.logs());
    }
}

fn refuses_a_bad_configuration(podman: &Podman) {
    // As the kubelet provides it.
    let log = podman.dir().join("termination-log");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
    let volume = format!("--volume={}:/dev/termination-log", log.display());
    let settings = ["--env=RWS_CONFIG_PORT=banana", "--env=RWS_CONFIG_THREAD_COUNT=0"];
    let output =
        podman.run(&[&["run", "--rm", "--read-only", "--network=none", &volume][..], &settings, &[IMAGE]].concat());
    assert_eq!(output.status.code(), Some(2));
    for text in [String::from_utf8_lossy(&output.stderr).into_owned(), fs::read_to_string(&log).unwrap()] {
        assert!(text.contains("RWS_CONFIG_PORT") && text.contains("RWS_CONFIG_THREAD_COUNT"), "{text}");
    }
}

/// `deploy/`'s ConfigMaps and Deployment as a pod of podman.
fn runs_from_the_manifests(podman: &Podman) {
    if program("kubectl").is_none() || program("slirp4netns").is_none() {
        return;
    }
    if !Path::new("/dev/net/tun").exists() {
        eprintln!("SKIPPED: podman kube play: there is no /dev/net/tun for the pod's network");
        return;
    }
    let port = free_port();
    let file = pod_manifest(podman.dir(), port);
    let played = podman.play(&file);
    let pod = played.container("rws-pod-0-rws");
    wait_until_ready(port, &pod);

    // From the ConfigMap in the environment, and from the one in the directory.
    assert_eq!(get(port, "/demo/plaintext").unwrap().status, 200);
    let config = pod.podman(&["exec"], &["/usr/local/bin/rws", "config", "--format", "json"]);
    let config: Value = serde_json::from_slice(&config.stdout).unwrap();
    let setting = |name: &str| config["settings"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(setting("RWS_CONFIG_DEMO_ROUTES")["source"], "environment");
    assert_eq!(setting("RWS_CONFIG_LOG_LEVEL")["file"], "/etc/rws/RWS_CONFIG_LOG_LEVEL");
    assert_eq!(setting("RWS_CONFIG_LOG_LEVEL")["value"], "info");

    for path in ["/healthz", "/readyz", "/startupz"] {
        assert_eq!(get(port, path).unwrap().status, 200, "{path}");
    }
    for probe in ["livez", "readyz", "startupz"] {
        let asked = pod.podman(&["exec"], &["/usr/local/bin/rws", "probe", probe, "--timeout", "20s"]);
        assert!(String::from_utf8_lossy(&asked.stdout).ends_with("ok\n"), "{probe}: {}", pod.logs());
    }
    is_unprivileged(&pod);
}

/// What `kubectl kustomize` makes of deploy/overlays/minimal, for this port and as far as podman takes it. It knows two of
/// the kinds, and runs a livenessProbe, whatever it is, through a shell inside the container, which has none.
fn pod_manifest(dir: &Path, port: u16) -> std::path::PathBuf {
    let overlay = dir.join("overlay");
    fs::create_dir(&overlay).unwrap();
    let up = "../".repeat(overlay.canonicalize().unwrap().components().count() - 1);
    let base = format!("{up}{}/deploy/overlays/minimal", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'));
    let kustomization = format!(
        "resources: [{base}]
images: [{{ name: rws, newName: localhost/rws, newTag: test }}]
configMapGenerator:
  - {{ name: rws-env, behavior: merge, literals: [RWS_CONFIG_PORT={port}] }}
patches:
  - target: {{ kind: Deployment }}
    patch: |-
      - {{ op: replace, path: /spec/template/spec/containers/0/ports/0/containerPort, value: {port} }}
      - {{ op: remove, path: /spec/template/spec/containers/0/livenessProbe }}
"
    );
    fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    let output = support::clean("kubectl").arg("kustomize").arg(&overlay).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let known = |object: &&str| object.contains("\nkind: ConfigMap\n") || object.contains("\nkind: Deployment\n");
    let objects: Vec<&str> = text.split("---\n").filter(|object| known(object)).collect();
    assert_eq!(objects.len(), 3, "{text}");
    let file = dir.join("pod.yaml");
    fs::write(&file, objects.join("---\n")).unwrap();
    file
}

fn get(port: u16, path: &str) -> Option<Reply> {
    let mut client = Client::new(([127, 0, 0, 1], port).into()).ok()?;
    client.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).ok()
}

fn wait_until_ready(port: u16, container: &Container<'_>) {
    let end = Instant::now() + PATIENCE;
    while get(port, "/readyz").is_none_or(|reply| reply.status != 200) {
        assert!(Instant::now() < end, "is not ready; its log:\n{}", container.logs());
        let_pass(Duration::from_millis(5));
    }
}

fn wait_for(condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it does not come to pass");
        let_pass(Duration::from_millis(5));
    }
}
