//! A tuple whose first member is neither a status nor header fields.

use rws::{App, get};

fn hello() -> (u16, &'static str) {
    (200, "hello")
}

fn main() {
    let _ = App::new().route("/", get(hello));
}
