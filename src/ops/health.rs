//! Health checks of the application's own: what they ask, how often, and what follows from it.
//!
//! A check is a plain closure that may block. It runs on a thread of its own, never in a probe's request; probes answer
//! from what it said last. The terms are those of [Kubernetes' probes], which ask this server in turn.
//!
//! `history` knows the rules and no threads, `scheduler` has the threads and the clock.
//!
//! [Kubernetes' probes]: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes

pub(crate) mod collector;
mod history;
pub(crate) mod scheduler;

use std::fmt::{self, Display};
use std::panic::Location;
use std::time::Duration;

use crate::app::BuildError;
use crate::ops::probes::Probe;

/// Shortest time between two runs.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest name, in bytes: as for a label in Kubernetes.
const LONGEST_NAME: usize = 63;
/// How long a run may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a check has found. Made by [`IntoOutcome`] of what the closure returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// All is well.
    Pass,
    /// It works, but not as it should: the probe passes and shows this text.
    Degraded(String),
    /// It does not work, for this reason.
    Fail(String),
}

/// What a check's closure may return: a `Result` with any error that can be displayed, or an [`Outcome`].
#[diagnostic::on_unimplemented(
    message = "a health check cannot return `{Self}`",
    note = "return `Result<(), E>` where `E: Display`, or `rws::ops::health::Outcome`"
)]
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<E: Display> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        // The alternate form of some error types tells the causes as well.
        self.map_or_else(|error| Outcome::Fail(format!("{error:#}")), |()| Outcome::Pass)
    }
}

impl<E: Display> IntoOutcome for Result<Outcome, E> {
    fn into_outcome(self) -> Outcome {
        self.unwrap_or_else(|error| Outcome::Fail(format!("{error:#}")))
    }
}

/// Adds health checks to an application; see [`App::health`](crate::App::health).
#[derive(Debug)]
pub struct Health<'a> {
    pub(crate) checks: &'a mut HealthChecks,
}

impl<'a> Health<'a> {
    /// Begins a check called `name`, by which probes, logs and `rws_health_check_up{check}` know it: at most 63 letters,
    /// digits, `-`, `_` and `.`. [`CheckBuilder::run`] adds it.
    #[track_caller]
    pub fn check(self, name: impl Into<String>) -> CheckBuilder<'a> {
        CheckBuilder { health: self, settings: Settings::new(name.into(), Location::caller()) }
    }
}

/// A check that is being described. Every setting has a default; [`run`](Self::run) adds it.
#[must_use = "only `run` adds the check"]
#[derive(Debug)]
pub struct CheckBuilder<'a> {
    health: Health<'a>,
    settings: Settings,
}

impl<'a> CheckBuilder<'a> {
    /// It has a say in /readyz: while it fails, the pod gets no traffic from Services. The server is not ready before it
    /// has passed once. This is the default, and right for what the application depends on.
    pub fn readiness(mut self) -> Self {
        self.settings.readiness = true;
        self
    }

    /// It has a say in /healthz: when it fails, Kubernetes restarts the container. Only for what a restart cures, never
    /// for a dependency: when that is down, every pod would restart. A warning at start says so. Before its first
    /// result it passes.
    pub fn liveness(mut self) -> Self {
        self.settings.liveness = true;
        self
    }

    /// It has a say in /startupz: until it passes, Kubernetes asks no other probe, and restarts the container when the
    /// startup probe's time is up. Once it has passed it is not run again, unless for another probe.
    pub fn startup(mut self) -> Self {
        self.settings.startup = true;
        self
    }

    /// Time from the beginning of one run to that of the next (Kubernetes' `periodSeconds`), from a millisecond to a day. Default: 10 s.
    /// Until it has passed for the first time it is run more often: after 1 s, 2 s, 4 s and so on, up to this time.
    pub fn every(mut self, period: Duration) -> Self {
        self.settings.every = period;
        self
    }

    /// How long a run may take (Kubernetes' `timeoutSeconds`), at most the time between two runs. Default: 2 s, or that time
    /// if it is shorter. A run that takes longer is not interrupted, since no thread can be, but it counts as a failure,
    /// and so does each run that could not begin meanwhile.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// After how many failures in a row it counts as failed (Kubernetes' `failureThreshold`). Default: 3, as there.
    pub fn fail_after(mut self, failures: u32) -> Self {
        self.settings.fail_after = failures;
        self
    }

    /// After how many passes in a row it counts as well again (Kubernetes' `successThreshold`). Default: 1, as there. At
    /// the start one pass is enough.
    pub fn pass_after(mut self, passes: u32) -> Self {
        self.settings.pass_after = passes;
        self
    }

    /// Whether its failure fails the probe. Default: true. If false, the probe passes all the same and shows the check
    /// as degraded: right for what the application can do without for a while.
    pub fn critical(mut self, critical: bool) -> Self {
        self.settings.critical = critical;
        self
    }

    /// Shows its reasons to everybody: for the server's own checks, which know what they say.
    pub(crate) fn public(mut self) -> Self {
        self.settings.public = true;
        self
    }

