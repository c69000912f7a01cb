//! The environment of rws: names, values, and where they come from.

use crate::cli::check::environment::{Absent, Environment};
use crate::cli::check::finding::{Findings, Rule, Severity};
use crate::cli::check::objects::Object;
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::settings;
use crate::cli::check::volumes::Mounts;
use crate::cli::check::yaml::{Node, Scalar};
use crate::config::{PREFIX, find};

pub(in crate::cli::check) static ENV_INVALID: Rule = Rule {
    id: "env-invalid",
    severity: Severity::Error,
    summary: "a setting has a value that rws refuses",
    explanation: "rws reads its whole configuration before it opens a port, and ends with exit code 2 when anything \
                  in it is wrong. In a cluster that is a CrashLoopBackOff. The message is the one that rws itself \
                  would give.",
    fix: "Set a value that the rule in the message allows; docs/CONFIGURATION.md has them all.",
};

pub(in crate::cli::check) static ENV_UNKNOWN: Rule = Rule {
    id: "env-unknown",
    severity: Severity::Warning,
    summary: "a name that begins with RWS_CONFIG_ and means nothing",
    explanation: "A misspelt name sets nothing: the server runs with a default that nobody wanted. rws warns about it \
                  at start, where nobody looks; with RWS_CONFIG_STRICT=true it refuses to start.",
    fix: "Use the name that the message suggests, or remove the variable.",
};

pub(in crate::cli::check) static ENV_NO_EFFECT: Rule = Rule {
    id: "env-no-effect",
    severity: Severity::Warning,
    summary: "a setting that is known and does nothing here",
    explanation: "The name is an old one, is overruled by another, belongs to a feature that this version does not \
                  have, or holds what Kubernetes injected for a Service. rws says so at start and goes on without it.",
    fix: "Do what the message says: rename the variable or remove it.",
};

pub(in crate::cli::check) static LOOPBACK_BIND: Rule = Rule {
    id: "loopback-bind",
    severity: Severity::Error,
    summary: "rws listens on a loopback address",
    explanation: "Kubelet probes and Services connect to the address of the pod. A server that listens on 127.0.0.1 or \
                  ::1 refuses all of them: the pod never becomes ready and its liveness probe restarts it. rws does \
                  not start like that unless RWS_CONFIG_ALLOW_LOOPBACK=true says that only other containers of the \
                  same pod will connect.",
    fix: "Set RWS_CONFIG_IP to 0.0.0.0 (or ::), or remove it: 0.0.0.0 is the default.",
};

pub(super) static ENV_LIKELY: Rule = Rule {
    id: "env-prefix",
    severity: Severity::Warning,
    summary: "a variable that looks like a setting and lacks the prefix",
    explanation: "rws reads only variables that begin with RWS_CONFIG_. RWS_PORT or rws_config_port is silently \
                  somebody else's.",
    fix: "Write the name with its whole prefix in capitals, for example RWS_CONFIG_PORT.",
};

pub(super) static ENV_TWICE: Rule = Rule {
    id: "env-twice",
    severity: Severity::Warning,
    summary: "a variable stands twice in env",
    explanation: "The last one counts, and a strategic merge keeps only one of them, so that what is applied may not \
                  be what is written.",
    fix: "Remove one.",
};

pub(super) static NOT_TEXT: Rule = Rule {
    id: "value-not-text",
    severity: Severity::Error,
    summary: "a number or boolean where the API wants text",
    explanation: "Values of env, of a ConfigMap's data, of labels and annotations are strings, and command and args are \
                  lists of strings. Without quotes YAML makes a number of 8080 and a \
                  boolean of true, yes, on and off, and the API refuses the object.",
    fix: "Put the value in quotes: \"8080\".",
};

pub(super) static MISSING_KEY: Rule = Rule {
    id: "missing-key",
    severity: Severity::Error,
    summary: "a reference to a key that a ConfigMap or Secret does not have",
    explanation: "The kubelet cannot make the container's environment and waits: CreateContainerConfigError.",
    fix: "Add the key, correct its name, or mark the reference optional.",
};

pub(super) static NOT_GIVEN: Rule = Rule {
    id: "not-given",
    severity: Severity::Note,
    summary: "something referred to is not among the given files",
    explanation: "What it sets cannot be checked. That is usual for Secrets; a ConfigMap is worth giving to the check \
                  as well.",
    fix: "Give the files that define it to the same call of rws check.",
};

