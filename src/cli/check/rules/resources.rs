//! Memory and CPU: whether what a container may use is enough for what its settings allow.

use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::quantity_milli;
use crate::cli::check::yaml::Node;
use crate::config::PREFIX;

const KIB: u128 = 1 << 10;
const MIB: u128 = 1 << 20;

/// The server itself, idle.
const BASE: u128 = 8 * MIB;
/// What a worker's stack takes once it has run a handler. The 2 MiB that are reserved for it are addresses only.
const PER_THREAD: u128 = 32 * KIB;
/// An idle connection, as docs/BENCHMARKS.md has it, rounded up.
const PER_CONNECTION: u128 = KIB / 2;

pub(super) static MEMORY_LIMIT: Rule = Rule {
    id: "memory-limit",
    severity: Severity::Warning,
    summary: "a memory limit below what the settings allow",
    explanation: "A container that goes over its limit is killed at once, with all its requests. rws takes about 8 MiB, \
                  32 KiB for each of RWS_CONFIG_THREAD_COUNT threads that has run, half a KiB for each of \
                  RWS_CONFIG_MAX_CONNECTIONS idle connections; and a handler that takes a body as a whole holds up to \
                  RWS_CONFIG_MAX_BODY_SIZE_IN_BYTES.",
    fix: "Raise the limit, or lower THREAD_COUNT, MAX_CONNECTIONS or MAX_BODY_SIZE_IN_BYTES.",
};

pub(super) static CPU_LIMIT: Rule = Rule {
    id: "cpu-limit",
    severity: Severity::Note,
    summary: "a very low CPU limit",
    explanation: "A container that has used its share of a period of 100 ms stands still until the next. Below a tenth of \
                  a CPU that is most of the time, so that probes with timeoutSeconds 1 may fail under load.",
    fix: "Leave the limit out and set a request, or raise it to 200m or more.",
};

pub(super) static RULES: Table = &[&MEMORY_LIMIT, &CPU_LIMIT];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        memory(server, findings);
        cpu(server, findings);
    }
}

fn limit<'a>(server: &Server<'a>, resource: &str) -> Option<(&'a Node, u128)> {
    let node = server.container.node.path(&["resources", "limits", resource])?;
    Some((node, quantity_milli(node.text()?)?))
}

fn memory(server: &Server<'_>, findings: &mut Findings) {
    let Some((node, milli)) = limit(server, "memory") else { return };
    let (limit, config) = (milli / 1000, &server.settings.config);
    let names = ["THREAD_COUNT", "MAX_CONNECTIONS", "MAX_BODY_SIZE_IN_BYTES"];
    if !names.iter().all(|name| server.settings.is_known(name)) {
        return;
    }
    let (threads, connections) = (config.thread_count as u128, config.max_connections as u128);
    let need = BASE + threads * PER_THREAD + connections * PER_CONNECTION;
    let body = u128::from(config.max_body_size_in_bytes);
    let shown = node.text().unwrap_or_default();
    if need > limit {
        let message = format!(
            "the memory limit is {shown}, but {PREFIX}THREAD_COUNT {threads} and {PREFIX}MAX_CONNECTIONS {connections} \
             may take {} MiB: the container would be killed; raise the limit to {}Mi",
            need.div_ceil(MIB),
            (need * 3 / 2).div_ceil(MIB)
        );
        findings.add(&MEMORY_LIMIT, node.place, message);
    } else if body == 0 || need + body > limit {
        let body = if body == 0 { "unlimited (0)".to_owned() } else { format!("{} MiB", body.div_ceil(MIB)) };
        let message = format!(
            "the memory limit is {shown}, but {PREFIX}MAX_BODY_SIZE_IN_BYTES is {body}: a handler that takes a whole body \
             may get the container killed; lower it or raise the limit"
        );
        // Many handlers read bodies piece by piece, or take none.
        findings.add_as(Severity::Note, &MEMORY_LIMIT, node.place, message);
    }
}

fn cpu(server: &Server<'_>, findings: &mut Findings) {
    const LOW: u128 = 100;
    if let Some((node, milli)) = limit(server, "cpu").filter(|(_, milli)| *milli < LOW) {
        let message = format!(
            "the CPU limit is {milli}m: the container stands still most of the time under load, and probes time out; \
             leave it out or use 200m"
        );
        findings.add(&CPU_LIMIT, node.place, message);
    }
}
