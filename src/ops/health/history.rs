//! What is known of one check: its latest results, and what the thresholds make of them. Knows times that it is told, and
//! neither threads nor clocks.

use std::time::{Duration, Instant};

use super::{Outcome, Settings};
use crate::ops::probes::{Reason, Verdict};

/// The first pause after a failure before a check has passed for the first time; it doubles up to the period.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The results of one check.
#[derive(Debug)]
pub(super) struct History {
    settings: Settings,
    /// Where in its period the check settles after its first pass, from 0 to 1: so that the checks of one process, and
    /// those of pods that start together, do not run in step.
    phase: f64,
    /// By the thresholds.
    up: bool,
    passed_once: bool,
    passes_in_a_row: u32,
    failures_in_a_row: u32,
    latest: Outcome,
    last_run: Option<Run>,
    now: Doing,
}

/// A run that is over.
#[derive(Clone, Copy, Debug)]
struct Run {
    ended: Instant,
    took: Duration,
}

/// What the check is at.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Waiting {
        until: Instant,
    },
    Running {
        since: Instant,
    },
    /// It will not be run again.
    Nothing,
}

impl History {
    /// A check that is due at once.
    pub(super) fn new(settings: Settings, now: Instant, phase: f64) -> Self {
        History {
            settings,
            phase,
            up: true,
            passed_once: false,
            passes_in_a_row: 0,
            failures_in_a_row: 0,
            latest: Outcome::Pass,
            last_run: None,
            now: Doing::Waiting { until: now },
        }
    }

    /// Begins a run if one is due. Never while another has not returned.
    pub(super) fn begin_if_due(&mut self, now: Instant) -> bool {
        let due = matches!(self.now, Doing::Waiting { until } if until <= now);
        if due {
            self.now = Doing::Running { since: now };
        }
        due
    }

    /// Takes the result of the run that was begun.
    pub(super) fn end(&mut self, outcome: Outcome, now: Instant) {
        let Doing::Running { since } = self.now else { return };
        let took = now.saturating_duration_since(since);
        let missed = self.overdue(now);
        self.latest = if missed > 0 { too_late(outcome, took, self.settings.timeout()) } else { outcome };
        self.last_run = Some(Run { ended: now, took });
        let interval = match self.latest {
            Outcome::Pass | Outcome::Degraded(_) => self.pass(),
            Outcome::Fail(_) => self.fail(missed.max(1)),
        };
        let next = if took < interval { since + interval } else { now + interval };
        let over = self.passed_once && !self.settings.readiness && !self.settings.liveness;
        self.now = if over { Doing::Nothing } else { Doing::Waiting { until: next } };
    }

    /// Counts a pass, and returns the time from this run to the next.
    fn pass(&mut self) -> Duration {
        let first = !std::mem::replace(&mut self.passed_once, true);
        self.failures_in_a_row = 0;
        self.passes_in_a_row = self.passes_in_a_row.saturating_add(1);
        self.up |= first || self.passes_in_a_row >= self.settings.pass_after;
        if first { self.settings.every.mul_f64(0.5 + self.phase / 2.0) } else { self.settings.every }
    }

