//! Input that is not what it should be, and how it is said.

use std::fs;

use crate::support::{check, check_with, found_in};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: rws, image: 'rws:1'}]}\n";

#[test]
fn what_cannot_be_checked_is_told_in_a_line_with_what_to_do() {
    let nested = |levels: usize| "a: ".to_owned() + &"[".repeat(levels) + &"]".repeat(levels);
    let (deep, deeper) = (nested(150), nested(5000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &"bcdefghij".chars().zip("abcdefghi".chars()).fold(String::new(), |text, (name, other)| {
            text + &format!("{name}: &{name} [{}]\n", vec![format!("*{other}"); 9].join(","))
        });
    let cases = [
        ("kind: [", "<stdin>:", "not valid YAML"),
        ("a: b: c\n", "<stdin>:1:", "not valid YAML"),
        ("a:\n\tb: c\n", "<stdin>:2:", "indented with a tab"),
        (deep.as_str(), "<stdin>:1:", "levels deep"),
        (deeper.as_str(), "<stdin>:1:", "levels deep"),
        (bomb.as_str(), "<stdin>:", "aliases included"),
        ("a: &a [*a]\n", "<stdin>:1:", "inside of what it refers to"),
        ("a: *nowhere\n", "<stdin>:1:", "not valid YAML"),
        ("spec:\n  {{- include \"x\" . }}\n  a: b\n", "<stdin>:", "helm template CHART | rws check -"),
        ("kind: Pod\nname: {{ .Values.name }}\n", "<stdin>:2", "helm template CHART | rws check -"),
        ("name: \"{{ .Release.Name }}\"\n", "<stdin>:1:", "helm template CHART | rws check -"),
        ("? [a]\n: b\n", "<stdin>:1:", "cannot be a key"),
        ("", "", "no Kubernetes object"),
        ("# nothing\n---\n---\n", "", "no Kubernetes object"),
        ("replicaCount: 1\n", "", "no Kubernetes object"),
        ("just text", "", "no Kubernetes object"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", "", "no workload in the input"),
    ];
    for (text, place, why) in cases {
        let run = check_with(&["-"], &[], text);
        let start = &text[..text.len().min(60)];
        assert_eq!(run.code, 2, "{start}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.starts_with(&format!("error: {place}")), "{start}: {}", run.stderr);
        assert!(run.stderr.contains(why) && run.stderr.lines().count() == 1, "{start}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{start}");
    }
}

#[test]
fn files_and_directories_that_are_for_other_tools_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    for directory in ["overlay", "chart", "empty", "plain", "plain/deeper"] {
        fs::create_dir(path(directory)).unwrap();
    }
    fs::write(path("overlay/kustomization.yaml"), "resources: [x.yaml]\n").unwrap();
    fs::write(path("chart/Chart.yaml"), "name: x\n").unwrap();
    fs::write(path("plain/deeper/pod.yaml"), POD).unwrap();
    fs::write(path("plain/.hidden.yaml"), "a: [").unwrap();
    fs::write(path("plain/notes.txt"), "a: [").unwrap();
    fs::write(path("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let cases = [
        (path("overlay"), format!("kubectl kustomize {} | rws check -", path("overlay"))),
        (path("overlay/kustomization.yaml"), format!("kubectl kustomize {} | rws check -", path("overlay"))),
        (path("chart"), format!("helm template {} | rws check -", path("chart"))),
        (path("empty"), "holds no .yaml, .yml or .json file".to_owned()),
        (path("missing.yaml"), "cannot be read: No such file".to_owned()),
        (path("binary.yaml"), "cannot be read: not UTF-8".to_owned()),
    ];
    for (argument, why) in cases {
        let run = check(&[&argument]);
        assert_eq!(run.code, 2, "{argument}");
        assert!(run.stderr.contains(&why) && run.stderr.contains(&argument), "{argument}: {}", run.stderr);
    }
    let run = check(&["--format", "json", &path("plain")]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert!(run.stdout.contains("plain/deeper/pod.yaml"), "{}", run.stdout);
}

#[test]
fn byte_order_marks_line_ends_of_windows_and_json_are_read() {
    let expected: Vec<String> = found_in(POD).into_iter().map(|found| found.message).collect();
    assert!(!expected.is_empty());
    let json = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},
        "spec":{"containers":[{"name":"rws","image":"rws:1"}]}}"#;
    for text in
        [format!("\u{feff}{POD}"), POD.replace('\n', "\r\n"), json.to_owned(), format!("--- # first\n{POD}...\n")]
    {
        let found: Vec<String> = found_in(&text).into_iter().map(|found| found.message).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn the_container_that_is_rws_is_recognised_or_asked_for() {
    let pod = |containers: &str| {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{containers}]}}\n")
    };
    let other = "{name: db, image: 'postgres:17'}";
    let is_found = |text: &str| check_with(&["-"], &[], text).code == 1;
    for container in [
        "{name: a, image: 'registry.example.com:5000/team/rws:1'}",
        "{name: a, image: 'my-rws:1'}",
        "{name: a, image: 'x:1', command: [/usr/local/bin/rws]}",
        "{name: a, image: 'x:1', command: [sh, -c, 'exec rws']}",
        "{name: a, image: 'x:1', env: [{name: RWS_CONFIG_PORT, value: '80'}]}",
        "{name: a, image: 'x:1', envFrom: [{prefix: RWS_CONFIG_, configMapRef: {name: elsewhere}}]}",
    ] {
        assert!(is_found(&pod(&format!("{container}, {other}"))), "{container}");
    }
    // Alone it needs no sign.
    assert!(is_found(&pod("{name: a, image: 'x:1'}")));
    let two = pod(&format!("{{name: a, image: 'browse:1'}}, {other}"));
    let run = check_with(&["-"], &[], &two);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("none of the containers (a, db) looks like rws: say which is"), "{}", run.stderr);
    let run = check_with(&["--container", "a", "-"], &[], &two);
    assert!(run.code == 1 && run.stdout.contains("container a has no readinessProbe"), "{}{}", run.stdout, run.stderr);
    let run = check_with(&["--container", "c", "-"], &[], &two);
    assert!(run.code == 2 && run.stderr.contains("only a, db"), "{}", run.stderr);
}

#[test]
fn the_environment_is_what_the_kubelet_would_make() {
    let manifest = |container: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one}}\ndata: {{RWS_CONFIG_PORT: '1001', PORT: '1002', \
             NUMBER: '1003'}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: two}}\nstringData: {{RWS_CONFIG_PORT: \
             '1004'}}\ndata: {{RWS_CONFIG_PORT: MTAwNQ==, encoded: MTAwNg==}}\n---\napiVersion: v1\nkind: Pod\nmetadata: \
             {{name: p}}\nspec:\n  containers:\n  - name: rws\n    image: rws:1\n    ports: [{{containerPort: 1}}]\n{container}"
        )
    };
    let one = "{configMapRef: {name: one}}";
    let two = "{secretRef: {name: two}}";
    for (container, port) in [
        ("", 7878),
        (&*format!("    envFrom: [{one}]\n"), 1001),
        (&format!("    envFrom: [{one}, {two}]\n"), 1004),
        (&format!("    envFrom: [{two}, {one}]\n"), 1001),
        ("    envFrom: [{prefix: RWS_CONFIG_, configMapRef: {name: one}}]\n", 1002),
        (&format!("    envFrom: [{one}]\n    env: [{{name: RWS_CONFIG_PORT, value: '2001'}}]\n"), 2001),
        (&format!("    envFrom: [{one}]\n    env: [{{name: RWS_CONFIG_PORT, value: $(NUMBER)}}]\n"), 1003),
        ("    env: [{name: A, value: '20'}, {name: RWS_CONFIG_PORT, value: $(A)$(A)}]\n", 2020),
        ("    env: [{name: RWS_CONFIG_PORT, valueFrom: {secretKeyRef: {name: two, key: encoded}}}]\n", 1006),
        ("    env: [{name: RWS_CONFIG_PORT, valueFrom: {configMapKeyRef: {name: one, key: PORT}}}]\n", 1002),
        (&format!("    envFrom: [{one}]\n    args: [--port, '3001']\n"), 3001),
        (&format!("    envFrom: [{one}]\n    args: [--set, PORT=$(NUMBER)]\n"), 1003),
    ] {
        let found = found_in(&manifest(container));
        let message = &found.iter().find(|found| found.rule == "container-port").expect(container).message;
        assert!(message.contains(&format!("rws listens on {port} ")), "{container}: {message}");
    }
    // What comes from elsewhere may say anything, and nothing is claimed.
    for container in [
        "    env: [{name: RWS_CONFIG_PORT, valueFrom: {secretKeyRef: {name: elsewhere, key: port}}}]\n",
        "    env: [{name: RWS_CONFIG_PORT, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n",
        &format!("    envFrom: [{one}, {{configMapRef: {{name: elsewhere}}}}]\n"),
        "    args: [--port, $(ELSEWHERE)]\n    envFrom: [{configMapRef: {name: elsewhere}}]\n",
    ] {
        let found = found_in(&manifest(container));
        assert!(found.iter().all(|found| found.rule != "container-port"), "{container}: {found:?}");
    }
}

