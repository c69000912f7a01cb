//! Why the process ended, in the words of its last log line and of the file that `kubectl describe pod` shows.
//!
//! It knows how the server ended; writing logs and choosing the exit code is the caller's business.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use signal_hook::low_level::signal_name;

use crate::config::show_millis;
use crate::server::{Report, Verdict};

/// Where the kubelet looks for it (`terminationMessagePath`), and how much of it is kept.
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
const TERMINATION_LOG: &str = "/dev/termination-log";
pub(super) const TERMINATION_LOG_BYTES: usize = 4096;

/// What is needed to judge a drain besides its report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) in_kubernetes: bool,
    pub(super) drain_timeout: Duration,
}

/// Leaves the reason why the process ends where the kubelet looks for it, /dev/termination-log, if there is such a place, so
/// that `kubectl describe pod` shows it. For programs that end before [`run`](super::run) could do it; longer reasons are cut off
/// after 4096 bytes.
pub fn leave(reason: &str) {
    leave_in(Path::new(TERMINATION_LOG), reason);
}

fn leave_in(file: &Path, reason: &str) {
    let end = reason.floor_char_boundary(TERMINATION_LOG_BYTES);
    // Opened for writing only, never made: outside a container there is none. A pipe that nobody reads is no place to
    // wait for ever.
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    if let Ok(mut file) = options.open(file) {
        let _ = file.write_all(&reason.as_bytes()[..end]);
    }
}

/// Why a server that ended in this way did not end well; `None` if it did. The most important comes first, and the
/// aborted requests are as many as there is room for.
pub(super) fn reason(report: &Report, circumstances: Circumstances, panic: Option<&str>) -> Option<String> {
    let headline = match report.verdict {
        Verdict::Drained => return None,
        Verdict::TimedOut => {
            let limit = setting(circumstances.drain_timeout);
            format!("the drain timed out: RWS_CONFIG_DRAIN_TIMEOUT={limit} was over")
        }
        Verdict::Killed(signal) => format!("ended at once by {}", name(signal)),
        Verdict::Failed => format!("the engine failed: {}", panic.unwrap_or("see the last errors in the log")),
    };
    let mut text = match report.aborted.len() {
        0 => headline,
        1 => format!("{headline}; 1 request was aborted"),
        count => format!("{headline}; {count} requests were aborted"),
    };
    if let Some(advice) = advice(report, circumstances) {
        let _ = write!(text, "\n{advice}");
    }
    Some(with_list(text, &report.aborted))
}

/// What to change, if the numbers of the drain call for it.
pub(super) fn advice(report: &Report, circumstances: Circumstances) -> Option<String> {
    let late = too_late(report, circumstances);
    let slow = (report.verdict == Verdict::TimedOut).then(|| too_slow(report));
    match (late, slow) {
        (Some(late), Some(slow)) => Some(format!("{late}; {slow}")),
        (late, slow) => late.or(slow),
    }
}

/// What a drain took too long for.
fn too_slow(report: &Report) -> String {
    const RAISE: &str = "raise RWS_CONFIG_DRAIN_TIMEOUT, and terminationGracePeriodSeconds with it";
    match report.aborted.len() {
        0 => {
            format!("{RAISE}: no request was aborted, but connections were still open, which idle ones may be for 3 s")
        }
        _ => format!("{RAISE}, or make the aborted requests faster"),
    }
}

/// Requests that arrive until the delay is over, or nearly, say that others came after it and found nobody. Without a
/// delay that is only known to be a fault inside Kubernetes, where endpoints are removed a while after SIGTERM.
fn too_late(report: &Report, circumstances: Circumstances) -> Option<String> {
    const NEARLY: f64 = 0.8;
    let (delay, last) = (report.delay?, report.last_arrival?);
    if last < delay.mul_f64(NEARLY) || (delay.is_zero() && !circumstances.in_kubernetes) {
        return None;
    }
    let wanted = last.mul_f64(1.5).max(delay + Duration::from_secs(1)).as_secs_f64().ceil();
    let grace = (wanted + circumstances.drain_timeout.as_secs_f64() + 3.0).ceil();
    Some(format!(
        "the last request arrived {:.1} s after the drain began, and RWS_CONFIG_DRAIN_DELAY is {}: raise \
         RWS_CONFIG_DRAIN_DELAY to {wanted}s or more, and terminationGracePeriodSeconds to at least {grace}",
        last.as_secs_f64(),
        setting(delay),
    ))
}

/// Adds the lines that fit, and how many do not.
fn with_list(mut text: String, lines: &[String]) -> String {
    /// `… and 18446744073709551615 more`
    const ROOM: usize = 32;
    for (index, line) in lines.iter().enumerate() {
        if text.len() + 1 + line.len() + ROOM > TERMINATION_LOG_BYTES {
            let _ = write!(text, "\n… and {} more", lines.len() - index);
            break;
        }
        let _ = write!(text, "\n{line}");
    }
    text
}

