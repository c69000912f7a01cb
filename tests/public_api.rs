//! What users are told of the framework: that the guide names tests that exist, and what the layers above it take from the
//! framework that users cannot.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The text of every Rust file below `directory`.
fn sources(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                vec![fs::read_to_string(path).unwrap()]
            }
            false => Vec::new(),
        })
        .collect()
}

fn below(directory: &str) -> Vec<String> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory))
}

/// The names of the functions behind `#[test]`.
fn tests() -> BTreeSet<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| {
        let (before, rest) = text.split_once("fn ")?;
        let is_next = !before.contains('}');
        is_next.then(|| rest.split(|c| !is_part(c)).next().unwrap().to_owned())
    };
    let all = [below("src"), below("tests")].concat();
    all.iter().flat_map(|text| text.split("#[test]").skip(1).filter_map(name).collect::<Vec<_>>()).collect()
}

/// The rows of the table with this head, cell by cell.
fn table(guide: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = guide.split_once(head).unwrap();
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn every_claim_of_the_guide_is_held_by_a_test_that_exists() {
    let guide = include_str!("../docs/FRAMEWORK.md");
    let (claims, held) = (table(guide, "| | rws |"), table(guide, "| | held by |"));
    let first = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert!(claims.len() > 10, "{claims:?}");
    assert_eq!(first(&claims), first(&held), "each row of one table has a row in the other");
    assert!(claims.iter().all(|row| row.len() == 6), "{claims:?}");
    let tests = tests();
    for row in held {
        let named: Vec<&str> = row[1].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row:?} names no test");
        let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
        assert!(missing.is_empty(), "{row:?} names tests that are not there: {missing:?}");
    }
}
