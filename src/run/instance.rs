//! One server with all that belongs to it: assembled from an application and a configuration, started on a listener,
//! and seen through to its end. Knows neither signals nor exit codes, and changes nothing of the process around it, so
//! that [`run`](super::run()) and programs that rws is part of share it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::admin::AdminPort;
use super::assembly::Assembly;
use super::built_in::Defaults;
use super::hooks::{self, Hook};
use super::redirect::RedirectPort;
use super::reload::{self, Follower, Reload};
use super::startup::Startup;
use crate::app::App;
use crate::app::service::Service;
use crate::config::{Config, Live, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::tls::Acceptor;
use crate::ops::current::Tracked;
use crate::ops::health::collector;
use crate::ops::health::scheduler::Nudge;
use crate::ops::log_writer::LogHandle;
use crate::ops::telemetry::Telemetry;
use crate::server::lifecycle::Lifecycle;
use crate::server::{Report, Running, Server, Stop, Verdict};

/// The writers of logs that a server has to do with.
#[derive(Clone)]
pub(super) struct Logs {
    /// Where its access log goes.
    pub(super) access: LogHandle,
    /// `None`: diagnostics are the business of the program around it.
    pub(super) diagnostics: Option<LogHandle>,
}

impl Logs {
    /// Those whose loss is told.
    pub(super) fn all(&self) -> Vec<LogHandle> {
        [Some(self.access.clone()), self.diagnostics.clone()].into_iter().flatten().collect()
    }
}

/// A server that can be started: its routes and its certificates are in order.
pub(super) struct Parts {
    assembly: Assembly,
    live: Live,
    logs: Logs,
    acceptor: Option<Arc<Acceptor>>,
    certificates: Vec<Box<dyn Follower>>,
}

impl Parts {
    /// Puts it together. Nothing is bound or started.
    ///
    /// # Errors
    /// Certificates that cannot be used, and whatever is wrong with the application.
    pub(super) fn new(app: App, live: Live, defaults: Defaults, logs: Logs) -> Result<Self, Error> {
        #[cfg(feature = "tls")]
        let (acceptor, certificates) = super::tls::open(&live.running().loaded.config)?;
        #[cfg(not(feature = "tls"))]
        let (acceptor, certificates) = (None, Vec::new());
        let assembly = Assembly::new(app, &live, defaults, logs.all(), acceptor.clone())?;
        Ok(Parts { assembly, live, logs, acceptor, certificates })
    }

    /// Has it follow `sources` and the files of its certificates, until the result is dropped. `None`: there is nothing
    /// to follow.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub(super) fn follow(&mut self, sources: Option<Sources>) -> Result<Option<Reload>, Error> {
        if sources.is_none() && self.certificates.is_empty() {
            return Ok(None);
        }
        let (certificates, counters) = (std::mem::take(&mut self.certificates), self.assembly.reloads.clone());
        let reload = reload::start(sources, self.live.clone(), certificates, counters);
        Ok(Some(reload.map_err(ErrorKind::System)?))
    }

    /// Starts it, and the ports beside it. It is not [ready](Instance::run) yet.
    ///
    /// # Errors
    /// A port that cannot be had, or the operating system's. Nothing runs any more then.
    pub(super) fn start(self, listener: TcpListener) -> Result<Instance, Error> {
        let Parts { assembly, live, logs, .. } = &self;
        let main_port = listener.local_addr().map_err(ErrorKind::System)?.port();
        let mut beside = Beside { admin: AdminPort::open(assembly, live, logs, &listener)?, redirect: None };
        let opened = RedirectPort::open(assembly, live, logs, main_port).map(|port| beside.redirect = port);
        match opened.and_then(|()| self.start_main(listener, &beside)) {
            Ok(main) => Ok(Instance { beside, ..main }),
            Err(error) => {
                beside.end(Verdict::Failed);
                Err(error)
            }
        }
    }

    fn start_main(self, listener: TcpListener, beside: &Beside) -> Result<Instance, Error> {
        let Parts { assembly, live, logs, acceptor, .. } = self;
        let config = live.running().loaded.config.clone();
        let telemetry = observe(&assembly, beside.admin.as_ref(), &config, &logs)?;
        let Assembly { service, hooks, probes, checks, stats, lifecycle, vitals, .. } = assembly;
        let supervisor = checks.nudge();
        let timeout = config.startup_timeout;
        let startup = Startup { hooks: hooks.startup, checks, probes, lifecycle: lifecycle.clone(), timeout };
        let running = Server::new(listener, Arc::new(Tracked::new(service)), telemetry.clone(), config)
            .with_handles(stats, lifecycle.clone())
            .with_tls(acceptor)
            .with_vitals(vitals)
            .waits_to_be_ready()
            .start()
            .map_err(ErrorKind::System)?;
        live.follow(move |config| telemetry.apply(config));
        live.follow(running.reconfigure());
        let (beside, shutdown) = (Beside::default(), hooks.shutdown);
        Ok(Instance { running, beside, startup, shutdown, supervisor, lifecycle })
    }
}

