//! A handler that borrows from the function it is in.

use rws::{App, get};

fn main() {
    let name = String::from("world");
    let _ = App::new().route("/", get(|| format!("hello, {name}")));
}
