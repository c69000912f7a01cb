//! The manifests as such: what kubectl or the API would refuse.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::input::Inputs;
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};

pub(super) static DUPLICATE_KEY: Rule = Rule {
    id: "duplicate-key",
    severity: Severity::Error,
    summary: "a key stands twice in the same map",
    explanation: "The last one counts and the first is lost without a word, or the API refuses the object, depending on \
                  the tool. A second env: or ports: that was pasted in is the usual case.",
    fix: "Merge both into one.",
};

pub(super) static NOT_KUBERNETES: Rule = Rule {
    id: "not-kubernetes",
    severity: Severity::Note,
    summary: "a document that is no Kubernetes object",
    explanation: "It has no apiVersion and kind, so there is nothing to check in it. Values of a Helm chart look like \
                  that; what Helm renders from them can be checked.",
    fix: "Leave the file out, or pipe in what the tool renders from it.",
};

pub(super) static MISSING_VOLUME: Rule = Rule {
    id: "missing-volume",
    severity: Severity::Error,
    summary: "a volumeMount of a volume that the pod does not have",
    explanation: "The API refuses the pod.",
    fix: "Add the volume, or correct the name.",
};

pub(super) static DUPLICATE_MOUNT: Rule = Rule {
    id: "duplicate-mount",
    severity: Severity::Error,
    summary: "two volumeMounts of a container at the same path",
    explanation: "The API refuses the pod: mountPath must be unique. The files of several ConfigMaps and Secrets come into \
                  one directory with a projected volume.",
    fix: "Mount one of them elsewhere, or both as one projected volume.",
};

pub(super) static RULES: Table = &[&DUPLICATE_KEY, &MISSING_VOLUME, &DUPLICATE_MOUNT, &NOT_KUBERNETES];

pub(super) fn check_text(inputs: &Inputs, findings: &mut Findings) {
    for repeated in inputs.list.iter().flat_map(|input| &input.documents.repeated) {
        let message = format!(
            "the key {} stands in line {} already: only one of the two counts; merge them",
            short(&repeated.key.text),
            repeated.first.line
        );
        findings.add(&DUPLICATE_KEY, repeated.key.place, message);
    }
}

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for place in &cluster.objects.foreign {
        let message = "this document is no Kubernetes object (no apiVersion and kind) and is not checked";
        findings.add(&NOT_KUBERNETES, *place, message);
    }
    for server in &cluster.servers {
        volumes(server, findings);
        mounts(server, findings);
    }
}

fn mounts(server: &Server<'_>, findings: &mut Findings) {
    let list = &server.mounts.list;
    for (index, mount) in list.iter().enumerate() {
        let Some(first) = list[..index].iter().find(|other| other.path == mount.path) else { continue };
        let message = format!(
            "{} mounts the volumes {} and {} both at {}: the API refuses it; mount one elsewhere, or both as one projected \
             volume",
            server.title(),
            short(first.volume),
            short(mount.volume),
            short(if mount.path.is_empty() { "/" } else { mount.path })
        );
        findings.add(&DUPLICATE_MOUNT, mount.place, message);
    }
}

fn volumes(server: &Server<'_>, findings: &mut Findings) {
    for mount in server.mounts.list.iter().filter(|mount| !mount.known_volume) {
        let message = format!(
            "{} mounts the volume {}, which the pod does not have: the API refuses it; add it to volumes, or correct \
             the name",
            server.title(),
            short(mount.volume)
        );
        findings.add(&MISSING_VOLUME, mount.place, message);
    }
}
