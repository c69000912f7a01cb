//! A type that cannot be written.

use rws::{App, Json, get};

struct Item;

fn show() -> Json<Item> {
    Json(Item)
}

fn main() {
    let _ = App::new().route("/", get(show));
}
