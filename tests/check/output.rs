//! What is written, in which format, with which exit code.

use std::io::Read;
use std::process::{Command, Stdio};

use rws::cli::check::rules;
use serde_json::Value;

use crate::support::{check, check_with, directory, findings};

const FILE: &str = "seeds/002-port-mismatch.yaml";

#[test]
fn exit_codes_tell_clean_found_and_unusable() {
    for (arguments, code) in [
        (&["clean/shop.yaml"][..], 0),
        (&["fixtures/single-replica/fail.yaml"], 0),
        (&["--deny", "note", "fixtures/single-replica/fail.yaml"], 1),
        (&["fixtures/image-tag/fail.yaml"], 1),
        (&["--deny", "error", "fixtures/image-tag/fail.yaml"], 0),
        (&["--min-severity", "error", "fixtures/image-tag/fail.yaml"], 0),
        (&["--ignore", "image-tag", "fixtures/image-tag/fail.yaml"], 0),
        (&["--ignore", "probe-path,image-tag", "fixtures/image-tag/fail.yaml"], 0),
        (&["--ignore", "no-such-rule", "clean/shop.yaml"], 2),
        (&["--port", "80", "clean/shop.yaml"], 2),
        (&["--no-such-option"], 2),
        (&["--explain", "probe-path"], 0),
        (&["--explain", "probe-pathh"], 2),
    ] {
        let run = check(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
    }
    assert!(check(&["--explain", "probe-pathh"]).stderr.contains("did you mean probe-path?"));
}

#[test]
fn an_annotation_silences_a_rule_for_its_object() {
    let file = std::fs::read_to_string(directory().join("fixtures/image-tag/fail.yaml")).unwrap();
    for (from, to) in [
        ("metadata:\n  name: web", "metadata:\n  name: web\n  annotations:\n    rws.dev/ignore: image-tag"),
        (
            "    metadata:\n      labels:",
            "    metadata:\n      annotations:\n        rws.dev/ignore: probe-path, image-tag\n      labels:",
        ),
    ] {
        let text = file.replacen(from, to, 1);
        assert_ne!(text, file);
        let run = check_with(&["--format", "json", "-"], &[], &text);
        assert!(findings(&run.stdout).is_empty(), "{}", run.stdout);
        let other = text.replace("image-tag", "probe-port");
        assert_eq!(check_with(&["-"], &[], &other).code, 1);
    }
}

#[test]
fn colours_are_for_terminals() {
    let run = check(&[FILE]);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let forced = check_with(&[FILE], &[("CLICOLOR_FORCE", "1")], "");
    assert!(forced.stdout.contains("\u{1b}["), "{}", forced.stdout);
    let refused = check_with(&[FILE], &[("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1")], "");
    assert!(!refused.stdout.contains('\u{1b}'), "{}", refused.stdout);
}

#[test]
fn a_secret_is_never_shown() {
    let text = "apiVersion: v1
kind: Secret
metadata: {name: s}
stringData:
  RWS_CONFIG_PORT: hunter2hunter2
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - {name: rws, image: 'rws:1', envFrom: [{secretRef: {name: s}}]}
";
    for format in ["text", "json", "sarif"] {
        let run = check_with(&["--format", format, "-"], &[], text);
        assert_eq!(run.code, 1);
        assert!(run.stdout.contains("env-invalid") && run.stdout.contains("must be a whole number"), "{}", run.stdout);
        assert!(!run.stdout.contains("hunter2"), "{}", run.stdout);
    }
}

#[test]
fn whoever_stops_reading_gets_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rws"))
        .args(["check", "--format", "sarif", FILE])
        .current_dir(directory())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(stderr, "");
}

