//! For each rule a manifest that breaks it and one that keeps it; and manifests that are fine as they are.

use std::collections::BTreeSet;
use std::fs;

use rws::cli::check::rules;

use crate::support::{directory, found, found_in};

#[test]
fn every_rule_finds_what_breaks_it_and_passes_what_keeps_it() {
    for rule in rules() {
        let id = rule.id;
        let fail = found(&format!("fixtures/{id}/fail.yaml"));
        let hit = fail.iter().find(|found| found.rule == id).unwrap_or_else(|| panic!("{id} is not found: {fail:?}"));
        assert!(hit.line > 0, "{id} has no place");
        let pass = found(&format!("fixtures/{id}/pass.yaml"));
        assert!(pass.iter().all(|found| found.rule != id), "{id} is found in what keeps it: {pass:?}");
        assert!(pass.is_empty(), "{id}/pass.yaml is not clean: {pass:?}");
    }
}

#[test]
fn every_pair_belongs_to_a_rule() {
    let entries = fs::read_dir(directory().join("fixtures")).expect("the fixtures are there");
    let pairs: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known: BTreeSet<String> = rules().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(pairs, known);
}

#[test]
fn well_made_manifests_are_clean() {
    for entry in fs::read_dir(directory().join("clean")).expect("the manifests are there") {
        let path = entry.unwrap().path();
        let found = found(path.to_str().unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_rule_is_said_in_full() {
    let mut ids = BTreeSet::new();
    for rule in rules() {
        assert!(ids.insert(rule.id), "{} stands twice", rule.id);
        assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
        for text in [rule.explanation, rule.fix] {
            assert!(text.ends_with('.') && !text.contains("  "), "{}: {text}", rule.id);
        }
        assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'), "{}", rule.id);
    }
}

#[test]
fn what_rws_manifest_prints_is_clean() {
    for settings in [
        &[][..],
        &["--set", "PORT=8080", "--set", "ADMIN_PORT=9090", "--service-monitor"],
        &[
            "--set",
            "TLS_CERT_FILE=/etc/tls/tls.crt",
            "--set",
            "TLS_KEY_FILE=/etc/tls/tls.key",
            "--host",
            "shop.example",
        ],
        &["--port", "80", "--set", "DRAIN_DELAY=15s", "--set", "DRAIN_TIMEOUT=2m", "--set", "STARTUP_TIMEOUT=10m"],
        &["--set", "READYZ_PATH=/ready", "--set", "METRICS_PATH=/internal/metrics", "--set", "LOG_LEVEL=debug"],
    ] {
        let printed = std::process::Command::new(env!("CARGO_BIN_EXE_rws"))
            .arg("manifest")
            .args(["--image", "registry.example.com/rws:0.1.0"])
            .args(settings)
            .env_clear()
            .output()
            .unwrap();
        let found = found_in(&String::from_utf8(printed.stdout).unwrap());
        assert!(found.is_empty(), "{settings:?}: {found:#?}");
    }
}
