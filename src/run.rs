//! Assembly, layer 5: gives an [`App`] its `run()` and wires configuration, server, operations and files together.

mod admin;
mod built_in;
mod configured;
mod demo;
mod process;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::App;
use crate::config::{Config, Loaded, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::{listener, signals};
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::Telemetry;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::{Report, Server, Verdict};

use self::admin::AdminPort;
pub use self::built_in::Defaults;
use self::process::Process;

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
        .and_then(|signals| serve(app, loaded, sources.in_kubernetes(), defaults, &process, signals));
    process.end(result)
}

/// Builds, binds, serves and drains.
fn serve(
    app: App,
    loaded: Loaded,
    in_kubernetes: bool,
    defaults: Defaults,
    process: &Process,
    signals: crossbeam_channel::Receiver<signals::Signal>,
) -> Result<Report, Error> {
    let Loaded { config, effective, .. } = loaded;
    let (stats, lifecycle) = (Arc::<Stats>::default(), Lifecycle::default());
    let registry = prometheus::Registry::new();
    let logs = vec![process.access_log.clone(), process.diagnostics.clone()];
    let metrics = Arc::new(Metrics::new(registry, stats.clone(), lifecycle.clone(), logs).map_err(ErrorKind::Metrics)?);
    let app = configured::mount(app, &config);
    let app = built_in::mount(app, &config, defaults, &stats, &lifecycle, &metrics)?;
    let service = Arc::new(app.build().map_err(ErrorKind::Build)?);

    let address = SocketAddr::new(config.ip, config.port);
    let listener = listener::bind(address).map_err(|error| ErrorKind::Bind(address, error))?;
    let endpoints = crate::app::service::Service::endpoints(&*service);
    let telemetry = Telemetry::new(&config, metrics.clone(), endpoints, process.access_log.clone());
    let main = admin::Main {
        config: &config,
        effective,
        in_kubernetes,
        process,
        metrics,
        stats: stats.clone(),
        lifecycle: lifecycle.clone(),
    };
    let admin = AdminPort::open(main, &listener)?;
    let server = match &admin {
        Some(admin) => admin.beside(listener, service, telemetry, config),
        None => Server::new(listener, service, Arc::new(telemetry), config),
    };
    let running = server.with_handles(stats, lifecycle).start().map_err(ErrorKind::System)?;
    process::obey(signals, running.stop()).map_err(ErrorKind::System)?;
    let Some(admin) = admin else { return Ok(running.wait()) };
    admin.main_runs(&running);
    let report = running.wait();
    admin.end(report.verdict);
    Ok(report)
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
