//! The machine: which CPUs there are, and how busy all of them have been.

use std::fmt;
use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// The CPUs of the server and of wrk; `None`, when there is one CPU only, leaves that to the scheduler.
pub(crate) struct Machine {
    pub(crate) server_cpu: Option<usize>,
    pub(crate) client_cpu: Option<usize>,
    cpus: usize,
    model: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("unknown CPU", |(_, model)| model).to_owned();
        let (server_cpu, client_cpu) = match cpus[..] {
            [server, client, ..] => (Some(server), Some(client)),
            _ => (None, None),
        };
        Ok(Machine { server_cpu, client_cpu, cpus: cpus.len(), model })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPUs ({}), ", self.cpus, self.model)?;
        match (self.server_cpu, self.client_cpu) {
            (Some(server), Some(client)) => write!(f, "server on CPU {server}, wrk on CPU {client}"),
            _ => f.write_str("server and wrk share it"),
        }
    }
}

/// Pins the calling thread, and what it executes, to a CPU.
pub(crate) fn pin_to(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// How long the machine's CPUs have been doing anything.
pub(crate) fn busy_time() -> Result<Duration> {
    const IDLE_AND_IOWAIT: [usize; 2] = [3, 4];
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("/proc/stat has no cpu line")?;
    // Guests' time is contained in user time.
    let columns = line.split_ascii_whitespace().take(8).enumerate();
    let busy = columns.filter(|(column, _)| !IDLE_AND_IOWAIT.contains(column));
    Ok(ticks(busy.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum()))
}

/// A number of the kernel's clock ticks.
pub(crate) fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / rustix::param::clock_ticks_per_second())
}
