//! `rws config`, `rws routes`, and what is written for shells, readers and terminals.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{RWS, clean, program};
use crate::{Said, rws, said};

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {} {}", said.out, said.err))
}

fn setting<'v>(document: &'v Value, name: &str) -> &'v Value {
    let settings = document["settings"].as_array().unwrap();
    let name = format!("RWS_CONFIG_{name}");
    settings.iter().find(|setting| setting["name"] == name.as_str()).unwrap_or_else(|| panic!("{name} is not listed"))
}

#[test]
fn every_value_comes_with_its_source() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("RWS_CONFIG_LOG_LEVEL"), "debug\n").unwrap();
    fs::write(dir.path().join("RWS_CONFIG_MAX_HEADERS"), "50").unwrap();
    let path = dir.path().to_str().unwrap();
    let secret = dir.path().join(".secret");
    fs::write(&secret, "hunter2").unwrap();
    let secret = secret.to_str().unwrap();
    let settings = [("DIR", path), ("MAX_HEADERS", "60"), ("LOG_REDACT_QUERY_FILE", secret), ("QUEUE_DEPTH", "5")];
    let arguments = ["config", "--set", "QUEUE_DEPTH=7"];

    let document = json(&rws(&[&arguments, &["--format", "json"][..]].concat(), &settings));
    let cases = [
        ("THREAD_COUNT", "200", "default"),
        ("LOG_LEVEL", "debug", "file"),
        ("MAX_HEADERS", "60", "environment"),
        ("QUEUE_DEPTH", "7", "command line"),
        ("LOG_REDACT_QUERY", "<redacted>", "file"),
    ];
    for (name, value, source) in cases {
        let setting = setting(&document, name);
        assert_eq!((setting["value"].as_str(), setting["source"].as_str()), (Some(value), Some(source)), "{name}");
    }
    assert_eq!(document["valid"], true);
    assert_eq!(setting(&document, "LOG_LEVEL")["file"], format!("{path}/RWS_CONFIG_LOG_LEVEL"));
    assert_eq!(setting(&document, "LOG_LEVEL")["reloadable"], true);
    assert_eq!(setting(&document, "LOG_LEVEL")["default"], "info");
    assert_eq!(setting(&document, "PORT")["reloadable"], false);
    assert_eq!(setting(&document, "LOG_REDACT_QUERY")["redacted"], true);

    let table = rws(&arguments, &settings);
    assert_eq!(table.code, 0);
    let row = |name: &str| table.out.lines().find(|line| line.starts_with(&format!("RWS_CONFIG_{name} "))).unwrap();
    assert!(row("LOG_LEVEL").ends_with(&format!("file {path}/RWS_CONFIG_LOG_LEVEL")), "{}", row("LOG_LEVEL"));
    assert!(row("QUEUE_DEPTH").ends_with("command line"), "{}", row("QUEUE_DEPTH"));
    assert!(row("STATIC_DIR").contains(" - "), "{}", row("STATIC_DIR"));

    let changed = rws(&["config", "--changed"], &settings);
    assert_eq!(changed.out.lines().count(), 6, "{}", changed.out);
}

#[test]
fn all_errors_and_warnings_are_listed() {
    let wrong = [("PORT", "x"), ("THREAD_COUNT", "0"), ("LOG_FROMAT", "json")];
    let text = rws(&["config"], &wrong);
    assert_eq!((text.code, text.out.as_str()), (2, ""));
    for needle in ["RWS_CONFIG_PORT=\"x\"", "RWS_CONFIG_THREAD_COUNT", "did you mean RWS_CONFIG_LOG_FORMAT"] {
        assert!(text.err.contains(needle), "{}", text.err);
    }
    let said = rws(&["config", "--format", "json"], &wrong);
    let document = json(&said);
    assert_eq!((said.code, &document["valid"]), (2, &Value::Bool(false)));
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["errors"][0]["variable"], "RWS_CONFIG_PORT");
    assert_eq!(document["warnings"][0]["variable"], "RWS_CONFIG_LOG_FROMAT");

    let warned = rws(&["config"], &[("LOG_FROMAT", "json")]);
    assert!(warned.code == 0 && warned.err.contains("warning: RWS_CONFIG_LOG_FROMAT"), "{}", warned.err);
}