fn name(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// As the variable takes it.
fn setting(time: Duration) -> String {
    show_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: Circumstances = Circumstances { in_kubernetes: true, drain_timeout: Duration::from_secs(20) };
    const OUTSIDE: Circumstances = Circumstances { in_kubernetes: false, ..INSIDE };

    fn report(verdict: Verdict, delay: Option<u64>, last_arrival: Option<u64>, aborted: usize) -> Report {
        Report {
            verdict,
            delay: delay.map(Duration::from_millis),
            served_while_draining: 0,
            first_arrival: last_arrival.map(Duration::from_millis),
            last_arrival: last_arrival.map(Duration::from_millis),
            aborted: (0..aborted).map(|n| format!("GET /slow/{n} (id {n}, for 20.0s)")).collect(),
        }
    }

    #[test]
    fn a_reason_replaces_what_was_there_and_waits_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (file, pipe) = (dir.path().join("file"), dir.path().join("pipe"));
        leave_in(&file, "there is none");
        assert!(!file.exists());
        std::fs::write(&file, "an older and longer reason").unwrap();
        leave_in(&file, &"é".repeat(TERMINATION_LOG_BYTES));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "é".repeat(TERMINATION_LOG_BYTES / 2));
        leave_in(&file, "short");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "short");
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            leave_in(&pipe, "nobody reads this");
            done.send(())
        });
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn a_late_last_arrival_calls_for_a_longer_delay() {
        let cases = [
            // delay, last arrival, inside, advised delay and grace period
            (Some(5000), None, true, None),
            (Some(5000), Some(3900), true, None),
            (Some(5000), Some(4000), true, Some((6, 29))),
            (Some(5000), Some(5100), true, Some((8, 31))),
            (Some(5000), Some(5100), false, Some((8, 31))),
            (Some(0), Some(300), true, Some((1, 24))),
            (Some(0), Some(300), false, None),
            (Some(0), None, true, None),
            // Cut short, so nothing is known of it.
            (None, Some(5100), true, None),
        ];
        for (delay, last, inside, expected) in cases {
            let advice = advice(&report(Verdict::Drained, delay, last, 0), if inside { INSIDE } else { OUTSIDE });
            let figures = expected.map(|(delay, grace)| {
                format!(
                    "RWS_CONFIG_DRAIN_DELAY to {delay}s or more, and terminationGracePeriodSeconds to at least {grace}"
                )
            });
            match (&advice, figures) {
                (Some(advice), Some(figures)) => assert!(advice.ends_with(&figures), "{advice}"),
                (advice, figures) => assert_eq!((advice.is_some(), figures), (false, None), "{delay:?} {last:?}"),
            }
        }
    }

    #[test]
    fn a_good_end_has_no_reason() {
        assert_eq!(reason(&report(Verdict::Drained, Some(0), Some(5), 0), INSIDE, None), None);
    }

    #[test]
    fn reasons_begin_with_what_matters() {
        let text = |verdict, aborted, panic| reason(&report(verdict, None, None, aborted), INSIDE, panic).unwrap();
        let expected = "the drain timed out: RWS_CONFIG_DRAIN_TIMEOUT=20s was over; 2 requests were aborted\n\
            raise RWS_CONFIG_DRAIN_TIMEOUT, and terminationGracePeriodSeconds with it, or make the aborted requests faster\n\
            GET /slow/0 (id 0, for 20.0s)\nGET /slow/1 (id 1, for 20.0s)";
        assert_eq!(text(Verdict::TimedOut, 2, None), expected);
        let advice = advice(&report(Verdict::TimedOut, None, None, 0), INSIDE).unwrap();
        assert!(advice.contains("no request was aborted") && !advice.contains("faster"), "{advice}");
        let expected = "ended at once by SIGTERM; 1 request was aborted\nGET /slow/0 (id 0, for 20.0s)";
        assert_eq!(text(Verdict::Killed(15), 1, None), expected);
        assert_eq!(text(Verdict::Killed(3), 0, None), "ended at once by SIGQUIT");
        assert_eq!(text(Verdict::Failed, 0, Some("panic: x")), "the engine failed: panic: x");
        assert!(text(Verdict::Failed, 0, None).contains("see the last errors"));
    }

    #[test]
    fn a_long_list_ends_with_how_many_there_are_more() {
        let text = reason(&report(Verdict::TimedOut, None, None, 1000), INSIDE, None).unwrap();
        assert!(text.len() <= TERMINATION_LOG_BYTES, "{}", text.len());
        let (last, whole) = (text.lines().last().unwrap(), text.lines().filter(|line| line.starts_with("GET")).count());
        assert_eq!(last, format!("… and {} more", 1000 - whole));
        assert!(whole > 80, "{whole}");
    }
}
