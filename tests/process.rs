//! The `rws` binary as a process: what it says, how it ends, and what it survives.

#[path = "process/clients.rs"]
mod clients;
#[path = "process/drain.rs"]
mod drain;
#[path = "process/faults.rs"]
mod faults;
#[path = "process/logs.rs"]
mod logs;
#[path = "process/start.rs"]
mod start;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process_measures.rs")]
mod support;
