//! Which question each probe asks: liveness, readiness and start are different ones, with different consequences.

use crate::cli::check::command::{base_name, is_shell, refused, script_of};
use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::paths::{Answer, Endpoint};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::{Handler, Probe, ProbeKind, path_asked};
use crate::cli::check::yaml::Node;

pub(super) static LIVENESS_ON_READINESS: Rule = Rule {
    id: "liveness-on-readiness",
    severity: Severity::Error,
    summary: "the liveness probe asks whether rws is ready",
    explanation: "/readyz fails while a dependency is away, and during every drain. As a liveness probe that restarts \
                  all pods when the database hiccups, which makes it worse, and kills a pod in the middle of its \
                  drain. /healthz fails only when a restart is what helps.",
    fix: "Ask for /healthz in the livenessProbe.",
};

pub(super) static READINESS_ON_LIVENESS: Rule = Rule {
    id: "readiness-on-liveness",
    severity: Severity::Warning,
    summary: "the readiness probe asks whether rws is alive",
    explanation: "/healthz and /startupz stay 200 while a health check of readiness fails and during a drain, so the \
                  pod goes on getting traffic that it has asked not to get.",
    fix: "Ask for /readyz in the readinessProbe.",
};

pub(super) static PROBES_IDENTICAL: Rule = Rule {
    id: "probes-identical",
    severity: Severity::Warning,
    summary: "liveness and readiness ask the same",
    explanation: "Whatever takes the pod out of service then restarts it as well. The two questions have different \
                  answers: a pod that waits for its database is alive and not ready.",
    fix: "Ask for /healthz in the livenessProbe and for /readyz in the readinessProbe.",
};

pub(super) static MISSING_READINESS: Rule = Rule {
    id: "missing-readiness-probe",
    severity: Severity::Warning,
    summary: "no readiness probe",
    explanation: "Without one a pod counts as ready as soon as its container runs: it gets requests before rws listens, \
                  and a rollout goes on although the new pods do not work.",
    fix: "Add a readinessProbe with httpGet, path /readyz.",
};

pub(super) static MISSING_LIVENESS: Rule = Rule {
    id: "missing-liveness-probe",
    severity: Severity::Note,
    summary: "no liveness probe",
    explanation: "A server that is wedged stays so until somebody looks. The /healthz of rws fails only in that case, \
                  never under load or for a dependency, so that probing it is safe.",
    fix: "Add a livenessProbe with httpGet, path /healthz.",
};

pub(super) static EXEC_PROBE: Rule = Rule {
    id: "exec-probe",
    severity: Severity::Warning,
    summary: "an exec probe that needs a shell or a tool, or asks nothing of rws",
    explanation: "The image of rws has no shell, no curl and no wget, so that such a probe fails every time; and each \
                  run costs a process. The binary can ask itself, with the right port, scheme and path.",
    fix: "Use httpGet, or exec with [\"/usr/local/bin/rws\", \"probe\", \"readyz\"].",
};

pub(super) static RULES: Table = &[
    &LIVENESS_ON_READINESS,
    &READINESS_ON_LIVENESS,
    &PROBES_IDENTICAL,
    &MISSING_READINESS,
    &MISSING_LIVENESS,
    &EXEC_PROBE,
];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in cluster.servers.iter().filter(|server| !server.workload.is_batch()) {
        missing(server, findings);
        let role_found = roles(server, findings);
        if !role_found {
            identical(server, findings);
        }
        for probe in server.container.probes() {
            if let Handler::Exec(exec) = probe.handler() {
                check_exec(server, &probe, exec, findings);
            }
        }
    }
}

fn missing(server: &Server<'_>, findings: &mut Findings) {
    let place = server.container.place();
    let name = server.container.name;
    let port = server.main_port();
    if server.container.probe(ProbeKind::Readiness).is_none() {
        let path = server.path_for(ProbeKind::Readiness);
        let message = format!(
            "container {name} has no readinessProbe: it gets traffic before rws listens, and rollouts do not wait for \
             it; add httpGet with path {path} and port {port}"
        );
        findings.add(&MISSING_READINESS, place, message);
    }
    if server.container.probe(ProbeKind::Liveness).is_none() {
        let path = server.path_for(ProbeKind::Liveness);
        let message = format!(
            "container {name} has no livenessProbe: a wedged server stays; add httpGet with path {path} and port {port}"
        );
        findings.add(&MISSING_LIVENESS, place, message);
    }
}

