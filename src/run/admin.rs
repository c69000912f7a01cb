//! The admin port: a second server in the process, with few threads of its own and a life of its own. It shares nothing
//! with the main one but what it looks at, so it answers when the main one cannot.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::built_in;
use super::health::Subjects;
use crate::app::App;
use crate::config::{Config, Live};
use crate::error::{Error, ErrorKind};
use crate::net::listener;
use crate::ops::admin::errors::RecentErrors;
use crate::ops::admin::main_listener::MainListener;
use crate::ops::admin::{Admin, Handles};
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::Metrics;
use crate::ops::probes::Probes;
use crate::ops::telemetry::Telemetry;
use crate::server::role::{ADMIN_CONNECTIONS, Role};
use crate::server::{Running, Server, Stop, Verdict};

/// The admin port of a running process.
pub(super) struct AdminPort {
    pages: Arc<Admin>,
    running: Running,
}

/// The main server, as far as this one is to know it.
pub(super) struct Main<'a> {
    pub(super) live: &'a Live,
    pub(super) in_kubernetes: bool,
    pub(super) subjects: &'a Subjects<'a>,
    pub(super) access_log: &'a LogHandle,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) probes: &'a Arc<Probes>,
}

impl AdminPort {
    /// Opens it, if there is to be one: before the main server starts to take from `listener`, so that whoever asks hears
    /// that it is starting.
    pub(super) fn open(main: Main<'_>, listener: &TcpListener) -> Result<Option<Self>, Error> {
        let config = main.live.running().loaded.config.clone();
        let Some(address) = config.admin_address() else { return Ok(None) };
        let own = listener::bind(address).map_err(|error| ErrorKind::AdminBind(address, error))?;
        let main_address = listener.local_addr().map_err(ErrorKind::System)?;
        let (stats, live) = (main.subjects.stats.clone(), main.live.clone());
        let is_full =
            move || stats.connections_active.load(Ordering::Relaxed) >= live.running().loaded.config.max_connections;
        let check = MainListener::start(main_address, main.subjects.lifecycle.clone(), is_full);
        let check = check.map_err(ErrorKind::System)?;
        let mut probes = Probes::beside(main.probes.clone());
        probes.add(check);
        Self::serve(own, &config, main, Arc::new(probes)).map(Some)
    }

    fn serve(listener: TcpListener, config: &Config, main: Main<'_>, probes: Arc<Probes>) -> Result<Self, Error> {
        let app = built_in::mount_probes(App::new(), config, &probes);
        let app = built_in::mount_metrics(app, config, main.metrics);
        let pages = Admin::new(Handles {
            live: main.live.clone(),
            probes,
            metrics: main.metrics.clone(),
            stats: main.subjects.stats.clone(),
            lifecycle: main.subjects.lifecycle.clone(),
            vitals: main.subjects.vitals.clone(),
            errors: Arc::<RecentErrors>::default(),
            logs: main.subjects.logs.to_vec(),
            in_kubernetes: main.in_kubernetes,
        })
        .map_err(ErrorKind::System)?;
        let service = Arc::new(pages.mount(app).build().map_err(ErrorKind::Build)?);
        let endpoints = crate::app::service::Service::endpoints(&*service);
        let telemetry = Telemetry::new(config, main.metrics.clone(), endpoints, main.access_log.clone());
        let server = Server::new(listener, service, Arc::new(telemetry), own_config()).with_role(Role::Admin);
        let running = server.start().map_err(ErrorKind::System)?;
        tracing::info!(
            address = %running.address(),
            metrics = config.metrics_path,
            "admin port: probes, metrics, /statusz, /configz and POST /drain"
        );
        Ok(AdminPort { pages, running })
    }

    /// Where the main server leaves what went wrong.
    pub(super) fn errors(&self) -> Arc<RecentErrors> {
        self.pages.handles().errors.clone()
    }

    /// The main server's probes, and those of this port.
    pub(super) fn probes(&self) -> Arc<Probes> {
        self.pages.handles().probes.clone()
    }

    /// The main server runs, and `stop` stops it.
    pub(super) fn main_runs(&self, stop: Stop) {
        self.pages.main_runs(move || stop.begin());
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
        max_connections: ADMIN_CONNECTIONS,
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
