//! Manifests in the shapes that charts, meshes and other platforms give them: what is theirs is no fault of rws, and what is
//! a fault is found in any shape.

use crate::support::found_in;

const PROBES: &str = "livenessProbe: {httpGet: {path: /healthz, port: 7878}}
readinessProbe: {httpGet: {path: /readyz, port: 7878}}
startupProbe: {httpGet: {path: /startupz, port: 7878}, failureThreshold: 30}
";

/// A workload of this kind whose container `web` has these fields; `more` follows among the containers.
fn workload(kind: &str, fields: &str, more: &str) -> String {
    let group = if kind == "DeploymentConfig" { "apps.openshift.io/v1" } else { "apps/v1" };
    format!(
        "apiVersion: {group}
kind: {kind}
metadata: {{name: web}}
spec:
  replicas: 2
  template:
    metadata: {{labels: {{app: web}}, annotations: {{checksum/config: abc}}}}
    spec:
      containers:
      - name: web
{}{}---
",
        indented(fields, 8),
        indented(more, 6)
    )
}

fn indented(text: &str, spaces: usize) -> String {
    text.lines().map(|line| format!("{:spaces$}{line}\n", "")).collect()
}

/// Errors and warnings as `rule: message`; notes are left out.
fn faults(text: &str) -> Vec<String> {
    let found = found_in(text).into_iter().filter(|found| found.severity != "note");
    found.map(|found| format!("{}: {}", found.rule, found.message)).collect()
}

fn rws(fields: &str) -> String {
    workload("Deployment", &format!("image: rws:0.1.0\n{fields}"), "")
}

#[test]
fn what_is_fine_in_another_shape_is_no_fault() {
    let settings =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {RWS_CONFIG_LOG_LEVEL: info}\n---\n";
    let budget = |spec: &str| {
        format!("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: other}}\nspec: {spec}\n---\n")
    };
    let shared = "envFrom: [{configMapRef: {name: settings}}]";
    let cases = [
        (
            "a sidecar that is given all settings",
            settings.to_owned()
                + &workload(
                    "Deployment",
                    &format!("image: acme/shop:1\n{shared}\n{PROBES}"),
                    &format!("- {{name: exporter, image: 'prom/statsd:1', {shared}}}"),
                ),
        ),
        (
            "a budget of something else",
            rws(PROBES)
                + &workload("Deployment", "image: redis:7", "").replace("web", "redis")
                + &budget(
                    "{minAvailable: 2, selector: {matchExpressions: [{key: app, operator: In, values: [cache]}]}}",
                ),
        ),
        ("a budget for all pods of the namespace", rws(PROBES) + &budget("{maxUnavailable: 1, selector: {}}")),
        (
            "pods that another object makes",
            rws(PROBES).replace("replicas: 2", "replicas: 0")
                + &budget("{minAvailable: 1, selector: {matchLabels: {app: web}}}"),
        ),
        (
            "a path that is called rws",
            workload(
                "Deployment",
                &format!(
                    "image: acme/shop:1\ncommand: [/app/shop]\nargs: [--static-dir, /srv/rws, --fast]\nenv: [{{name: \
                     RWS_CONFIG_LOG_LEVEL, value: info}}]\n{PROBES}"
                ),
                "",
            ),
        ),
        (
            "a hook that waits in the place of the drain",
            rws(&format!(
                "env: [{{name: RWS_CONFIG_DRAIN_DELAY, value: '0'}}]\nlifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}\n{PROBES}"
            )),
        ),
        (
            "a monitor of whatever has a port of this name",
            rws(PROBES)
                + "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{name: http, port: \
                   80, targetPort: 7878}]}\n---\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: \
                   all}\nspec: {selector: {}, endpoints: [{port: metrics}]}\n",
        ),
        ("an empty host", rws(&PROBES.replace("port: 7878", "port: 7878, host: ''"))),
        ("a path without a slash", rws(&PROBES.replace("path: /", "path: "))),
    ];
    for (what, text) in cases {
        let faults = faults(&text);
        assert!(faults.is_empty(), "{what}: {faults:#?}");
    }
}

#[test]
fn an_autoscaler_of_keda_says_how_many_pods_there_are() {
    let scaled = |least: u32| {
        rws(PROBES).replace("  replicas: 2\n", "")
            + &format!(
                "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: web}}\nspec: {{scaleTargetRef: \
                 {{name: web}}, minReplicaCount: {least}}}\n"
            )
    };
    let is_single = |least| found_in(&scaled(least)).iter().any(|found| found.rule == "single-replica");
    assert!(is_single(1) && !is_single(2));
}

