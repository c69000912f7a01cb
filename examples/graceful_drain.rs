//! Run with `RWS_CONFIG_DRAIN_DELAY=5s cargo run --example graceful_drain`, then `curl -i localhost:7878/slow/8000` in
//! one terminal and `kill -TERM $(pidof graceful_drain)` in another.
//!
//! What happens at SIGTERM, all of it without code of yours:
//!
//! 1. The state is `draining`. /readyz answers 503 at once, so that the Service takes this pod off its list. That takes
//!    a while, so for RWS_CONFIG_DRAIN_DELAY (5 s inside Kubernetes by default, here because it is set) everything that
//!    comes is still served; each response says `Connection: close`, which moves clients elsewhere.
//! 2. The state is `stopping`. Nobody new is admitted, but whoever is connected or about to be is answered. The slow request
//!    below finishes: there are RWS_CONFIG_DRAIN_TIMEOUT (20 s) for that.
//! 3. The state is `stopped`, one line says how many requests were served meanwhile, and the exit code is 0. Had the slow
//!    request taken too long, it would be listed as aborted, and the exit code would be 4.
//!
//! A second SIGTERM, or Ctrl-C, ends the delay; one more while stopping ends the process with 128 + the signal's number.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rws::{App, Path, Problem, StatusCode, get};

/// Blocks its thread, as a handler does that waits for a database. Others are served meanwhile.
fn slow(Path(milliseconds): Path<u64>) -> Result<&'static str, Problem> {
    if milliseconds > 60_000 {
        return Err(Problem::new(StatusCode::BAD_REQUEST).with_detail("a minute is long enough"));
    }
    thread::sleep(Duration::from_millis(milliseconds));
    Ok("done, and nobody cut me short\n")
}

fn main() -> ExitCode {
    App::new().route("/slow/{milliseconds}", get(slow)).route("/fast", get(|| "fast\n")).run()
}
