//! Run with `RWS_CONFIG_STATIC_DIR=examples/site cargo run --example static_site`, then open <http://localhost:7878/>.
//!
//! A directory of files beside routes of the program's own. RWS_CONFIG_STATIC_DIR names the directory, so a container
//! can mount it where it likes; without it there are only the routes. Files come with ETag, Last-Modified, ranges and
//! conditional requests; `index.html` answers for its directory. A route goes before a file of the same path.

use std::process::ExitCode;
use std::time::SystemTime;

use rws::{App, Html, Redirect, State, get};

/// When the program started.
#[derive(Clone, Copy)]
struct Start(SystemTime);

fn age(State(start): State<Start>) -> Html<String> {
    let seconds = start.0.elapsed().unwrap_or_default().as_secs();
    Html(format!("<p>This server has been running for {seconds} s. <a href=\"/\">Back</a></p>\n"))
}

fn main() -> ExitCode {
    App::new()
        .route("/age", get(age))
        .route("/home", get(|| Redirect::permanent("/")))
        .state(Start(SystemTime::now()))
        .run()
}