    /// Counts failures, and returns the time from this run to the next.
    fn fail(&mut self, failures: u32) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(self.failures_in_a_row).unwrap_or(u32::MAX));
        self.passes_in_a_row = 0;
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(failures);
        self.up &= self.failures_in_a_row < self.settings.fail_after;
        if self.passed_once { self.settings.every } else { self.settings.every.min(pause) }
    }

    /// How many failures the current run is already: one when it is later than its timeout, and one for each run that
    /// should have begun since.
    fn overdue(&self, now: Instant) -> u32 {
        let Doing::Running { since } = self.now else { return 0 };
        let Some(late) = now.saturating_duration_since(since).checked_sub(self.settings.timeout()) else { return 0 };
        let missed = late.as_nanos() / self.settings.every.as_nanos().max(1);
        u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Failures in a row, the current run included.
    pub(super) fn failures(&self, now: Instant) -> u32 {
        self.failures_in_a_row.saturating_add(self.overdue(now))
    }

    /// Whether it has passed at least once.
    pub(super) fn has_passed(&self) -> bool {
        self.passed_once
    }

    /// Whether it has neither passed nor failed so far.
    pub(super) fn is_unknown(&self, now: Instant) -> bool {
        !self.passed_once && self.failures(now) == 0
    }

    /// When something may change by itself: a run is due, or late once more.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        match self.now {
            Doing::Waiting { until } => Some(until),
            Doing::Running { since } => Some(since + self.settings.timeout() + self.settings.every * self.overdue(now)),
            Doing::Nothing => None,
        }
    }

    /// How it is. A probe that `needs_a_pass` fails until a critical check has passed for the first time.
    pub(super) fn verdict(&self, needs_a_pass: bool, now: Instant) -> Verdict {
        let up = self.up && self.failures(now) < self.settings.fail_after;
        // For what is not critical nobody waits, so it is not degraded before its first run.
        let nothing_known = !self.settings.critical && self.is_unknown(now);
        if up && (self.passed_once || !needs_a_pass || nothing_known) {
            return match &self.latest {
                Outcome::Degraded(text) => Verdict::Degraded(Reason::withheld(text.clone())),
                Outcome::Pass | Outcome::Fail(_) => Verdict::Pass,
            };
        }
        let reason = self.reason(now);
        if self.settings.critical { Verdict::Fail(reason) } else { Verdict::Degraded(reason) }
    }

    fn reason(&self, now: Instant) -> Reason {
        let timeout = self.settings.timeout();
        match (self.now, &self.latest) {
            (Doing::Running { since }, _) if self.overdue(now) > 0 => {
                let took = now.saturating_duration_since(since);
                format!("stale: it has been running for {took:.1?}, its timeout is {timeout:?}").into()
            }
            (_, Outcome::Fail(reason)) if self.settings.public => reason.clone().into(),
            (_, Outcome::Fail(reason)) => Reason::withheld(reason.clone()),
            _ if self.is_unknown(now) => "it has not run yet".into(),
            // Well again, but not often enough.
            _ => {
                let (passes, enough) = (self.passes_in_a_row, self.settings.pass_after);
                format!("it has passed {passes} of {enough} times in a row").into()
            }
        }
    }

    /// For `?format=json`, in the units of their names.
    pub(super) fn data(&self, now: Instant) -> serde_json::Map<String, serde_json::Value> {
        let mut data = serde_json::Map::new();
        if let Some(run) = self.last_run {
            data.insert("duration_ms".into(), millis(run.took).into());
            data.insert("age_ms".into(), millis(now.saturating_duration_since(run.ended)).into());
        }
        data.insert("consecutive_failures".into(), self.failures(now).into());
        match self.now {
            Doing::Waiting { until } => {
                data.insert("next_run_ms".into(), millis(until.saturating_duration_since(now)).into());
            }
            Doing::Running { since } => {
                data.insert("running_ms".into(), millis(now.saturating_duration_since(since)).into());
            }
            Doing::Nothing => {}
        }
        if !self.settings.critical {
            data.insert("critical".into(), false.into());
        }
        data
    }
}

