//! The load generator: finding or installing wrk, running it, reading what it prints.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::cases::Case;
use crate::process::{Running, Server, command};

/// What it may take longer than the load itself.
const GRACE: Duration = Duration::from_secs(15);

/// What wrk saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// Responses that were not 2xx or 3xx, and failures to connect, read, write or answer in time.
    pub(crate) failures: u64,
}

/// Sees to it that there is a wrk to run.
pub(crate) fn ensure_installed() -> Result<()> {
    const MISSING: &str = "wrk is not installed; on Debian and Ubuntu: apt-get install wrk";
    if runs("wrk", &["--version"]) {
        return Ok(());
    }
    let may_install = rustix::process::geteuid().is_root() && runs("apt-get", &["--version"]);
    if !may_install {
        return Err(MISSING.into());
    }
    println!("installing wrk with apt-get");
    let fetched = runs("apt-get", &["-qq", "install", "-y", "wrk"])
        || (runs("apt-get", &["-qq", "update"]) && runs("apt-get", &["-qq", "install", "-y", "wrk"]));
    if fetched { Ok(()) } else { Err(format!("apt-get failed; {MISSING}").into()) }
}

/// Whether a program is there and, given time enough, succeeds. `wrk --version` ends with 1.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut running) = Running::spawn(&mut command) else { return false };
    let ended = running.wait(Duration::from_secs(120));
    matches!(ended, Ok(Some(status)) if status.success() || (program == "wrk" && status.code() == Some(1)))
}

/// Loads a server as the case says.
pub(crate) fn run(server: &Server, case: &Case, seconds: u32, cpu: Option<usize>) -> Result<Load> {
    let mut wrk = command("wrk", cpu)?;
    let url = format!("http://{}{}", server.address, case.path);
    wrk.args(["-t1", "--latency", "--timeout", "8s"]);
    wrk.args([format!("-c{}", case.connections), format!("-d{seconds}s")]);
    if case.asks_to_close {
        wrk.args(["-H", "Connection: close"]);
    }
    let mut script = tempfile::Builder::new().suffix(".lua").tempfile()?;
    if case.pipelined > 1 {
        write!(script, "{}", pipeline(case.pipelined))?;
        wrk.arg("-s").arg(script.path());
    }
    wrk.arg(url).stdout(Stdio::piped());

    let mut running = Running::spawn(&mut wrk)?;
    let limit = Duration::from_secs(seconds.into()) + GRACE;
    let status = running.wait(limit)?.ok_or_else(|| format!("wrk did not end within {limit:?}"))?;
    let mut output = String::new();
    running.child().stdout.take().ok_or("wrk has no output")?.read_to_string(&mut output)?;
    if !status.success() {
        return Err(format!("wrk failed: {status}\n{output}").into());
    }
    parse(&output).ok_or_else(|| format!("wrk printed something else than usual:\n{output}").into())
}

/// A script that makes several requests one.
fn pipeline(depth: u32) -> String {
    format!(
        "local batch\n\
         function init()\n\
           local one = wrk.format()\n\
           batch = string.rep(one, {depth})\n\
         end\n\
         function request()\n\
           return batch\n\
         end\n"
    )
}

/// Reads what `wrk --latency` prints.
fn parse(output: &str) -> Option<Load> {
    let mut load = Load::default();
    for line in output.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["50%", time] => load.p50_micros = micros(time)?,
            ["99%", time] => load.p99_micros = micros(time)?,
            [count, "requests", "in", ..] => load.requests = count.parse().ok()?,
            ["Requests/sec:", rate] => load.requests_per_second = rate.parse().ok()?,
            ["Socket", "errors:", ..] | ["Non-2xx", ..] => {
                let counts = words.iter().filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
                load.failures += counts.sum::<u64>();
            }
            _ => {}
        }
    }
    (load.requests > 0).then_some(load)
}

/// `1.23ms` and the like.
fn micros(time: &str) -> Option<f64> {
    let unit = time.find(|character: char| character.is_ascii_alphabetic())?;
    let factor = match &time[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(time[..unit].parse::<f64>().ok()? * factor)
}
