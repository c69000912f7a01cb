//! A result that is no response.

use rws::{App, Path, get};

struct Item;

fn item() -> Item {
    Item
}

fn number(Path(id): Path<u64>) -> u64 {
    id
}

fn main() {
    let _ = App::new().route("/", get(item)).route("/{id}", get(number));
}
