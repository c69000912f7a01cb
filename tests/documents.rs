//! What the documents say, held against the tree and the code. docs/CONFIGURATION.md has a test of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rws::config::{PREFIX, Status, VARIABLES, Variable};
use rws::ops::metrics::Metrics;
use rws::server::lifecycle::State;

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = [root.to_owned(), root.join("docs")].map(|directory| fs::read_dir(directory).expect("it is there"));
    let paths = entries.into_iter().flatten().map(|entry| entry.expect("it can be read").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    texts.map(|path| (path.clone(), fs::read_to_string(path).expect("it can be read"))).collect()
}

fn document(name: &str) -> String {
    let found = documents().into_iter().find(|(path, _)| path.ends_with(name));
    found.unwrap_or_else(|| panic!("{name} is missing")).1
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("http") {
                continue;
            }
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.exists(), "{}: {link} is not there", path.display());
            if !anchor.is_empty() {
                let heading = |line: &str| {
                    let words = line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
                    words.replace(|c: char| !c.is_alphanumeric() && !"-_".contains(c), "")
                };
                let text = fs::read_to_string(&target).expect("a document can be read");
                let found = text.lines().filter(|line| line.starts_with('#')).any(|line| heading(line) == anchor);
                assert!(found, "{}: {link} has no such heading", path.display());
            }
            links += 1;
        }
    }
    assert!(links > 10, "only {links} links were found");
}

#[test]
fn the_operations_guide_names_every_metric_and_no_other() {
    let metrics = Metrics::new(Default::default(), Default::default(), Default::default(), Vec::new());
    let gathered = metrics.expect("an empty registry takes all").gather();
    let section = section("OPERATIONS.md", "## Metrics");
    let named: BTreeSet<&str> = names(&section, is_metric).collect();
    // A family is gathered once it has a sample; these wait for the first request and probe, and for health checks.
    let waiting = ["http_server_request_duration_seconds", "rws_probe_requests_total", "rws_health_check_up"];
    // These are registered by what counts them.
    let elsewhere = [
        "rws_config_reloads_total",
        "rws_config_last_reload_success_timestamp_seconds",
        "rws_rate_limited_total",
        "rws_tls_cert_not_after_timestamp_seconds",
    ];
    let there: BTreeSet<&str> = gathered.iter().map(|family| family.name()).chain(waiting).chain(elsewhere).collect();
    assert_eq!(named, there);
}

fn is_metric(name: &str) -> bool {
    ["rws_", "http_server_", "process_"].iter().any(|prefix| name.starts_with(prefix))
}

/// What stands in backquotes, without labels, if it is wanted.
fn names(text: &str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2).map(|name| name.split('{').next().unwrap_or_default());
    quoted.filter(move |name| wanted(name))
}

fn section(document_name: &str, heading: &str) -> String {
    let text = document(document_name);
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect("the section is there");
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

#[test]
fn the_operations_guide_names_only_variables_that_work_and_every_state() {
    let text = document("OPERATIONS.md");
    let shouted = |name: &str| name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let named: Vec<&str> = names(&text, |name| shouted(name) && name.find('_').is_some_and(|at| at > 0)).collect();
    assert!(named.len() > 20);
    for name in named {
        let name = name.trim_start_matches(PREFIX);
        let works = |variable: &Variable| variable.name == name && variable.status == Status::Supported;
        assert!(name.is_empty() || VARIABLES.iter().any(works), "{name} is no variable that has an effect");
    }
    for state in State::ALL {
        assert!(text.contains(&format!("`{}`", state.name())), "{} is not explained", state.name());
    }
}