/// Whole microseconds as milliseconds.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// What becomes of the result of a run that took too long.
fn too_late(outcome: Outcome, took: Duration, timeout: Duration) -> Outcome {
    let and = match outcome {
        Outcome::Fail(reason) => format!("; then it failed: {reason}"),
        Outcome::Pass | Outcome::Degraded(_) => String::new(),
    };
    Outcome::Fail(format!("it took {took:.1?}, its timeout is {timeout:?}{and}"))
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A check every 10 s with a timeout of 2 s, on a clock of its own.
    struct Case {
        history: History,
        now: Instant,
    }

    impl Case {
        fn new(change: impl FnOnce(&mut Settings)) -> Self {
            let mut settings = Settings::new("db".into(), Location::caller());
            settings.readiness = true;
            change(&mut settings);
            let now = Instant::now();
            Case { history: History::new(settings, now, 1.0), now }
        }

        /// Waits for the next run, which takes `took` and ends so.
        fn run(&mut self, took: Duration, outcome: Outcome) {
            self.now = self.now.max(self.history.wakes_at(self.now).unwrap());
            assert!(self.history.begin_if_due(self.now));
            self.now += took;
            self.history.end(outcome, self.now);
        }

        fn pass(&mut self) {
            self.run(SECOND / 10, Outcome::Pass);
        }

        fn fail(&mut self) {
            self.run(SECOND / 10, Outcome::Fail("no answer".into()));
        }

        /// `ok`, or what is said about it with all details.
        fn state(&self) -> String {
            self.state_for(true)
        }

        fn state_for(&self, needs_a_pass: bool) -> String {
            match self.history.verdict(needs_a_pass, self.now) {
                Verdict::Pass => "ok".into(),
                Verdict::Degraded(reason) => format!("degraded: {}", reason.full()),
                Verdict::Fail(reason) | Verdict::FailWith(_, reason) => reason.full().into(),
            }
        }

        fn next_in(&self) -> Duration {
            self.history.wakes_at(self.now).unwrap() - self.now
        }
    }

    #[test]
    fn readiness_waits_for_the_first_pass_and_liveness_does_not() {
        let mut case = Case::new(|_| {});
        assert_eq!((case.state(), case.state_for(false)), ("it has not run yet".into(), "ok".into()));
        case.fail();
        assert_eq!((case.state(), case.state_for(false)), ("no answer".into(), "ok".into()));
        case.fail();
        case.fail();
        assert_eq!(case.state_for(false), "no answer", "three failures are too many for everybody");
        case.pass();
        assert_eq!((case.state(), case.state_for(false)), ("ok".into(), "ok".into()));
    }

    #[test]
    fn until_it_passes_it_is_tried_more_often_and_then_it_settles_in_its_period() {
        let mut case = Case::new(|_| {});
        for pause in [1, 2, 4, 8, 10, 10] {
            case.fail();
            assert_eq!(case.next_in(), pause * SECOND - SECOND / 10);
        }
        case.pass();
        assert_eq!(case.next_in(), 10 * SECOND - SECOND / 10, "the end of the period, since the phase is 1");
        case.pass();
        assert_eq!(case.next_in(), 10 * SECOND - SECOND / 10);
        let mut other = Case::new(|_| {});
        other.history.phase = 0.0;
        other.pass();
        assert_eq!(other.next_in(), 5 * SECOND - SECOND / 10);
        other.fail();
        assert_eq!(other.next_in(), 10 * SECOND - SECOND / 10, "a failure later on does not hurry it");
    }

    #[test]
    fn a_failure_once_in_a_while_changes_nothing() {
        let mut case = Case::new(|_| {});
        case.pass();
        for _ in 0..10 {
            case.fail();
            case.fail();
            assert_eq!(case.state(), "ok");
            case.pass();
        }
        case.fail();
        case.fail();
        case.fail();
        assert_eq!(case.state(), "no answer");
        case.pass();
        assert_eq!(case.state(), "ok");
    }

    #[test]
    fn recovery_takes_as_many_passes_as_were_asked_for() {
        let mut case = Case::new(|settings| (settings.fail_after, settings.pass_after) = (1, 2));
        case.pass();
        assert_eq!(case.state(), "ok", "at the start one is enough");
        case.fail();
        case.pass();
        assert_eq!(case.state(), "it has passed 1 of 2 times in a row");
        case.fail();
        case.pass();
        case.pass();
        assert_eq!(case.state(), "ok");
    }

    #[test]
    fn a_run_that_hangs_fails_again_with_each_run_it_holds_up() {
        let mut case = Case::new(|_| {});
        case.pass();
        case.now = case.history.wakes_at(case.now).unwrap();
        assert!(case.history.begin_if_due(case.now));
        let start = case.now;
        for (second, failures, state) in [
            (1, 0, "ok"),
            (2, 1, "ok"),
            (11, 1, "ok"),
            (12, 2, "ok"),
            (22, 3, "stale: it has been running for 22.0s, its timeout is 2s"),
            (60, 6, "stale: it has been running for 60.0s, its timeout is 2s"),
        ] {
            case.now = start + second * SECOND;
            assert!(!case.history.begin_if_due(case.now), "another run began");
            assert_eq!((case.history.failures(case.now), &*case.state()), (failures, state), "after {second} s");
        }
        assert_eq!(case.next_in(), 2 * SECOND, "the next change is when another run is held up");
        case.history.end(Outcome::Fail("gave up".into()), case.now);
        assert_eq!(case.state(), "it took 60.0s, its timeout is 2s; then it failed: gave up");
        assert_eq!((case.history.failures(case.now), case.next_in()), (6, 10 * SECOND));
        case.pass();
        assert_eq!(case.state(), "ok");
    }

    #[test]
    fn a_pass_that_comes_too_late_is_a_failure() {
        let mut case = Case::new(|settings| settings.fail_after = 1);
        case.pass();
        case.run(3 * SECOND, Outcome::Pass);
        assert_eq!(case.state(), "it took 3.0s, its timeout is 2s");
        assert_eq!(case.next_in(), 7 * SECOND);
    }

    #[test]
    fn what_is_not_critical_only_degrades() {
        let mut case = Case::new(|settings| (settings.critical, settings.fail_after) = (false, 1));
        assert_eq!(case.state(), "ok", "nobody waits for its first run");
        case.fail();
        assert_eq!(case.state(), "degraded: no answer");
        case.pass();
        case.fail();
        assert_eq!(case.state(), "degraded: no answer");
        case.run(SECOND, Outcome::Degraded("slow".into()));
        assert_eq!(case.state(), "degraded: slow");
    }

    #[test]
    fn a_start_up_check_is_over_once_it_has_passed() {
        let mut case = Case::new(|settings| (settings.readiness, settings.startup) = (false, true));
        case.fail();
        case.pass();
        assert_eq!((case.state(), case.history.wakes_at(case.now)), ("ok".into(), None));
        let mut both = Case::new(|settings| settings.startup = true);
        both.pass();
        assert!(both.history.wakes_at(both.now).is_some());
    }

    #[test]
    fn data_are_in_the_units_of_their_names() {
        let mut case = Case::new(|settings| settings.critical = false);
        let shown = |case: &Case| serde_json::Value::from(case.history.data(case.now)).to_string();
        assert_eq!(shown(&case), r#"{"consecutive_failures":0,"critical":false,"next_run_ms":0.0}"#);
        case.run(Duration::from_micros(1500), Outcome::Pass);
        case.now += SECOND;
        assert_eq!(
            shown(&case),
            r#"{"age_ms":1000.0,"consecutive_failures":0,"critical":false,"duration_ms":1.5,"next_run_ms":8998.5}"#
        );
        case.now += 9 * SECOND;
        assert!(case.history.begin_if_due(case.now));
        case.now += 3 * SECOND;
        assert!(
            shown(&case).contains(r#""consecutive_failures":1,"critical":false,"duration_ms":1.5,"running_ms":3000.0"#)
        );
    }
}
