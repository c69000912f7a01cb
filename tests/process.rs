//! The `rws` binary as a process: what it says, how it ends, and what it survives.

#[path = "process/drain.rs"]
mod drain;
#[path = "process/logs.rs"]
mod logs;
#[path = "process/start.rs"]
mod start;
#[path = "process/support.rs"]
mod support;
