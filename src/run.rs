//! Assembly, layer 5: gives an [`App`] its `run()` and wires configuration, server, operations and files together.

mod admin;
mod assembly;
mod built_in;
mod configured;
mod demo;
mod health;
mod hooks;
mod last_words;
mod process;
mod protections;
mod redirect;
mod registries;
mod reload;
mod site;
mod startup;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::App;
use crate::app::build::BuiltApp;
use crate::app::service::Service;
use crate::config::{Config, Live, Loaded, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::{listener, signals};
use crate::ops::current::Tracked;
use crate::ops::health::collector;
use crate::ops::telemetry::Telemetry;
use crate::server::{Report, Server, Stop, Verdict};

use self::admin::AdminPort;
use self::assembly::Assembly;
pub use self::built_in::Defaults;
pub use self::hooks::HookResult;
use self::last_words::Circumstances;
#[cfg(feature = "cli")]
pub(crate) use self::last_words::leave as leave_reason;
use self::process::Process;
use self::redirect::RedirectPort;
use self::startup::Startup;

impl App {
    /// Serves the application as RWS_CONFIG_* says, with probes, metrics, access log and drain, until the process is
    /// told to stop. The result is for `main` to return.
    ///
    /// Exit codes: 0 drained, 1 failed at run time, 2 bad configuration or routes, 3 cannot bind, 4 the drain timed out,
    /// 128 + n ended by a second signal n.
    pub fn run(self) -> ExitCode {
        run(self, &Sources::from_process(), Defaults::default())
    }
}

/// Serves `app` in a process of its own, configured from `sources`.
pub fn run(app: App, sources: &Sources, defaults: Defaults) -> ExitCode {
    // Before anything else: as PID 1 a process ignores every signal that it does not handle.
    let signals = signals::receive();
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(errors) => return process::refuse_configuration(errors),
    };
    let process = match Process::start(&loaded.config) {
        Ok(process) => process,
        Err(error) => return process::refuse(&ErrorKind::System(error).into()),
    };
    for notice in &loaded.notices {
        tracing::warn!(variable = notice.variable(), "{notice}");
    }
    let live = Live::new(loaded);
    let result = signals.map_err(|error| ErrorKind::System(error).into()).and_then(|signals| {
        catch_unwind(AssertUnwindSafe(|| serve(app, sources, live.clone(), defaults, &process, signals)))
            .unwrap_or_else(|_| Err(process.panicked()))
    });
    let drain_timeout = live.running().loaded.config.drain_timeout;
    process.end(result, Circumstances { in_kubernetes: sources.in_kubernetes(), drain_timeout })
}

/// Builds, binds, serves and drains.
fn serve(
    app: App,
    sources: &Sources,
    live: Live,
    defaults: Defaults,
    process: &Process,
    signals: crossbeam_channel::Receiver<signals::Signal>,
) -> Result<Report, Error> {
    let config = live.running().loaded.config.clone();
    let logs = vec![process.access_log.clone(), process.diagnostics.clone()];
    #[cfg(feature = "tls")]
    let (acceptor, certificates) = tls::open(&config)?;
    #[cfg(not(feature = "tls"))]
    let (acceptor, certificates) = (None, Vec::new());
    let assembly = Assembly::new(app, &live, defaults, logs, acceptor.clone())?;
    let address = SocketAddr::new(config.ip, config.port);
    let listener = listener::bind(address).map_err(|error| ErrorKind::Bind(address, error))?;
    let admin = AdminPort::open(&assembly, &live, sources.in_kubernetes(), process, &listener)?;
    let main_port = listener.local_addr().map_err(ErrorKind::System)?.port();
    let redirect = RedirectPort::open(&assembly, &live, sources.in_kubernetes(), process, main_port)?;
    let telemetry = observe(&assembly, admin.as_ref(), &config, process)?;
    let Assembly { service, hooks, probes, checks, reloads, stats, lifecycle, vitals, .. } = assembly;
    let supervisor = checks.nudge();
    let timeout = config.startup_timeout;
    let startup = Startup { hooks: hooks.startup, checks, probes, lifecycle: lifecycle.clone(), timeout };
    let running = Server::new(listener, Arc::new(Tracked::new(service)), telemetry.clone(), config)
        .with_handles(stats, lifecycle)
        .with_tls(acceptor)
        .with_vitals(vitals)
        .waits_to_be_ready()
        .start()
        .map_err(ErrorKind::System)?;
    let stops: Vec<Stop> = [running.stop()].into_iter().chain(redirect.as_ref().map(RedirectPort::stop)).collect();
    if let Some(admin) = &admin {
        admin.main_runs(stops.clone());
    }
    let control = process.control.clone();
    live.follow(move |config| {
        telemetry.apply(config);
        control.apply(config);
    });
    live.follow(running.reconfigure());
    let reload = reload::start(sources.clone(), live, certificates, reloads).map_err(ErrorKind::System)?;
    process::obey(signals, stops, reload).map_err(ErrorKind::System)?;
    let failure = startup.begin(&running).map_err(ErrorKind::System)?;
    let report = running.wait_then(|verdict, interruption| {
        // Checks have nothing to look at any more once the hooks take things down.
        supervisor.nudge();
        hooks::shut_down(hooks.shutdown, verdict, interruption);
    });
    if let Some(redirect) = redirect {
        redirect.end(report.verdict);
    }
    if let Some(admin) = admin {
        admin.end(report.verdict);
    }
    match failure.try_recv() {
        Ok(reason) => Err(ErrorKind::Startup(reason).into()),
        Err(_) => Ok(report),
    }
}

/// What records the requests of the main port, where the admin port shows them as well. The checks of both are metrics.
fn observe(
    main: &Assembly,
    admin: Option<&AdminPort>,
    config: &Config,
    process: &Process,
) -> Result<Arc<Telemetry>, Error> {
    let endpoints = main.service.endpoints();
    let telemetry = Telemetry::new(config, main.metrics.clone(), endpoints, process.access_log.clone());
    let (telemetry, probes) = match admin {
        Some(admin) => (telemetry.with_errors(admin.errors()), admin.probes()),
        None => (telemetry, main.probes.clone()),
    };
    collector::register(main.metrics.own_registry(), probes).map_err(ErrorKind::Metrics)?;
    Ok(Arc::new(telemetry))
}

/// The application with every route that [`run`] would give it, to be looked at: nothing is bound or started.
///
/// # Errors
///
/// Routes that contradict each other, or a static directory that cannot be opened.
pub fn assemble(app: App, loaded: Loaded, defaults: Defaults) -> Result<Arc<BuiltApp>, Error> {
    Ok(Assembly::new(app, &Live::new(loaded), defaults, Vec::new(), None)?.service)
}

/// The exit code of a verdict.
fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Drained => 0,
        Verdict::Failed => 1,
        Verdict::TimedOut => 4,
        Verdict::Killed(signal) => u8::try_from(128 + signal).unwrap_or(1),
    })
}
