//! Handlers that do not fit, with their arguments counted for the compiler.

use rws::{App, Json, Path, Query, get, post};

struct Item;

fn none() -> Item {
    Item
}

fn body_first(_: Json<String>, _: Path<u64>) {}

fn own_type(_: Query<Item>) {}

async fn future(_: Path<u64>) {}

fn too_big(_: Path<u64>, _: u64) -> Json<Item> {
    Json(Item)
}

fn main() {
    let app = App::new().route("/a", get::<_, (_,)>(none)).route("/b/{id}", post::<_, (_, _, _)>(body_first));
    let app = app.route("/c", get::<_, (_, _)>(own_type)).route("/d/{id}", get::<_, (_, _)>(future));
    let _ = app.route("/e/{id}", get::<_, (_, _, _)>(too_big));
}
