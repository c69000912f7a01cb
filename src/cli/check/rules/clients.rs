//! Who the clients are taken for, and what secrets they are asked for.

use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::objects::{Object, selects};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::settings::{Known, Layer};
use crate::cli::check::yaml::Node;
use crate::config::{PREFIX, find};

pub(super) static PROXY_NOT_TRUSTED: Rule = Rule {
    id: "proxy-not-trusted",
    severity: Severity::Warning,
    summary: "a limit for each client where all clients are the ingress",
    explanation: "RWS_CONFIG_RATE_LIMIT_MAX_REQUESTS and RWS_CONFIG_MAX_CONNECTIONS_PER_IP tell clients apart by their \
                  addresses. Behind an Ingress every connection comes from the ingress controller; unless it is among \
                  RWS_CONFIG_TRUSTED_PROXIES its X-Forwarded-For is not believed, and all users together share the \
                  allowance of one client.",
    fix: "Set RWS_CONFIG_TRUSTED_PROXIES to the network of the ingress controller's pods, for example 10.0.0.0/8.",
};

pub(super) static PLAIN_SECRET: Rule = Rule {
    id: "plain-secret",
    severity: Severity::Warning,
    summary: "a password or token that is written out in a manifest",
    explanation: "What stands in env, in args or in a ConfigMap can be read by everybody who may read the workload, is kept \
                  in its revisions and in version control, and is shown by kubectl describe. A Secret has rights of its \
                  own, and a mounted one can be rotated while rws runs.",
    fix: "Put the value into a Secret, mount it, and set RWS_CONFIG_<NAME>_FILE to its path; or use secretKeyRef.",
};

pub(super) static RULES: Table = &[&PROXY_NOT_TRUSTED, &PLAIN_SECRET];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        limits(cluster, server, findings);
        secrets(server, findings);
    }
}

fn limits(cluster: &Cluster<'_>, server: &Server<'_>, findings: &mut Findings) {
    let trusts_nobody =
        server.settings.is_known("TRUSTED_PROXIES") && server.settings.config.trusted_proxies.is_empty();
    let Some(ingress) = ingress_before(cluster, server).filter(|_| trusts_nobody) else { return };
    let config = &server.settings.config;
    let limits = [
        ("RATE_LIMIT_MAX_REQUESTS", u64::from(config.rate_limit_max_requests)),
        ("MAX_CONNECTIONS_PER_IP", config.max_connections_per_ip as u64),
    ];
    for (name, limit) in limits.into_iter().filter(|(_, limit)| *limit > 0) {
        let Some(place) = server.place_of(name) else { continue };
        let message = format!(
            "{PREFIX}{name} is {limit} for each address, and behind {} all users have the one of the ingress controller: \
             set {PREFIX}TRUSTED_PROXIES to the network of its pods",
            ingress.title()
        );
        findings.add(&PROXY_NOT_TRUSTED, place, message);
    }
}

/// The Ingress or HTTPRoute of which a backend is a Service of this server's pods.
fn ingress_before<'c, 'a>(cluster: &'c Cluster<'a>, server: &Server<'_>) -> Option<&'c Object<'a>> {
    let leads_here = |from: &&Object<'_>| {
        backends(from).into_iter().filter_map(|name| cluster.objects.find("Service", name, from)).any(|service| {
            selects(service.spec(&["selector"]), server.workload.labels())
                && cluster.objects.beside(service, &server.workload.object)
        })
    };
    cluster.objects.of_kind("Ingress").chain(cluster.objects.of_kind("HTTPRoute")).find(leads_here)
}

/// The names of the Services that an Ingress or an HTTPRoute sends to.
fn backends<'a>(object: &Object<'a>) -> Vec<&'a str> {
    let rules = || object.spec(&["rules"]).map_or(&[][..], Node::items).iter();
    let paths = rules().filter_map(|rule| rule.get("http")).flat_map(|http| http.items_of("paths"));
    let of_paths = paths.filter_map(|path| path.get("backend")).chain(object.spec(&["defaultBackend"]));
    let names = of_paths.filter_map(|backend| backend.get("service")?.text_of("name"));
    let references = rules().flat_map(|rule| rule.items_of("backendRefs"));
    names.chain(references.filter_map(|reference| reference.text_of("name"))).collect()
}

fn secrets(server: &Server<'_>, findings: &mut Findings) {
    for setting in &server.settings.list {
        let is_secret = find(&setting.name).is_some_and(|variable| variable.secret);
        let is_plain = !setting.secret && setting.file.is_none();
        let is_said = setting.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let is_in_force =
            matches!(server.settings.known(&setting.name), Known::Set(winner) if winner.place == setting.place);
        if !is_secret || !is_plain || !is_said || !is_in_force {
            continue;
        }
        let place = match (&setting.env_from, setting.layer) {
            (Some(title), _) => title.clone(),
            (None, Layer::Directory) => "a ConfigMap".to_owned(),
            (None, Layer::Environment) => "the manifest".to_owned(),
            (None, Layer::CommandLine) => "the command line".to_owned(),
        };
        let message = format!(
            "{} is written out in {place}, where many may read it: put it into a Secret, and mount that with \
             {PREFIX}{}_FILE or use secretKeyRef",
            setting.written, setting.name
        );
        findings.add(&PLAIN_SECRET, setting.name_place, message);
    }
}
