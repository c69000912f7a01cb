//! What belongs to the process as a whole: its log writers, its diagnostics, its signals and its last words.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use crossbeam_channel::Receiver;
use serde_json::json;
use tracing::Level;

use super::exit_code;
use super::instance::Logs;
use super::last_words::{self, Circumstances, TERMINATION_LOG_BYTES};
use super::reload::Reload;
use crate::config::{Config, ConfigErrors};
use crate::error::{Error, ErrorKind};
use crate::net::signals::Signal;
use crate::ops::diagnostics;
use crate::ops::log_writer::{LogFile, LogHandle, LogWriter};
use crate::server::{Report, Stop};

/// How many buffers of access log lines may wait for a slow stdout.
const ACCESS_LOG_BUFFERS: usize = 64;
/// How many diagnostic lines may wait for a slow stderr.
const DIAGNOSTIC_LINES: usize = 1024;
/// How long the exit waits for the logs to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What of the process outlives its server.
pub(super) struct Process {
    access_log: LogHandle,
    diagnostics: LogHandle,
    /// Changes the level and the format of the diagnostics.
    pub(super) control: diagnostics::Control,
    latest_panic: Arc<ArcSwapOption<String>>,
}

impl Process {
    /// Starts the log writers and sends diagnostics and panics to them.
    pub(super) fn start(config: &Config) -> io::Result<Self> {
        let (access_log, _) = LogWriter::spawn("rws-access-log", LogFile::stdout()?, ACCESS_LOG_BUFFERS)?;
        let (diagnostics, _) = LogWriter::spawn("rws-diagnostics", LogFile::stderr()?, DIAGNOSTIC_LINES)?;
        let (subscriber, control) = diagnostics::subscriber(config, diagnostics.clone());
        // A program that has installed a subscriber of its own keeps it.
        let _ = tracing::subscriber::set_global_default(subscriber);
        let latest_panic = Arc::<ArcSwapOption<String>>::default();
        let latest = latest_panic.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let location = panic.location().map(ToString::to_string);
            let thread = thread::current().name().map(str::to_owned);
            let message = panic.payload_as_str().unwrap_or("a value that is not text");
            let place = location.as_deref().unwrap_or("an unknown place");
            latest.store(Some(Arc::new(format!("panic at {place}: {message}"))));
            tracing::error!(location, thread, "panic: {message}");
        }));
        Ok(Process { access_log, diagnostics, control, latest_panic })
    }

    /// Where the server leaves its lines, and whose writers its checks look at.
    pub(super) fn logs(&self) -> Logs {
        Logs { access: self.access_log.clone(), diagnostics: Some(self.diagnostics.clone()) }
    }

    /// Says how it ended, writes out the logs, and gives the exit code.
    pub(super) fn end(self, result: Result<Report, Error>, circumstances: Circumstances) -> ExitCode {
        let code = match result {
            Ok(report) => {
                tell(&report, circumstances);
                let panic = self.latest_panic.load();
                if let Some(reason) = last_words::reason(&report, circumstances, panic.as_deref().map(String::as_str)) {
                    last_words::leave(&reason);
                }
                exit_code(report.verdict)
            }
            Err(error) => {
                match error.kind() {
                    // One for each file.
                    #[cfg(feature = "tls")]
                    ErrorKind::Tls(_) => error.to_string().lines().for_each(|line| tracing::error!("{line}")),
                    _ => tracing::error!("{error}"),
                }
                last_words::leave(&error.to_string());
                error.exit_code()
            }
        };
        self.access_log.finish(LAST_WORDS);
        self.diagnostics.finish(LAST_WORDS);
        code
    }

    /// What the panic was that has just been caught.
    pub(super) fn panicked(&self) -> Error {
        let text = self.latest_panic.load().as_deref().cloned();
        ErrorKind::Panic(text.unwrap_or_else(|| "panic".to_owned())).into()
    }
}

/// The last line of the diagnostics.
fn tell(report: &Report, circumstances: Circumstances) {
    let millis = |at: Option<Duration>| at.map(|at| at.as_micros() as f64 / 1e3);
    let aborted = report.aborted.len();
    let advice = last_words::advice(report, circumstances);
    macro_rules! stopped {
        ($level:expr) => {
            tracing::event!(
                $level,
                verdict = report.verdict.name(),
                served_while_draining = report.served_while_draining,
                first_arrival_ms = millis(report.first_arrival),
                last_arrival_ms = millis(report.last_arrival),
                aborted,
                aborted_requests = (aborted > 0).then(|| report.aborted.join("; ")),
                advice,
                "stopped"
            )
        };
    }
    match advice {
        None => stopped!(Level::INFO),
        Some(_) => stopped!(Level::WARN),
    }
}

/// Turns signals into commands (SIGTERM: drain; SIGINT: drain without the delay; SIGQUIT: stop; SIGHUP: reload).
pub(super) fn obey(signals: Receiver<Signal>, stops: Vec<Stop>, reload: Option<Reload>) -> io::Result<()> {
    let obey = move || {
        for signal in signals {
            tracing::info!(?signal, "signal received");
            if signal == Signal::HangUp {
                reload.iter().for_each(Reload::ask);
                continue;
            }
            for stop in &stops {
                match signal {
                    Signal::Terminate => stop.drain(true, signal.number()),
                    Signal::Interrupt => stop.drain(false, signal.number()),
                    Signal::Quit => stop.abort(signal.number()),
                    Signal::HangUp => {}
                }
            }
        }
    };
    thread::Builder::new().name("rws-obey".into()).spawn(obey)?;
    Ok(())
}

/// Ends because of the configuration, before there is a log: everything that is wrong with it, at once.
pub(super) fn refuse_configuration(errors: ConfigErrors) -> ExitCode {
    last_words::leave(&errors.truncated(TERMINATION_LOG_BYTES));
    let mut stderr = io::stderr();
    let text = if stderr.is_terminal() { format!("{errors}\n") } else { errors.to_json_lines() };
    // Whoever closed stderr does not want to know.
    let _ = stderr.write_all(text.as_bytes());
    Error::from(ErrorKind::Config(errors)).exit_code()
}

/// Ends because of something else, before there is a log.
pub(super) fn refuse(error: &Error) -> ExitCode {
    last_words::leave(&error.to_string());
    let _ = writeln!(io::stderr(), "{}", json!({"level": "error", "msg": error.to_string()}));
    error.exit_code()
}
