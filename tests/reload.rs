//! Live configuration: a mounted ConfigMap that changes, SIGHUP, and what a running server makes of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "reload/browsers.rs"]
mod browsers;
#[path = "reload/changes.rs"]
mod changes;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;
#[path = "reload/traffic.rs"]
mod traffic;
#[path = "reload/variables.rs"]
mod variables;
#[path = "reload/volume.rs"]
mod volume;