    /// Adds the check. `closure` runs on a thread of its own and may block; it may keep what it needs, such as a
    /// connection, between runs. An error or a panic is a failure. The reason goes to the log; probes show it only with
    /// `RWS_CONFIG_HEALTH_DETAILS=full`.
    ///
    /// A setting out of range and a name that is taken are mistakes of the application, told with all others when it
    /// is started.
    pub fn run<R: IntoOutcome>(mut self, mut closure: impl FnMut() -> R + Send + 'static) -> Health<'a> {
        if ![self.settings.readiness, self.settings.liveness, self.settings.startup].contains(&true) {
            self.settings.readiness = true;
        }
        self.health.checks.add(self.settings, move || closure().into_outcome());
        self.health
    }
}

/// The checks of an application.
#[derive(Default)]
pub(crate) struct HealthChecks {
    checks: Vec<Registered>,
}

/// One of them.
pub(crate) struct Registered {
    settings: Settings,
    run: Box<dyn FnMut() -> Outcome + Send>,
}

impl HealthChecks {
    fn add(&mut self, settings: Settings, run: impl FnMut() -> Outcome + Send + 'static) {
        self.checks.push(Registered { settings, run: Box::new(run) });
    }

    /// Tells of checks by which Kubernetes restarts the container.
    pub(crate) fn warn_of_risks(&self) {
        for Registered { settings, .. } in self.checks.iter().filter(|check| check.settings.liveness) {
            tracing::warn!(
                check = settings.name,
                at = %settings.at,
                "this health check is part of liveness: when it fails, Kubernetes restarts the container. That cures no \
                 dependency, and when a shared one is down it restarts every pod; readiness() is right for those"
            );
        }
    }

    /// The mistakes in them. `taken` are the names of the server's own checks.
    pub(crate) fn mistakes(&self, taken: &[&str]) -> Vec<BuildError> {
        let mut mistakes = Vec::new();
        for (index, Registered { settings, .. }) in self.checks.iter().enumerate() {
            let first = self.checks[..index].iter().find(|other| other.settings.name == settings.name);
            let rival = match first {
                Some(first) => Some(format!("there is already a check of this name ({})", first.settings.at)),
                None if taken.contains(&settings.name.as_str()) => {
                    Some("the server has a check of this name itself".to_owned())
                }
                None => None,
            };
            let mistake = |reason| BuildError::Part {
                part: format!("the health check {:?}", settings.name),
                at: settings.at,
                reason,
            };
            mistakes.extend(settings.mistakes().into_iter().chain(rival).map(mistake));
        }
        mistakes
    }
}

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|check| &check.settings)).finish()
    }
}

/// How a check is run, and what follows from its results.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    name: String,
    at: &'static Location<'static>,
    readiness: bool,
    liveness: bool,
    startup: bool,
    every: Duration,
    timeout: Option<Duration>,
    fail_after: u32,
    pass_after: u32,
    critical: bool,
    /// Whether everybody may read the reasons.
    public: bool,
}

impl Settings {
    fn new(name: String, at: &'static Location<'static>) -> Self {
        Settings {
            name,
            at,
            readiness: false,
            liveness: false,
            startup: false,
            every: Duration::from_secs(10),
            timeout: None,
            fail_after: 3,
            pass_after: 1,
            critical: true,
            public: false,
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT.min(self.every))
    }

    fn concerns(&self, probe: Probe) -> bool {
        match probe {
            Probe::Healthz | Probe::Livez => self.liveness,
            Probe::Readyz => self.readiness,
            Probe::Startupz => self.startup,
        }
    }

    fn mistakes(&self) -> Vec<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let good_name = (1..=LONGEST_NAME).contains(&self.name.len()) && self.name.bytes().all(plain);
        let (every, timeout) = (self.every, self.timeout());
        let rules = [
            (good_name, format!("its name must be 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`")),
            (
                (SHORTEST..=LONGEST).contains(&every),
                format!("`every({every:?})` must be at least a millisecond and at most a day"),
            ),
            (
                every.is_zero() || (!timeout.is_zero() && timeout <= every),
                format!("`timeout({timeout:?})` must be more than zero and at most `every({every:?})`"),
            ),
            (self.fail_after > 0, "`fail_after(0)` must be at least 1".to_owned()),
            (self.pass_after > 0, "`pass_after(0)` must be at least 1".to_owned()),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, rule)| rule).collect()
    }
}

/// For tests of what was added.
#[cfg(test)]
impl HealthChecks {
    pub(crate) fn find(&mut self, name: &str) -> &mut Registered {
        self.checks.iter_mut().find(|check| check.settings.name == name).expect("there is such a check")
    }
}

#[cfg(test)]
impl Registered {
    pub(crate) fn concerns(&self, probe: Probe) -> bool {
        self.settings.concerns(probe)
    }

    pub(crate) fn run_once(&mut self) -> Outcome {
        (self.run)()
    }
}

#[cfg(test)]
mod tests;
