//! Fast requests beside slow ones: what 16 connections on a handler that blocks 50 ms cost 64 on a fast one.

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::cases::{ALL, Case, RWS};
use crate::process::Server;
use crate::report::median;
use crate::wrk::{self, Load};

pub(crate) const NAME: &str = "mixed";

const FAST: &Case = &ALL[0];
const SLOW: Case = Case { path: "/demo/delay/50", expected: "slept", connections: 16, ..ALL[0] };
/// What 16 connections can get from a handler that takes 50 ms.
const SLOW_IDEAL: f64 = 16.0 / 0.050;
/// How long the slow load runs before the fast one begins.
const HEAD_START: Duration = Duration::from_millis(500);

struct Round {
    alone: Load,
    beside: Load,
    slow: Load,
}

/// The rounds of the mixed load, not pinned to CPUs.
pub(crate) struct Mixed(Vec<Round>);

pub(crate) fn run(rounds: u32, seconds: u32) -> Result<Mixed> {
    (0..rounds).map(|_| round(seconds)).collect::<Result<_>>().map(Mixed)
}

fn round(seconds: u32) -> Result<Round> {
    let server = Server::start(&RWS, None)?;
    server.warm_up(FAST.path, FAST.expected)?;
    let alone = wrk::run(&server, FAST, seconds, None)?;
    let (beside, slow) = thread::scope(|scope| {
        // It goes on for longer than the other one.
        let slow = scope.spawn(|| wrk::run(&server, &SLOW, seconds + 1, None).map_err(|error| error.to_string()));
        thread::sleep(HEAD_START);
        let beside = wrk::run(&server, FAST, seconds, None);
        (beside, slow.join())
    });
    let slow = slow.map_err(|_| "the slow load panicked")??;
    Ok(Round { alone, beside: beside?, slow })
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |figure: fn(&Round) -> f64| median(self.0.iter().map(figure).collect()).unwrap_or(f64::NAN);
        let failures: u64 = self.0.iter().map(|r| r.alone.failures + r.beside.failures + r.slow.failures).sum();
        writeln!(f, "mixed: {}, 64 connections, beside 16 on a handler that blocks 50 ms; not pinned\n", RWS.name)?;
        writeln!(f, "| alone req/s | beside req/s | kept | p99 alone µs | p99 beside µs | slow, of its ideal |")?;
        writeln!(f, "|--:|--:|--:|--:|--:|--:|")?;
        write!(
            f,
            "| {:.0} | {:.0} | {:.1} % | {:.0} | {:.0} | {:.1} % |",
            of(|round| round.alone.requests_per_second),
            of(|round| round.beside.requests_per_second),
            of(|round| round.beside.requests_per_second / round.alone.requests_per_second) * 100.0,
            of(|round| round.alone.p99_micros),
            of(|round| round.beside.p99_micros),
            of(|round| round.slow.requests_per_second / SLOW_IDEAL) * 100.0,
        )?;
        if failures > 0 {
            write!(f, " **{failures} failures**")?;
        }
        writeln!(f)
    }
}