#[test]
fn a_fault_is_found_in_any_shape() {
    let scaler = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: {scaleTargetRef: \
                  {kind: Deployment, name: web}, maxReplicas: 4, targetCPUUtilizationPercentage: 60}\n";
    let settings =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {RWS_CONFIG_PORT: '9000'}\n---\n";
    let service = |target: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: {target}}}]}}\n"
        )
    };
    let startup = PROBES.replace("failureThreshold: 30", "failureThreshold: 1");
    let exec = |words: &str| {
        PROBES.replacen("{httpGet: {path: /healthz, port: 7878}}", &format!("{{exec: {{command: {words}}}}}"), 1)
    };
    let cases = [
        ("probe-port: livenessProbe.httpGet.port is \"7878\" in quotes", rws(&PROBES.replace("7878", "'7878'"))),
        ("service-port: Service web: targetPort is \"7878\" in quotes", rws(PROBES) + &service("'7878'")),
        (
            "container-port: containerPort is \"7878\" in quotes",
            rws(&format!("ports: [{{containerPort: '7878'}}]\n{PROBES}")),
        ),
        (
            "container-port: containerPort is 8080",
            workload("DeploymentConfig", &format!("image: rws:0.1.0\nports: [{{containerPort: 8080}}]\n{PROBES}"), ""),
        ),
        (
            // A Secret that is not given adds to what is known.
            "probe-port: livenessProbe.httpGet.port is 7878, where nothing listens: rws listens on 9000",
            settings.to_owned()
                + &rws(&format!(
                    "envFrom: [{{configMapRef: {{name: settings}}}}, {{secretRef: {{name: passwords}}}}]\n{PROBES}"
                )),
        ),
        (
            "hpa-request: targetCPUUtilizationPercentage of cpu needs",
            rws(PROBES).replace("  replicas: 2\n", "") + scaler,
        ),
        ("probe-too-tight: startupProbe", rws(&startup)),
        (
            "env-invalid: RWS_CONFIG_PORT: is set by both RWS_CONFIG_PORT and RWS_CONFIG_PORT_FILE; keep one",
            rws(&format!(
                "env: [{{name: RWS_CONFIG_PORT, value: '7878'}}, {{name: RWS_CONFIG_PORT_FILE, value: /s/port}}]\n{PROBES}"
            )),
        ),
        ("value-not-text: args is a text", rws(&format!("args: --port 7878\n{PROBES}"))),
        ("value-not-text: a word of args is a number", rws(&format!("args: [--port, 7878]\n{PROBES}"))),
        (
            "value-not-text: annotation prometheus.io/port is a number",
            rws(PROBES).replace("checksum/config: abc", "prometheus.io/port: 7878"),
        ),
        ("exec-probe: livenessProbe.exec fails every time", rws(&exec("[rws, probe, livenes]"))),
        ("exec-probe: livenessProbe.exec runs a shell (sh)", rws(&exec("[/bin/sh, /probe.sh]"))),
        ("exec-probe: livenessProbe.exec runs a shell (busybox)", rws(&exec("[busybox, wget, localhost]"))),
    ];
    for (expected, text) in cases {
        let faults = faults(&text);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:#?}");
    }
}

#[test]
fn a_program_of_its_own_may_listen_on_ports_that_it_does_not_declare() {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 9102}]}\n";
    let fields = |image: &str| format!("image: {image}\nenv: [{{name: RWS_CONFIG_PORT, value: '7878'}}]\n{PROBES}");
    for (image, severity) in [("rws:0.1.0", "error"), ("acme/shop:1", "warning")] {
        let found = found_in(&(workload("Deployment", &fields(image), "") + service));
        let found = found.iter().find(|found| found.rule == "service-port").expect("it is found");
        assert_eq!(found.severity, severity, "{image}: {found:?}");
    }
}

#[test]
fn an_operator_that_rolls_out_changes_is_seen() {
    let settings =
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {RWS_CONFIG_LOG_LEVEL: info}\n";
    let text = rws(&format!("envFrom: [{{configMapRef: {{name: settings}}}}]\n{PROBES}")) + settings;
    let plain = text.replace("checksum/config", "other");
    let reloaded = plain.replacen("{name: web}", "{name: web, annotations: {reloader.stakater.com/auto: 'true'}}", 1);
    let is_found = |text: &str| found_in(text).iter().any(|found| found.rule == "envfrom-restart");
    assert!(is_found(&plain) && !is_found(&text) && !is_found(&reloaded));
}

#[test]
fn the_variables_of_other_servers_are_not_read() {
    let text = rws(&format!("env: [{{name: BIND_ADDR, value: '0.0.0.0:8080'}}]\n{PROBES}"));
    let found = found_in(&text).into_iter().find(|found| found.rule == "env-prefix").expect("it is found");
    assert!(found.message.contains("BIND_ADDR is not read: rws takes its address from RWS_CONFIG_IP"), "{found:?}");
}
