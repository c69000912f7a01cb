//! A handler that is a future.

use rws::{App, Path, get};

async fn hello() -> &'static str {
    "hello"
}

async fn show(Path(id): Path<u64>) -> String {
    id.to_string()
}

fn main() {
    let _ = App::new().route("/", get(hello)).route("/{id}", get(show));
}
