//! The end of a pod: whether SIGTERM arrives, and whether there is time for the drain.

use crate::cli::check::command::{Program, runs_rws};
use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::Role;
use crate::cli::check::yaml::Node;
use crate::config::PREFIX;

pub(super) static GRACE_PERIOD: Rule = Rule {
    id: "grace-period",
    severity: Severity::Warning,
    summary: "the drain takes longer than terminationGracePeriodSeconds",
    explanation: "From the moment a pod is told to end, the preStop hook, RWS_CONFIG_DRAIN_DELAY (5 s in Kubernetes \
                  unless set) and RWS_CONFIG_DRAIN_TIMEOUT (20 s) run one after the other. When \
                  terminationGracePeriodSeconds (30) is over, the kubelet sends SIGKILL, and every request that is \
                  still running is lost.",
    fix: "Set terminationGracePeriodSeconds above the sum, with a few seconds to spare, or shorten the drain.",
};

pub(super) static PRESTOP_SLEEP: Rule = Rule {
    id: "prestop-sleep",
    severity: Severity::Note,
    summary: "a preStop hook that sleeps",
    explanation: "It is there so that the pod goes on serving until every endpoint list has dropped it. \
                  RWS_CONFIG_DRAIN_DELAY does that, with readiness failing and connections closing in the meantime.",
    fix: "Remove the hook.",
};

pub(super) static PRESTOP_SHELL: Rule = Rule {
    id: "prestop-shell",
    severity: Severity::Warning,
    summary: "a preStop hook that needs a shell or a tool",
    explanation: "The image of rws has neither. The hook fails (FailedPreStopHook) and SIGTERM follows at once, so that \
                  whatever it was for does not happen.",
    fix: "Remove the hook: RWS_CONFIG_DRAIN_DELAY waits for the endpoints to be updated. Or use preStop.sleep.",
};

pub(super) static DRAIN_OFF: Rule = Rule {
    id: "drain-off",
    severity: Severity::Warning,
    summary: "no drain, so that requests are lost at every rollout",
    explanation: "Endpoints are removed at the same time as SIGTERM is sent, and nodes and ingress controllers hear of \
                  it later. With RWS_CONFIG_DRAIN_DELAY=0 and no preStop hook rws stops listening while they still send: \
                  connection refused. With RWS_CONFIG_DRAIN_TIMEOUT=0 the requests that are running are cut off.",
    fix: "Remove the setting: the defaults are 5 s inside Kubernetes, and 20 s.",
};

pub(super) static SIGTERM_LOST: Rule = Rule {
    id: "sigterm-lost",
    severity: Severity::Warning,
    summary: "a shell stands between Kubernetes and rws",
    explanation: "SIGTERM goes to the first process of the container. A shell there does not pass it on: rws never \
                  drains, and is killed together with its requests when the grace period is over. The image of rws has \
                  no shell anyway.",
    fix: "Run rws itself (command: [\"/usr/local/bin/rws\"]), or at least put exec before it in the script, without a \
          pipe.",
};

pub(super) static RULES: Table = &[&GRACE_PERIOD, &PRESTOP_SLEEP, &PRESTOP_SHELL, &DRAIN_OFF, &SIGTERM_LOST];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        sigterm(server, findings);
        let hook = server.container.node.path(&["lifecycle", "preStop"]);
        // A command that the image does not have fails at once.
        let runs = hook.filter(|hook| !server.stock || hook.get("exec").is_none());
        let sleep = runs.and_then(sleeps);
        let known = ["DRAIN_DELAY", "DRAIN_TIMEOUT"].iter().all(|name| server.settings.is_known(name));
        if known {
            grace_period(server, sleep.unwrap_or_default(), findings);
        }
        if !server.workload.is_batch() {
            drain_off(server, hook.is_some(), findings);
        }
        if let Some(hook) = hook {
            check_hook(server, hook, sleep, findings);
        }
    }
}

/// The seconds that a hook sleeps, if that is what it does.
fn sleeps(hook: &Node) -> Option<i64> {
    if let Some(seconds) = hook.path(&["sleep", "seconds"]).and_then(Node::number) {
        return Some(seconds);
    }
    let command = hook.get("exec")?.items_of("command");
    let words: Vec<&str> = command.iter().filter_map(Node::text).flat_map(str::split_whitespace).collect();
    let at = words.iter().position(|word| *word == "sleep" || word.ends_with("/sleep"))?;
    words.get(at + 1)?.trim_end_matches(['s', ';']).parse().ok()
}