#[test]
fn settings_in_a_mounted_directory_are_checked_where_they_are_written() {
    let text = "apiVersion: v1
kind: ConfigMap
metadata: {name: live}
data:
  RWS_CONFIG_LOG_LEVEL: loud
  port: \"9090\"
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: rws
    image: rws:1
    env: [{name: RWS_CONFIG_DIR, value: /etc/rws/}]
    ports: [{containerPort: 7878}]
    volumeMounts: [{name: live, mountPath: /etc/rws}]
  volumes:
  - name: live
    configMap:
      name: live
      items: [{key: RWS_CONFIG_LOG_LEVEL, path: LOG_LEVEL}, {key: port, path: PORT}]
";
    let found = found_in(text);
    let at = |rule: &str| found.iter().find(|found| found.rule == rule).unwrap_or_else(|| panic!("{rule}: {found:?}"));
    assert_eq!(at("env-invalid").line, 5);
    assert!(at("env-invalid").message.contains("RWS_CONFIG_LOG_LEVEL=\"loud\": must be one of"), "{found:?}");
    assert!(at("container-port").message.contains("rws listens on 9090"), "{found:?}");
}

#[test]
fn a_config_map_by_itself_is_checked_for_what_it_alone_says() {
    let text = "apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  RWS_CONFIG_TLS_CERT_FILE: /etc/tls/tls.crt
  RWS_CONFIG_THREAD_COUNT: \"0\"
  RWS_CONFIG_THREADS: \"8\"
  index.html: <p>hello</p>
";
    let found: Vec<(String, usize)> = found_in(text).into_iter().map(|found| (found.rule, found.line)).collect();
    // The key may come from elsewhere.
    assert_eq!(found, [("env-invalid".to_owned(), 6), ("env-unknown".to_owned(), 7)]);
}
