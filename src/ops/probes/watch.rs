//! Notices when a check, readiness or liveness changes, and writes one line in the log for each change.
//!
//! Looked at whenever somebody asks (a probe, a scrape) and whenever a periodic check has run.

use std::sync::TryLockError;

use super::{Check, Probe, Probes, Verdict};
use crate::server::lifecycle::State;

/// What was last said in the log.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// In the order of the checks; shorter if some were not looked at yet.
    checks: Vec<Mood>,
    ready: Mood,
    alive: Mood,
}

/// How something is, without its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Unknown,
    Well,
    Degraded,
    Failing,
}

impl Mood {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Pass => Mood::Well,
            Verdict::Degraded(_) => Mood::Degraded,
            Verdict::Fail(_) => Mood::Failing,
            Verdict::FailWith(status, _) if status.as_u16() < 400 => Mood::Degraded,
            Verdict::FailWith(..) => Mood::Failing,
        }
    }
}

impl Probes {
    /// Looks at every check and logs what has changed since the last look. While somebody else looks, does nothing.
    pub fn look(&self) {
        if let Some(main) = &self.main {
            main.look();
        }
        let mut noted = match self.noted.try_lock() {
            Ok(noted) => noted,
            Err(TryLockError::Poisoned(broken)) => broken.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        noted.checks.resize(self.checks.len(), Mood::Unknown);
        for (check, mood) in self.checks.iter().zip(&mut noted.checks) {
            if check.is_logged() {
                note_check(&**check, mood);
            }
        }
        // What those say who were looked at already is not said again.
        if self.main.is_some() {
            return;
        }
        // Before and after, it is the life cycle that decides.
        if self.lifecycle.state() == State::Ready {
            self.note_probe(Probe::Readyz, &mut noted.ready);
        }
        self.note_probe(Probe::Healthz, &mut noted.alive);
    }

    /// A probe as a whole.
    fn note_probe(&self, probe: Probe, mood: &mut Mood) {
        let fails = |check: &&dyn Check| check.concerns(probe) && Mood::of(&check.verdict(probe)) == Mood::Failing;
        let mut failing = self.checks().filter(fails).map(|check| check.name()).peekable();
        let now = if failing.peek().is_some() { Mood::Failing } else { Mood::Well };
        let before = std::mem::replace(mood, now);
        if now == before {
            return;
        }
        let failing = failing.collect::<Vec<_>>().join(", ");
        match (probe.is_liveness(), now) {
            (true, Mood::Failing) => tracing::error!(checks = failing, "not alive: the liveness probe fails"),
            (true, _) if before != Mood::Unknown => tracing::info!("alive again: the liveness probe passes"),
            (false, Mood::Failing) => tracing::warn!(checks = failing, "not ready: the readiness probe fails"),
            (false, _) if before != Mood::Unknown => tracing::info!("ready again: the readiness probe passes"),
            _ => {}
        }
    }
}

fn note_check(check: &dyn Check, mood: &mut Mood) {
    let verdict = check.verdict(check.main_probe());
    let now = Mood::of(&verdict);
    let before = std::mem::replace(mood, now);
    if now == before {
        return;
    }
    let name = check.name();
    match (&verdict, now) {
        (Verdict::Degraded(reason) | Verdict::FailWith(_, reason), Mood::Degraded) => {
            tracing::warn!(check = name, reason = reason.full(), "a health check is degraded");
        }
        (Verdict::Fail(reason) | Verdict::FailWith(_, reason), _) => {
            tracing::warn!(check = name, reason = reason.full(), "a health check fails");
        }
        _ if before == Mood::Unknown => tracing::debug!(check = name, "a health check passes"),
        _ => tracing::info!(check = name, "a health check passes again"),
    }
}

impl dyn Check {
    /// The probe by which it is known where there is room for one only.
    pub(in crate::ops) fn main_probe(&self) -> Probe {
        let concerned = [Probe::Readyz, Probe::Startupz].into_iter().find(|probe| self.concerns(*probe));
        concerned.unwrap_or(Probe::Healthz)
    }
}
