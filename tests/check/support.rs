//! Runs `rws check` on files and texts.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `rws check` in tests/check, in an environment of its own.
pub(crate) fn check(arguments: &[&str]) -> Run {
    check_with(arguments, &[], "")
}

/// The same with these variables and this standard input.
pub(crate) fn check_with(arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rws"))
        .arg("check")
        .args(arguments)
        .current_dir(directory())
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let written = child.stdin.take().expect("stdin is a pipe").write_all(stdin.as_bytes());
    // A run that does not read its input closes it.
    assert!(written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) || written.is_ok());
    let output = child.wait_with_output().expect("the binary ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

/// One finding of `--format json`.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rule: String,
    pub(crate) severity: String,
    pub(crate) message: String,
    pub(crate) line: usize,
}

/// What is found in a file below tests/check. Panics if it cannot be checked.
pub(crate) fn found(file: &str) -> Vec<Found> {
    let run = check(&["--format", "json", file]);
    assert_ne!(run.code, 2, "{file}: {}", run.stderr);
    findings(&run.stdout)
}

/// What is found in a text. Panics if it cannot be checked.
pub(crate) fn found_in(text: &str) -> Vec<Found> {
    let run = check_with(&["--format", "json", "-"], &[], text);
    assert_ne!(run.code, 2, "{text}\n{}", run.stderr);
    findings(&run.stdout)
}

pub(crate) fn findings(json: &str) -> Vec<Found> {
    let output: Value = serde_json::from_str(json).expect("the output is JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found = |finding: &Value| Found {
        rule: text(&finding["rule"]),
        severity: text(&finding["severity"]),
        message: text(&finding["message"]),
        line: finding["location"]["line"].as_u64().unwrap_or_default() as usize,
    };
    output["findings"].as_array().expect("a list").iter().map(found).collect()
}
