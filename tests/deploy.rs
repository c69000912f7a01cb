//! The Dockerfile, and the manifests in deploy/: that kustomize takes them, that Kubernetes' schema holds, and that they say what
//! `rws manifest` says.

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
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rws::config::{Status, VARIABLES};
use serde_json::{Value, json};
use support::{clean, program, run};

/// What kubectl can build, and the settings with which `rws manifest` says the same.
const PLACES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("overlays/minimal", &["DEMO_ROUTES=true"]),
    ("overlays/production", &["ADMIN_PORT=9090"]),
    ("overlays/monitored", &["ADMIN_PORT=9090"]),
    (
        "overlays/tls",
        &["TLS_CERT_FILE=/etc/rws-tls/tls.crt", "TLS_KEY_FILE=/etc/rws-tls/tls.key", "HTTP_REDIRECT_PORT=8080"],
    ),
];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn manifest(arguments: &[&str]) -> String {
    text(&run(&[&["manifest"], arguments].concat(), &[]))
}

fn with_stdin(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What kustomize makes of a directory.
fn built(place: &str) -> Option<String> {
    let kubectl = program("kubectl")?;
    Some(text(&clean(&kubectl).arg("kustomize").arg(deploy().join(place)).output().unwrap()))
}

#[test]
fn the_base_is_what_rws_manifest_prints() {
    for kind in
        ["serviceaccount", "deployment", "service", "networkpolicy", "poddisruptionbudget", "horizontalpodautoscaler"]
    {
        let path = deploy().join(format!("base/{kind}.yaml"));
        let expected = manifest(&["--only", kind]);
        if std::env::var_os("RWS_UPDATE_DOCS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "{}: RWS_UPDATE_DOCS=1 cargo test --test deploy writes it anew", path.display());
    }
}

#[test]
fn kustomize_takes_every_directory_and_the_schema_holds() {
    let dir = tempfile::tempdir().unwrap();
    for (place, _) in PLACES {
        let Some(objects) = built(place) else { return };
        fs::write(dir.path().join(place.replace('/', "-") + ".yaml"), objects).unwrap();
    }
    let Some(validate) = program("kubernetes-validate") else { return };
    let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let output = clean(&validate).args(["--strict", "--no-warn"]).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.matches(" passed for resource deployment/rws ").count() == PLACES.len(), "{said}");
}

#[test]
fn rws_check_finds_nothing() {
    for (place, settings) in PLACES {
        if !is_said_to_be_supported(place, settings) {
            continue;
        }
        let Some(objects) = built(place) else { return };
        let mut check = clean(support::RWS);
        check.args(["check", "--min-severity=warning", "--deny=warning", "-"]);
        let found = with_stdin(&mut check, &objects);
        let said = String::from_utf8_lossy(&found.stdout).into_owned() + &String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success() && said.starts_with("nothing found"), "{place}: {said}");
    }
}

#[test]
fn the_dockerfile_has_nothing_to_complain_of() {
    let Some(hadolint) = program("hadolint") else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    let output = clean(&hadolint).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let version = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(fs::read_to_string(file).unwrap().contains(&version), "the label has another version than Cargo.toml");
}

#[test]
fn the_dockerfile_builds_dependencies_without_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(root.join(name), dir.path().join(name)).unwrap();
    }
    // Its commands, up to the one that compiles.
    let dockerfile = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let commands = dockerfile.split("\nRUN ").nth(1).unwrap().split("&& cargo build").next().unwrap();
    let prepared = clean("sh").args(["-ec", commands]).current_dir(dir.path()).output().unwrap();
    text(&prepared);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"]).current_dir(dir.path());
    let metadata: Value = serde_json::from_str(&text(&cargo.output().unwrap())).unwrap();
    let targets: Vec<_> =
        metadata["packages"][0]["targets"].as_array().unwrap().iter().map(|t| &t["kind"][0]).collect();
    assert_eq!(targets, ["lib", "bin"], "the empty program has nothing else");
}

#[test]
fn every_directory_says_what_rws_manifest_says() {
    for (place, settings) in PLACES {
        if !is_said_to_be_supported(place, settings) {
            continue;
        }
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let Some(found) = built(place).and_then(|text| objects(&text)) else { return };
        let expected = objects(&manifest(&settings)).unwrap();
        assert_eq!(substance(&found), substance(&expected), "{place}");
    }
}

/// Whether this build knows all of these settings. Says so if it does not.
fn is_said_to_be_supported(place: &str, settings: &[&str]) -> bool {
    let name = |setting: &str| setting.split('=').next().unwrap_or_default().to_owned();
    let known = |name: &str| VARIABLES.iter().any(|row| row.name == name && row.status == Status::Supported);
    let unknown = settings.iter().map(|setting| name(setting)).find(|name| !known(name));
    if let Some(unknown) = &unknown {
        eprintln!("SKIPPED: {place}: this build does not support {unknown}");
    }
    unknown.is_none()
}

/// The objects of a YAML text.
fn objects(yaml: &str) -> Option<Vec<Value>> {
    let mut python = clean(&program("python3")?);
    python.args(["-c", "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"]);
    let output = with_stdin(&mut python, yaml);
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("No module named 'yaml'") {
        eprintln!("SKIPPED: python3 has no yaml module");
        return None;
    }
    Some(serde_json::from_str(&text(&output)).unwrap())
}

/// What must not drift: ports, probes, times, mounts, and how they are reached.
fn substance(objects: &[Value]) -> Value {
    let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind).cloned().unwrap_or_default();
    let deployment = of_kind("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let set = |values: Vec<Value>| values.iter().map(Value::to_string).collect::<BTreeSet<_>>();
    let probe = |name: &str| {
        let mut probe = container[name].clone();
        // What is left out means HTTP.
        probe["httpGet"]["scheme"] = probe["httpGet"].get("scheme").cloned().unwrap_or_else(|| json!("HTTP"));
        probe
    };
    let mounts = list(&container["volumeMounts"]).into_iter().map(|mount| {
        let volume = list(&pod["volumes"]).into_iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        json!([mount, volume])
    });
    let services = objects.iter().filter(|object| object["kind"] == "Service");
    let policy = of_kind("NetworkPolicy")["spec"].clone();
    json!({
        "ports": set(list(&container["ports"])),
        "probes": (["startupProbe", "livenessProbe", "readinessProbe"].map(probe)),
        "grace": pod["terminationGracePeriodSeconds"],
        "security": [pod["securityContext"], container["securityContext"]],
        "resources": container["resources"],
        "env": container["env"],
        "mounts": set(mounts.collect()),
        "services": set(services.map(|service| json!([service["metadata"]["name"], service["spec"]])).collect()),
        "policy": policy,
    })
}
