//! docs/CHECKS.md must say what the rules in code say.
//!
//! Run with `RWS_UPDATE_DOCS=1 cargo test --test check document` to write the reference anew.

use std::fs;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CHECKS.md");
const BEGIN: &str = "<!-- rules: begin -->\n";
const END: &str = "<!-- rules: end -->";

#[test]
fn the_reference_is_what_the_code_says() {
    let document = fs::read_to_string(PATH).expect("the document is there");
    let (before, rest) = document.split_once(BEGIN).expect("the reference has a begin");
    let (written, after) = rest.split_once(END).expect("the reference has an end");
    let expected = format!("\n{}\n", rws::cli::check::reference());
    if std::env::var_os("RWS_UPDATE_DOCS").is_some() {
        fs::write(PATH, format!("{before}{BEGIN}{expected}{END}{after}")).expect("the document can be written");
    } else {
        assert_eq!(written, expected, "run RWS_UPDATE_DOCS=1 cargo test --test check document");
    }
}
