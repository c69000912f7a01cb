//! What an application does before it is ready and after it has served: start-up and shutdown hooks.

use std::any::Any;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use crate::app::App;
use crate::server::Verdict;
use crate::server::control::Interruption;

/// How long a shutdown hook may take unless told otherwise.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// What a hook may return: nothing, or a `Result` with any error that can be displayed.
#[diagnostic::on_unimplemented(
    message = "a hook cannot return `{Self}`",
    note = "return nothing, or `Result<(), E>` where `E: Display`"
)]
pub trait HookResult {
    /// The error as text.
    #[allow(clippy::missing_errors_doc, reason = "the error is the hook's own")]
    fn into_result(self) -> Result<(), String>;
}

impl HookResult for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> HookResult for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// The hooks of an application.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub(super) startup: Vec<Hook>,
    pub(super) shutdown: Vec<Hook>,
}

impl App {
    /// Has `hook` called when the server starts, before it is ready: to migrate a database, to fill a cache. The server
    /// listens already and answers probes, with 503 on /startupz and /readyz. Hooks run one after the other in the
    /// order in which they were added, and may block; health checks begin after the last one.
    ///
    /// An error or a panic ends the process with exit code 1, and so does `RWS_CONFIG_STARTUP_TIMEOUT`; there is no limit
    /// by default. `name` is for the log.
    #[track_caller]
    pub fn on_startup<R: HookResult>(
        mut self,
        name: impl Into<String>,
        hook: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let hook = Hook::new(name.into(), Duration::MAX, hook);
        self.part::<Hooks>().startup.push(hook);
        self
    }

    /// Has `hook` called when the server has ended, once every request is answered or given up: to flush what is in
    /// memory, to say goodbye. The last hook that was added runs first. It may take 5 s; see
    /// [`on_shutdown_within`](Self::on_shutdown_within).
    ///
    /// An error, a panic or too long a time is logged, the others run all the same, and the exit code stays that of the
    /// drain. They run after a failed start as well. A second signal while they run ends the process at once, and after
    /// SIGQUIT none is run.
    #[track_caller]
    pub fn on_shutdown<R: HookResult>(
        self,
        name: impl Into<String>,
        hook: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        self.on_shutdown_within(SHUTDOWN_LIMIT, name, hook)
    }

    /// The same with another limit. All limits together, `RWS_CONFIG_DRAIN_DELAY` and `RWS_CONFIG_DRAIN_TIMEOUT` must fit
    /// into the pod's `terminationGracePeriodSeconds`.
    #[track_caller]
    pub fn on_shutdown_within<R: HookResult>(
        mut self,
        limit: Duration,
        name: impl Into<String>,
        hook: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let hook = Hook::new(name.into(), limit, hook);
        self.part::<Hooks>().shutdown.push(hook);
        self
    }
}

/// One of them.
pub(super) struct Hook {
    name: String,
    at: &'static Location<'static>,
    limit: Duration,
    run: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl Hook {
    #[track_caller]
    fn new<R: HookResult>(name: String, limit: Duration, run: impl FnOnce() -> R + Send + 'static) -> Self {
        Hook { name, at: Location::caller(), limit, run: Box::new(move || run().into_result()) }
    }

    /// Runs it on a thread of its own, since nobody can interrupt it there.
    pub(super) fn begin(self) -> Receiver<Result<(), String>> {
        let (done, result) = bounded(1);
        let refused = done.clone();
        let run = move || {
            let outcome = catch_unwind(AssertUnwindSafe(self.run)).unwrap_or_else(|panic| Err(panicked(&*panic)));
            // Nobody waits any more if its time was up.
            let _ = done.send(outcome);
        };
        if let Err(error) = thread::Builder::new().name(format!("rws-hook-{}", self.name)).spawn(run) {
            let _ = refused.send(Err(format!("it has got no thread: {error}")));
        }
        result
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.name, self.at)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("with what is no text"))
}

/// Runs the shutdown hooks, the last one first.
pub(super) fn shut_down(mut hooks: Vec<Hook>, verdict: Verdict, interruption: &Interruption) {
    if let Verdict::Killed(_) = verdict {
        return skip(&hooks);
    }
    while let Some(hook) = hooks.pop() {
        let (name, limit) = (hook.to_string(), hook.limit);
        let began = Instant::now();
        // A limit that no clock can express is none.
        let deadline = began.checked_add(limit).unwrap_or(began + Duration::from_secs(1 << 32));
        match interruption.wait_for(&hook.begin(), deadline) {
            Some(Ok(())) => tracing::info!(hook = name, took_ms = millis(began), "shutdown hook done"),
            Some(Err(error)) => tracing::error!(hook = name, error, "a shutdown hook failed"),
            None if interruption.signal().is_some() => {
                tracing::error!(hook = name, took_ms = millis(began), "a shutdown hook was interrupted by a signal");
                return skip(&hooks);
            }
            None => tracing::error!(hook = name, ?limit, "a shutdown hook has not returned within its limit"),
        }
    }
}

fn skip(hooks: &[Hook]) {
    if !hooks.is_empty() {
        let names: Vec<_> = hooks.iter().rev().map(Hook::to_string).collect();
        tracing::warn!(hooks = names.join(", "), "shutdown hooks are not run: the process was told to end at once");
    }
}

pub(super) fn millis(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1e3
}
