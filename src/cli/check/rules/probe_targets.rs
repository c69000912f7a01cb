//! What probes ask, against what rws answers: port, scheme, path, host.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::paths::{Answer, nearest};
use crate::cli::check::place::Place;
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Listener, Server};
use crate::cli::check::workload::{Handler, Probe, ProbeKind, path_asked};
use crate::cli::check::yaml::Node;
use crate::config::PREFIX;

pub(super) static PROBE_PORT: Rule = Rule {
    id: "probe-port",
    severity: Severity::Error,
    summary: "a probe asks on a port where nothing listens",
    explanation: "The connection is refused, which counts as a failure: a liveness probe restarts a healthy server, a \
                  readiness probe keeps it without traffic. A named port counts only if the same container declares \
                  it. rws listens on RWS_CONFIG_PORT, and on RWS_CONFIG_ADMIN_PORT and RWS_CONFIG_HTTP_REDIRECT_PORT \
                  if they are set.",
    fix: "Name the declared port (port: http), and declare the port that RWS_CONFIG_PORT says.",
};

pub(super) static PROBE_PATH: Rule = Rule {
    id: "probe-path",
    severity: Severity::Error,
    summary: "a probe asks for a path that rws does not serve",
    explanation: "404 counts as a failure, as does every status but 200 to 399. rws answers on /healthz, /livez, \
                  /readyz and /startupz, or where RWS_CONFIG_HEALTHZ_PATH, RWS_CONFIG_READYZ_PATH and \
                  RWS_CONFIG_STARTUPZ_PATH move them. Paths are case-sensitive, and one with a slash at the end is \
                  another path. A route of your own may stand behind a probe, but it is not kept apart from load as the \
                  probes of rws are.",
    fix: "Ask for /healthz in the livenessProbe, /readyz in the readinessProbe and /startupz in the startupProbe.",
};

pub(super) static PROBE_SCHEME: Rule = Rule {
    id: "probe-scheme",
    severity: Severity::Error,
    summary: "HTTPS on a plain port, or HTTP on a TLS port",
    explanation: "A probe with scheme: HTTPS begins with a TLS handshake, which a plain port answers with 400; and a TLS \
                  port does not answer plain HTTP. RWS_CONFIG_PORT speaks TLS if RWS_CONFIG_TLS_CERT_FILE is set; the \
                  admin port is always plain.",
    fix: "Set scheme: HTTPS exactly if the port speaks TLS, or probe the admin port.",
};

pub(super) static PROBE_CLIENT_CERTIFICATE: Rule = Rule {
    id: "probe-client-certificate",
    severity: Severity::Error,
    summary: "a probe of a port that wants client certificates",
    explanation: "With RWS_CONFIG_TLS_CLIENT_CA_FILE, RWS_CONFIG_PORT refuses every client without a certificate in the TLS \
                  handshake, and the kubelet has none: every probe fails. RWS_CONFIG_ADMIN_PORT answers the same probes \
                  and asks for none.",
    fix: "Set RWS_CONFIG_ADMIN_PORT, declare it, and probe it (scheme: HTTP), or set RWS_CONFIG_TLS_CLIENT_AUTH=optional \
          and have the application refuse clients.",
};

pub(super) static PROBE_HOST: Rule = Rule {
    id: "probe-host",
    severity: Severity::Warning,
    summary: "a probe asks another host than its pod",
    explanation: "The kubelet connects from the node to the host that the probe names, so 127.0.0.1 is the node and \
                  not the pod, and a name has to be known to the node. Without a host it asks the pod.",
    fix: "Remove host; for a virtual host, set a Host header in httpHeaders.",
};

pub(super) static PROBE_HANDLER: Rule = Rule {
    id: "probe-handler",
    severity: Severity::Error,
    summary: "a probe that cannot work with rws",
    explanation: "A probe needs exactly one way to ask, and gRPC, which needs HTTP/2, is not one that rws speaks.",
    fix: "Use httpGet with /healthz, /readyz or /startupz.",
};

pub(super) static TCP_PROBE: Rule = Rule {
    id: "tcp-probe",
    severity: Severity::Note,
    summary: "a probe that only connects",
    explanation: "The kernel completes a TCP handshake as long as the port is open, even when the server is stuck or \
                  not ready: such a probe asks the kernel, not rws. A failing health check never shows in it.",
    fix: "Use httpGet with /healthz, /readyz or /startupz.",
};

pub(super) static RULES: Table =
    &[&PROBE_PORT, &PROBE_PATH, &PROBE_SCHEME, &PROBE_CLIENT_CERTIFICATE, &PROBE_HOST, &PROBE_HANDLER, &TCP_PROBE];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        for probe in server.container.probes() {
            check_probe(server, &probe, findings);
        }
    }
}

