//! Run with `cargo run --example embedding`, then, with the address that it logs, `curl http://…/jobs`, and Ctrl-C or
//! `kill -TERM $(pidof embedding)`.
//!
//! rws as a part of a program that has work of its own: here it counts jobs, and the server shows how many are done. What `run`
//! would do for a whole process is the program's business: it binds the listener, makes the configuration, installs the
//! `tracing` subscriber, and decides when the server stops. Probes, metrics and drain are the same.

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rws::config::Config;
use rws::{App, State, get};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the program is there for.
#[derive(Clone, Default)]
struct Jobs {
    done: Arc<AtomicU64>,
}

impl Jobs {
    fn work(&self) {
        loop {
            thread::sleep(Duration::from_millis(10));
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn done(State(jobs): State<Jobs>) -> String {
    format!("{} jobs done\n", jobs.done.load(Ordering::Relaxed))
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::stderr).init();
    let jobs = Jobs::default();
    let app = App::new().route("/jobs", get(done)).state(jobs.clone());
    let config = Config { thread_count: 2, drain_timeout: Duration::from_secs(5), ..Config::default() };
    let server = app.serve(TcpListener::bind("127.0.0.1:0")?, config)?;

    // Whatever stops this program stops the server; the program ends when the server has.
    let stopper = server.stopper();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || signals.forever().for_each(|_| stopper.stop()));
    thread::spawn(move || jobs.work());

    let report = server.wait()?;
    tracing::info!(verdict = report.verdict.name(), "the program ends");
    Ok(())
}
