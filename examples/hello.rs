//! Run with `cargo run --example hello`, then `curl localhost:7878/hello/world` and `curl localhost:7878/readyz?verbose`.

use std::process::ExitCode;

use rws::{App, Path, get};

fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

fn main() -> ExitCode {
    App::new().route("/hello/{name}", get(hello)).run()
}
