//! An error that is no response.

use std::io;

use rws::{App, get};

fn read() -> Result<String, io::Error> {
    std::fs::read_to_string("hello.txt")
}

fn main() {
    let _ = App::new().route("/", get(read));
}