/// Whether a probe asks the question of another.
fn roles(server: &Server<'_>, findings: &mut Findings) -> bool {
    let mut found = false;
    for probe in server.container.probes() {
        let Some((endpoint, node)) = endpoint_of(server, &probe) else { continue };
        let text = node.text().unwrap_or("it");
        let (rule, why) = match (probe.kind, endpoint) {
            (ProbeKind::Liveness, Endpoint::Readyz | Endpoint::OneCheck) => (
                &LIVENESS_ON_READINESS,
                "which fails during a drain and while a dependency is away: the kubelet would restart the pod for that",
            ),
            (ProbeKind::Readiness, Endpoint::Healthz | Endpoint::Startupz) => {
                (&READINESS_ON_LIVENESS, "which stays 200 during a drain and while a readiness check fails")
            }
            _ => continue,
        };
        found = true;
        let message = format!("{} asks for {}, {why}; use {}", probe.field(), short(text), server.path_for(probe.kind));
        findings.add(rule, node.place, message);
    }
    found
}

/// The probe of rws that a probe of Kubernetes asks, and where it says so.
fn endpoint_of<'a>(server: &Server<'_>, probe: &Probe<'a>) -> Option<(Endpoint, &'a Node)> {
    match probe.handler() {
        Handler::Http(http) => match server.answer(&path_asked(http)?, None) {
            Answer::Probe(endpoint) => Some((endpoint, http.get("path")?)),
            _ => None,
        },
        Handler::Exec(exec) => {
            let words = exec.items_of("command");
            let at = words.iter().position(|word| word.text() == Some("probe"))?;
            let run = words[..at].iter().any(|word| word.text().is_some_and(|word| base_name(word) == "rws"));
            let asked = words.get(at + 1).filter(|_| run)?;
            let endpoint = match asked.text()? {
                "readyz" => Endpoint::Readyz,
                "healthz" | "livez" => Endpoint::Healthz,
                "startupz" => Endpoint::Startupz,
                _ => return None,
            };
            Some((endpoint, asked))
        }
        _ => None,
    }
}

/// The same handler in both, which the rules above have not found fault with.
fn identical(server: &Server<'_>, findings: &mut Findings) {
    let (Some(liveness), Some(readiness)) =
        (server.container.probe(ProbeKind::Liveness), server.container.probe(ProbeKind::Readiness))
    else {
        return;
    };
    let same = ["httpGet", "tcpSocket", "exec", "grpc"].iter().any(|key| {
        let both = liveness.node.get(key).zip(readiness.node.get(key));
        both.is_some_and(|(one, other)| equal(one, other))
    });
    if same {
        let message = format!(
            "livenessProbe and readinessProbe ask the same: whatever takes the pod out of service restarts it as well; \
             use {} and {}",
            server.path_for(ProbeKind::Liveness),
            server.path_for(ProbeKind::Readiness)
        );
        findings.add(&PROBES_IDENTICAL, readiness.place, message);
    }
}

/// Whether two nodes say the same, wherever they stand.
fn equal(one: &Node, other: &Node) -> bool {
    let same_entry = |(key, value): &(crate::cli::check::yaml::Key, Node)| {
        other.get(&key.text).is_some_and(|other| equal(value, other))
    };
    one.text() == other.text()
        && one.items().len() == other.items().len()
        && one.items().iter().zip(other.items()).all(|(one, other)| equal(one, other))
        && one.entries().len() == other.entries().len()
        && one.entries().iter().all(same_entry)
}

fn check_exec(server: &Server<'_>, probe: &Probe<'_>, exec: &Node, findings: &mut Findings) {
    const TOOLS: [&str; 7] = ["curl", "wget", "nc", "cat", "grpc_health_probe", "pgrep", "test"];
    let words: Vec<String> =
        exec.items_of("command").iter().filter_map(|word| word.text().map(str::to_owned)).collect();
    let Some(first) = words.first() else { return };
    let name = match probe.kind {
        ProbeKind::Readiness => "readyz",
        ProbeKind::Liveness => "healthz",
        ProbeKind::Startup => "startupz",
    };
    let fix = format!(
        "use httpGet with path {}, or [\"/usr/local/bin/rws\", \"probe\", \"{name}\"]",
        server.path_for(probe.kind)
    );
    let tool = base_name(first);
    let what = if let Some(why) = refused(&words) {
        let message = format!(
            "{}.exec fails every time: rws does not take this command line ({why}): {}; {fix}",
            probe.field(),
            probe.kind.consequence()
        );
        return findings.add_as(Severity::Error, &EXEC_PROBE, exec.place, message);
    } else if script_of(&words).is_some() || is_shell(first) {
        format!("runs a shell ({tool})")
    } else if TOOLS.contains(&tool) {
        format!("runs {tool}")
    } else {
        return;
    };
    // Another image may well have a shell: that is for its author to know.
    let severity = if server.stock { Severity::Warning } else { Severity::Note };
    let message = format!("{}.exec {what}, which the image of rws does not have; {fix}", probe.field());
    findings.add_as(severity, &EXEC_PROBE, exec.place, message);
}
