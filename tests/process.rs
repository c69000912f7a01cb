//! The `rws` binary as a process: what it says, how it ends, and what it survives.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it measured")]

#[path = "process/drain.rs"]
mod drain;
#[path = "process/start.rs"]
mod start;
#[path = "process/support.rs"]
mod support;
