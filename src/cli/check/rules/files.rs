//! Files that settings name, against the volumes that bring them; and what becomes of them when they change.

use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::rules::Table;
use crate::cli::check::rules::configuration::NOT_GIVEN;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::settings::{Known, Layer, Setting};
use crate::cli::check::volumes::FileAt;
use crate::cli::check::yaml::Node;
use crate::config::{Change, PREFIX, find};

pub(super) static FILE_NOT_MOUNTED: Rule = Rule {
    id: "file-not-mounted",
    severity: Severity::Error,
    summary: "a setting names a file that no volume brings",
    explanation: "RWS_CONFIG_<NAME>_FILE and the TLS settings are paths of files. A file that is not there ends the \
                  start with exit code 2. The path is the volumeMount's mountPath, a slash, and the key of the Secret \
                  or ConfigMap (or the path that items give it).",
    fix: "Mount the Secret or ConfigMap that has the key, or correct the path.",
};

pub(super) static TLS_NOT_MOUNTED: Rule = Rule {
    id: "tls-not-mounted",
    severity: Severity::Error,
    summary: "the certificate or its key is in no volume",
    explanation: "RWS_CONFIG_TLS_CERT_FILE and RWS_CONFIG_TLS_KEY_FILE name files of a mounted Secret, usually tls.crt \
                  and tls.key. Without them rws does not start.",
    fix: "Add a volume with the Secret and a volumeMount, and let the settings name <mountPath>/tls.crt and \
          <mountPath>/tls.key.",
};

pub(super) static CONFIG_DIR: Rule = Rule {
    id: "config-dir",
    severity: Severity::Error,
    summary: "RWS_CONFIG_DIR is no mounted directory",
    explanation: "RWS_CONFIG_DIR names a directory with one file for each setting, usually a ConfigMap that is mounted \
                  as a volume. If it is not there rws does not start.",
    fix: "Mount the ConfigMap at that path, without subPath.",
};

pub(super) static STATIC_DIR: Rule = Rule {
    id: "static-dir",
    severity: Severity::Warning,
    summary: "RWS_CONFIG_STATIC_DIR is a directory that nothing fills",
    explanation: "rws does not start if the directory is not there, and answers 404 to everything if it is empty. The \
                  image of rws has no files of its own, and an emptyDir is empty until an init container or a container \
                  beside rws puts something there.",
    fix: "Mount a volume that has the files at that path, fill the emptyDir from an init container, or build an image \
          with the files and name it otherwise than rws.",
};

pub(super) static SUB_PATH: Rule = Rule {
    id: "subpath-no-reload",
    severity: Severity::Warning,
    summary: "a mount with subPath where changes are expected to arrive",
    explanation: "The kubelet never updates what is mounted with subPath. rws watches RWS_CONFIG_DIR and certificates \
                  for changes, and there will be none until the pod is replaced.",
    fix: "Mount the whole volume at a directory of its own, and choose keys with items.",
};

pub(super) static ENV_SHADOWS_DIR: Rule = Rule {
    id: "env-shadows-dir",
    severity: Severity::Warning,
    summary: "a setting in RWS_CONFIG_DIR that the environment overrules",
    explanation: "The environment wins over files. A setting that comes both ways, for instance because the same \
                  ConfigMap is used with envFrom and as a volume, keeps the value from the start of the pod however often \
                  the file changes.",
    fix: "Set each variable in one place: in the directory what shall change while rws runs, in the environment the rest.",
};

pub(super) static ENV_FROM_RESTART: Rule = Rule {
    id: "envfrom-restart",
    severity: Severity::Note,
    summary: "a changed ConfigMap reaches the pods only when they are replaced",
    explanation: "Variables of a process do not change. Settings that rws can reload do so only when they come from \
                  RWS_CONFIG_DIR; from envFrom they need a rollout, which a change of a ConfigMap alone does not start.",
    fix: "Mount the ConfigMap and set RWS_CONFIG_DIR; or let a change roll out: kustomize's configMapGenerator, or an \
          annotation with a checksum in the pod template.",
};

