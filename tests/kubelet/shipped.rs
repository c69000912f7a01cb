//! The manifests that come with rws, as they are: each comes up, stays up, and goes without losing its exit code.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::behaviour::certificate;
use crate::container::binary;
use crate::node::{Node, on_a_node, which};

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
