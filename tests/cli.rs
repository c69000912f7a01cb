//! The commands of the `rws` binary besides serving: what they print, and how they end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "cli/listings.rs"]
mod listings;
#[path = "cli/manifest.rs"]
mod manifest;
#[path = "cli/probe.rs"]
mod probe;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::process::Output;

/// Names without prefix, and values.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// What a command wrote, and its exit code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
pub(crate) fn rws(arguments: &[&str], settings: Settings) -> Said {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (format!("RWS_CONFIG_{name}"), *value)).collect();
    let environment: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    said(&support::run(arguments, &environment))
}

pub(crate) fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}
