//! Assembly, layer 5: gives an [`App`] its `run()` and wires configuration, server, operations and files together.

mod built_in;
mod configured;
mod demo;
mod process;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use prometheus::Registry;

use crate::app::App;
use crate::config::{Config, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::{listener, signals};
use crate::ops::current::Tracked;
use crate::ops::metrics::Metrics;
use crate::ops::telemetry::Telemetry;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::{Report, Server, Verdict};

pub use self::built_in::Defaults;
use self::process::Process;

impl App {
    /// Exposes the metrics of `registry` at /metrics, along with the server's own. May be called more than once; each
    /// registry is gathered by itself, so that a collector that panics takes away no metrics but those of its registry.
    ///
    /// ```
    /// use rws::app::{App, State, get};
    /// use rws::prometheus::{IntCounter, Registry};
    ///
    /// fn order(State(orders): State<IntCounter>) -> &'static str {
    ///     orders.inc();
    ///     "thank you"
    /// }
    ///
    /// let registry = Registry::new();
    /// let orders = IntCounter::new("shop_orders_total", "Orders taken.")?;
    /// registry.register(Box::new(orders.clone()))?;
    /// let app = App::new().route("/order", get(order)).state(orders).metrics(registry);
    /// // app.run()
    /// # rws::app::TestClient::new(app).unwrap();
    /// # Ok::<(), rws::prometheus::Error>(())
    /// ```
    #[must_use]
    pub fn metrics(mut self, registry: Registry) -> Self {
        self.extensions.get_or_insert_default::<Registries>().0.push(registry);
        self
    }

    /// Serves the application as RWS_CONFIG_* says, with probes, metrics, access log and drain, until the process is
    /// told to stop. The result is for `main` to return.
    ///
    /// Exit codes: 0 drained, 1 failed at run time, 2 bad configuration or routes, 3 cannot bind, 4 the drain timed out,
    /// 128 + n ended by a second signal n.
    pub fn run(self) -> ExitCode {
        run(self, &Sources::from_process(), Defaults::default())
    }
}

/// The registries of [`App::metrics`].
#[derive(Clone, Debug, Default)]
struct Registries(Vec<Registry>);

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
        .and_then(|signals| serve(app, loaded.config, defaults, &process, signals));
    process.end(result)
}

/// Builds, binds, serves and drains.
fn serve(
    mut app: App,
    config: Config,
    defaults: Defaults,
    process: &Process,
    signals: crossbeam_channel::Receiver<signals::Signal>,
) -> Result<Report, Error> {
    let (stats, lifecycle) = (Arc::<Stats>::default(), Lifecycle::default());
    let registries = app.extensions.remove::<Registries>().unwrap_or_default().0;
    let metrics = Arc::new(metrics(registries, process, &stats, &lifecycle).map_err(ErrorKind::Metrics)?);
    let app = configured::mount(app, &config);
    let app = built_in::mount(app, &config, defaults, &stats, &lifecycle, &metrics)?;
    let service = Arc::new(Tracked::new(app.build().map_err(ErrorKind::Build)?));

    let address = SocketAddr::new(config.ip, config.port);
    let listener = listener::bind(address).map_err(|error| ErrorKind::Bind(address, error))?;
    let endpoints = crate::app::service::Service::endpoints(&*service);
    let telemetry = Arc::new(Telemetry::new(&config, metrics, endpoints, process.access_log.clone()));
    let running = Server::new(listener, service, telemetry, config)
        .with_handles(stats, lifecycle)
        .start()
        .map_err(ErrorKind::System)?;
    process::obey(signals, running.stop()).map_err(ErrorKind::System)?;
    Ok(running.wait())
}

/// The server's metrics, and the user's.
fn metrics(
    registries: Vec<Registry>,
    process: &Process,
    stats: &Arc<Stats>,
    lifecycle: &Lifecycle,
) -> prometheus::Result<Metrics> {
    let logs = vec![process.access_log.clone(), process.diagnostics.clone()];
    let metrics = Metrics::new(Registry::new(), stats.clone(), lifecycle.clone(), logs)?;
    registries.into_iter().try_fold(metrics, Metrics::with_registry)
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
