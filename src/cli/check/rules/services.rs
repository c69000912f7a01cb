//! Services and what selects pods: whether requests arrive.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::objects::{Object, selects, shown_labels};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::Workload;
use crate::cli::check::yaml::Node;
use crate::config::{PREFIX, Status, find};

pub(super) static SERVICE_SELECTOR: Rule = Rule {
    id: "service-selector",
    severity: Severity::Error,
    summary: "a Service that selects no pod",
    explanation: "A Service sends its traffic to the pods whose labels have everything that its selector asks for. One \
                  label off, and it has no endpoints: connection refused, or 503 from the ingress.",
    fix: "Make the selector a part of the labels in spec.template.metadata.labels.",
};

pub(super) static SERVICE_PORT: Rule = Rule {
    id: "service-port",
    severity: Severity::Error,
    summary: "a Service's targetPort reaches nothing",
    explanation: "targetPort is a port of the pod: the name of one that a container declares, or a number on which \
                  something listens. Without it the Service uses the number of its own port.",
    fix: "Set targetPort to the name of the declared port (http), and declare the port that RWS_CONFIG_PORT says.",
};

pub(super) static SELECTOR_MISMATCH: Rule = Rule {
    id: "selector-mismatch",
    severity: Severity::Error,
    summary: "a workload's selector does not match its own pods",
    explanation: "The API refuses a workload whose spec.selector does not select the labels of its template.",
    fix: "Make spec.selector.matchLabels a part of spec.template.metadata.labels.",
};

pub(super) static SERVICE_LINKS: Rule = Rule {
    id: "service-links",
    severity: Severity::Warning,
    summary: "a Service whose name makes Kubernetes set RWS_CONFIG_ variables",
    explanation: "For every Service of the namespace the kubelet sets variables in each container: a Service called \
                  rws-config makes RWS_CONFIG_PORT=tcp://10.0.0.1:7878. rws recognises and ignores these, but other \
                  readers of that environment do not, and a variable of that name that is not set elsewhere looks set.",
    fix: "Set enableServiceLinks: false in the pod's spec, or give the Service another name.",
};

pub(super) static INGRESS_BACKEND: Rule = Rule {
    id: "ingress-backend",
    severity: Severity::Error,
    summary: "an Ingress or HTTPRoute to a port that the Service does not have",
    explanation: "A backend names a port of the Service, not of the pod. With another one the ingress controller answers \
                  503 to everything.",
    fix: "Use the name or number in the Service's spec.ports.",
};

pub(super) static RULES: Table =
    &[&SERVICE_SELECTOR, &SERVICE_PORT, &SELECTOR_MISMATCH, &SERVICE_LINKS, &INGRESS_BACKEND];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for service in cluster.objects.of_kind("Service") {
        let selector = service.node.path(&["spec", "selector"]);
        let beside = cluster.workloads.iter().filter(|workload| cluster.objects.beside(&workload.object, service));
        let selected: Vec<&Workload<'_>> = beside.filter(|workload| selects(selector, workload.labels())).collect();
        match selector.filter(|selector| !selector.entries().is_empty()) {
            Some(selector) if selected.is_empty() => selects_nothing(cluster, service, selector, findings),
            _ => {}
        }
        for server in cluster.servers.iter().filter(|server| {
            selected.iter().any(|workload| std::ptr::eq(workload.object.node, server.workload.object.node))
        }) {
            ports(server, service, findings);
        }
        links(cluster, service, findings);
    }
    cluster.servers.iter().for_each(|server| own_selector(server, findings));
    cluster.objects.of_kind("Ingress").for_each(|ingress| backends(cluster, ingress, findings));
    cluster.objects.of_kind("HTTPRoute").for_each(|route| references(cluster, route, findings));
}

