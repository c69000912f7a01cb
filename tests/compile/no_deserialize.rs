//! A type that cannot be read.

use rws::{App, Json, Query, get, post};

struct Item;

fn create(Json(_): Json<Item>) {}

fn list(Query(_): Query<Item>) {}

fn main() {
    let _ = App::new().route("/", post(create)).route("/list", get(list));
}
