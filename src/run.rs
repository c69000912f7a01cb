//! Assembly, layer 5: gives an [`App`] its `run()` and wires configuration, server, operations and files together.

mod admin;
mod assembly;
mod built_in;
mod configured;
mod demo;
mod embedded;
mod health;
mod hooks;
mod instance;
mod last_words;
mod process;
mod protections;
mod redirect;
mod registries;
mod reload;
mod site;
mod startup;
mod test_server;
#[cfg(feature = "tls")]
mod tls;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use crate::app::App;
use crate::app::build::BuiltApp;
use crate::config::{Config, Live, Loaded, Sources};
use crate::error::{Error, ErrorKind};
use crate::net::{listener, signals};
use crate::server::{Report, Verdict};

use self::assembly::Assembly;
pub use self::built_in::Defaults;
pub use self::embedded::{ServerHandle, Stopper};
pub use self::hooks::HookResult;
use self::instance::Parts;
use self::last_words::Circumstances;
pub use self::last_words::leave as leave_reason;
use self::process::Process;
pub use self::test_server::TestServer;

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
    let running = live.running();
    let mut parts = Parts::new(app, live.clone(), defaults, process.logs())?;
    let address = SocketAddr::new(running.loaded.config.ip, running.loaded.config.port);
    let listener = listener::bind(address).map_err(|error| ErrorKind::Bind(address, error))?;
    let reload = parts.follow(Some(sources.clone()))?;
    let instance = parts.start(listener)?;
    let control = process.control.clone();
    live.follow(move |config| control.apply(config));
    process::obey(signals, instance.stops(), reload).map_err(ErrorKind::System)?;
    instance.run(())
}

/// The application with every route that [`run`] would give it, to be looked at: nothing is bound or started.
///
/// # Errors
///
/// Routes that contradict each other, or a static directory that cannot be opened.
pub fn assemble(app: App, loaded: Loaded, defaults: Defaults) -> Result<Arc<BuiltApp>, Error> {
    Ok(Assembly::new(app, &Live::new(loaded), defaults, Vec::new(), None)?.service)
}

/// Whether the certificates, keys and authorities that a configuration names can be used, as far as it asks for TLS. Nothing is
/// bound or started.
///
/// # Errors
///
/// What is wrong with each of them.
#[cfg_attr(not(feature = "tls"), allow(unused_variables, reason = "there is no TLS"))]
pub fn check_certificates(config: &Config) -> Result<(), Error> {
    #[cfg(feature = "tls")]
    if config.speaks_tls() {
        tls::read(config).map_err(ErrorKind::Tls)?;
    }
    Ok(())
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
