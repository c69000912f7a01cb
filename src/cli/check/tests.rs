use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use proptest::prelude::*;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn checked(text: &str) -> Option<Vec<Finding>> {
    let inputs = Inputs::read(&[PathBuf::from("-")], text.as_bytes());
    let arguments = Line::parse_from(["check", "-"]).arguments;
    let findings = manifests(&inputs, &arguments).ok()?;
    let report = Report { inputs: &inputs, findings: &findings };
    for format in [Format::Text, Format::Json, Format::Sarif] {
        assert!(!report.render(format).is_empty());
    }
    Some(findings)
}

fn manifests_of_the_tests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let mut texts = Vec::new();
    for directory in ["seeds", "clean"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(texts.len() > 5);
    texts
}

/// What happens to files: a line is lost, doubled or indented, a value is of another type, the end is cut off.
fn mutated(text: &str, kind: u8, at: usize, with: usize) -> String {
    const VALUES: &[&str] = &[
        "",
        "~",
        "[]",
        "{}",
        "-1",
        "99999999999999999999",
        "\"\"",
        "'8080'",
        "*x",
        "&x y",
        "- a",
        "{a: [b]}",
        "100%",
        "1e9",
        "\"\\u0000\"",
        "é",
        "|",
        "$(A)$(",
        "$$(A)",
        "9223372036854775807",
        "-9223372036854775808",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = at % lines.len();
    match kind % 6 {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[with % lines.len()].clone()),
        2 => lines[at].insert_str(0, ["  ", " ", "\t"][with % 3]),
        3 => lines.truncate(at + 1),
        4 => {
            let key = lines[at].split(": ").next().unwrap_or_default().to_owned();
            lines[at] = format!("{key}: {}", VALUES[with % VALUES.len()]);
        }
        _ => {
            let other = with % lines.len();
            lines.swap(at, other);
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(
        which in any::<usize>(),
        changes in prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 1..6),
    ) {
        let all = manifests_of_the_tests();
        let mut text = all[which % all.len()].clone();
        for (kind, at, with) in changes {
            if text.lines().next().is_some() {
                text = mutated(&text, kind, at, with);
            }
        }
        for finding in checked(&text).unwrap_or_default() {
            let place = finding.place.expect("a finding in a manifest has a place");
            prop_assert!(place.line >= 1 && place.column >= 1, "{:?}", finding);
            prop_assert!(!finding.message.contains('\n'), "{:?}", finding);
        }
    }

    #[test]
    fn neither_does_any_text(text in "[-a-z:\\[\\]{}#&*!|>'\"%@` \t\n.0-9é]{0,200}") {
        checked(&text);
    }
}

#[test]
fn the_mutations_leave_something_to_check() {
    let all = manifests_of_the_tests();
    let checkable = all.iter().filter(|text| checked(&mutated(text, 0, 40, 0)).is_some()).count();
    assert!(checkable > all.len() / 2, "{checkable} of {}", all.len());
}

#[test]
fn the_metrics_of_the_guide_are_known() {
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).unwrap();
    let section = guide.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let quoted = section.split('`').skip(1).step_by(2).map(|name| name.split('{').next().unwrap_or_default());
    let names: Vec<&str> = quoted.filter(|name| metrics::looks_like_ours(name)).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(metrics::is_exported(name), "{name}: does it belong to NOT_AT_FIRST?");
    }
    for name in ["rws_request_per_second", "rws_queue_length", "http_server_requests"] {
        assert!(!metrics::is_exported(name), "{name}");
    }
}
