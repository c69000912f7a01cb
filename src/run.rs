//! Assembly, layer 5: gives an [`App`] its `run()` and wires configuration, server, operations and files together.

mod admin;
mod built_in;
mod configured;
mod demo;
mod health;
mod hooks;
mod process;
mod reload;
mod startup;
#[cfg(feature = "tls")]
mod tls;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::App;
use crate::config::{Config, Live, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::{listener, signals};
use crate::ops::health::collector;
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::Telemetry;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::vitals::Vitals;
use crate::server::{Report, Server, Verdict};

use self::admin::AdminPort;
pub use self::built_in::Defaults;
use self::health::Subjects;
pub use self::hooks::HookResult;
use self::hooks::Hooks;
use self::process::Process;
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
    let result = signals
        .map_err(|error| ErrorKind::System(error).into())
        .and_then(|signals| serve(app, sources, Live::new(loaded), defaults, &process, signals));
    process.end(result)
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
    let (stats, lifecycle, vitals) = (Arc::<Stats>::default(), Lifecycle::default(), Vitals::default());
    let registry = prometheus::Registry::new();
    let logs = vec![process.access_log.clone(), process.diagnostics.clone()];
    let metrics = Metrics::new(registry, stats.clone(), lifecycle.clone(), logs.clone()).map_err(ErrorKind::Metrics)?;
    let metrics = Arc::new(metrics);
    let counters = reload::Counters::new(metrics.registry()).map_err(ErrorKind::Metrics)?;
    let mut app = configured::mount(app, &config);
    let hooks = app.take_part::<Hooks>();
    health::validate(&mut app);
    let mut app = built_in::mount_files(app, &live, defaults)?;
    let subjects = Subjects { stats: &stats, lifecycle: &lifecycle, vitals: &vitals, logs: &logs };
    let (probes, checks) = health::assemble(&mut app, &config, &subjects);
    let app = built_in::mount(app, &live, &probes, &metrics);
    let service = Arc::new(app.build().map_err(ErrorKind::Build)?);

    #[cfg(feature = "tls")]
    let acceptor = tls::acceptor(&config, metrics.registry())?;
    #[cfg(not(feature = "tls"))]
    let acceptor = None;
    let address = SocketAddr::new(config.ip, config.port);
    let listener = listener::bind(address).map_err(|error| ErrorKind::Bind(address, error))?;
    let endpoints = crate::app::service::Service::endpoints(&*service);
    let telemetry = Telemetry::new(&config, metrics.clone(), endpoints, process.access_log.clone());
    let main = admin::Main {
        live: &live,
        in_kubernetes: sources.in_kubernetes(),
        subjects: &subjects,
        access_log: &process.access_log,
        metrics: &metrics,
        probes: &probes,
    };
    let admin = AdminPort::open(main, &listener)?;
    let (telemetry, asked) = match &admin {
        Some(admin) => (telemetry.with_errors(admin.errors()), admin.probes()),
        None => (telemetry, probes.clone()),
    };
    collector::register(metrics.registry(), asked).map_err(ErrorKind::Metrics)?;
    let supervisor = checks.nudge();
    let timeout = config.startup_timeout;
    let startup = Startup { hooks: hooks.startup, checks, probes, lifecycle: lifecycle.clone(), timeout };
    let running = Server::new(listener, service, Arc::new(telemetry), config)
        .with_handles(stats.clone(), lifecycle.clone())
        .with_tls(acceptor)
        .with_vitals(vitals.clone())
        .waits_to_be_ready()
        .start()
        .map_err(ErrorKind::System)?;
    if let Some(admin) = &admin {
        admin.main_runs(running.stop());
    }
    live.follow(running.reconfigure());
    let reload = reload::start(sources.clone(), live, counters).map_err(ErrorKind::System)?;
    process::obey(signals, running.stop(), reload).map_err(ErrorKind::System)?;
    let failure = startup.begin(&running).map_err(ErrorKind::System)?;
    let report = running.wait_then(|verdict, interruption| {
        // Checks have nothing to look at any more once the hooks take things down.
        supervisor.nudge();
        hooks::shut_down(hooks.shutdown, verdict, interruption);
    });
    if let Some(admin) = admin {
        admin.end(report.verdict);
    }
    match failure.try_recv() {
        Ok(reason) => Err(ErrorKind::Startup(reason).into()),
        Err(_) => Ok(report),
    }
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
