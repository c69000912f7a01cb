//! `rws manifest`: that the objects follow the configuration.

use std::fs;

use crate::support::{clean, program};
use crate::{Settings, rws};

/// What `rws manifest` prints.
fn manifest(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let said = rws(&[&["manifest"], arguments].concat(), settings);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

/// The object of this kind, of this name.
fn object<'m>(manifest: &'m str, kind: &str, name: &str) -> &'m str {
    let (kind, name) = (format!("\nkind: {kind}\n"), format!("\n  name: {name}\n"));
    let mut objects = manifest.split("---\n");
    objects.find(|object| object.contains(&kind) && object.contains(&name)).unwrap_or_else(|| panic!("no {kind}{name}"))
}

fn assert_contains(text: &str, needles: &[&str]) {
    for needle in needles {
        assert!(text.contains(needle), "{needle:?} is not in\n{text}");
    }
}

#[test]
fn ports_paths_and_times_follow_the_configuration() {
    let settings = [
        ("PORT", "8080"),
        ("READYZ_PATH", "/health/ready"),
        ("HEALTHZ_PATH", "/alive"),
        ("STARTUPZ_PATH", "/up"),
        ("METRICS_PATH", "/prom"),
        ("DRAIN_DELAY", "10s"),
        ("DRAIN_TIMEOUT", "45s"),
        ("THREAD_COUNT", "1000"),
    ];
    let text = manifest(&["--service-monitor"], &settings);
    let deployment = object(&text, "Deployment", "rws");
    assert_contains(
        deployment,
        &[
            "- name: http\n              containerPort: 8080\n",
            "path: \"/health/ready\"\n              port: http\n",
            "path: \"/alive\"\n",
            "path: \"/up\"\n",
            "terminationGracePeriodSeconds: 60\n",
            "memory: 448Mi\n",
            "enableServiceLinks: false\n",
        ],
    );
    assert_contains(object(&text, "Service", "rws"), &["port: 80\n      targetPort: http\n"]);
    assert_contains(object(&text, "ServiceMonitor", "rws"), &["port: http\n      path: \"/prom\"\n"]);
    assert_contains(object(&text, "ConfigMap", "rws-env"), &["RWS_CONFIG_PORT: \"8080\"\n"]);
    assert_contains(object(&text, "ConfigMap", "rws-live"), &["RWS_CONFIG_DRAIN_DELAY: \"10s\"\n"]);
}

#[test]
#[cfg(feature = "tls")]
fn with_a_certificate_all_speak_tls_and_the_secrets_are_mounted() {
    let files = [("TLS_CERT_FILE", "/etc/tls/tls.crt"), ("TLS_KEY_FILE", "/run/key/tls.key")];
    let text = manifest(&["--host", "a.example", "--service-monitor"], &files);
    assert_contains(
        object(&text, "Deployment", "rws"),
        &[
            "- name: https\n              containerPort: 7878\n",
            "path: \"/healthz\"\n              port: https\n              scheme: HTTPS\n",
            "mountPath: \"/etc/tls\"\n",
            "mountPath: \"/run/key\"\n",
            "secretName: rws-tls\n",
            "secretName: rws-tls-2\n",
        ],
    );
    assert_contains(
        object(&text, "Service", "rws"),
        &["port: 443\n      targetPort: https\n      appProtocol: https\n"],
    );
    assert_contains(object(&text, "NetworkPolicy", "rws"), &["- port: https\n"]);
    assert_contains(object(&text, "Ingress", "rws"), &["name: https\n"]);
    assert_contains(object(&text, "ServiceMonitor", "rws"), &["scheme: https\n"]);
    let said = rws(&["manifest"], &[("TLS_CERT_FILE", "tls.crt"), ("TLS_KEY_FILE", "/run/key/tls.key")]);
    assert!(said.code == 2 && said.err.contains("must be an absolute path"), "{}", said.err);
}