pub(super) static RULES: Table =
    &[&FILE_NOT_MOUNTED, &TLS_NOT_MOUNTED, &CONFIG_DIR, &STATIC_DIR, &SUB_PATH, &ENV_SHADOWS_DIR, &ENV_FROM_RESTART];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        for setting in &server.settings.list {
            match (&setting.file, is_certificate(&setting.name)) {
                (Some(path), _) => file(server, setting, path, &FILE_NOT_MOUNTED, findings),
                (None, true) => {
                    let path = setting.text.as_deref().unwrap_or_default();
                    file(server, setting, path, &TLS_NOT_MOUNTED, findings);
                }
                (None, false) => {}
            }
        }
        directory(server, findings);
        static_files(server, findings);
        shadows(server, findings);
        restart(server, findings);
    }
}

fn is_certificate(name: &str) -> bool {
    name.starts_with("TLS_") && name.ends_with("_FILE") || name.starts_with("VIRTUAL_HOST_") && name.ends_with("_FILE")
}

fn file(server: &Server<'_>, setting: &Setting, path: &str, rule: &'static Rule, findings: &mut Findings) {
    let path = path.trim();
    // What is put there without a volume of the manifest's: by the kubelet, by an injector, by the image.
    const ELSEWHERE: [&str; 3] = ["/var/run/secrets/kubernetes.io/", "/vault/", "/etc/ssl/certs/"];
    if !path.starts_with('/') || ELSEWHERE.iter().any(|known| path.starts_with(known)) {
        return;
    }
    let Setting { written, place, .. } = setting;
    let message = match server.mounts.file_at(path) {
        FileAt::Known(_) | FileAt::Unknown => {
            // Certificates are watched wherever they are mounted.
            let mount = server.mounts.mount_of(path).filter(|_| rule.id == TLS_NOT_MOUNTED.id);
            if let Some(at) = mount.and_then(|mount| mount.sub_path) {
                let message = format!(
                    "{written} is mounted with subPath, which is never updated: a renewed certificate would not arrive; \
                     mount the whole Secret at a directory"
                );
                findings.add(&SUB_PATH, at, message);
            }
            return;
        }
        FileAt::Missing(mount) => format!(
            "{written} is {}, but {}, which is mounted at {}, has no such file ({}); correct the path",
            short(path),
            mount.source,
            mount.path,
            file_names(mount.files.iter().flatten().map(|file| file.path.as_str()))
        ),
        FileAt::NotMounted => format!(
            "{written} is {}, and no volume is mounted there: rws would not start; mount the Secret or ConfigMap that \
             has the file at {}",
            short(path),
            short(path.rsplit_once('/').map_or("/", |(parent, _)| parent))
        ),
    };
    // The image of another program may bring files of its own.
    let severity = if is_our_image(server) { rule.severity } else { Severity::Warning };
    findings.add_as(severity, rule, *place, message);
}

/// Whether it is the image of this project, which has no files of its own.
fn is_our_image(server: &Server<'_>) -> bool {
    server.container.image_name() == "rws"
}

fn file_names<'p>(paths: impl Iterator<Item = &'p str>) -> String {
    let names: Vec<&str> = paths.map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
    if names.is_empty() { "it is empty".to_owned() } else { format!("it has {}", short(&names.join(", "))) }
}

fn directory(server: &Server<'_>, findings: &mut Findings) {
    let (Some(path), Some(place)) = (server.settings.text("DIR"), server.place_of("DIR")) else { return };
    let path = path.trim_end_matches('/');
    let mounts: Vec<_> = server.mounts.in_directory(path).collect();
    if mounts.is_empty() {
        let message = format!(
            "{PREFIX}DIR is {}, and no volume is mounted there: rws would not start; mount the ConfigMap at that path",
            short(path)
        );
        let severity = if is_our_image(server) { Severity::Error } else { Severity::Warning };
        return findings.add_as(severity, &CONFIG_DIR, place, message);
    }
    let absent = mounts.iter().filter(|mount| mount.known_volume && mount.files.is_none() && !mount.source.is_empty());
    for mount in absent {
        let message = format!("{} is not among the given files: what it sets is not checked", mount.source);
        findings.add(&NOT_GIVEN, mount.place, message);
    }
    for at in mounts.iter().filter_map(|mount| mount.sub_path) {
        let message = format!(
            "{PREFIX}DIR is mounted with subPath, which is never updated: changes would not arrive; mount the whole \
             ConfigMap at {}",
            short(path)
        );
        findings.add(&SUB_PATH, at, message);
    }
}

