//! How often and how long probes ask.

use std::time::Duration;

use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::{Probe, ProbeKind};
use crate::config::PREFIX;

/// A liveness probe that gives up after this or less restarts pods for a pause of the node.
const HASTY: i64 = 10;

pub(super) static PROBE_TOO_TIGHT: Rule = Rule {
    id: "probe-too-tight",
    severity: Severity::Warning,
    summary: "a probe gives up after a single failure or a few seconds",
    explanation: "A node under load, CPU throttling or a lost packet make any server miss an answer now and then. A \
                  liveness probe that gives up within ten seconds turns that into a restart, on all pods at once if the \
                  cause is common; a readiness probe with periodSeconds 1 and failureThreshold 1 takes pods out of \
                  service for a second's pause; and a startup probe with failureThreshold 1 restarts whatever is not \
                  ready at once.",
    fix: "Leave periodSeconds at 10 (5 for readiness) and failureThreshold at 3; for a startup probe use 1 and 30.",
};

pub(super) static LIVENESS_WINDOW: Rule = Rule {
    id: "liveness-window",
    severity: Severity::Warning,
    summary: "the liveness probe gives up before the start may be over",
    explanation: "Without a startupProbe the liveness probe asks from the start. If initialDelaySeconds + periodSeconds × \
                  failureThreshold is less than what the start may take (RWS_CONFIG_STARTUP_TIMEOUT if it is set), the \
                  kubelet restarts a server that is still starting, and the next one too.",
    fix: "Add a startupProbe on /startupz with failureThreshold × periodSeconds above the longest start.",
};

pub(super) static STARTUP_WINDOW: Rule = Rule {
    id: "startup-window",
    severity: Severity::Warning,
    summary: "the startup probe gives up before RWS_CONFIG_STARTUP_TIMEOUT",
    explanation: "The kubelet kills the container when the startup probe has failed failureThreshold times. With less \
                  than RWS_CONFIG_STARTUP_TIMEOUT rws never comes to the point where it would say itself what takes so \
                  long.",
    fix: "Raise failureThreshold × periodSeconds above RWS_CONFIG_STARTUP_TIMEOUT.",
};

pub(super) static PROBE_TIMEOUT: Rule = Rule {
    id: "probe-timeout",
    severity: Severity::Warning,
    summary: "timeoutSeconds does not fit",
    explanation: "With timeoutSeconds above periodSeconds one hanging probe takes the time of several, so that a failure \
                  is seen later than periodSeconds × failureThreshold suggests. And an exec probe must get the time \
                  that its command waits (rws probe --timeout), or the kubelet kills it before it can say what fails. \
                  The httpGet probes of rws answer from memory: one second is plenty.",
    fix: "Set timeoutSeconds to at most periodSeconds, and above the timeout of the command.",
};

pub(super) static INITIAL_DELAY: Rule = Rule {
    id: "initial-delay",
    severity: Severity::Note,
    summary: "initialDelaySeconds where a startup probe does better",
    explanation: "A fixed delay is too long for most starts, which makes every rollout slower, and too short for the \
                  slowest. rws starts within milliseconds; a startupProbe waits exactly as long as an application needs.",
    fix: "Remove initialDelaySeconds and add a startupProbe with httpGet, path /startupz, periodSeconds 1 and a \
          failureThreshold for the longest start.",
};

pub(super) static RULES: Table = &[&PROBE_TOO_TIGHT, &LIVENESS_WINDOW, &STARTUP_WINDOW, &PROBE_TIMEOUT, &INITIAL_DELAY];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in cluster.servers.iter().filter(|server| !server.workload.is_batch()) {
        let startup = server.container.probe(ProbeKind::Startup);
        for probe in server.container.probes() {
            tight(&probe, findings);
            timeout(&probe, findings);
            if probe.kind != ProbeKind::Startup && startup.is_none() {
                delay(server, &probe, findings);
            }
        }
        window(server, startup.as_ref(), findings);
    }
}