#[test]
fn with_an_admin_port_probes_and_metrics_are_there() {
    let settings = [("ADMIN_PORT", "9090"), ("READYZ_PATH", "/ready")];
    let text = manifest(&["--service-monitor"], &settings);
    let deployment = object(&text, "Deployment", "rws");
    assert_contains(
        deployment,
        &[
            "- name: http\n              containerPort: 7878\n            - name: admin\n              containerPort: 9090\n",
            "path: \"/ready\"\n              port: admin\n",
            "path: \"/startupz\"\n              port: admin\n",
        ],
    );
    assert!(!deployment.contains("port: http\n"), "{deployment}");
    assert!(!object(&text, "Service", "rws").contains("admin"), "users of the Service do not reach it");
    assert_contains(
        object(&text, "Service", "rws-admin"),
        &["clusterIP: None\n", "port: 9090\n      targetPort: admin\n"],
    );
    assert_contains(object(&text, "NetworkPolicy", "rws"), &["monitoring\n      ports:\n        - port: admin\n"]);
    assert_contains(object(&text, "ServiceMonitor", "rws"), &["- port: admin\n"]);

    // Where the kubelet does not reach it, it asks the main port.
    let settings = [("ADMIN_PORT", "9090"), ("ADMIN_IP", "127.0.0.1")];
    assert!(!manifest(&[], &settings).contains("admin"));
    let said = rws(&["manifest", "--service-monitor"], &settings);
    assert!(said.code == 2 && said.err.contains("does not reach"), "{}", said.err);
}

#[test]
fn a_server_for_its_own_pod_is_probed_inside_it() {
    let said = rws(&["manifest", "--only", "deployment"], &[("IP", "127.0.0.1"), ("ALLOW_LOOPBACK", "true")]);
    assert!(said.code == 0 && said.err.contains("nobody outside of the pod"), "{}", said.err);
    for (probe, question) in [("startup", "startupz"), ("liveness", "livez"), ("readiness", "readyz")] {
        let command = format!(
            "{probe}Probe:\n            exec:\n              command: [/usr/local/bin/rws, probe, {question}]\n"
        );
        assert_contains(&said.out, &[&command]);
    }
}

#[test]
fn it_is_written_for_a_cluster_wherever_it_is_written() {
    // DRAIN_DELAY=auto is 0 here and 5 s there.
    let text = manifest(&[], &[("DRAIN_DELAY", "auto")]);
    assert_contains(object(&text, "Deployment", "rws"), &["terminationGracePeriodSeconds: 30\n"]);
    assert_contains(object(&text, "ConfigMap", "rws-live"), &["RWS_CONFIG_DRAIN_DELAY: \"auto\"\n"]);
    // What is in the image need not be here.
    let text = rws(&["manifest"], &[("STATIC_DIR", "/srv/no/such/place")]);
    assert!(text.code == 0 && text.err.contains("must be in the image"), "{}", text.err);
    assert_contains(object(&text.out, "ConfigMap", "rws-env"), &["RWS_CONFIG_STATIC_DIR: \"/srv/no/such/place\"\n"]);
    let said = rws(&["manifest"], &[("IP", "127.0.0.1")]);
    assert!(said.code == 2 && said.err.contains("kubelet probes"), "{}", said.err);
}

#[test]
fn settings_reach_the_pod_by_the_way_they_can_change() {
    // Unquoted, YAML would take this for something else.
    let settings = [("LOG_LEVEL", "debug"), ("DEMO_ROUTES", "on")];
    let both = manifest(&[], &settings);
    assert_contains(object(&both, "ConfigMap", "rws-env"), &["data:\n  RWS_CONFIG_DEMO_ROUTES: \"on\"\n"]);
    assert_contains(object(&both, "ConfigMap", "rws-live"), &["data:\n  RWS_CONFIG_LOG_LEVEL: \"debug\"\n"]);
    let pod = object(&both, "Deployment", "rws");
    assert_contains(
        pod,
        &["name: RWS_CONFIG_DIR\n              value: /etc/rws\n", "mountPath: /etc/rws ", "name: rws-live\n"],
    );

    let all = manifest(&["--config", "env"], &settings);
    assert_contains(object(&all, "ConfigMap", "rws-env"), &["RWS_CONFIG_DEMO_ROUTES", "RWS_CONFIG_LOG_LEVEL"]);
    assert!(!all.contains("RWS_CONFIG_DIR") && !all.contains("rws-live") && !all.contains("volumes:"), "{all}");
}

