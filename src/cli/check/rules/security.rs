//! Who the container runs as, what it may do, and which image it is.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::yaml::{Node, Scalar};

pub(super) static IMAGE_TAG: Rule = Rule {
    id: "image-tag",
    severity: Severity::Warning,
    summary: "an image without a fixed version",
    explanation: "With :latest, or without a tag, every node may run another version, a restart may bring a new one, and \
                  a rollback has nothing to go back to.",
    fix: "Name a version, or better a digest.",
};

pub(super) static RUN_AS_NON_ROOT: Rule = Rule {
    id: "run-as-non-root",
    severity: Severity::Error,
    summary: "runAsNonRoot that the kubelet cannot confirm",
    explanation: "With runAsNonRoot the kubelet must know the user by number. runAsUser 0 contradicts it, and an image \
                  whose USER is a name is refused (CreateContainerConfigError). The image of rws has USER 65532.",
    fix: "Set runAsUser to a number above 0, for example 65532.",
};

pub(super) static SECURITY_CONTEXT: Rule = Rule {
    id: "security-context",
    severity: Severity::Note,
    summary: "rights that rws does not need",
    explanation: "rws writes no file, needs no capability and no other user: it runs with a read-only root file system, \
                  without privilege escalation, without capabilities, as the restricted Pod Security Standard wants it.",
    fix: "Set runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false and capabilities: \
          {drop: [ALL]} in the securityContext.",
};

pub(super) static RULES: Table = &[&IMAGE_TAG, &RUN_AS_NON_ROOT, &SECURITY_CONTEXT];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        image_tag(server, findings);
        non_root(server, findings);
        context(server, findings);
    }
}

fn image_tag(server: &Server<'_>, findings: &mut Findings) {
    let Some(node) = server.container.node.get("image") else { return };
    let image = node.text().unwrap_or_default();
    if image.contains('@') {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    let message = match last.split_once(':') {
        Some((_, "latest")) => format!("the image {} is whatever is newest on each node: name a version", short(image)),
        None if !image.is_empty() => {
            format!("the image {} has no tag, which means latest: name a version", short(image))
        }
        _ => return,
    };
    findings.add(&IMAGE_TAG, node.place, message);
}

fn non_root(server: &Server<'_>, findings: &mut Findings) {
    let pod = server.workload.pod;
    let Some(demand) = server.container.security(pod, "runAsNonRoot") else { return };
    if demand.scalar() != Some(Scalar::Boolean(true)) {
        return;
    }
    match server.container.security(pod, "runAsUser") {
        Some(user) if user.number() == Some(0) => {
            let message = "runAsUser is 0 with runAsNonRoot: the kubelet refuses the container; use 65532";
            findings.add(&RUN_AS_NON_ROOT, user.place, message);
        }
        Some(user) if user.scalar() != Some(Scalar::Number) => {
            let text = short(user.text().unwrap_or_default());
            let message = format!("runAsUser is {text}, and the API wants a number: use 65532");
            findings.add(&RUN_AS_NON_ROOT, user.place, message);
        }
        // The image of rws has a number.
        None if !server.stock => {
            let message = "runAsNonRoot works only if the image's USER is a number: if it is a name, set runAsUser";
            findings.add_as(Severity::Note, &RUN_AS_NON_ROOT, demand.place, message);
        }
        _ => {}
    }
}

fn context(server: &Server<'_>, findings: &mut Findings) {
    let pod = server.workload.pod;
    let field = |name| server.container.security(pod, name);
    let is = |name, value| field(name).and_then(Node::scalar) == Some(Scalar::Boolean(value));
    let drops = field("capabilities").is_some_and(|capabilities| {
        capabilities.items_of("drop").iter().filter_map(Node::text).any(|name| name.eq_ignore_ascii_case("ALL"))
    });
    let user = field("runAsUser").and_then(Node::number).is_some_and(|user| user > 0);
    let missing: Vec<&str> = [
        (is("runAsNonRoot", true) || user, "runAsNonRoot: true"),
        (is("readOnlyRootFilesystem", true), "readOnlyRootFilesystem: true"),
        (is("allowPrivilegeEscalation", false), "allowPrivilegeEscalation: false"),
        (drops, "capabilities: {drop: [ALL]}"),
    ]
    .into_iter()
    .filter_map(|(there, what)| (!there).then_some(what))
    .collect();
    if !missing.is_empty() {
        let node = server.container.node.entry("securityContext");
        let place = node.map_or(server.container.place(), |(key, _)| key.place);
        let message = format!(
            "rws needs none of the rights it has by default: add to its securityContext {}",
            missing.join(", ")
        );
        findings.add(&SECURITY_CONTEXT, place, message);
    }
}
