//! The pods: Deployment, and the ConfigMaps with their settings.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::cluster::metadata;
use super::plan::{Plan, Port, startup_seconds};
use super::yaml::{indented, quoted};

/// One ConfigMap for the environment and, unless everything goes there, one for the mounted directory.
pub(super) fn config_maps(plan: &Plan<'_>) -> Vec<String> {
    let environment = config_map(
        plan,
        &plan.environment_map(),
        "# Read once, at the start of a pod: after a change, roll the pods (kubectl rollout restart).\n",
        &plan.environment,
    );
    let live = plan.live_map().map(|name| {
        let comment =
            "# Read whenever it changes: the kubelet brings it into the running pods within about a minute.\n";
        config_map(plan, &name, comment, &plan.live)
    });
    std::iter::once(environment).chain(live).collect()
}

fn config_map(plan: &Plan<'_>, name: &str, comment: &str, settings: &BTreeMap<String, String>) -> String {
    let data: String = settings.iter().map(|(name, value)| format!("  {name}: {}\n", quoted(value))).collect();
    let data = if data.is_empty() { "data: {}\n".to_owned() } else { format!("data:\n{data}") };
    format!("apiVersion: v1\nkind: ConfigMap\n{}{comment}{data}", metadata(plan, name))
}

/// The Deployment.
pub(super) fn deployment(plan: &Plan<'_>) -> String {
    let name = &plan.options.name;
    format!(
        "apiVersion: apps/v1
kind: Deployment
{metadata}spec:
{replicas}  revisionHistoryLimit: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  strategy:
    rollingUpdate:
      # A new pod is ready before an old one goes, so a version that never gets ready takes nothing down.
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
{annotations}      labels:
        app.kubernetes.io/name: {name}
    spec:
{pod}",
        metadata = metadata(plan, name),
        replicas = replicas(plan),
        annotations = annotations(plan),
        pod = indented(&pod(plan), 6),
    )
}

fn replicas(plan: &Plan<'_>) -> String {
    if plan.scales() {
        "  # No replicas: the HorizontalPodAutoscaler sets them, and every apply would set them back.\n".to_owned()
    } else {
        format!("  replicas: {}\n", plan.options.replicas)
    }
}

fn annotations(plan: &Plan<'_>) -> String {
    let Some(fingerprint) = plan.fingerprint() else { return String::new() };
    format!(
        "      annotations:
        # Differs with the settings that need a restart, so that applying them replaces the pods.
        rws/settings: {}\n",
        quoted(&fingerprint)
    )
}

fn pod(plan: &Plan<'_>) -> String {
    let mut text = format!(
        "serviceAccountName: {name}
# It does not talk to the API server.
automountServiceAccountToken: false
# A Service called rws-config would inject RWS_CONFIG_PORT=tcp://...
enableServiceLinks: false
# More than DRAIN_DELAY ({delay:?}), DRAIN_TIMEOUT ({timeout:?}) and what closing takes: SIGKILL would abort requests.
terminationGracePeriodSeconds: {grace}
{security}topologySpreadConstraints:
  # One node, or one zone, should not take all pods with it.
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        app.kubernetes.io/name: {name}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        app.kubernetes.io/name: {name}
containers:
  - name: rws
{container}",
        name = plan.options.name,
        delay = plan.config.drain_delay,
        timeout = plan.config.drain_timeout,
        grace = plan.grace_seconds,
        security = pod_security(plan),
        container = indented(&container(plan), 4),
    );
    text += &volumes(plan);
    text
}

fn pod_security(plan: &Plan<'_>) -> String {
    let mut text = "# What the restricted Pod Security Standard asks for.
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Owns what is mounted, so that files of mode 0440 can be read.
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
"
    .to_owned();
    if plan.ports().any(|port| port.number < 1024) {
        text += "  sysctls:
    # Ports under 1024 are for root otherwise; 1024 and above need nothing.
    - name: net.ipv4.ip_unprivileged_port_start
      value: \"0\"
";
    }
    text
}