#[test]
fn routes_come_with_what_makes_them() {
    let settings = [
        ("ROUTE_HELLO", "GET /hello/{name} -> respond 200 text/plain Hello!"),
        ("ROUTE_OLD", "/old/{*rest} -> redirect 308 /new/{rest}"),
        ("READYZ_PATH", "/ready"),
        ("DEMO_ROUTES", "true"),
        ("STATIC_DIR", "/usr"),
    ];
    let routes = rws(&["routes", "--format", "json"], &settings);
    let routes: Vec<Value> = serde_json::from_str(&routes.out).unwrap();
    let row = |pattern: &str| routes.iter().find(|route| route["pattern"] == pattern);
    let cases = [
        ("/hello/{name}", "GET", "route", "/hello/{name}", "RWS_CONFIG_ROUTE_HELLO"),
        ("/old/{*rest}", "*", "route", "/old/{*rest}", "RWS_CONFIG_ROUTE_OLD"),
        ("/demo/echo", "*", "route", "/demo/echo", "RWS_CONFIG_DEMO_ROUTES"),
        ("/healthz", "GET", "probe", "healthz", "RWS_CONFIG_HEALTHZ_PATH"),
        ("/livez", "GET", "probe", "livez", "built in"),
        ("/ready", "GET", "probe", "readyz", "RWS_CONFIG_READYZ_PATH"),
        ("/ready/{check}", "GET", "probe", "readyz", "RWS_CONFIG_READYZ_PATH"),
        ("/startupz", "GET", "probe", "startupz", "RWS_CONFIG_STARTUPZ_PATH"),
        ("/metrics", "GET", "metrics", "/metrics", "RWS_CONFIG_METRICS_PATH"),
        ("/…", "GET", "route", "_static", "RWS_CONFIG_STATIC_DIR (/usr)"),
    ];
    for (pattern, methods, kind, label, from) in cases {
        let route = row(pattern).unwrap_or_else(|| panic!("{pattern} is missing in {routes:#?}"));
        let fields = ["methods", "kind", "label", "from"].map(|field| route[field].as_str().unwrap());
        assert_eq!(fields, [methods, kind, label, from], "{pattern}");
    }
    let table = rws(&["routes"], &settings);
    assert_eq!(table.out.lines().count(), routes.len() + 1, "{}", table.out);
    assert!(table.out.starts_with("METHOD"), "{}", table.out);
}

#[test]
fn routes_that_contradict_each_other_end_with_2() {
    let said = rws(&["routes"], &[("ROUTE_A", "/a/{x} -> redirect 302 /"), ("ROUTE_B", "/a/{y} -> redirect 302 /")]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("RWS_CONFIG_ROUTE_B"), "{}", said.err);
}

#[test]
fn every_command_has_help_with_examples() {
    let long = rws(&["--help"], &[]);
    let commands = long.out.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(names.len() > 6, "{names:?}");
    for name in names {
        let help = rws(&[name, "--help"], &[]);
        assert!(help.code == 0 && help.out.contains("Examples:\n  rws"), "{name}: {}", help.out);
        let page = rws(&["man", name], &[]);
        assert!(page.code == 0 && page.out.contains(&format!(".TH rws-{name} 1")), "{name}: {}", page.out);
    }
    let page = rws(&["man"], &[]);
    assert!(page.out.contains(".TH rws 1") && page.out.contains("rws\\-probe(1)"), "{}", page.out);
    let said = rws(&["man", "nosuch"], &[]);
    assert!(said.code == 2 && said.err.contains("no such command"), "{}", said.err);
}

#[test]
fn shells_take_their_completions() {
    for (shell, check) in
        [("bash", "bash -n"), ("zsh", "zsh -n"), ("fish", "fish -n"), ("elvish", ""), ("powershell", "")]
    {
        let script = rws(&["completions", shell], &[]);
        assert!(script.code == 0 && script.out.contains("manifest"), "{shell}: {}", script.err);
        let mut words = check.split(' ');
        let Some(program) = words.next().filter(|name| !name.is_empty()).and_then(program) else { continue };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script");
        fs::write(&file, &script.out).unwrap();
        let output = clean(&program).args(words).arg(&file).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(rws(&["completions", "tcsh"], &[]).code, 2);
}

/// `sh -c`, with the binary as `$RWS`.
fn shell(script: &str, environment: &[(&str, &str)]) -> Said {
    let mut command = clean("/bin/sh");
    command.args(["-c", script]).env("RWS", RWS).envs(environment.iter().copied()).stdin(Stdio::null());
    said(&command.output().unwrap())
}

#[test]
fn a_reader_who_leaves_early_is_no_failure_and_a_full_disk_is() {
    for arguments in ["config", "routes", "manifest", "man", "completions bash", "--help"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = clean(RWS);
        command.args(arguments.split(' ')).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let left = said(&command.spawn().unwrap().wait_with_output().unwrap());
        assert_eq!((left.code, left.err.as_str()), (0, ""), "{arguments}");
        let full = shell(&format!("\"$RWS\" {arguments} > /dev/full"), &[]);
        assert!(!full.err.contains("panicked"), "{arguments}: {}", full.err);
    }
    let full = shell("\"$RWS\" config > /dev/full", &[]);
    assert!(full.code == 1 && full.err.contains("cannot write to stdout"), "{}", full.err);
    assert_eq!(shell("\"$RWS\" config --port x 2>&-", &[]).code, 2);
}

#[test]
fn colours_are_for_terminals_only() {
    const ESCAPE: char = '\u{1b}';
    for command in ["config", "config --port x", "routes", "--help"] {
        let piped = shell(&format!("\"$RWS\" {command} 2>&1"), &[]);
        assert!(!piped.out.contains(ESCAPE), "{command}: {}", piped.out);
        if program("script").is_none() {
            continue;
        }
        let on_terminal = format!("script -qec '\"$RWS\" {command}' /dev/null");
        let coloured = shell(&on_terminal, &[("TERM", "xterm-256color")]);
        assert!(coloured.out.contains(ESCAPE), "{command}: {}", coloured.out);
        let plain = shell(&on_terminal, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")]);
        // clap's help keeps bold and underline, which are no colours.
        assert!(command == "--help" || !plain.out.contains(ESCAPE), "{command}: {}", plain.out);
    }
}
