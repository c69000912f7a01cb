//! An argument that is no extractor.

use rws::{App, get};

fn show(id: u64) -> String {
    id.to_string()
}

fn main() {
    let _ = App::new().route("/items/{id}", get(show));
}
