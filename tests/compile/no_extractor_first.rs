//! An argument that is no extractor, before another.

use rws::{App, State, get};

struct Database;

fn show(_: Database, State(name): State<&'static str>) -> &'static str {
    name
}

fn main() {
    let _ = App::new().route("/", get(show)).state("name");
}