/// Only what is sure: another image may bring the files, and a claim may hold them.
fn static_files(server: &Server<'_>, findings: &mut Findings) {
    let (Some(path), Some(place)) = (server.settings.text("STATIC_DIR"), server.place_of("STATIC_DIR")) else { return };
    let shown = short(path);
    let Some(mount) = server.mounts.mount_of(path.trim_end_matches('/')) else {
        if is_our_image(server) && path.starts_with('/') {
            let message = format!(
                "{PREFIX}STATIC_DIR is {shown}, where no volume is mounted, and the image of rws has no files: it would \
                 not start; mount a volume with the files, or name an image that has them otherwise than rws"
            );
            findings.add(&STATIC_DIR, place, message);
        }
        return;
    };
    let is_empty_dir = server.workload.volume(mount.volume).is_some_and(|volume| volume.get("emptyDir").is_some());
    let others = server.workload.containers().into_iter().filter(|other| other.name != server.container.name);
    let mounts_it =
        |node: &Node| node.items_of("volumeMounts").iter().any(|it| it.text_of("name") == Some(mount.volume));
    if is_empty_dir && !others.into_iter().any(|other| mounts_it(other.node)) {
        let message = format!(
            "{PREFIX}STATIC_DIR is {shown}, in the emptyDir {}, which no other container mounts: nobody puts files there, \
             and every request gets 404; fill it from an init container",
            mount.volume
        );
        findings.add(&STATIC_DIR, place, message);
    }
}

/// Settings of the directory that could be reloaded, were it not for the environment.
fn shadows(server: &Server<'_>, findings: &mut Findings) {
    for setting in server.settings.list.iter().filter(|setting| setting.layer == Layer::Directory) {
        let Known::Set(winner) = server.settings.known(&setting.name) else { continue };
        if winner.layer == Layer::Directory {
            continue;
        }
        let how = winner.env_from.as_ref().map_or("env or args".to_owned(), |title| format!("envFrom {title}"));
        let message = format!(
            "{} is set by {how} as well, which wins: changes of this file have no effect; set it in one place",
            setting.written
        );
        findings.add(&ENV_SHADOWS_DIR, setting.name_place, message);
    }
}

fn restart(server: &Server<'_>, findings: &mut Findings) {
    // On the pods, so that a change of the text is a rollout; or on the workload, for an operator that starts one.
    let own = server.workload.object.node.get("metadata");
    let annotations = [server.workload.metadata, own].into_iter().flatten().filter_map(|it| it.get("annotations"));
    let checksum = annotations.flat_map(Node::entries).any(|(key, _)| {
        ["checksum", "hash", "reload", "settings", "revision"]
            .iter()
            .any(|word| key.text.to_ascii_lowercase().contains(word))
    });
    for source in server.container.node.items_of("envFrom") {
        let Some(name) = source.get("configMapRef").and_then(|reference| reference.get("name")) else { continue };
        let text = name.text().unwrap_or_default();
        if checksum || is_hashed(text) || !brings_reloadable(server, text) {
            continue;
        }
        let message = format!(
            "a change of ConfigMap {text} reaches the pods only when they are replaced; mount it and set {PREFIX}DIR, or \
             roll out on change (configMapGenerator, checksum annotation)"
        );
        findings.add(&ENV_FROM_RESTART, name.place, message);
    }
}

/// kustomize ends the names of generated ConfigMaps with a hash, so that a change is a rollout.
fn is_hashed(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == 10 && end.bytes().all(|byte| b"245678bcdfghkmt9".contains(&byte)))
}

fn brings_reloadable(server: &Server<'_>, config_map: &str) -> bool {
    let title = format!("ConfigMap {config_map}");
    let mut settings = server.settings.list.iter().filter(|setting| setting.env_from.as_ref() == Some(&title));
    settings.any(|setting| find(&setting.name).is_some_and(|variable| variable.change == Change::Reload))
}
