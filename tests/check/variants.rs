//! Variants of a fault that one pair of manifests does not show: each a change to a clean manifest, and what is said.

use std::fs;

use crate::support::{directory, found_in};

/// Asserts that the manifest, with the first text replaced by the second, has a finding of the rule that says all of this,
/// and no other errors or warnings than of these rules.
fn says(from: &str, to: &str, rule: &str, words: &[&str]) {
    let clean = fs::read_to_string(directory().join("clean/https.yaml")).unwrap();
    let text = clean.replacen(from, to, 1);
    assert_ne!(text, clean, "{from}");
    let found = found_in(&text);
    let said = found
        .iter()
        .filter(|found| found.rule == rule)
        .any(|found| words.iter().all(|word| found.message.contains(word)));
    assert!(said, "{rule} {words:?} for {to}: {found:#?}");
    let line = text.lines().count();
    assert!(found.iter().all(|found| (1..=line).contains(&found.line)), "{found:#?}");
}

#[test]
fn probes_that_go_wrong_in_other_ways() {
    let readiness = "{path: \"/readyz?verbose\", port: https, scheme: HTTPS}";
    let admin = "{path: /healthz, port: admin}";
    for (from, to, rule, words) in [
        (readiness, "{path: /readyz, port: https}", "probe-scheme", &["speaks TLS", "add scheme: HTTPS"][..]),
        (
            admin,
            "{path: /healthz, port: admin, scheme: HTTPS}",
            "probe-scheme",
            &["9090", "plain HTTP", "remove scheme"],
        ),
        (
            admin,
            "{path: /healthz, port: adm}",
            "probe-port",
            &["a name that no port of container rws has", "port: https"],
        ),
        (admin, "{path: /healthz}", "probe-port", &["livenessProbe.httpGet.port is missing"]),
        (admin, "{path: /healthz/, port: admin}", "probe-path", &["a slash at the end", "use /healthz"]),
        (admin, "{path: /HealthZ, port: admin}", "probe-path", &["case-sensitive", "use /healthz"]),
        (admin, "{path: //healthz, port: admin}", "probe-path", &["begin with one slash", "use /healthz"]),
        (admin, "{path: /health, port: admin}", "probe-path", &["/health, which rws does not serve", "use /healthz"]),
        (admin, "{path: /metrics, port: admin}", "probe-path", &["no health check", "use /healthz"]),
        (admin, "{path: /statusz, port: admin}", "probe-path", &["a page of the admin port"]),
        (readiness, "{path: /metrics, port: https, scheme: HTTPS}", "probe-path", &["a file of RWS_CONFIG_STATIC_DIR"]),
        (admin, "{path: /readyz/db, port: admin}", "liveness-on-readiness", &["/readyz/db", "use /healthz"]),
        (readiness, "{path: /startupz, port: admin}", "readiness-on-liveness", &["use /readyz"]),
        (admin, "{path: /healthz, port: admin, host: www.example.com}", "probe-host", &["remove host"]),
        (
            "livenessProbe:\n        httpGet: {path: /healthz, port: admin}",
            "livenessProbe:\n        exec: {command: [rws, probe, readyz]}",
            "liveness-on-readiness",
            &["readyz"],
        ),
        (
            "livenessProbe:\n        httpGet: {path: /healthz, port: admin}",
            "livenessProbe:\n        exec: {command: [rws, probe, healthz, --timeout, 5s]}",
            "probe-timeout",
            &["waits up to 5s", "set timeoutSeconds to 6"],
        ),
        (
            "livenessProbe:\n        httpGet: {path: /healthz, port: admin}",
            "livenessProbe:\n        tcpSocket: {port: 80}",
            "probe-port",
            &["where nothing listens: rws listens on 8443 (RWS_CONFIG_PORT) and 9090 (RWS_CONFIG_ADMIN_PORT)"],
        ),
        (
            "livenessProbe:\n        httpGet: {path: /healthz, port: admin}",
            "livenessProbe: {}",
            "probe-handler",
            &["how"],
        ),
    ] {
        says(from, to, rule, words);
    }
}