#[test]
fn pods_are_replaced_when_a_setting_needs_it() {
    let print = |settings: &[(&str, &str)]| {
        let text = manifest(&["--only", "deployment"], settings);
        text.lines().find_map(|line| line.trim().strip_prefix("rws/settings: ").map(String::from))
    };
    let (few, many) = (print(&[("REACTOR_COUNT", "2")]), print(&[("REACTOR_COUNT", "3")]));
    assert!(few.is_some() && few != many, "{few:?} {many:?}");
    assert_eq!(few, print(&[("REACTOR_COUNT", "2"), ("LOG_LEVEL", "debug")]), "what is live replaces no pod");
    assert_eq!(print(&[]), None);
}

#[test]
fn what_may_be_secret_is_expected_in_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    fs::write(&file, "hunter2").unwrap();
    let text = manifest(&[], &[("LOG_REDACT_QUERY_FILE", file.to_str().unwrap())]);
    assert!(!text.contains("hunter2"), "{text}");
    assert_contains(
        object(&text, "ConfigMap", "rws-env"),
        &["RWS_CONFIG_LOG_REDACT_QUERY_FILE: \"/etc/rws-secrets/RWS_CONFIG_LOG_REDACT_QUERY\"\n"],
    );
    assert_contains(
        object(&text, "Deployment", "rws"),
        &["secretName: rws-secrets\n", "mountPath: \"/etc/rws-secrets\"\n", "keys RWS_CONFIG_LOG_REDACT_QUERY:"],
    );
}

