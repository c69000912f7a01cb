//! The program that tests/health.rs starts: its checks, hooks and handlers do what files in `HEALTH_DIR` say, so that a test
//! can have them fail, panic and hang, and recover.

#![allow(clippy::unwrap_used, reason = "a program for tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rws::ops::health::Outcome;
use rws::{App, get};

/// Does what the file called `name` says, now: nothing (also if there is none), `fail`, `degrade`, `panic`, or `hang` until
/// it says something else.
fn obey(dir: &Path, name: &str) -> Result<Outcome, String> {
    loop {
        match fs::read_to_string(dir.join(name)).unwrap_or_default().trim() {
            "" => return Ok(Outcome::Pass),
            "fail" => return Err(format!("{name} was told to fail: secret")),
            "degrade" => return Ok(Outcome::Degraded(format!("{name} was told to degrade"))),
            "panic" => panic!("{name} was told to panic"),
            "hang" => thread::park_timeout(Duration::from_millis(10)),
            other => panic!("{name}: {other}?"),
        }
    }
}

/// The same for a hook.
fn hook(dir: &Path, name: &'static str) -> impl FnOnce() -> Result<(), String> + Send + 'static {
    let dir = dir.to_owned();
    move || obey(&dir, name).map(drop)
}

fn main() -> ExitCode {
    let dir = PathBuf::from(std::env::var_os("HEALTH_DIR").unwrap());
    let often = Duration::from_millis(250);
    let obedient = dir.clone();
    let mut app = App::new()
        .on_startup("first", hook(&dir, "startup"))
        .on_startup("second", hook(&dir, "startup-second"))
        .on_shutdown("last", hook(&dir, "shutdown-last"))
        .on_shutdown_within(Duration::from_millis(300), "middle", hook(&dir, "shutdown-middle"))
        .on_shutdown("first", hook(&dir, "shutdown-first"))
        .route("/block", get(move || drop(obey(&obedient, "block"))).blocking())
        .route("/text", get(|| "text"));
    for name in ["db", "minor", "warm", "alive"] {
        let (dir, check) = (dir.clone(), app.health().check(name).every(often).timeout(often));
        let check = match name {
            "minor" => check.critical(false),
            "warm" => check.startup(),
            "alive" => check.liveness(),
            _ => check,
        };
        check.run(move || obey(&dir, name));
    }
    // One that is never through. It has no say.
    let dir = dir.clone();
    app.health().check("hangs").critical(false).run(move || obey(&dir, "hangs"));
    app.run()
}
