//! Run with `cargo run --example hello`, then `curl localhost:7878/hello/world`.
//!
//! One route. Probes, metrics, the access log and the drain come with it: see `curl localhost:7878/readyz?verbose` and
//! `curl localhost:7878/metrics`. RWS_CONFIG_PORT and the other variables of docs/CONFIGURATION.md set it up.

use std::process::ExitCode;

use rws::{App, Path, get};

fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

fn main() -> ExitCode {
    App::new().route("/hello/{name}", get(hello)).run()
}