/// Only a fault if it was meant for a pod of the input: others may be made by an operator.
fn selects_nothing(cluster: &Cluster<'_>, service: &Object<'_>, selector: &Node, findings: &mut Findings) {
    let beside = |server: &&Server<'_>| cluster.objects.beside(&server.workload.object, service);
    let alone = cluster.workloads.len() == 1 && cluster.objects.of_kind("Service").count() == 1;
    let mut servers = cluster.servers.iter().filter(beside);
    let meant =
        servers.find(|server| alone || server.workload.object.name == service.name || is_meant(selector, server));
    let Some(server) = meant else { return };
    let message = format!(
        "{} selects {}, but the pods of {} have {}: it has no endpoints; make the selector match",
        service.title(),
        short(&shown_labels(Some(selector))),
        server.workload.object.title(),
        short(&shown_labels(server.workload.labels()))
    );
    findings.add(&SERVICE_SELECTOR, selector.place, message);
}

/// Whether the label that says which application it is is there, or nearly.
fn is_meant(selector: &Node, server: &Server<'_>) -> bool {
    /// Labels that name an application.
    const NAMES: [&str; 4] = ["app", "app.kubernetes.io/name", "k8s-app", "name"];
    /// Jaro-Winkler similarity of a slip of the pen.
    const SIMILAR: f64 = 0.88;
    let label = |key| server.workload.labels().and_then(|labels| labels.text_of(key));
    NAMES.into_iter().any(|key| {
        let both = selector.text_of(key).zip(label(key));
        both.is_some_and(|(wanted, is)| strsim::jaro_winkler(wanted, is) >= SIMILAR)
    })
}

fn ports(server: &Server<'_>, service: &Object<'_>, findings: &mut Findings) {
    let alone = server.workload.running().len() == 1;
    for port in service.node.get("spec").map_or(&[][..], |spec| spec.items_of("ports")) {
        let target = port.get("targetPort").filter(|target| target.text().is_some());
        let Some(node) = target.or_else(|| port.get("port")) else { continue };
        let text = node.text().unwrap_or_default();
        let title = service.title();
        if let Some(target) = target.filter(|target| target.is_quoted_number()) {
            let message = format!(
                "{title}: targetPort is \"{text}\" in quotes, which makes it the name of a port, and a name needs a \
                 letter: the API refuses it; write {text} without quotes"
            );
            findings.add(&SERVICE_PORT, target.place, message);
        }
        if node.number().is_none() {
            named_port(server, &title, node, text, findings);
            continue;
        }
        let Some(number) = node.number().and_then(|number| u16::try_from(number).ok()) else { continue };
        // A container beside it may listen on ports that it does not declare.
        if !alone || server.listener_on(number) != Ok(None) {
            continue;
        }
        // A program on the library may have a listener of its own that it does not declare.
        let severity = if server.stock { SERVICE_PORT.severity } else { Severity::Warning };
        let said = if target.is_some() { "targetPort" } else { "port, without a targetPort," };
        let message = format!(
            "{title}: {said} is {number}, where nothing listens: rws listens on {}; use targetPort: {}",
            server.shown_listeners(),
            wanted(server)
        );
        findings.add_as(severity, &SERVICE_PORT, node.place, message);
    }
}

fn named_port(server: &Server<'_>, service: &str, node: &Node, text: &str, findings: &mut Findings) {
    let running = server.workload.running();
    let mut all = running.iter().flat_map(|container| container.ports().map(move |port| (container, port)));
    match all.find(|(_, port)| port.name == Some(text)) {
        None => {
            let message = format!(
                "{service}: targetPort is {}, a name that no container of {} declares: it has no endpoints; use {}",
                short(text),
                server.workload.object.title(),
                wanted(server)
            );
            findings.add(&SERVICE_PORT, node.place, message);
        }
        Some((owner, port)) if owner.name == server.container.name => {
            let Some(number) = port.number.filter(|number| server.listener_on(*number) == Ok(None)) else { return };
            let message = format!(
                "{service}: targetPort {text} is containerPort {number}, where nothing listens: rws listens on {}; set \
                 that containerPort to {}",
                server.shown_listeners(),
                server.main_port()
            );
            findings.add(&SERVICE_PORT, node.place, message);
        }
        Some(_) => {}
    }
}

/// What a targetPort should say.
fn wanted(server: &Server<'_>) -> String {
    let main = server.main_port();
    let declared = server.container.ports().find(|port| port.number == Some(main)).and_then(|port| port.name);
    declared.map_or_else(|| main.to_string(), str::to_owned)
}