pub(super) static ARGUMENTS: Rule = Rule {
    id: "arguments",
    severity: Severity::Error,
    summary: "a command line that rws refuses",
    explanation: "rws ends with exit code 2 when it does not understand its command line.",
    fix: "See rws --help.",
};

pub(super) static RULES: Table = &[
    &ENV_INVALID,
    &ENV_UNKNOWN,
    &ENV_NO_EFFECT,
    &ENV_LIKELY,
    &ENV_TWICE,
    &LOOPBACK_BIND,
    &NOT_TEXT,
    &MISSING_KEY,
    &ARGUMENTS,
    &NOT_GIVEN,
];

/// Errors and notices of the configuration itself were found when it was loaded.
pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        loopback(cluster, server, findings);
        likely_names(server, findings);
        sources(server, findings);
        arguments(server, findings);
        for variable in server.container.node.items_of("env") {
            let name = variable.text_of("name").unwrap_or_default();
            variable.get("value").into_iter().for_each(|value| must_be_text(name, value, findings));
        }
        ["command", "args"].iter().for_each(|field| words(server, field, findings));
        [server.workload.metadata, server.workload.object.node.get("metadata")]
            .into_iter()
            .flatten()
            .for_each(|metadata| labels(metadata, findings));
    }
    for service in cluster.objects.of_kind("Service") {
        service.node.get("metadata").into_iter().for_each(|metadata| labels(metadata, findings));
    }
    for object in cluster.objects.of_kind("ConfigMap") {
        let entries = object.node.get("data").map_or(&[][..], Node::entries);
        entries.iter().for_each(|(key, value)| must_be_text(&key.text, value, findings));
        unused(cluster, object, findings);
    }
}

/// Allowed, but somebody connects from outside all the same.
fn loopback(cluster: &Cluster<'_>, server: &Server<'_>, findings: &mut Findings) {
    let config = &server.settings.config;
    let Some(place) = server.place_of("IP").filter(|_| config.ip.to_canonical().is_loopback()) else { return };
    let asks_pod = |probe: &crate::cli::check::workload::Probe<'_>| {
        ["httpGet", "tcpSocket"]
            .iter()
            .any(|key| probe.node.get(key).is_some_and(|it| it.text_of("host").is_none_or(str::is_empty)))
    };
    let probe = server.container.probes().into_iter().find(asks_pod).map(|probe| format!("its {}", probe.field()));
    let labels = server.workload.labels();
    let alone = server.workload.running().len() == 1;
    let service = || {
        let mut services = cluster
            .objects
            .of_kind("Service")
            .filter(|service| cluster.objects.beside(service, &server.workload.object));
        let selects = |service: &&Object<'_>| {
            crate::cli::check::objects::selects(service.node.path(&["spec", "selector"]), labels)
        };
        services.find(selects).filter(|_| alone).map(Object::title)
    };
    let Some(who) = probe.or_else(service) else { return };
    let message = format!(
        "{PREFIX}IP is {}: {who} connects to the address of the pod and would be refused; set {PREFIX}IP to 0.0.0.0",
        config.ip
    );
    findings.add(&LOOPBACK_BIND, place, message);
}

fn likely_names(server: &Server<'_>, findings: &mut Findings) {
    /// What other servers call the address that they listen on.
    const ADDRESSES: [&str; 4] = ["BIND_ADDR", "BIND_ADDRESS", "LISTEN_ADDR", "LISTEN_ADDRESS"];
    for (name, value) in &server.environment.values {
        if name.starts_with(PREFIX) {
            continue;
        }
        let upper = name.to_ascii_uppercase();
        let rest = ["RWS_CONFIG_", "RWS_CONFIG", "RWSCONFIG_", "RWS_CONF_", "RWS_"];
        let setting = rest.iter().find_map(|prefix| upper.strip_prefix(prefix)).filter(|rest| find(rest).is_some());
        if let Some(setting) = setting {
            let message = format!("{name} is not read: rws reads {PREFIX}{setting}; rename it");
            findings.add(&ENV_LIKELY, value.name_place, message);
        } else if name == "PORT" && !is_used(server, name) && server.place_of("PORT").is_none() {
            let port = server.main_port();
            let message =
                format!("PORT is not read, and rws listens on {port}: if it is meant for rws, call it {PREFIX}PORT");
            findings.add_as(Severity::Note, &ENV_LIKELY, value.name_place, message);
        } else if server.stock && ADDRESSES.contains(&name.as_str()) && !is_used(server, name) {
            let message =
                format!("{name} is not read: rws takes its address from {PREFIX}IP and its port from {PREFIX}PORT");
            findings.add_as(Severity::Note, &ENV_LIKELY, value.name_place, message);
        }
    }
    for (name, place) in &server.environment.repeated {
        findings.add(&ENV_TWICE, *place, format!("{name} stands twice in env, and the last one counts; remove one"));
    }
}

