//! The `rws` binary as a process: what it says, how it ends, and what it survives.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "process/clients.rs"]
mod clients;
#[path = "process/drain.rs"]
mod drain;
#[path = "process/faults.rs"]
mod faults;
#[path = "process/last_words.rs"]
mod last_words;
#[path = "process/logs.rs"]
mod logs;
#[path = "process/observe.rs"]
mod observe;
#[path = "process/start.rs"]
mod start;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process_measures.rs")]
mod support;