fn check_probe(server: &Server<'_>, probe: &Probe<'_>, findings: &mut Findings) {
    match probe.handler() {
        Handler::Http(http) => check_http(server, probe, http, findings),
        Handler::Tcp(tcp) => {
            host(server, probe, tcp, "tcpSocket", findings);
            if port(server, probe, tcp, "tcpSocket", findings).is_ok() {
                let path = wanted_path(server, probe.kind);
                let message = format!(
                    "{}.tcpSocket only sees that the port is open, not that rws works: use httpGet with path {path}",
                    probe.field()
                );
                let readiness = probe.kind == ProbeKind::Readiness;
                let severity = if readiness { Severity::Warning } else { Severity::Note };
                findings.add_as(severity, &TCP_PROBE, tcp.place, message);
            }
        }
        Handler::Grpc(grpc) if grpc.number_of("port").is_some_and(|port| is_own(server, port)) => {}
        Handler::Grpc(grpc) => {
            let path = wanted_path(server, probe.kind);
            let message = format!(
                "{}.grpc needs HTTP/2, which rws does not speak: {}; use httpGet with path {path}",
                probe.field(),
                probe.kind.consequence()
            );
            findings.add(&PROBE_HANDLER, grpc.place, message);
        }
        Handler::Exec(_) => {}
        Handler::None => {
            let path = wanted_path(server, probe.kind);
            let message = format!("{} does not say how to ask: add httpGet with path {path}", probe.field());
            findings.add(&PROBE_HANDLER, probe.place, message);
        }
    }
}

/// Whether a port is a listener that the program has besides those of rws.
fn is_own(server: &Server<'_>, port: i64) -> bool {
    u16::try_from(port).is_ok_and(|port| server.listener_on(port).is_err())
}

fn check_http(server: &Server<'_>, probe: &Probe<'_>, http: &Node, findings: &mut Findings) {
    // A service mesh asks in the place of the kubelet, and the mesh has the original probe.
    if http.text_of("path").is_some_and(|path| path.starts_with("/app-health/")) {
        return;
    }
    host(server, probe, http, "httpGet", findings);
    let listener = match port(server, probe, http, "httpGet", findings) {
        Ok(Some(listener)) => Some(listener),
        Ok(None) => return,
        Err(()) => None,
    };
    if let Some(listener) = listener {
        scheme(probe, http, &listener, findings);
        client_certificate(server, probe, http, &listener, findings);
    }
    path(server, probe, http, listener.as_ref(), findings);
}

fn host(server: &Server<'_>, probe: &Probe<'_>, handler: &Node, field: &str, findings: &mut Findings) {
    let Some((key, host)) = handler.entry("host").filter(|(_, host)| is_said(host)) else { return };
    let text = host.text().unwrap_or_default();
    let local = ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&text);
    if local && server.workload.uses_host_network() {
        return;
    }
    let (severity, whose) = if local {
        (Severity::Error, "that is the node, not the pod: the connection is refused")
    } else {
        (Severity::Warning, "the kubelet asks that host in place of the pod")
    };
    let message = format!("{}.{field}.host is {}, and {whose}; remove host", probe.field(), short(text));
    findings.add_as(severity, &PROBE_HOST, key.place.to(host.place), message);
}

/// An empty host is none.
fn is_said(host: &Node) -> bool {
    host.text().is_some_and(|text| !text.is_empty())
}

/// The listener that a probe reaches. `Ok(None)`: none of rws, or not known; `Err`: it reaches nothing.
fn port(
    server: &Server<'_>,
    probe: &Probe<'_>,
    handler: &Node,
    field: &str,
    findings: &mut Findings,
) -> Result<Option<Listener>, ()> {
    let at = format!("{}.{field}.port", probe.field());
    let Some(node) = handler.get("port") else {
        let message = format!("{at} is missing: set it to {}", wanted_port(server));
        findings.add(&PROBE_PORT, handler.place, message);
        return Err(());
    };
    let text = node.text().unwrap_or_default();
    if node.is_quoted_number() {
        let message = format!(
            "{at} is \"{text}\" in quotes, which makes it the name of a port, and a name needs a letter: the API refuses \
             it; write {text} without quotes"
        );
        findings.add(&PROBE_PORT, node.place, message);
    }
    let declared = server.container.ports().find(|port| port.name == Some(text));
    let number = match (node.number(), declared) {
        (Some(number), _) => u16::try_from(number).ok(),
        (None, Some(declared)) => declared.number,
        (None, None) => {
            let fix = match wanted_port(server) {
                name if name.parse::<u16>().is_err() => format!("use port: {name}"),
                number => format!("declare it with containerPort: {number}, or use port: {number}"),
            };
            let message = format!(
                "{at} is {}, a name that no port of container {} has: {}; {fix}",
                short(text),
                server.container.name,
                probe.kind.consequence()
            );
            findings.add(&PROBE_PORT, node.place, message);
            return Err(());
        }
    };
    let Some(number) = number else { return Ok(None) };
    match server.listener_on(number) {
        Err(()) => Ok(None),
        Ok(Some(listener)) => Ok(Some(listener)),
        Ok(None) if server.port_of_another(number) => Ok(None),
        Ok(None) => {
            let name = declared.map(|_| format!(" ({number})")).unwrap_or_default();
            let fix = match declared {
                Some(_) => format!("set the containerPort of {text} to {}", server.main_port()),
                None => format!("use port: {}", wanted_port(server)),
            };
            let message = format!(
                "{at} is {text}{name}, where nothing listens: rws listens on {}, and {}; {fix}",
                server.shown_listeners(),
                probe.kind.consequence()
            );
            findings.add(&PROBE_PORT, node.place, message);
            Err(())
        }
    }
}