#[test]
fn names_are_where_they_belong_and_wrong_ones_are_refused() {
    let text = manifest(
        &[
            "--name",
            "shop",
            "--namespace",
            "shops",
            "--image",
            "r.example/shop:1",
            "--replicas",
            "3",
            "--host",
            "shop.example",
        ],
        &[],
    );
    for object in text.split("---\n") {
        assert_contains(object, &["\n  namespace: \"shops\"\n", "app.kubernetes.io/name: shop\n"]);
    }
    assert_contains(
        &text,
        &["image: \"r.example/shop:1\"", "minReplicas: 3", "host: \"shop.example\"", "name: shop-env"],
    );
    assert_eq!(manifest(&["--only", "service"], &[]).matches("kind:").count(), 1);
    assert_eq!(manifest(&["--only", "service,pdb"], &[]).matches("\nkind:").count(), 2);

    let cases: &[(&[&str], &str)] = &[
        (&["--name", "Shop"], "lower case"),
        (&["--name", "a\nb"], "lower case"),
        (&["--name", "on"], "YAML takes for"),
        (&["--namespace", "-"], "lower case"),
        (&["--image", "a b"], "must be an image"),
        (&["--image", ""], "must be an image"),
        (&["--host", "shop_example"], "must be a host name"),
        (&["--replicas", "0"], "not in 1..=1000"),
        (&["--replicas", "20"], "--max-replicas"),
        (&["--only", "pod"], "possible values"),
        (&["--set", "PORT=0"], "lets the system choose"),
        (&["--only", "ingress"], "only with --host"),
        (&["--only", "servicemonitor"], "only with --service-monitor"),
        (&["--only", "hpa", "--max-replicas", "2"], "--max-replicas above --replicas"),
    ];
    for (arguments, expected) in cases {
        let said = rws(&[&["manifest"], *arguments].concat(), &[]);
        assert!(said.code == 2 && said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
}

#[cfg(feature = "tls")]
#[test]
fn certificates_are_mounted_where_nothing_else_is() {
    let with = |directory: &str| {
        let (certificate, key) = (format!("{directory}/tls.crt"), format!("{directory}/tls.key"));
        rws(&["manifest"], &[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &key)])
    };
    for (directory, live) in [
        ("/etc/tls", "/etc/rws"),
        ("/etc/rws", "/etc/rws-live"),
        ("/etc/rws/tls", "/etc/rws-live"),
        ("/etc/rws2", "/etc/rws"),
    ] {
        let said = with(directory);
        assert_eq!(said.code, 0, "{directory}: {}", said.err);
        let mounted = format!("mountPath: {live} #");
        assert_contains(&said.out, &[&mounted, &format!("value: {live}\n"), &format!("mountPath: \"{directory}\"")]);
    }
    for (directory, expected) in [
        ("", "must be an absolute path such as"),
        ("/a/../b", "must be an absolute path"),
        ("/a:b", "must be an absolute path"),
        ("/a\nb", "must be an absolute path"),
        ("/etc", "--config env"),
    ] {
        let said = with(directory);
        assert!(said.code == 2 && said.err.contains(expected), "{directory:?}: {}{}", said.out, said.err);
    }
}

/// Configurations whose manifests must be right in every respect.
const CONFIGURATIONS: &[(&[&str], Settings)] = &[
    (&[], &[]),
    // An old name sets the new one, and is not needed beside it.
    (&["--replicas", "3", "--max-replicas", "3"], &[("REQUEST_ALLOCATION_SIZE_IN_BYTES", "10000")]),
    (&["--namespace", "1e3"], &[]),
    (&["--config", "env", "--replicas", "1"], &[("PORT", "8080"), ("LOG_LEVEL", "debug")]),
    (&["--host", "a.example", "--service-monitor"], &[("PORT", "80"), ("DRAIN_TIMEOUT", "1m")]),
    #[cfg(feature = "tls")]
    (&["--host", "a.example"], &[("TLS_CERT_FILE", "/etc/tls/tls.crt"), ("TLS_KEY_FILE", "/etc/tls/tls.key")]),
    #[cfg(feature = "tls")]
    (
        &["--service-monitor"],
        &[("TLS_CERT_FILE", "/etc/tls/tls.crt"), ("TLS_KEY_FILE", "/etc/tls/tls.key"), ("ADMIN_PORT", "9090")],
    ),
    #[cfg(feature = "tls")]
    (
        &["--host", "a.example"],
        &[
            ("PORT", "8443"),
            ("HTTP_REDIRECT_PORT", "8080"),
            ("ADMIN_PORT", "9090"),
            ("VIRTUAL_HOST_1_DOMAIN", "a.example"),
            ("VIRTUAL_HOST_1_CERT_FILE", "/etc/tls/a/tls.crt"),
            ("VIRTUAL_HOST_1_KEY_FILE", "/etc/tls/a/tls.key"),
            ("TLS_CLIENT_CA_FILE", "/etc/tls/clients/ca.crt"),
        ],
    ),
    (&["--service-monitor"], &[("ADMIN_PORT", "9090"), ("STARTUP_TIMEOUT", "5m"), ("DRAIN_DELAY", "15s")]),
    // Switched off is fine, whatever it is.
    (&[], &[("HTTP_REDIRECT_PORT", ""), ("TLS_CLIENT_CA_FILE", ""), ("CORS_ALLOW_ALL", "false")]),
    (
        &["--name", "x1", "--namespace", "shops"],
        &[("ROUTE_A", "GET /a/{b} -> respond 200 application/json {\"b\": \"{b}\"}")],
    ),
];

#[test]
fn rws_check_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (index, (arguments, settings)) in CONFIGURATIONS.iter().enumerate() {
        let file = dir.path().join(format!("{index}.yaml"));
        fs::write(&file, manifest(arguments, settings)).unwrap();
        // Notes are worth knowing; a single pod is what one of them asks for.
        let found = rws(&["check", "--min-severity=warning", "--deny=warning", file.to_str().unwrap()], &[]);
        assert_eq!(found.code, 0, "{arguments:?} {settings:?}: {}{}", found.out, found.err);
        assert!(found.out.starts_with("nothing found"), "{}", found.out);
    }
}

#[test]
fn the_schema_of_kubernetes_holds() {
    let Some(validate) = program("kubernetes-validate") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, (arguments, settings)) in CONFIGURATIONS.iter().enumerate() {
        let file = dir.path().join(format!("{index}.yaml"));
        fs::write(&file, manifest(arguments, settings)).unwrap();
        files.push(file);
    }
    let output = clean(&validate).args(["--strict", "--no-warn"]).args(&files).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.matches(" passed for resource ").count() >= 8 * files.len(), "{text}");
}