fn grace_period(server: &Server<'_>, hook: i64, findings: &mut Findings) {
    let grace = server.workload.grace_period();
    let config = &server.settings.config;
    let (delay, timeout) = (config.drain_delay.as_secs() as i64, config.drain_timeout.as_secs() as i64);
    let sum = hook.saturating_add(delay).saturating_add(timeout);
    if sum < grace {
        return;
    }
    let node = server.workload.pod.get("terminationGracePeriodSeconds");
    let pod = server.workload.pod;
    let place = node.map_or_else(|| pod.entry("containers").map_or(pod.place, |(key, _)| key.place), |node| node.place);
    let before = if hook > 0 { format!("preStop {hook} s + ") } else { String::new() };
    let said = if node.is_some() { "is" } else { "is by default" };
    // Nothing of the drain is left if the wait before it takes all the time.
    let severity = if hook + delay >= grace { Severity::Error } else { Severity::Warning };
    let message = format!(
        "terminationGracePeriodSeconds {said} {grace}, but {before}{PREFIX}DRAIN_DELAY {delay} s + {PREFIX}DRAIN_TIMEOUT \
         {timeout} s take {sum} s: the kubelet kills rws before its requests are answered; set it to {}",
        sum + 5
    );
    findings.add_as(severity, &GRACE_PERIOD, place, message);
}

fn drain_off(server: &Server<'_>, has_hook: bool, findings: &mut Findings) {
    let config = &server.settings.config;
    if let (Some(place), true, false) = (server.place_of("DRAIN_DELAY"), config.drain_delay.is_zero(), has_hook) {
        let message = format!(
            "{PREFIX}DRAIN_DELAY is 0: rws stops listening while nodes still send it requests; remove it (5s is the \
             default inside Kubernetes)"
        );
        findings.add(&DRAIN_OFF, place, message);
    }
    if let (Some(place), true) = (server.place_of("DRAIN_TIMEOUT"), config.drain_timeout.is_zero()) {
        let message = format!(
            "{PREFIX}DRAIN_TIMEOUT is 0: requests that are running at SIGTERM are cut off; remove it (20s is the default)"
        );
        findings.add(&DRAIN_OFF, place, message);
    }
}

fn sigterm(server: &Server<'_>, findings: &mut Findings) {
    let Program::Shell { script, place } = &server.program else { return };
    let piped = script.contains('|') && !script.contains("||");
    if server.container.role == Role::Init || !runs_rws(script) || (executes_rws(script) && !piped) {
        return;
    }
    let message = "the shell gets SIGTERM and does not pass it on: rws never drains and is killed with its requests; use \
                   command: [\"/usr/local/bin/rws\"]";
    findings.add(&SIGTERM_LOST, *place, message);
}

/// Whether the shell gives its place to rws.
fn executes_rws(script: &str) -> bool {
    script.split([';', '&', '|', '\n']).map(str::trim).any(|part| part.starts_with("exec ") && runs_rws(part))
}

fn check_hook(server: &Server<'_>, hook: &Node, sleep: Option<i64>, findings: &mut Findings) {
    if let Some(exec) = hook.get("exec").filter(|_| server.stock) {
        let first = exec.items_of("command").first().and_then(Node::text).unwrap_or_default();
        let message = format!(
            "preStop runs {}, which the image of rws does not have: the hook fails and SIGTERM follows at once; remove \
             it, {PREFIX}DRAIN_DELAY does the waiting",
            crate::cli::check::finding::short(first)
        );
        if crate::cli::check::command::base_name(first) != "rws" {
            findings.add(&PRESTOP_SHELL, exec.place, message);
        }
    } else if let Some(seconds) = sleep {
        let delay = server.settings.config.drain_delay.as_secs();
        if delay == 0 {
            return;
        }
        let message = format!(
            "preStop sleeps {seconds} s, and then rws waits {delay} s for the same reason ({PREFIX}DRAIN_DELAY); remove \
             the hook"
        );
        findings.add(&PRESTOP_SLEEP, hook.place, message);
    }
}