/// Whether `$(NAME)` stands anywhere in the container.
fn is_used(server: &Server<'_>, name: &str) -> bool {
    let reference = format!("$({name})");
    let container = server.container;
    let values = container.node.items_of("env").iter().filter_map(|variable| variable.text_of("value"));
    values.chain(container.words("command")).chain(container.words("args")).any(|text| text.contains(&reference))
}

fn sources(server: &Server<'_>, findings: &mut Findings) {
    for Absent { kind, name, key, place } in &server.environment.absent {
        match key {
            Some(key) => {
                let message = format!(
                    "{kind} {name} has no key {key}: the container cannot start (CreateContainerConfigError); add the \
                     key, correct its name, or set optional: true"
                );
                findings.add(&MISSING_KEY, *place, message);
            }
            None => {
                let message = format!("{kind} {name} is not among the given files: what it sets is not checked");
                findings.add(&NOT_GIVEN, *place, message);
            }
        }
    }
}

fn arguments(server: &Server<'_>, findings: &mut Findings) {
    if let crate::cli::check::command::Program::Refused { why, place } = &server.program {
        findings.add(&ARGUMENTS, *place, format!("rws does not take this command line: {why}; see rws --help"));
    }
}

fn words(server: &Server<'_>, field: &str, findings: &mut Findings) {
    let Some(node) = server.container.node.get(field).filter(|node| !node.is_null()) else { return };
    if let Some(text) = node.text() {
        let message = format!("{field} is a text, and the API takes only a list of words: write [{}]", quoted(text));
        findings.add(&NOT_TEXT, node.place, message);
    }
    node.items().iter().for_each(|word| must_be_text(&format!("a word of {field}"), word, findings));
}

/// `"--port", "8080"`.
fn quoted(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

fn labels(metadata: &Node, findings: &mut Findings) {
    for (field, what) in [("labels", "label"), ("annotations", "annotation")] {
        let entries = metadata.get(field).map_or(&[][..], Node::entries);
        entries.iter().for_each(|(key, value)| must_be_text(&format!("{what} {}", key.text), value, findings));
    }
}

fn must_be_text(name: &str, value: &Node, findings: &mut Findings) {
    let (what, text) = match value.scalar() {
        Some(Scalar::Number) => ("a number", value.text().unwrap_or_default()),
        Some(Scalar::Boolean(_)) => ("a boolean", value.text().unwrap_or_default()),
        Some(Scalar::Text | Scalar::Null) => return,
        None => ("no scalar", "…"),
    };
    let message = format!("{name} is {what}, and the API takes only text here: write \"{text}\" in quotes");
    findings.add(&NOT_TEXT, value.place, message);
}

/// A ConfigMap that is checked by itself, because nothing in the input uses it.
fn unused(cluster: &Cluster<'_>, object: &Object<'_>, findings: &mut Findings) {
    // Whoever takes it may well take more from elsewhere.
    let environment = Environment { open: true, ..Environment::of_object(object) };
    let used = |server: &Server<'_>| {
        let title = object.title();
        let in_mount = server.mounts.list.iter().any(|mount| mount.source == title);
        in_mount || server.environment.values.values().any(|value| value.env_from.as_ref() == Some(&title))
    };
    let settings = environment.values.keys().any(|name| name.starts_with(PREFIX));
    if settings && !cluster.servers.iter().any(used) {
        settings::load(&environment, &Mounts::default(), None, findings);
    }
}