/// What a probe's port should say: the name of the declared port, or the number.
fn wanted_port(server: &Server<'_>) -> String {
    let main = server.main_port();
    let declared = server.container.ports().find(|port| port.number == Some(main)).and_then(|port| port.name);
    declared.map_or_else(|| main.to_string(), str::to_owned)
}

fn scheme(probe: &Probe<'_>, http: &Node, listener: &Listener, findings: &mut Findings) {
    let node = http.get("scheme");
    let https = node.and_then(Node::text).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let Some(tls) = listener.tls.filter(|tls| *tls != https) else { return };
    let (field, variable) = (probe.field(), listener.variable);
    let port = listener.port.unwrap_or_default();
    let message = if tls {
        format!(
            "{field}.httpGet asks in plain HTTP, but port {port} ({PREFIX}{variable}) speaks TLS: {}; add scheme: HTTPS",
            probe.kind.consequence()
        )
    } else {
        format!(
            "{field}.httpGet.scheme is HTTPS, but port {port} ({PREFIX}{variable}) speaks plain HTTP: {}; remove \
             scheme{}",
            probe.kind.consequence(),
            if variable == "PORT" {
                format!(", or set {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE")
            } else {
                String::new()
            }
        )
    };
    findings.add(&PROBE_SCHEME, node.map_or(http.place, |node| node.place), message);
}

fn client_certificate(
    server: &Server<'_>,
    probe: &Probe<'_>,
    http: &Node,
    listener: &Listener,
    findings: &mut Findings,
) {
    if listener.variable != "PORT" || !server.requires_client_certificates() {
        return;
    }
    let message = format!(
        "{}.httpGet asks on {PREFIX}PORT, which refuses clients without a certificate ({PREFIX}TLS_CLIENT_CA_FILE), and the \
         kubelet has none: {}; set {PREFIX}ADMIN_PORT and probe that",
        probe.field(),
        probe.kind.consequence()
    );
    let place = http.get("port").map_or(http.place, |node| node.place);
    findings.add(&PROBE_CLIENT_CERTIFICATE, place, message);
}

fn path(server: &Server<'_>, probe: &Probe<'_>, http: &Node, listener: Option<&Listener>, findings: &mut Findings) {
    let node = http.get("path").filter(|node| node.text().is_some());
    let text = node.and_then(Node::text).unwrap_or("/");
    let asked = path_asked(http).unwrap_or_else(|| "/".to_owned());
    let place = node.map_or(http.place, |node| node.place);
    let field = format!("{}.httpGet.path", probe.field());
    if listener.is_some_and(|listener| listener.variable == "HTTP_REDIRECT_PORT") {
        let message = format!(
            "{}.httpGet asks on {PREFIX}HTTP_REDIRECT_PORT, which redirects everything and says nothing about rws; use \
             port: {}",
            probe.field(),
            wanted_port(server)
        );
        return findings.add_as(Severity::Warning, &PROBE_PATH, place, message);
    }
    match server.answer(&asked, listener) {
        Answer::Unknown | Answer::Probe(_) => {}
        Answer::Metrics => {
            let message = format!(
                "{field} is {text}: the metrics are no health check and cost a scrape each time; use {}",
                wanted_path(server, probe.kind)
            );
            findings.add_as(Severity::Warning, &PROBE_PATH, place, message);
        }
        Answer::Route(name) => {
            let message = format!(
                "{field} is {}, which is for {name} to answer: under load it waits like any request; {} is answered at once",
                short(text),
                wanted_path(server, probe.kind)
            );
            findings.add_as(Severity::Note, &PROBE_PATH, place, message);
        }
        Answer::Nothing => nothing(server, probe, &field, text, place, findings),
    }
}

fn nothing(server: &Server<'_>, probe: &Probe<'_>, field: &str, text: &str, place: Place, findings: &mut Findings) {
    let (near, slip) = nearest(server, text, probe.kind);
    if !server.stock && slip.is_none() {
        let message = format!(
            "{field} is {}, which is no probe of rws: unless the application has that route it would get 404; {} is \
             built in",
            short(text),
            near
        );
        return findings.add_as(Severity::Note, &PROBE_PATH, place, message);
    }
    let slip = slip.map(|slip| format!(" ({slip})")).unwrap_or_default();
    let message = format!(
        "{field} is {}, which rws does not serve{slip}: it would get 404, and {}; use {near}",
        short(text),
        probe.kind.consequence()
    );
    findings.add(&PROBE_PATH, place, message);
}

/// The path that is made for this kind of probe.
fn wanted_path(server: &Server<'_>, kind: ProbeKind) -> String {
    server.path_for(kind).to_owned()
}
