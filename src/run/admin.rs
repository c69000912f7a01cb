//! The admin port: a second server in the process, with few threads of its own and a life of its own. It shares nothing
//! with the main one but what it looks at, so it answers when the main one cannot.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use super::built_in;
use super::process::Process;
use crate::app::{App, BuiltApp};
use crate::config::{Config, Effective};
use crate::error::{Error, ErrorKind};
use crate::net::listener;
use crate::ops::admin::errors::RecentErrors;
use crate::ops::admin::main_listener::MainListener;
use crate::ops::admin::{Admin, ConfigView, Handles};
use crate::ops::metrics::Metrics;
use crate::ops::probes::Probes;
use crate::ops::telemetry::Telemetry;
use crate::server::lifecycle::Lifecycle;
use crate::server::role::Role;
use crate::server::stats::Stats;
use crate::server::{Running, Server, Verdict};

/// How many connections it takes: kubelet, a scraper or two, and people.
const MAX_CONNECTIONS: usize = 128;

/// The admin port of a running process.
pub(super) struct AdminPort {
    pages: Arc<Admin>,
    errors: Arc<RecentErrors>,
    running: Running,
}

/// What it looks at.
pub(super) struct Main<'a> {
    pub(super) config: &'a Config,
    pub(super) effective: Vec<Effective>,
    pub(super) in_kubernetes: bool,
    pub(super) process: &'a Process,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stats: Arc<Stats>,
    pub(super) lifecycle: Lifecycle,
}

impl AdminPort {
    /// Opens it, if there is to be one: before the main server starts to take from `listener`, so that probes hear that it
    /// is starting.
    pub(super) fn open(main: Main<'_>, listener: &TcpListener) -> Result<Option<Self>, Error> {
        let Some(address) = main.config.admin_address() else { return Ok(None) };
        let own = listener::bind(address).map_err(|error| ErrorKind::AdminBind(address, error))?;
        let check =
            listener.local_addr().and_then(|main_address| MainListener::start(main_address, main.lifecycle.clone()));
        let mut probes = Probes::new(main.config, main.lifecycle.clone(), main.stats.clone());
        probes.add(check.map_err(ErrorKind::System)?);
        Self::serve(own, main, Arc::new(probes)).map(Some)
    }

    fn serve(listener: TcpListener, main: Main<'_>, probes: Arc<Probes>) -> Result<Self, Error> {
        let Main { config, effective, metrics, process, .. } = main;
        let app = built_in::mount_probes(App::new(), config, &probes);
        let app = built_in::mount_metrics(app, config, &metrics);
        let errors = Arc::<RecentErrors>::default();
        let pages = Admin::new(Handles {
            settings: config.clone(),
            config: Arc::new(move || ConfigView { effective: effective.clone(), last_reload: None }),
            probes,
            metrics: metrics.clone(),
            stats: main.stats,
            lifecycle: main.lifecycle,
            errors: errors.clone(),
            logs: vec![process.access_log.clone(), process.diagnostics.clone()],
            in_kubernetes: main.in_kubernetes,
        })
        .map_err(ErrorKind::System)?;
        let service = Arc::new(pages.mount(app).build().map_err(ErrorKind::Build)?);
        let endpoints = crate::app::service::Service::endpoints(&*service);
        let telemetry = Telemetry::new(config, metrics, endpoints, process.access_log.clone());
        let server = Server::new(listener, service, Arc::new(telemetry), own_config()).with_role(Role::Admin);
        let running = server.start().map_err(ErrorKind::System)?;
        tracing::info!(
            address = %running.address(),
            metrics = config.metrics_path,
            "admin port: probes, metrics, /statusz, /configz and POST /drain"
        );
        Ok(AdminPort { pages, errors, running })
    }

    /// The main server, with room for this one, and its errors shown here.
    pub(super) fn beside(
        &self,
        listener: TcpListener,
        service: Arc<BuiltApp>,
        telemetry: Telemetry,
        config: Config,
    ) -> Server {
        let telemetry = telemetry.with_errors(self.errors.clone());
        Server::new(listener, service, Arc::new(telemetry), config).with_reserve(MAX_CONNECTIONS)
    }

    /// Lets the pages see the main server, and stop it.
    pub(super) fn main_runs(&self, main: &Running) {
        let stop = main.stop();
        self.pages.main_runs(move || stop.begin(), main.in_flight());
    }

    /// Ends it, after the main server has ended: what is being answered is, and who is idle is not waited for.
    pub(super) fn end(self, main: Verdict) {
        let stop = self.running.stop();
        match main {
            // Somebody has lost patience already.
            Verdict::Killed(signal) => stop.abort(signal),
            _ => stop.drain(false, 0),
        }
        self.running.wait();
    }
}

/// What the admin port itself is served with: little of everything, and nothing that an operator would have to set.
fn own_config() -> Config {
    Config {
        reactor_count: 1,
        thread_count: 2,
        queue_depth: 16,
        max_connections: MAX_CONNECTIONS,
        max_body_size_in_bytes: 16 * 1024,
        head_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
        // Longer than most scrape intervals.
        idle_timeout: Duration::from_secs(120),
        drain_timeout: Duration::from_secs(1),
        ..Config::default()
    }
}
