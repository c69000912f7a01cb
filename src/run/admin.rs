//! The admin port: a second server in the process, with few threads of its own and a life of its own. It shares nothing
//! with the main one but what it looks at, so it answers when the main one cannot.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::assembly::Assembly;
use super::built_in;
use super::instance::Logs;
use crate::app::App;
use crate::config::{Config, Live};
use crate::error::{Error, ErrorKind};
use crate::net::listener;
use crate::ops::admin::errors::RecentErrors;
use crate::ops::admin::main_listener::MainListener;
use crate::ops::admin::{Admin, Handles};
use crate::ops::probes::Probes;
use crate::ops::telemetry::Telemetry;
use crate::server::role::{ADMIN_CONNECTIONS, Role};
use crate::server::{Running, Server, Stop, Verdict};

/// The admin port of a running server.
pub(super) struct AdminPort {
    pages: Arc<Admin>,
    running: Running,
}

impl AdminPort {
    /// Opens it, if there is to be one: before the main server starts to take from `listener`, so that whoever asks hears
    /// that it is starting.
    pub(super) fn open(
        main: &Assembly,
        live: &Live,
        logs: &Logs,
        listener: &TcpListener,
    ) -> Result<Option<Self>, Error> {
        let running = live.running();
        let config = &running.loaded.config;
        let Some(address) = config.admin_address() else { return Ok(None) };
        let own = listener::bind(address).map_err(|error| ErrorKind::AdminBind(address, error))?;
        let main_address = listener.local_addr().map_err(ErrorKind::System)?;
        let (stats, vitals) = (main.stats.clone(), main.vitals.clone());
        let is_full = move || {
            let active = stats.connections_active.load(Ordering::Relaxed);
            vitals.most_connections().is_some_and(|most| active >= most)
        };
        let check = MainListener::start(main_address, main.lifecycle.clone(), is_full);
        let check = check.map_err(ErrorKind::System)?;
        let mut probes = Probes::beside(main.probes.clone());
        probes.add(check);
        let pages = Admin::new(Handles {
            live: live.clone(),
            probes: Arc::new(probes),
            metrics: main.metrics.clone(),
            stats: main.stats.clone(),
            lifecycle: main.lifecycle.clone(),
            vitals: main.vitals.clone(),
            errors: Arc::<RecentErrors>::default(),
            logs: logs.all(),
            in_kubernetes: running.loaded.in_kubernetes(),
        });
        Self::serve(own, config, pages.map_err(ErrorKind::System)?, live, logs).map(Some)
    }

    fn serve(
        listener: TcpListener,
        config: &Config,
        pages: Arc<Admin>,
        live: &Live,
        logs: &Logs,
    ) -> Result<Self, Error> {
        let Handles { probes, metrics, .. } = pages.handles();
        let app = built_in::mount_probes(App::new(), config, probes);
        let app = built_in::mount_metrics(app, config, metrics);
        let service = Arc::new(pages.mount(app).build().map_err(ErrorKind::Build)?);
        let endpoints = crate::app::service::Service::endpoints(&*service);
        let here = as_seen_here(config);
        let telemetry = Arc::new(Telemetry::new(&here, metrics.clone(), endpoints, logs.access.clone()));
        let followed = telemetry.clone();
        live.follow(move |config| followed.apply(&as_seen_here(config)));
        let server = Server::new(listener, service, telemetry, own_config()).with_role(Role::Admin);
        let running = server.start().map_err(ErrorKind::System)?;
        tracing::info!(
            address = %running.address(),
            metrics = config.metrics_path,
            "admin port: probes, metrics, /statusz, /configz and POST /drain"
        );
        Ok(AdminPort { pages, running })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Where the main server leaves what went wrong.
    pub(super) fn errors(&self) -> Arc<RecentErrors> {
        self.pages.handles().errors.clone()
    }

    /// The main server's probes, and those of this port.
    pub(super) fn probes(&self) -> Arc<Probes> {
        self.pages.handles().probes.clone()
    }

    /// The main server runs, and each of `stops` stops it or one that ends with it.
    pub(super) fn main_runs(&self, stops: Vec<Stop>) {
        self.pages.main_runs(move || stops.iter().for_each(Stop::begin));
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

/// The configuration with what differs for a client of the admin port: which port it is on, and that there is no TLS.
fn as_seen_here(config: &Config) -> Config {
    let port = config.admin_port.unwrap_or_default();
    Config { port, tls_cert_file: None, tls_key_file: None, virtual_hosts: Vec::new(), ..config.clone() }
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
