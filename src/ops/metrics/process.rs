//! The process as the kernel sees it, read from /proc when Prometheus asks (proc_pid_stat(5)).
//! What cannot be read is left out of the scrape.

use std::fs;

use prometheus::proto::MetricFamily;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::families as f;

/// What stays the same as long as the process lives.
pub(super) struct ProcessFacts {
    /// When the machine started, in seconds since 1970.
    boot: Option<f64>,
}

impl ProcessFacts {
    pub(super) fn new() -> Self {
        ProcessFacts { boot: fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time) }
    }

    pub(super) fn collect(&self, families: &mut Vec<MetricFamily>) {
        // The command's name is any bytes, so the file need not be UTF-8.
        let stat = fs::read("/proc/self/stat").ok().as_deref().and_then(Stat::parse);
        if let Some(stat) = stat {
            families.extend([
                f::PROCESS_CPU.single(ticks(stat.cpu)),
                f::PROCESS_THREADS.single(stat.threads),
                f::PROCESS_RESIDENT.single(stat.resident_pages.saturating_mul(page_size() as u64)),
            ]);
            families.extend(self.boot.map(|boot| f::PROCESS_START.single(boot + ticks(stat.start))));
        }
        families.extend(open_fds().map(|open| f::PROCESS_OPEN_FDS.single(open)));
        families.push(f::PROCESS_MAX_FDS.single(max_fds().map_or(f64::INFINITY, |limit| limit as f64)));
    }
}

/// The process at one moment, as far as it can be read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ops) struct ProcessSample {
    /// Processor time so far, in seconds.
    pub(in crate::ops) cpu_seconds: f64,
    /// Memory that is in RAM.
    pub(in crate::ops) resident_bytes: u64,
    pub(in crate::ops) threads: u64,
    pub(in crate::ops) open_fds: u64,
    /// `None`: no limit.
    pub(in crate::ops) max_fds: Option<u64>,
}

impl ProcessSample {
    /// Reads it.
    pub(in crate::ops) fn take() -> Self {
        let stat = fs::read("/proc/self/stat").ok().as_deref().and_then(Stat::parse);
        let stat = stat.unwrap_or(Stat { cpu: 0, threads: 0, start: 0, resident_pages: 0 });
        ProcessSample {
            cpu_seconds: ticks(stat.cpu),
            resident_bytes: stat.resident_pages.saturating_mul(page_size() as u64),
            threads: stat.threads,
            open_fds: open_fds().unwrap_or(0),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The fields of /proc/self/stat that are of interest; times in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu: u64,
    threads: u64,
    start: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(stat: &[u8]) -> Option<Self> {
        // The second field is the name in parentheses, which may itself hold spaces and parentheses.
        let after_name = memchr::memrchr(b')', stat)? + 1;
        let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The manual counts from 1 and begins with the two fields that are already gone.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat { cpu: field(14)? + field(15)?, threads: field(20)?, start: field(22)?, resident_pages: field(24)? })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn ticks(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

/// The limit of open files; `None`: there is none.
pub(super) fn max_fds() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Since Linux 6.2 the directory's size is the number of descriptors; before that, it is 0 and they have to be counted.
pub(super) fn open_fds() -> Option<u64> {
    const FDS: &str = "/proc/self/fd";
    match fs::metadata(FDS).ok()?.len() {
        // One of the entries is the listing itself.
        0 => Some((fs::read_dir(FDS).ok()?.count() as u64).saturating_sub(1)),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_command_confuses_nobody() {
        let stat = b"42 (a) b ( \xff) S 1 42 42 0 -1 4194560 500 0 0 0 70 30 0 0 20 0 9 0 5000 9000000 321 184467";
        let expected = Stat { cpu: 100, threads: 9, start: 5000, resident_pages: 321 };
        assert_eq!(Stat::parse(stat), Some(expected));
    }

    #[test]
    fn what_is_cut_off_is_no_stat() {
        for stat in [&b""[..], b"42 (rws", b"42 (rws) S 1 2 3", b"42 (rws) S 1 42 42 0 -1 4194560 500 0 0 0 x 30"] {
            assert_eq!(Stat::parse(stat), None);
        }
    }

    #[test]
    fn boot_time_is_found_among_the_lines() {
        assert_eq!(boot_time("cpu 1 2 3\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000.0));
        assert_eq!(boot_time("cpu 1 2 3\n"), None);
    }

    #[test]
    fn descriptors_are_counted() {
        let before = open_fds().expect("/proc is mounted");
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").expect("a file")).collect();
        let after = open_fds().expect("/proc is mounted");
        // Other tests open and close files at the same time.
        assert!(after + 20 > before + files.len() as u64, "{before} then {after}");
    }
}
