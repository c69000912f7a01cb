//! Runs health checks: one thread that decides when, and one for each check, so that a check that hangs delays neither
//! probes nor the others. There are as many threads as checks, never more.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};

use super::history::History;
use super::{HealthChecks, Outcome, Settings};
use crate::ops::probes::{Check, Probe, Probes, Verdict};
use crate::server::clock::Clock;
use crate::server::lifecycle::{Lifecycle, State};

type Closure = Box<dyn FnMut() -> Outcome + Send>;

/// A check as probes see it.
pub(crate) struct Periodic {
    settings: Settings,
    clock: Clock,
    history: Mutex<History>,
    /// When checks ceased to be run. From then on this one ages no more.
    stopped: OnceLock<Instant>,
}

impl Periodic {
    fn new(settings: Settings, clock: Clock) -> Self {
        let history = History::new(settings.clone(), clock.now(), random());
        Periodic { settings, clock, history: Mutex::new(history), stopped: OnceLock::new() }
    }

    /// The results. No result is ever half taken in, so a panic elsewhere has left none broken.
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        self.stopped.get().copied().unwrap_or_else(|| self.clock.now())
    }

    /// Whether the server waits for it to pass before it is ready.
    fn is_required(&self) -> bool {
        self.settings.critical && (self.settings.readiness || self.settings.startup)
    }
}

impl Check for Arc<Periodic> {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn concerns(&self, probe: Probe) -> bool {
        self.settings.concerns(probe)
    }

    fn verdict(&self, probe: Probe) -> Verdict {
        self.history().verdict(!probe.is_liveness(), self.now())
    }

    fn data(&self) -> Map<String, Value> {
        self.history().data(self.now())
    }

    fn is_logged(&self) -> bool {
        !self.history().is_unknown(self.now())
    }
}

/// Checks that are not run yet.
pub(crate) struct Scheduler {
    checks: Vec<(Arc<Periodic>, Closure)>,
    clock: Clock,
    lifecycle: Lifecycle,
    news: (Sender<()>, Receiver<()>),
}

impl Scheduler {
    /// Takes the time from `clock`, and stops when the `lifecycle` says that the server drains.
    pub(crate) fn new(checks: HealthChecks, clock: Clock, lifecycle: Lifecycle) -> Self {
        let periodic = |settings| Arc::new(Periodic::new(settings, clock.clone()));
        let checks = checks.checks.into_iter().map(|check| (periodic(check.settings), check.run)).collect();
        Scheduler { checks, clock, lifecycle, news: bounded(1) }
    }

    /// The checks, for probes to ask.
    pub(crate) fn checks(&self) -> impl Iterator<Item = Arc<Periodic>> {
        self.checks.iter().map(|(check, _)| Arc::clone(check))
    }

    /// The means to wake the one that decides.
    pub(crate) fn nudge(&self) -> Nudge {
        Nudge(self.news.0.clone())
    }

    /// Begins to run the checks, all of them at once; they spread after their first pass. `probes` must have them.
    ///
    /// # Errors
    /// The operating system's, when it has no thread to give.
    pub(crate) fn start(self, probes: Arc<Probes>) -> io::Result<Watch> {
        let (ready, is_ready) = bounded(1);
        let mut watched = Vec::new();
        for (check, closure) in self.checks {
            let (start, starts) = bounded(1);
            let (own, nudge) = (Arc::clone(&check), Nudge(self.news.0.clone()));
            let name = format!("rws-check-{}", check.settings.name);
            thread::Builder::new().name(name).spawn(move || run(&own, closure, &starts, &nudge))?;
            watched.push((check, start));
        }
        let checks = watched.iter().map(|(check, _)| Arc::clone(check)).collect();
        let Scheduler { clock, lifecycle, news, .. } = self;
        let supervisor = Supervisor { checks: watched, probes, clock, lifecycle, news, ready: Some(ready) };
        thread::Builder::new().name("rws-health".into()).spawn(move || supervisor.run())?;
        Ok(Watch { checks, is_ready })
    }
}

/// One check's thread: runs it whenever it is told to.
fn run(check: &Periodic, mut closure: Closure, starts: &Receiver<()>, supervisor: &Nudge) {
    for () in starts {
        // What the closure keeps may be half changed by a panic; whoever wrote it knows, and the check has failed.
        let outcome = catch_unwind(AssertUnwindSafe(&mut closure)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Outcome::Fail(format!("it panicked: {}", text.as_deref().unwrap_or("with what is no text")))
        });
        check.history().end(outcome, check.clock.now());
        supervisor.nudge();
    }
}

/// Decides when checks run, and looks at what comes of it.
struct Supervisor {
    checks: Vec<(Arc<Periodic>, Sender<()>)>,
    probes: Arc<Probes>,
    clock: Clock,
    lifecycle: Lifecycle,
    news: (Sender<()>, Receiver<()>),
    /// Taken when all that are required have passed once.
    ready: Option<Sender<()>>,
}

impl Supervisor {
    fn run(mut self) {
        let (_keeps_it_open, news) = self.news.clone();
        while self.lifecycle.state() < State::Draining {
            let now = self.clock.now();
            for (check, start) in &self.checks {
                if check.history().begin_if_due(now) {
                    // There is room: it has ended the run before.
                    let _ = start.try_send(());
                }
            }
            self.probes.look();
            self.note_first_passes();
            let next = self.checks.iter().filter_map(|(check, _)| check.history().wakes_at(now)).min();
            // It does not matter what woke us: a check that has ended, or the time.
            let _ = match next.filter(|_| self.clock.is_real()) {
                Some(next) => news.recv_timeout(next.saturating_duration_since(self.clock.now())).ok(),
                None => news.recv().ok(),
            };
        }
        for (check, _) in &self.checks {
            let _ = check.stopped.set(check.clock.now());
        }
    }

    fn note_first_passes(&mut self) {
        if self.ready.is_none() {
            return;
        }
        let all_passed = |wanted: fn(&Periodic) -> bool| {
            self.checks.iter().filter(|(check, _)| wanted(check)).all(|(check, _)| check.history().has_passed())
        };
        if all_passed(|check| check.settings.startup) {
            self.probes.started();
        }
        if all_passed(Periodic::is_required)
            && let Some(ready) = self.ready.take()
        {
            // Whoever waited may have lost patience.
            let _ = ready.send(());
        }
    }
}

/// Checks that are being run.
pub(crate) struct Watch {
    checks: Vec<Arc<Periodic>>,
    /// Hears once that every check that the server waits for has passed.
    pub(crate) is_ready: Receiver<()>,
}

impl Watch {
    /// What the server waits for: checks that have not passed yet, with their reasons.
    pub(crate) fn missing(&self) -> Vec<String> {
        let waiting = self.checks.iter().filter(|check| check.is_required() && !check.history().has_passed());
        let reason = |check: &Arc<Periodic>| match check.verdict(Probe::Readyz) {
            Verdict::Fail(reason) => format!("{} ({})", check.name(), reason.full()),
            _ => check.name().to_owned(),
        };
        waiting.map(reason).collect()
    }
}

/// Wakes the one that decides.
#[derive(Clone)]
pub(crate) struct Nudge(Sender<()>);

impl Nudge {
    /// Makes it look: at what a check has found, at the life cycle, or at a clock that was moved by hand.
    pub(crate) fn nudge(&self) {
        // If there is no room, it is about to look anyway.
        let _ = self.0.try_send(());
    }
}

/// From 0 to 1, by chance: what seeds hash maps is random enough for this.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests;
