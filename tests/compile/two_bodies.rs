//! The body is taken twice.

use rws::{App, Json, post};

fn create(text: String, Json(number): Json<u64>) -> String {
    format!("{text} {number}")
}

fn main() {
    let _ = App::new().route("/", post(create));
}