/// What records the requests of the main port, where the admin port shows them as well. The checks of both are metrics.
fn observe(main: &Assembly, admin: Option<&AdminPort>, config: &Config, logs: &Logs) -> Result<Arc<Telemetry>, Error> {
    let endpoints = main.service.endpoints();
    let telemetry = Telemetry::new(config, main.metrics.clone(), endpoints, logs.access.clone());
    let (telemetry, probes) = match admin {
        Some(admin) => (telemetry.with_errors(admin.errors()), admin.probes()),
        None => (telemetry, main.probes.clone()),
    };
    collector::register(main.metrics.own_registry(), probes).map_err(ErrorKind::Metrics)?;
    Ok(Arc::new(telemetry))
}

/// A server that listens, and has everything still to do that comes before it is ready.
pub(super) struct Instance {
    running: Running,
    beside: Beside,
    startup: Startup,
    shutdown: Vec<Hook>,
    supervisor: Nudge,
    lifecycle: Lifecycle,
}

impl Instance {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Where its admin port listens, if there is one.
    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.beside.admin.as_ref().map(AdminPort::address)
    }

    /// How far it has come.
    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The means to stop it: every port that takes requests for it.
    pub(super) fn stops(&self) -> Vec<Stop> {
        [self.running.stop()].into_iter().chain(self.beside.redirect.as_ref().map(RedirectPort::stop)).collect()
    }

    /// Does what comes before it is ready, serves until it is stopped, and sees the drain through. `begun` hears when the
    /// start is over, whether it is ready or not: it is dropped then.
    ///
    /// # Errors
    /// The start failed.
    pub(super) fn run(self, begun: impl Send + 'static) -> Result<Report, Error> {
        let stops = self.stops();
        let Instance { running, beside, startup, shutdown, supervisor, .. } = self;
        if let Some(admin) = &beside.admin {
            admin.main_runs(stops);
        }
        let failure = startup.begin(&running, begun).unwrap_or_else(|error| not_begun(&running, &error));
        let report = running.wait_then(|verdict, interruption| {
            // Checks have nothing to look at any more once the hooks take things down.
            supervisor.nudge();
            hooks::shut_down(shutdown, verdict, interruption);
        });
        beside.end(report.verdict);
        match failure.try_recv() {
            Ok(reason) => Err(ErrorKind::Startup(reason).into()),
            Err(_) => Ok(report),
        }
    }
}

/// Ends a server whose start could not begin.
fn not_begun(running: &Running, error: &std::io::Error) -> Receiver<String> {
    let (failed, failure) = crossbeam_channel::bounded(1);
    let _ = failed.send(format!("there is no thread for it: {error}"));
    running.stop().fail();
    failure
}

/// The ports beside the main one.
#[derive(Default)]
struct Beside {
    admin: Option<AdminPort>,
    redirect: Option<RedirectPort>,
}

impl Beside {
    /// Ends them, after the main server has ended in this way.
    fn end(self, main: Verdict) {
        if let Some(redirect) = self.redirect {
            redirect.end(main);
        }
        if let Some(admin) = self.admin {
            admin.end(main);
        }
    }
}