#[test]
fn json_has_the_documented_shape() {
    let run = check(&["--format", "json", FILE]);
    let output: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(output["version"], 1);
    let count = |severity: &str| {
        let all = output["findings"].as_array().unwrap();
        all.iter().filter(|finding| finding["severity"] == severity).count() as u64
    };
    for (severity, field) in [("error", "errors"), ("warning", "warnings"), ("note", "notes")] {
        assert_eq!(output["summary"][field], count(severity), "{severity}");
    }
    let finding = output["findings"].as_array().unwrap().iter().find(|it| it["rule"] == "probe-port").unwrap();
    assert_eq!(finding["location"]["file"], FILE);
    let place = ["line", "column", "end_line", "end_column"].map(|field| finding["location"][field].as_u64().unwrap());
    assert_eq!(place, [37, 21, 37, 23]);
    for field in ["message", "fix"] {
        assert!(finding[field].as_str().unwrap().len() > 20, "{finding}");
    }
}

/// What the schema of SARIF 2.1.0 asks of the parts that are used, and what code scanning needs besides.
#[test]
fn sarif_is_valid() {
    let run = check(&["--format", "sarif", FILE, "seeds/000-loopback-bind.yaml"]);
    let log: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let only = &log["runs"][0];
    let driver = &only["tool"]["driver"];
    assert_eq!(driver["name"], "rws check");
    let described = driver["rules"].as_array().unwrap();
    assert_eq!(described.len(), rules().count());
    for rule in described {
        for text in ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown"] {
            assert!(rule.pointer(text).unwrap().as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
        assert!(["error", "warning", "note"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = only["results"].as_array().unwrap();
    assert!(results.len() >= 4, "{results:?}");
    for result in results {
        assert_eq!(described[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        let uri = location["artifactLocation"]["uri"].as_str().unwrap();
        let text = std::fs::read_to_string(directory().join(uri)).expect("a relative reference to the file");
        let number = |field: &str| location["region"][field].as_u64().unwrap() as usize;
        let line = text.lines().nth(number("startLine") - 1).expect("the line is there");
        assert!((1..=line.chars().count()).contains(&number("startColumn")), "{result}");
        let (start, end) = ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
        assert!(end > start, "{result}");
        assert!(!result["message"]["text"].as_str().unwrap().contains('\n'), "{result}");
    }
}

#[test]
fn without_manifests_the_own_environment_is_checked() {
    let run = check_with(&[], &[("RWS_CONFIG_PORT", "8080")], "");
    assert_eq!((run.code, run.stdout.as_str()), (0, "nothing found\n"));
    let environment = [("RWS_CONFIG_PORT", "http"), ("RWS_CONFIG_PROT", "8080")];
    let run = check_with(&[], &environment, "");
    assert_eq!(run.code, 1);
    for expected in [
        "error[env-invalid]: RWS_CONFIG_PORT=\"http\": must be a whole number from 0 to 65535",
        "warning[env-unknown]: RWS_CONFIG_PROT is not a known setting and has no effect; did you mean RWS_CONFIG_PORT?",
        "--> the environment and the command line",
        "1 error, 1 warning\n",
    ] {
        assert!(run.stdout.contains(expected), "{expected}: {}", run.stdout);
    }
    // What a server would open at its start is looked at as well.
    let files = [("RWS_CONFIG_TLS_CERT_FILE", "/nowhere/tls.crt"), ("RWS_CONFIG_TLS_KEY_FILE", "/nowhere/tls.key")];
    let run = check_with(&[], &files, "");
    assert!(run.code == 1 && run.stdout.contains("/nowhere/tls.crt does not exist"), "{}", run.stdout);
    // The command line wins, as for a server.
    assert_eq!(check_with(&["--port", "8080"], &environment[..1], "").code, 0);
}

#[test]
fn a_rule_is_explained() {
    let run = check(&["--explain", "liveness-on-readiness"]);
    let rule = rules().find(|rule| rule.id == "liveness-on-readiness").unwrap();
    assert!(run.stdout.starts_with("liveness-on-readiness (error): the liveness probe asks whether rws is ready\n\n"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&run.stdout).contains(&words(rule.explanation)), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 105), "{}", run.stdout);
}