#[test]
fn settings_that_go_wrong_in_other_ways() {
    let port = "\"serve\", \"--port\", \"8443\"";
    for (from, to, rule, words) in [
        (port, "\"--port\", \"banana\"", "env-invalid", &["RWS_CONFIG_PORT=\"banana\" (from the command line)"][..]),
        (port, "\"--port\", \"9090\"", "env-invalid", &["RWS_CONFIG_ADMIN_PORT", "must differ from RWS_CONFIG_PORT"]),
        (
            "        - name: RWS_CONFIG_TLS_KEY_FILE\n          value: /etc/tls/tls.key\n",
            "",
            "env-invalid",
            &["TLS_KEY_FILE"],
        ),
        ("RWS_CONFIG_DRAIN_DELAY", "RWS_CONFIG_DRAIN_DELY", "env-unknown", &["did you mean RWS_CONFIG_DRAIN_DELAY?"]),
        ("RWS_CONFIG_DRAIN_DELAY", "RWS_DRAIN_DELAY", "env-prefix", &["rws reads RWS_CONFIG_DRAIN_DELAY; rename it"]),
        ("RWS_CONFIG_DRAIN_DELAY", "rws_config_drain_delay", "env-prefix", &["rws reads RWS_CONFIG_DRAIN_DELAY"]),
        ("value: 10s", "value: 45s", "grace-period", &["DRAIN_DELAY 45 s", "60 s take 105 s", "set it to 110"]),
        ("value: 10s", "value: 2m", "grace-period", &["120 s"]),
        ("value: 1m", "value: \"0\"", "drain-off", &["RWS_CONFIG_DRAIN_TIMEOUT is 0", "cut off"]),
        (
            "/etc/tls/tls.key",
            "/etc/ssl/tls.key",
            "tls-not-mounted",
            &["/etc/ssl/tls.key", "no volume is mounted there"],
        ),
        (
            "/run/secrets/redact\n      ports",
            "/run/secret/redact\n      ports",
            "file-not-mounted",
            &["LOG_REDACT_QUERY_FILE"],
        ),
        (
            "{name: tls, mountPath: /etc/tls, readOnly: true}",
            "{name: tls, mountPath: /etc/tls/tls.crt, subPath: tls.crt}, {name: tls, mountPath: /etc/tls/tls.key, subPath: k}",
            "subpath-no-reload",
            &["a renewed certificate would not arrive"],
        ),
        ("{name: tls, mountPath", "{name: tsl, mountPath", "missing-volume", &["the volume tsl"]),
        (
            "prometheus.io/port: \"9090\"",
            "prometheus.io/port: \"8443\"",
            "metrics-target",
            &["9090 (RWS_CONFIG_ADMIN_PORT)"],
        ),
        ("runAsUser: 65532", "runAsUser: nobody", "run-as-non-root", &["wants a number"]),
    ] {
        // A list in flow style takes further items, one in block style needs lines.
        says(from, &to.replace("}, {", "}\n        - {"), rule, words);
    }
}

#[test]
fn services_that_go_wrong_in_other_ways() {
    let target = "targetPort: https";
    for (from, to, rule, words) in [
        (target, "targetPort: web", "service-port", &["a name that no container", "use https"][..]),
        (
            target,
            "targetPort: 443",
            "service-port",
            &["targetPort is 443, where nothing listens", "use targetPort: https"],
        ),
        (
            "  selector:\n    app: secure",
            "  selector:\n    app: secured",
            "service-selector",
            &["app=secured", "app=secure"],
        ),
        (
            "name: secure\nspec:\n  selector",
            "name: rws-config\nspec:\n  selector",
            "service-links",
            &["enableServiceLinks: false"],
        ),
    ] {
        says(from, to, rule, words);
    }
}

#[test]
fn scrapes_and_routes_that_go_wrong_in_other_ways() {
    let labels = "metadata:\n  name: secure\nspec:\n  selector";
    let labelled = "metadata:\n  name: secure\n  labels: {app: secure}\nspec:\n  selector";
    let monitor = |endpoint: &str| {
        format!(
            "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {{name: m}}\nspec:\n  selector: \
             {{matchLabels: {{app: secure}}}}\n  endpoints: [{{{endpoint}}}]\n---\napiVersion: v1\nkind: Service\n{labelled}"
        )
    };
    let route = |port: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  rules: \
             [{{backendRefs: [{{name: secure, port: {port}}}]}}]\n---\napiVersion: v1\nkind: Service\n{labels}"
        )
    };
    let service = format!("apiVersion: v1\nkind: Service\n{labels}");
    for (to, rule, words) in [
        (monitor("port: https"), "metrics-target", &["asks on port 8443", "on port 9090 (RWS_CONFIG_ADMIN_PORT)"][..]),
        (monitor("port: admin, path: /stats"), "metrics-target", &["asks for /stats", "at /metrics"]),
        (monitor("port: metrics"), "metrics-target", &["the port metrics, which Service secure does not have"]),
        (
            route("8443"),
            "ingress-backend",
            &["HTTPRoute r sends to port 8443 of Service secure, which has https, admin"],
        ),
    ] {
        says(&service, &to, rule, words);
    }
}