fn tight(probe: &Probe<'_>, findings: &mut Findings) {
    let (period, failures) = (probe.period(), probe.failures());
    let consequence = match probe.kind {
        ProbeKind::Liveness if probe.patience() <= HASTY => "the container is restarted",
        ProbeKind::Startup if failures == 1 => "the container is restarted",
        ProbeKind::Readiness if period == 1 && failures == 1 => "the pod is out of service",
        _ => return,
    };
    let (better, often) = match probe.kind {
        ProbeKind::Startup => (1, 30),
        ProbeKind::Liveness => (10, 3),
        ProbeKind::Readiness => (5, 3),
    };
    let message = format!(
        "{}: after {} s without an answer (periodSeconds {period} × failureThreshold {failures}) {consequence}, which a \
         busy node is enough for; use periodSeconds {better} and failureThreshold {often}",
        probe.field(),
        probe.patience()
    );
    findings.add(&PROBE_TOO_TIGHT, probe.place_of("failureThreshold"), message);
}

fn timeout(probe: &Probe<'_>, findings: &mut Findings) {
    let (timeout, period) = (probe.timeout(), probe.period());
    if timeout > period {
        let message = format!(
            "{}.timeoutSeconds is {timeout}, longer than periodSeconds ({period}): a hanging probe is noticed late; \
             use at most {period}",
            probe.field()
        );
        findings.add(&PROBE_TIMEOUT, probe.place_of("timeoutSeconds"), message);
    }
    let command = probe.node.get("exec").map_or(&[][..], |exec| exec.items_of("command"));
    let words: Vec<&str> = command.iter().filter_map(|word| word.text()).collect();
    if let Some(own) = own_timeout(&words).filter(|own| own.as_secs_f64() >= timeout as f64) {
        let message = format!(
            "{}: the command waits up to {own:?}, but timeoutSeconds is {timeout}: the kubelet kills it before it can \
             say what fails; set timeoutSeconds to {}",
            probe.field(),
            own.as_secs() + 1
        );
        findings.add(&PROBE_TIMEOUT, probe.place_of("timeoutSeconds"), message);
    }
}

/// What `rws probe readyz --timeout 5s` says.
fn own_timeout(words: &[&str]) -> Option<Duration> {
    let at = words.iter().position(|word| word.starts_with("--timeout"))?;
    let text = words[at].strip_prefix("--timeout=").or_else(|| words.get(at + 1).copied())?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().ok()?;
    match unit {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn delay(server: &Server<'_>, probe: &Probe<'_>, findings: &mut Findings) {
    let delay = probe.initial_delay();
    if delay > 0 {
        let message = format!(
            "{}.initialDelaySeconds is {delay}: every start waits that long, whether it needs to or not, and a longer one \
             is not waited for; remove it and add a startupProbe with path {}",
            probe.field(),
            server.path_for(ProbeKind::Startup)
        );
        findings.add(&INITIAL_DELAY, probe.place_of("initialDelaySeconds"), message);
    }
}

fn window(server: &Server<'_>, startup: Option<&Probe<'_>>, findings: &mut Findings) {
    let limit = server.settings.text("STARTUP_TIMEOUT").and_then(seconds);
    let (probe, rule) = match (startup, server.container.probe(ProbeKind::Liveness)) {
        (Some(startup), _) => (*startup, &STARTUP_WINDOW),
        (None, Some(liveness)) => (liveness, &LIVENESS_WINDOW),
        (None, None) => return,
    };
    let window = probe.initial_delay().saturating_add(probe.patience());
    let Some(limit) = limit.filter(|limit| *limit > window) else { return };
    let how = if startup.is_some() { "raise its failureThreshold" } else { "add a startupProbe with path /startupz" };
    let message = format!(
        "{} gives up after {window} s, but {PREFIX}STARTUP_TIMEOUT lets the start take {limit} s: the kubelet would \
         restart a server that is still starting; {how}",
        probe.field()
    );
    findings.add(rule, probe.place, message);
}

fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: i64 = number.parse().ok()?;
    match unit {
        "" | "s" => Some(number),
        "ms" => Some(number / 1000),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    }
}
