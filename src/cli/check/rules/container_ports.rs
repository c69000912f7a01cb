//! Ports that a container declares, against those that rws listens on.

use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::Port;
use crate::config::PREFIX;

pub(super) static CONTAINER_PORT: Rule = Rule {
    id: "container-port",
    severity: Severity::Warning,
    summary: "containerPort is not a port that rws listens on",
    explanation: "A containerPort opens nothing: it only documents a port and gives it a name. When it differs from \
                  RWS_CONFIG_PORT (7878 unless set), whatever goes by the declaration, such as a probe or a Service \
                  with a named port, a NetworkPolicy or a reader, goes to a port where nothing listens, and every \
                  connection is refused.",
    fix: "Declare the port that RWS_CONFIG_PORT says, and let probes and Services refer to it by its name.",
};

pub(super) static DUPLICATE_PORT: Rule = Rule {
    id: "duplicate-port-name",
    severity: Severity::Error,
    summary: "two ports of a pod have the same name",
    explanation: "Within a container the API refuses the manifest. In two containers of one pod it is accepted, and a \
                  Service or probe that uses the name gets one of them.",
    fix: "Give each port a name of its own.",
};

pub(super) static HOST_PORT: Rule = Rule {
    id: "host-port",
    severity: Severity::Note,
    summary: "the pod takes a port of its node",
    explanation: "With hostPort or hostNetwork only one such pod fits on a node, a rollout has to stop the old pod \
                  before the new one can start there, and the port is open to whoever reaches the node.",
    fix: "Use a Service, unless the node's own address is what clients need.",
};

pub(super) static PRIVILEGED_PORT: Rule = Rule {
    id: "privileged-port",
    severity: Severity::Warning,
    summary: "a port below 1024 without the right to open it",
    explanation: "Ports below 1024 are reserved for root, unless the container runtime or a sysctl of the pod lowers \
                  that bound. Some runtimes do and some do not, so the pod may start on one node and end with exit \
                  code 3 on another.",
    fix: "Listen on a port from 1024 up and let the Service map its port 80 to it with targetPort; or set the pod's \
          sysctl net.ipv4.ip_unprivileged_port_start.",
};

pub(super) static RANDOM_PORT: Rule = Rule {
    id: "random-port",
    severity: Severity::Error,
    summary: "RWS_CONFIG_PORT=0 in a pod",
    explanation: "With port 0 the system chooses a port at every start. That is for tests: in a pod no probe and no \
                  Service can know it.",
    fix: "Set a fixed port, for example RWS_CONFIG_PORT=8080.",
};

pub(super) static RULES: Table = &[&CONTAINER_PORT, &DUPLICATE_PORT, &PRIVILEGED_PORT, &RANDOM_PORT, &HOST_PORT];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        server.container.ports().for_each(|port| container_port(server, &port, findings));
        duplicate_names(server, findings);
        privileged(server, findings);
        host(server, findings);
        let port = server.settings.text("PORT");
        if let (Some("0"), Some(place)) = (port, server.place_of("PORT")) {
            let message = "RWS_CONFIG_PORT=0 lets the system choose a port, which no probe and no Service can know; \
                           set a fixed one, for example 8080";
            findings.add(&RANDOM_PORT, place, message);
        }
    }
}

fn container_port(server: &Server<'_>, port: &Port<'_>, findings: &mut Findings) {
    let Some(number) = port.number else { return };
    if let Some(node) = port.node.get("containerPort").filter(|node| node.is_quoted_number()) {
        let message =
            format!("containerPort is \"{number}\" in quotes, and the API takes only a number; remove the quotes");
        findings.add_as(Severity::Error, &CONTAINER_PORT, node.place, message);
    }
    if server.listener_on(number) != Ok(None) {
        return;
    }
    let place = port.node.get("containerPort").map_or(port.node.place, |node| node.place);
    let main = server.main_port();
    let message = format!(
        "containerPort is {number}, but rws listens on {}: set containerPort to {main}, or {PREFIX}PORT to {number}",
        server.shown_listeners()
    );
    findings.add(&CONTAINER_PORT, place, message);
}

fn duplicate_names(server: &Server<'_>, findings: &mut Findings) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for container in server.workload.running() {
        for port in container.ports() {
            let Some(name) = port.name else { continue };
            match seen.iter().find(|(other, _)| *other == name) {
                None => seen.push((name, container.name)),
                Some((_, owner)) => {
                    let place = port.node.get("name").map_or(port.node.place, |node| node.place);
                    let message = format!(
                        "the port name {name} is taken by container {owner} already: whoever uses the name gets one \
                         of the two; give each port a name of its own"
                    );
                    let same = *owner == container.name;
                    let severity = if same { DUPLICATE_PORT.severity } else { Severity::Warning };
                    findings.add_as(severity, &DUPLICATE_PORT, place, message);
                }
            }
        }
    }
}

fn privileged(server: &Server<'_>, findings: &mut Findings) {
    for listener in server.listeners() {
        let Some(port) = listener.port.filter(|port| *port < 1024 && *port > 0) else { continue };
        if may_open(server, port) {
            continue;
        }
        let variable = listener.variable;
        let place = server.place_of(variable).unwrap_or(server.container.place());
        let message = format!(
            "{PREFIX}{variable} is {port}, and ports below 1024 need root or a sysctl on some nodes: listen on {}, and \
             let the Service map port {port} to it with targetPort",
            u32::from(port) + 8000
        );
        findings.add(&PRIVILEGED_PORT, place, message);
    }
}

fn may_open(server: &Server<'_>, port: u16) -> bool {
    let pod = server.workload.pod;
    let root = server.container.security(pod, "runAsUser").and_then(|user| user.number()) == Some(0);
    let added = server.container.node.path(&["securityContext", "capabilities", "add"]);
    let capability = added.is_some_and(|added| {
        added.items().iter().filter_map(|name| name.text()).any(|name| ["NET_BIND_SERVICE", "ALL"].contains(&name))
    });
    let sysctls = pod.path(&["securityContext", "sysctls"]).map_or(&[][..], |list| list.items());
    let lowered = sysctls.iter().any(|sysctl| {
        sysctl.text_of("name") == Some("net.ipv4.ip_unprivileged_port_start")
            && sysctl.number_of("value").is_some_and(|start| start <= i64::from(port))
    });
    root || capability || lowered
}

fn host(server: &Server<'_>, findings: &mut Findings) {
    if server.workload.object.kind == "DaemonSet" {
        return;
    }
    if let Some((key, _)) = server.workload.pod.entry("hostNetwork").filter(|_| server.workload.uses_host_network()) {
        let message = "hostNetwork: the pod takes its ports from the node, so only one fits on each and a rollout must \
                       stop the old pod first; use a Service instead";
        findings.add(&HOST_PORT, key.place, message);
    }
    for port in server.container.ports() {
        if let Some((key, value)) = port.node.entry("hostPort").filter(|(_, value)| value.number() != Some(0)) {
            let message = format!(
                "hostPort {}: only one such pod fits on a node, and a rollout must stop the old one first; use a \
                 Service instead",
                value.text().unwrap_or_default()
            );
            findings.add(&HOST_PORT, key.place, message);
        }
    }
}
