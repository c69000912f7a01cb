//! What is made of an application and its configuration before anything is bound or started: every route, check and
//! metric that a running server has.

use std::sync::Arc;

use super::built_in::{self, Defaults};
use super::configured;
use super::health::{self, Subjects};
use super::hooks::Hooks;
use super::protections;
use super::registries;
use super::reload::Counters;
use crate::app::App;
use crate::app::build::BuiltApp;
use crate::config::Live;
use crate::error::{Error, ErrorKind};
use crate::net::tls::Acceptor;
use crate::ops::health::scheduler::Scheduler;
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::Metrics;
use crate::ops::probes::Probes;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::vitals::Vitals;

/// A server's parts, ready to be started.
pub(super) struct Assembly {
    pub(super) service: Arc<BuiltApp>,
    pub(super) hooks: Hooks,
    pub(super) probes: Arc<Probes>,
    pub(super) checks: Scheduler,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reloads: Counters,
    pub(super) stats: Arc<Stats>,
    pub(super) lifecycle: Lifecycle,
    pub(super) vitals: Vitals,
}

impl Assembly {
    /// Puts them together.
    ///
    /// # Errors
    /// Routes, checks or metrics that contradict each other, or a static directory that cannot be opened.
    pub(super) fn new(
        mut app: App,
        live: &Live,
        defaults: Defaults,
        logs: Vec<LogHandle>,
        acceptor: Option<Arc<Acceptor>>,
    ) -> Result<Self, Error> {
        let config = live.running().loaded.config.clone();
        let (stats, lifecycle, vitals) = (Arc::<Stats>::default(), Lifecycle::default(), Vitals::default());
        let metrics = registries::metrics(&mut app, &stats, &lifecycle, &logs);
        let metrics = Arc::new(metrics.map_err(ErrorKind::Metrics)?);
        let reloads = Counters::new(metrics.own_registry()).map_err(ErrorKind::Metrics)?;

        let app = protections::surround(app, live, metrics.own_registry()).map_err(ErrorKind::Metrics)?;
        let mut app = configured::mount(app, &config);
        let hooks = app.take_part::<Hooks>();
        health::validate(&mut app);
        let mut app = built_in::mount_files(app, live, defaults)?;
        #[cfg(feature = "tls")]
        if let Some(acceptor) = acceptor.clone() {
            super::tls::register(metrics.own_registry(), acceptor).map_err(ErrorKind::Metrics)?;
        }
        let subjects = Subjects { stats: &stats, lifecycle: &lifecycle, vitals: &vitals, logs: &logs, acceptor };
        let (probes, checks) = health::assemble(&mut app, live, &subjects);
        let app = built_in::mount(app, live, &probes, &metrics);
        let service = Arc::new(app.build().map_err(ErrorKind::Build)?);
        Ok(Assembly { service, hooks, probes, checks, metrics, reloads, stats, lifecycle, vitals })
    }
}