fn own_selector(server: &Server<'_>, findings: &mut Findings) {
    let Some(selector) = server.workload.object.spec(&["selector", "matchLabels"]) else { return };
    let labels = server.workload.labels();
    if !selects(Some(selector), labels) && !selector.entries().is_empty() {
        let message = format!(
            "{} selects {}, but its own pods have {}: the API refuses it; make both the same",
            server.workload.object.title(),
            short(&shown_labels(Some(selector))),
            short(&shown_labels(labels))
        );
        findings.add(&SELECTOR_MISMATCH, selector.place, message);
    }
}

fn links(cluster: &Cluster<'_>, service: &Object<'_>, findings: &mut Findings) {
    let name = service.name.to_ascii_uppercase().replace('-', "_");
    // Headless Services get no variables.
    let headless = service.node.path(&["spec", "clusterIP"]).and_then(Node::text) == Some("None");
    if headless || !format!("{name}_").starts_with(PREFIX) {
        return;
    }
    let short_name = format!("{name}_PORT").trim_start_matches(PREFIX).to_owned();
    let variable = find(&short_name).filter(|variable| variable.status == Status::Supported);
    let Some(server) = cluster.servers.iter().find(|server| {
        cluster.objects.beside(&server.workload.object, service)
            && server.workload.pod.boolean_of("enableServiceLinks") != Some(false)
    }) else {
        return;
    };
    let what = variable.map_or_else(|| format!("{name}_… variables"), |_| format!("{PREFIX}{short_name}=tcp://…"));
    let message = format!(
        "{} makes Kubernetes set {what} in {}; set enableServiceLinks: false there, or rename the Service",
        service.title(),
        server.workload.object.title()
    );
    findings.add(&SERVICE_LINKS, service.place(), message);
}

/// The backends of an Ingress.
fn backends(cluster: &Cluster<'_>, ingress: &Object<'_>, findings: &mut Findings) {
    let rules = ingress.spec(&["rules"]).map_or(&[][..], Node::items).iter();
    let paths = rules.filter_map(|rule| rule.get("http")).flat_map(|http| http.items_of("paths"));
    for backend in paths.filter_map(|path| path.get("backend")).chain(ingress.spec(&["defaultBackend"])) {
        let Some(service) = backend.get("service") else { continue };
        let port = service.get("port").and_then(|port| port.get("name").or_else(|| port.get("number")));
        if let (Some(name), Some(port)) = (service.text_of("name"), port) {
            backend_port(cluster, ingress, name, port, findings);
        }
    }
}

/// The backends of an HTTPRoute (Gateway API).
fn references(cluster: &Cluster<'_>, route: &Object<'_>, findings: &mut Findings) {
    let rules = route.spec(&["rules"]).map_or(&[][..], Node::items).iter();
    for backend in rules.flat_map(|rule| rule.items_of("backendRefs")) {
        let is_service =
            backend.text_of("kind").is_none_or(|kind| kind == "Service") && backend.get("namespace").is_none();
        if let (Some(name), Some(port), true) = (backend.text_of("name"), backend.get("port"), is_service) {
            backend_port(cluster, route, name, port, findings);
        }
    }
}

fn backend_port(cluster: &Cluster<'_>, from: &Object<'_>, name: &str, port: &Node, findings: &mut Findings) {
    let Some(service) = cluster.objects.find("Service", name, from) else { return };
    let pods = service.spec(&["selector"]);
    // What stands before other servers is none of our business.
    let ours = cluster.servers.iter().any(|server| selects(pods, server.workload.labels()));
    let ports = service.spec(&["ports"]).map_or(&[][..], Node::items);
    let there = ports.iter().any(|own| match port.number() {
        Some(number) => own.number_of("port") == Some(number),
        None => own.text_of("name") == port.text(),
    });
    if there || !ours {
        return;
    }
    let shown = |own: &Node| Some(own.text_of("name").or(own.text_of("port"))?.to_owned());
    let message = format!(
        "{} sends to port {} of {}, which has {}: it would answer 503; use one of those",
        from.title(),
        short(port.text().unwrap_or_default()),
        service.title(),
        short(&ports.iter().filter_map(shown).collect::<Vec<_>>().join(", "))
    );
    findings.add(&INGRESS_BACKEND, port.place, message);
}
