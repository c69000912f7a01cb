//! Puts health together: the application's own checks, the server's, and the probes that ask them.

use std::sync::Arc;

use crate::app::App;
use crate::config::Live;
use crate::net::tls::Acceptor;
use crate::ops::health::scheduler::Scheduler;
use crate::ops::health::{Health, HealthChecks};
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::open_descriptors;
use crate::ops::probes::{EngineCheck, LogCheck, Probes, Stall};
use crate::server::clock::Clock;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::vitals::Vitals;

/// The names of the server's own checks, whether they are there or not, so that a setting cannot make a name clash.
const OWN: [&str; 11] = [
    "ping",
    "startup",
    "shutdown",
    "accept-loop",
    "reactors",
    "workers",
    "log-writer",
    "tls-cert",
    "fd-headroom",
    "static-dir",
    "main-listener",
];

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
    /// `None`: connections are plain.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there are no certificates"))]
    pub(super) acceptor: Option<Arc<Acceptor>>,
}

/// The probes with all checks, and what runs those that have to be run.
pub(super) fn assemble(app: &mut App, live: &Live, subjects: &Subjects<'_>) -> (Arc<Probes>, Scheduler) {
    let running = live.running();
    let config = &running.loaded.config;
    let mut checks: HealthChecks = app.take_part();
    checks.warn_of_risks();
    add_descriptors(Health { checks: &mut checks });
    let scheduler = Scheduler::new(checks, Clock::default(), subjects.lifecycle.clone());

    let mut probes = Probes::new(config, subjects.lifecycle.clone(), subjects.stats.clone());
    let stall = Stall::from(config.liveness_stall);
    for check in EngineCheck::all(subjects.vitals, stall.clone()) {
        probes.add(check);
    }
    live.follow(move |config| stall.set(config.liveness_stall));
    probes.add(LogCheck::new(subjects.logs.to_vec()));
    #[cfg(feature = "tls")]
    if let Some(acceptor) = subjects.acceptor.clone() {
        probes.add(super::tls::CertificateCheck { acceptor });
    }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::built_in::{Defaults, mount_files};
    use super::*;
    use crate::app::get;
    use crate::config::{Config, Sources};
    use crate::ops::health::Outcome;
    use crate::ops::probes::Probe;

    fn subjects() -> (Arc<Stats>, Lifecycle, Vitals) {
        Default::default()
    }

    #[test]
    fn a_name_that_the_server_needs_is_told_with_all_other_mistakes_and_both_places() {
        let mut app = App::new().route("/a", get(|| "")).route("/a", get(|| ""));
        for name in OWN {
            app.health().check(name).run(|| Ok::<(), String>(()));
        }
        app.health().check("db").run(|| Ok::<(), String>(())).check("db").run(|| Ok::<(), String>(()));
        validate(&mut app);
        let errors = app.build().unwrap_err();
        assert_eq!(errors.iter().count(), 1 + OWN.len() + 1, "{errors}");
        let last = errors.iter().map(ToString::to_string).find(|error| error.contains("\"db\"")).unwrap();
        assert_eq!(last.matches("src/run/health.rs:").count(), 2, "{last}");
    }

    #[test]
    fn all_checks_of_the_server_have_the_names_that_are_kept_for_them() {
        let (stats, lifecycle, vitals) = subjects();
        let subjects = Subjects { stats: &stats, lifecycle: &lifecycle, vitals: &vitals, logs: &[], acceptor: None };
        let live = Live::new(Config::load(&Sources::default()).unwrap());
        let (probes, _) = assemble(&mut App::new(), &live, &subjects);
        let names: Vec<&str> = probes.names().collect();
        assert!(names.iter().all(|name| OWN.contains(name)), "{names:?}");
        assert_eq!(names.len(), OWN.len() - 3, "all but those that need a directory, a certificate, a port: {names:?}");
    }

    #[test]
    fn a_static_directory_is_checked_for_readiness() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("public"), dir.path().join("moved"));
        fs::create_dir(&path).unwrap();
        let setting = [("RWS_CONFIG_STATIC_DIR", path.to_str().unwrap())];
        let live = Live::new(Config::load(&Sources::new(setting)).unwrap());
        let mut app = mount_files(App::new(), &live, Defaults::default()).unwrap();
        let check = app.part::<HealthChecks>().find("static-dir");
        assert!(check.concerns(Probe::Readyz) && !check.concerns(Probe::Healthz));
        assert_eq!(check.run_once(), Outcome::Pass);
        fs::rename(&path, &moved).unwrap();
        assert!(matches!(check.run_once(), Outcome::Fail(reason) if reason.contains("No such file")));
        fs::create_dir(&path).unwrap();
        assert_eq!(check.run_once(), Outcome::Pass, "another one has taken its place");
    }
}
