//! The body is taken before the last argument.

use rws::{App, Json, Path, post};

fn create(Json(name): Json<String>, Path(id): Path<u64>) -> String {
    format!("{id}: {name}")
}

fn main() {
    let _ = App::new().route("/items/{id}", post(create));
}
