//! The load test: rws beside may_minihttp, each in a process of its own, driven by wrk.
//!
//! Run with `cargo bench --bench http`, or `cargo bench --bench http -- --help`. docs/BENCHMARKS.md tells how to read
//! what it prints.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to whoever runs it")]

mod cases;
mod machine;
mod mixed;
mod peers;
mod process;
mod report;
mod wrk;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use self::cases::{Case, Kind, Measured, SERVERS, measure};
use self::machine::Machine;
use self::report::Table;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A share of one CPU; when something else takes more, a measurement is disturbed.
const DISTURBED: f64 = 0.10;

const EXAMPLES: &str = "Examples:
  cargo bench --bench http
  cargo bench --bench http -- --rounds 7 --seconds 4 plaintext json
  cargo bench --bench http -- mixed";

const LEGEND: &str =
    "Medians of the rounds; \"best\" is the least CPU time per request, \"×\" the ratio of CPU time in the same round,
\"others\" the most that anything but server and wrk used of a CPU: above 10 %, run again.";

/// Measures rws beside may_minihttp with wrk
#[derive(Parser)]
#[command(name = "http", after_help = EXAMPLES)]
struct Options {
    /// Cases to run, by the beginnings of their names; all if there are none [plaintext, json, pipelined, one, many,
    /// close, mixed]
    cases: Vec<String>,
    /// Rounds; in each, every server has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of load for one server, case and round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often a measurement is repeated that something else on the machine disturbed
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    patience: u32,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
    /// What `cargo test` may say
    #[arg(long, hide = true)]
    test: bool,
}

impl Options {
    fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| case.starts_with(wanted.as_str()))
    }
}

fn main() -> ExitCode {
    if let Some(ended) = process::play_role(std::env::args().skip(1)) {
        return ended;
    }
    let options = Options::parse();
    if options.test || !options.bench {
        println!("a load test of minutes; run it with: cargo bench --bench http");
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every case that is wanted, one table after the other.
fn run(options: &Options) -> Result<()> {
    let cases: Vec<&Case> = cases::ALL.iter().filter(|case| options.wants(case.name)).collect();
    let mixed = options.wants(mixed::NAME);
    if cases.is_empty() && !mixed {
        return Ok(());
    }
    let machine = Machine::look()?;
    wrk::ensure_installed()?;
    println!("{machine}; {} rounds of {} s", options.rounds, options.seconds);
    println!("{LEGEND}\n");
    for case in cases {
        println!("{}", compare(case, &machine, options)?);
    }
    if mixed {
        println!("{}", mixed::run(options.rounds, options.seconds)?);
    }
    Ok(())
}

/// Interleaved, so that whatever else the machine does in the meantime hits all servers alike.
fn compare(case: &Case, machine: &Machine, options: &Options) -> Result<Table> {
    let mut table = Table::new(case);
    for round in 0..options.rounds as usize {
        for turn in 0..SERVERS.len() {
            let server = &SERVERS[(round + turn) % SERVERS.len()];
            if !(server.takes)(case) {
                continue;
            }
            table.add(server.name, round, measure_undisturbed(server, case, machine, options)?);
        }
    }
    Ok(table)
}

/// The first measurement that nothing else disturbed, or the one that was disturbed least.
fn measure_undisturbed(server: &Kind, case: &Case, machine: &Machine, options: &Options) -> Result<Measured> {
    let mut best = measure(server, case, machine, options.seconds)?;
    for _ in 0..options.patience {
        if best.others <= DISTURBED {
            break;
        }
        let again = measure(server, case, machine, options.seconds)?;
        if again.others < best.others {
            best = again;
        }
    }
    Ok(best)
}