fn container(plan: &Plan<'_>) -> String {
    let config = plan.config;
    let memory = plan.memory_mib;
    let mut text = format!("image: {}\nports:\n", quoted(&plan.options.image));
    for Port { name, number, .. } in plan.ports() {
        let _ = write!(text, "  - name: {name}\n    containerPort: {number}\n");
    }
    text += &settings(plan);
    text += "# Until it has started, the other probes are not asked.\n";
    let often = format!("periodSeconds: 1\n  failureThreshold: {}\n", startup_seconds(config));
    text += &probe(plan, "startup", &config.startupz_path, &often);
    text += "# Restarts a process that is stuck. It says nothing about load or dependencies, which a restart would not mend.\n";
    let patient = "periodSeconds: 10\n  timeoutSeconds: 2\n  failureThreshold: 3\n";
    text += &probe(plan, "liveness", &config.healthz_path, patient);
    text += "# Takes a pod out of the Service while it should get no traffic; it fails as soon as the pod drains.\n";
    let prompt = "periodSeconds: 5\n  timeoutSeconds: 2\n  failureThreshold: 3\n";
    text += &probe(plan, "readiness", &config.readyz_path, prompt);
    let _ = write!(
        text,
        "resources:
  requests:
    cpu: 100m
    memory: {memory}Mi
  limits:
    # For THREAD_COUNT {threads} and MAX_CONNECTIONS {connections}; add what your handlers keep.
    # No CPU limit: being throttled delays probes as well. Nodes with many CPUs: set REACTOR_COUNT.
    memory: {memory}Mi
securityContext:
  allowPrivilegeEscalation: false
  # It writes no file.
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
",
        threads = config.thread_count,
        connections = config.max_connections,
    );
    text + &volume_mounts(plan)
}

fn settings(plan: &Plan<'_>) -> String {
    let mut text = format!("envFrom:\n  - configMapRef:\n      name: {}\n", plan.environment_map());
    if plan.live_map().is_some() {
        let _ = write!(text, "env:\n  - name: RWS_CONFIG_DIR\n    value: {}\n", plan.live_dir);
    }
    text
}

fn probe(plan: &Plan<'_>, kind: &str, path: &str, times: &str) -> String {
    let Some(port) = plan.probed() else { return exec_probe(kind, times) };
    // HTTP is the default.
    let scheme = if port.tls { "\n    scheme: HTTPS" } else { "" };
    format!("{kind}Probe:\n  httpGet:\n    path: {}\n    port: {}{scheme}\n  {times}", quoted(path), port.name)
}

/// For a server that only its own pod reaches.
fn exec_probe(kind: &str, times: &str) -> String {
    let question = match kind {
        "startup" => "startupz",
        "liveness" => "livez",
        _ => "readyz",
    };
    format!("{kind}Probe:\n  exec:\n    command: [/usr/local/bin/rws, probe, {question}]\n  {times}")
}

fn volume_mounts(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    if plan.live_map().is_some() {
        let _ = write!(
            text,
            "  - name: live\n    mountPath: {} # as a whole: a subPath is never updated\n    readOnly: true\n",
            plan.live_dir
        );
    }
    for mount in &plan.mounts {
        let (volume, directory) = (&mount.volume, quoted(&mount.directory));
        let _ = write!(text, "  - name: {volume}\n    mountPath: {directory}\n    readOnly: true\n");
    }
    if text.is_empty() { text } else { format!("volumeMounts:\n{text}") }
}

fn volumes(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    if let Some(map) = plan.live_map() {
        let _ = write!(text, "  - name: live\n    configMap:\n      name: {map}\n");
    }
    for mount in &plan.mounts {
        let (volume, secret) = (&mount.volume, &mount.secret);
        let keys = mount.keys.join(", ");
        let _ = write!(
            text,
            "  # Must have the keys {keys}: kubectl create secret generic {secret} --from-file=KEY=PATH ...
  - name: {volume}
    secret:
      secretName: {secret}
      defaultMode: 0440
"
        );
    }
    if text.is_empty() { text } else { format!("volumes:\n{text}") }
}
