//! Puts health together: the application's own checks, the server's, and the probes that ask them.

use std::sync::Arc;

use crate::app::App;
use crate::config::Config;
use crate::ops::health::scheduler::Scheduler;
use crate::ops::health::{Health, HealthChecks};
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::open_descriptors;
use crate::ops::probes::{EngineCheck, LogCheck, Probes};
use crate::server::clock::Clock;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::vitals::Vitals;

/// The names of the server's own checks, whether they are there or not, so that a setting cannot make a name clash.
const OWN: [&str; 9] =
    ["ping", "startup", "shutdown", "accept-loop", "reactors", "workers", "log-writer", "fd-headroom", "static-dir"];

/// From which part of the file descriptors on there is little headroom left, in percent.
const MANY_DESCRIPTORS: u64 = 90;

impl App {
    /// Adds health checks, which [`run`](App::run) runs and the probes report.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// # struct Pool;
    /// # impl Pool { fn ping(&self) -> std::io::Result<()> { Ok(()) } fn warm(&self) -> std::io::Result<()> { Ok(()) } }
    /// # let (database, cache) = (Pool, Pool);
    ///
    /// let mut app = rws::App::new();
    /// app.health().check("database").every(Duration::from_secs(5)).run(move || database.ping());
    /// app.health().check("cache").critical(false).run(move || cache.warm());
    /// app.run();
    /// ```
    ///
    /// | setting | default | |
    /// |---|---|---|
    /// | [`readiness`], [`liveness`], [`startup`] | readiness | which probes it has a say in |
    /// | [`every`] | 10 s | time from one run to the next |
    /// | [`timeout`] | 2 s | when a run counts as a failure although it has not returned |
    /// | [`fail_after`], [`pass_after`] | 3, 1 | results in a row that change its state |
    /// | [`critical`] | true | whether its failure fails the probe or only shows |
    ///
    /// [`readiness`]: crate::ops::health::CheckBuilder::readiness
    /// [`liveness`]: crate::ops::health::CheckBuilder::liveness
    /// [`startup`]: crate::ops::health::CheckBuilder::startup
    /// [`every`]: crate::ops::health::CheckBuilder::every
    /// [`timeout`]: crate::ops::health::CheckBuilder::timeout
    /// [`fail_after`]: crate::ops::health::CheckBuilder::fail_after
    /// [`pass_after`]: crate::ops::health::CheckBuilder::pass_after
    /// [`critical`]: crate::ops::health::CheckBuilder::critical
    pub fn health(&mut self) -> Health<'_> {
        Health { checks: self.part() }
    }
}

/// Has the application's build tell what is wrong with its checks. Before the server adds its own.
pub(super) fn validate(app: &mut App) {
    for mistake in app.part::<HealthChecks>().mistakes(&OWN) {
        app.reject(mistake);
    }
}

/// What the server's checks look at.
pub(super) struct Subjects<'a> {
    pub(super) stats: &'a Arc<Stats>,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) vitals: &'a Vitals,
    pub(super) logs: &'a [LogHandle],
}

/// The probes with all checks, and what runs those that have to be run.
pub(super) fn assemble(app: &mut App, config: &Config, subjects: &Subjects<'_>) -> (Arc<Probes>, Scheduler) {
    let mut checks: HealthChecks = app.take_part();
    checks.warn_of_risks();
    add_descriptors(Health { checks: &mut checks });
    let scheduler = Scheduler::new(checks, Clock::default(), subjects.lifecycle.clone());

    let mut probes = Probes::new(config, subjects.lifecycle.clone(), subjects.stats.clone());
    for check in EngineCheck::all(subjects.vitals, config.liveness_stall) {
        probes.add(check);
    }
    probes.add(LogCheck::new(subjects.logs.to_vec()));
    for check in scheduler.checks() {
        probes.add(check);
    }
    (Arc::new(probes), scheduler)
}

/// Whether file descriptors run out. Then new connections wait in the backlog, which other pods could not take over
/// without running out as well: so it shows, and fails nothing.
fn add_descriptors(health: Health<'_>) {
    health.check("fd-headroom").critical(false).fail_after(1).public().run(|| match open_descriptors() {
        Some((open, limit)) if open.saturating_mul(100) > limit.saturating_mul(MANY_DESCRIPTORS) => {
            Err(format!("{open} of {limit} file descriptors are open"))
        }
        _ => Ok(()),
    });
}
