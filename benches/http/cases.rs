//! What is measured: the servers, the cases, and one measurement of a server in a case.

use std::time::Duration;

use crate::Result;
use crate::machine::{Machine, busy_time};
use crate::process::{Server, children_time};
use crate::wrk::{self, Load};

/// A server and how it is started.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// The cases it can be measured in.
    pub(crate) takes: fn(&Case) -> bool,
}

pub(crate) enum Program {
    /// One of [`crate::peers`], which live in this executable.
    Peer(&'static str),
    /// The `rws` binary with metrics and a JSON access log to a file.
    Rws,
}

pub(crate) const YARDSTICK: &str = "may_minihttp";

pub(crate) const RWS: Kind = Kind { name: "rws, metrics and log", program: Program::Rws, takes: |_| true };

pub(crate) const SERVERS: [Kind; 4] = [
    // It goes on when it is asked to close: its figure would be one of keep-alive connections.
    Kind { name: YARDSTICK, program: Program::Peer("may_minihttp"), takes: |case| !case.asks_to_close },
    Kind { name: "rws, bare", program: Program::Peer("bare"), takes: |_| true },
    RWS,
    // It says the same to everything.
    Kind {
        name: "floor",
        program: Program::Peer("floor"),
        takes: |case| !case.asks_to_close && case.path == PLAINTEXT.path,
    },
];

/// One kind of load.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) path: &'static str,
    /// What the body must end with.
    pub(crate) expected: &'static str,
    pub(crate) connections: u32,
    /// Requests sent at once on each connection.
    pub(crate) pipelined: u32,
    pub(crate) asks_to_close: bool,
}

const PLAINTEXT: Case = Case {
    name: "plaintext",
    title: "plaintext, 64 connections",
    path: "/demo/plaintext",
    expected: "Hello, World!",
    connections: 64,
    pipelined: 1,
    asks_to_close: false,
};

pub(crate) const ALL: [Case; 6] = [
    PLAINTEXT,
    Case {
        name: "json",
        title: "JSON, serialised for each request, 64 connections",
        path: "/demo/json",
        expected: r#"{"message":"Hello, World!"}"#,
        ..PLAINTEXT
    },
    Case { name: "pipelined", title: "plaintext, 64 connections, pipelined ×16", pipelined: 16, ..PLAINTEXT },
    Case { name: "one", title: "plaintext, 1 connection", connections: 1, ..PLAINTEXT },
    Case { name: "many", title: "plaintext, 256 connections", connections: 256, ..PLAINTEXT },
    Case {
        name: "close",
        title: "plaintext, `Connection: close`, 32 at a time",
        connections: 32,
        asks_to_close: true,
        ..PLAINTEXT
    },
];

/// What one server did in one case and round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) load: Load,
    /// User and system time of the server's process for one request, in µs.
    pub(crate) cpu_micros: f64,
    /// The most memory that was resident, in KiB (VmHWM).
    pub(crate) peak_kib: u64,
    /// From starting the process to the first 200.
    pub(crate) start: Duration,
    /// CPU time that neither server nor wrk used, as a share of one CPU.
    pub(crate) others: f64,
    /// Access log lines that are missing.
    pub(crate) lost_lines: u64,
}

/// Starts the server, warms it up, loads it, and looks at what that cost.
pub(crate) fn measure(kind: &Kind, case: &Case, machine: &Machine, seconds: u32) -> Result<Measured> {
    let server = Server::start(kind, machine.server_cpu)?;
    let warmed = server.warm_up(case.path, case.expected)?;

    let before = (server.cpu_time()?, busy_time()?, children_time()?);
    let load = wrk::run(&server, case, seconds, machine.client_cpu)?;
    let after = (server.cpu_time()?, busy_time()?, children_time()?);

    let used = after.0 - before.0;
    let others = (after.1 - before.1).saturating_sub(used + (after.2 - before.2));
    let peak_kib = server.peak_kib()?;
    let start = server.started_in;
    let lost_lines = server.stop()?.map_or(0, |lines| (warmed + load.requests).saturating_sub(lines));
    Ok(Measured {
        cpu_micros: used.as_secs_f64() * 1e6 / load.requests.max(1) as f64,
        peak_kib,
        start,
        others: others.as_secs_f64() / f64::from(seconds),
        lost_lines,
        load,
    })
}
