//! The manifests that come with rws, as they are: each comes up, stays up, and goes without losing its exit code.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::behaviour::certificate;
use crate::container::binary;
use crate::manifest::Manifest;
use crate::node::{Node, on_a_node, which};
use crate::outages::check;

/// What a tool prints.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Applies it, sees it ready, and deletes it.
fn comes_and_goes(node: &Node, yaml: &str) {
    node.set("RWS_CONFIG_DRAIN_DELAY", "100ms");
    let pod = node.apply(yaml);
    pod.wait_until_ready();
    node.delete(&pod);
    assert_eq!(pod.state().last.unwrap().code, 0, "{}", pod.describe());
    assert_eq!(pod.state().restarts, 0, "{}", pod.describe());
    assert_eq!(pod.said(&[r#""level":"warn""#]), [""; 0]);
    assert_eq!(pod.said(&[r#""level":"error""#]), [""; 0]);
}

#[test]
fn what_rws_manifest_prints() {
    on_a_node(20, |node| {
        comes_and_goes(node, &output(Command::new(binary()).arg("manifest").env_clear()));
        let port = ["manifest", "--port", "8080", "--name", "shop", "--set", "READYZ_PATH=/ready"];
        comes_and_goes(node, &output(Command::new(binary()).args(port).env_clear()));
    });
}

/// The blocks of a kind in a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn those_in_the_guide() {
    on_a_node(20, |node| {
        let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/KUBERNETES.md")).unwrap();
        let blocks = blocks(&guide, "yaml");
        assert!(blocks.len() > 3);
        let (whole, parts): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.contains("kind: Deployment\n"));
        let [whole] = whole[..] else { panic!("one with a Deployment") };
        let findings = check(whole);
        assert!(!findings.lines().any(|line| line.starts_with("error[") || line.starts_with("warning[")), "{findings}");
        comes_and_goes(node, whole);
        for part in parts {
            Manifest::parse(part).unwrap_or_else(|error| panic!("{error}: {part}"));
        }
        // The probe that stands there by itself, in the manifest that stands there.
        let exec = whole.replace("httpGet: { path: /readyz, port: http }", "exec: { command: [rws, probe, readyz] }");
        assert_ne!(exec, whole);
        comes_and_goes(node, &exec);
    });
}

#[test]
fn the_overlays() {
    let Some(kubectl) = which("kubectl") else {
        eprintln!("SKIPPED: kubectl is not installed");
        return;
    };
    on_a_node(20, |node| {
        let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/overlays");
        let mut seen = 0;
        for overlay in std::fs::read_dir(overlays).unwrap().map(|entry| entry.unwrap().path()) {
            let yaml = output(Command::new(&kubectl).arg("kustomize").arg(&overlay));
            comes_and_goes(node, &(yaml + "\n" + &certificate("rws-tls")));
            seen += 1;
        }
        assert!(seen > 2);
    });
}
