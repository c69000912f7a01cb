//! Scrapes: whether Prometheus asks where the metrics are.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::objects::{Object, label_selector_selects, selects};
use crate::cli::check::place::Place;
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Listener, Server};
use crate::cli::check::yaml::Node;
use crate::config::PREFIX;

pub(super) static METRICS_TARGET: Rule = Rule {
    id: "metrics-target",
    severity: Severity::Warning,
    summary: "Prometheus asks where the metrics are not",
    explanation: "The metrics are on RWS_CONFIG_PORT, or on RWS_CONFIG_ADMIN_PORT alone if that is set, at \
                  RWS_CONFIG_METRICS_PATH (/metrics). A scrape that goes elsewhere gets 404 or no connection: no graphs, \
                  no alerts, and an autoscaler on these metrics does not scale. A ServiceMonitor names a port of the \
                  Service, a PodMonitor one of the container, and the annotations prometheus.io/port and \
                  prometheus.io/path say it for scrape configurations that go by them.",
    fix: "Let the ServiceMonitor, PodMonitor or annotation name the port and path that the message says.",
};

pub(super) static RULES: Table = &[&METRICS_TARGET];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    cluster.servers.iter().for_each(|server| annotations(server, findings));
    cluster.objects.of_kind("ServiceMonitor").for_each(|monitor| service_monitor(cluster, monitor, findings));
    cluster.objects.of_kind("PodMonitor").for_each(|monitor| pod_monitor(cluster, monitor, findings));
}

/// One scrape, as far as it is known where it goes.
struct Scrape<'a> {
    who: String,
    /// The node that says the port, and the port it comes to.
    port: Option<(&'a Node, u16)>,
    path: Option<&'a Node>,
}

fn annotations(server: &Server<'_>, findings: &mut Findings) {
    let annotation = |name: &str| server.workload.metadata?.get("annotations")?.get(&format!("prometheus.io/{name}"));
    if annotation("scrape").and_then(Node::text) != Some("true") {
        return;
    }
    let port = annotation("port").and_then(|node| Some((node, node.number()?.try_into().ok()?)));
    // A port of another container, such as a mesh that merges the metrics, is for that to know.
    if port.is_some_and(|(_, port)| server.workload.running().len() > 1 && server.listener_on(port) == Ok(None)) {
        return;
    }
    let who = format!("the prometheus.io annotation of {}", server.workload.object.title());
    judge(server, &Scrape { who, port, path: annotation("path") }, findings);
}

fn service_monitor(cluster: &Cluster<'_>, monitor: &Object<'_>, findings: &mut Findings) {
    let Some(selector) = monitor.spec(&["selector"]).filter(|selector| !takes_all(selector)) else { return };
    let selected = |service: &&Object<'_>| {
        label_selector_selects(selector, service.node.path(&["metadata", "labels"])) == Some(true)
    };
    let services: Vec<_> = cluster.objects.of_kind("Service").filter(selected).collect();
    let behind: Vec<_> =
        services.iter().filter_map(|service| Some((*service, server_behind(cluster, service)?))).collect();
    for endpoint in monitor.spec(&["endpoints"]).map_or(&[][..], Node::items) {
        let Some(node) = endpoint.get("port") else { continue };
        let mut is_somewhere = services.len() > behind.len();
        for (service, server) in &behind {
            let ports = service.spec(&["ports"]).map_or(&[][..], Node::items);
            let Some(port) = ports.iter().find(|port| port.text_of("name") == node.text()) else { continue };
            is_somewhere = true;
            let port = port.get("targetPort").or_else(|| port.get("port")).and_then(|target| number(server, target));
            let port = port.map(|port| (node, port));
            judge(server, &Scrape { who: monitor.title(), port, path: endpoint.get("path") }, findings);
        }
        if let (Some((service, _)), false) = (behind.first(), is_somewhere) {
            let name = short(node.text().unwrap_or_default());
            let message = format!(
                "{} scrapes the port {name}, which {} does not have: no metrics; use the name of one of its ports",
                monitor.title(),
                service.title()
            );
            findings.add(&METRICS_TARGET, node.place, message);
        }
    }
}

/// An empty selector: whoever has the port is scraped, and nobody has to.
fn takes_all(selector: &Node) -> bool {
    let labels = selector.get("matchLabels").map_or(&[][..], Node::entries);
    labels.is_empty() && selector.items_of("matchExpressions").is_empty()
}

fn server_behind<'c, 'a>(cluster: &'c Cluster<'a>, service: &Object<'_>) -> Option<&'c Server<'a>> {
    let pods = service.spec(&["selector"]);
    cluster.servers.iter().find(|server| {
        cluster.objects.beside(&server.workload.object, service) && selects(pods, server.workload.labels())
    })
}

fn pod_monitor(cluster: &Cluster<'_>, monitor: &Object<'_>, findings: &mut Findings) {
    let Some(selector) = monitor.spec(&["selector"]).filter(|selector| !takes_all(selector)) else { return };
    let selected = |server: &&Server<'_>| label_selector_selects(selector, server.workload.labels()) == Some(true);
    let Some(server) = cluster.servers.iter().find(selected) else { return };
    for endpoint in monitor.spec(&["podMetricsEndpoints"]).map_or(&[][..], Node::items) {
        let port = endpoint.get("port").and_then(|node| Some((node, number(server, node)?)));
        judge(server, &Scrape { who: monitor.title(), port, path: endpoint.get("path") }, findings);
    }
}

/// The number of a port that is given by name or number.
fn number(server: &Server<'_>, target: &Node) -> Option<u16> {
    match target.number() {
        Some(number) => number.try_into().ok(),
        None => server.container.ports().find(|port| port.name == target.text())?.number,
    }
}

fn judge(server: &Server<'_>, scrape: &Scrape<'_>, findings: &mut Findings) {
    let Some(Listener { variable, port: Some(right), .. }) = with_metrics(server) else { return };
    let path = &server.settings.config.metrics_path;
    let mut wrong = |place: Place, what: String| {
        let message = format!(
            "{} {what}, but the metrics of rws are on port {right} ({PREFIX}{variable}) at {path}; use that",
            scrape.who
        );
        findings.add(&METRICS_TARGET, place, message);
    };
    if let Some((node, port)) = scrape.port.filter(|(_, port)| *port != right) {
        wrong(node.place, format!("asks on port {port}"));
    }
    if let Some(node) = scrape.path.filter(|node| node.text().is_some_and(|text| text != path)) {
        wrong(node.place, format!("asks for {}", short(node.text().unwrap_or_default())));
    }
}

/// The listener that has the metrics; `None` if that depends on what is not known.
fn with_metrics(server: &Server<'_>) -> Option<Listener> {
    let known = ["PORT", "ADMIN_PORT", "METRICS_PATH"].iter().all(|name| server.settings.is_known(name));
    let listeners = server.listeners();
    let admin = listeners.iter().find(|listener| listener.variable == "ADMIN_PORT");
    admin.or(listeners.first()).filter(|_| known).copied()
}
