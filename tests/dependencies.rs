//! What an application takes with it that depends on this crate: how many crates, and none that brings a runtime along.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The most crates there may be without any feature, this one included. docs/FRAMEWORK.md tells it.
const MOST: usize = 62;

/// What must not come in but by a feature that says so: runtimes, and what is written against them.
const RUNTIMES: [&str; 12] = [
    "tokio",
    "async-std",
    "smol",
    "futures",
    "futures-core",
    "futures-util",
    "hyper",
    "tower",
    "tower-service",
    "axum",
    "actix-web",
    "may",
];

/// The names and versions of the crates in the normal dependency tree, this one included.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--offline", "--locked", "--edges", "normal"]);
    let output = command.args(["--prefix", "none", "--format", "{p}"]).args(features).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.split(" (").next().unwrap().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn name(krate: &str) -> &str {
    krate.split(' ').next().unwrap()
}

#[test]
fn no_more_crates_than_are_told() {
    let crates = crates(&["--no-default-features"]);
    assert!(crates.iter().any(|krate| name(krate) == "rws"), "{crates:#?}");
    assert!(crates.len() <= MOST, "{} crates: {crates:#?}", crates.len());
    assert_eq!(crates.len(), MOST, "there are fewer now: write that down here and in docs/FRAMEWORK.md");
    let guide = include_str!("../docs/FRAMEWORK.md");
    assert!(guide.contains(&format!("{} crates", MOST - 1)), "docs/FRAMEWORK.md tells another number");
}

#[test]
fn the_guide_has_each_feature_with_what_it_costs() {
    let guide = include_str!("../docs/FRAMEWORK.md");
    let rows = guide.lines().filter_map(|line| {
        let [feature, _, count] = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect::<Vec<_>>()[..]
        else {
            return None;
        };
        Some((feature.strip_suffix('`')?.to_owned(), count.parse().ok()?))
    });
    let told: BTreeMap<String, usize> = rows.collect();
    let cost = |feature: &str| crates(&["--no-default-features", "--features", feature]).len() - MOST;
    let costs: BTreeMap<String, usize> = features().into_iter().map(|name| (name.clone(), cost(&name))).collect();
    assert_eq!(told, costs);
}

/// Those of Cargo.toml, which are all in `default`.
fn features() -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let features = metadata["packages"][0]["features"].as_object().unwrap();
    let default = features["default"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let default: BTreeSet<_> = default.collect();
    assert_eq!(features.keys().filter(|name| *name != "default").cloned().collect::<BTreeSet<_>>(), default);
    default
}

#[test]
fn no_runtime_comes_along() {
    let runtimes = |features: &[&str]| -> BTreeSet<String> {
        crates(features).iter().map(|krate| name(krate).to_owned()).filter(|name| RUNTIMES.contains(&&**name)).collect()
    };
    assert_eq!(runtimes(&["--no-default-features"]), BTreeSet::new());
    // Forms with files are parsed from a `Stream`; nothing runs it but the handler's own thread.
    let traits = BTreeSet::from(["futures-core", "futures-util"].map(str::to_owned));
    assert!(runtimes(&[]).is_subset(&traits), "{:?}", runtimes(&[]));
    assert_eq!(runtimes(&["--no-default-features", "--features", "multipart"]), traits);
}
