//! docs/CONFIGURATION.md must say what the table in code says.
//!
//! Run with `RWS_UPDATE_DOCS=1 cargo test --test configuration_docs` to write the reference anew.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::fs;

use rws::config::{Config, PREFIX, Sources, VARIABLES, reference};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
const BEGIN: &str = "<!-- variables: begin -->\n";
const END: &str = "<!-- variables: end -->";

#[test]
fn the_reference_is_what_the_code_says() {
    let document = fs::read_to_string(PATH).expect("the document is there");
    let (before, rest) = document.split_once(BEGIN).expect("the reference has a begin");
    let (written, after) = rest.split_once(END).expect("the reference has an end");
    let expected = format!("\n{}\n", reference());
    if std::env::var_os("RWS_UPDATE_DOCS").is_some() {
        // The other tests read it meanwhile: they shall see the one or the other.
        let beside = format!("{PATH}.new");
        fs::write(&beside, format!("{before}{BEGIN}{expected}{END}{after}")).expect("the document can be written");
        fs::rename(beside, PATH).expect("the document can be replaced");
    } else {
        assert_eq!(written, expected, "run RWS_UPDATE_DOCS=1 cargo test --test configuration_docs");
    }
}

#[test]
fn every_variable_has_one_row_and_every_row_the_cells_of_its_header() {
    let reference = reference();
    for variable in VARIABLES {
        let start = format!("| `{PREFIX}{}` |", variable.name);
        let rows = reference.lines().filter(|line| line.starts_with(&start)).count();
        assert_eq!(rows, 1, "{}", variable.name);
    }
    let mut cells = 0;
    for line in reference.lines().filter(|line| line.starts_with('|')) {
        let found = line.replace("\\|", "").matches('|').count();
        let is_header = line.starts_with("| Variable");
        cells = if is_header { found } else { cells };
        assert_eq!(found, cells, "{line}");
    }
}

#[test]
fn the_errors_in_the_document_are_the_errors_of_the_code() {
    let document = fs::read_to_string(PATH).expect("the document is there");
    let sources = Sources::new([
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("RWS_CONFIG_IP", "127.0.0.1"),
        ("RWS_CONFIG_PORT", "banana"),
    ]);
    let errors = Config::load(&sources).expect_err("both values are wrong").to_string();
    assert!(document.contains(&format!("```text\n{errors}\n```")), "the document does not show:\n{errors}");
}

#[test]
fn the_routes_in_the_document_are_valid() {
    let document = fs::read_to_string(PATH).expect("the document is there");
    let routes: Vec<&str> = document
        .lines()
        .filter(|line| line.contains(" -> ") && !line.contains("STATUS"))
        .filter(|line| !line.starts_with('|'))
        .collect();
    assert!(routes.len() >= 3, "{routes:?}");
    let settings = routes.iter().enumerate().map(|(index, route)| (format!("RWS_CONFIG_ROUTE_{index}"), *route));
    let loaded = Config::load(&Sources::new(settings)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.config.routes.len(), routes.len());
}
