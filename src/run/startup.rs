//! From listening to ready: start-up hooks, then the first pass of the health checks, within the time there is.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, bounded, never, select};

use super::hooks::{Hook, millis};
use crate::ops::health::scheduler::Scheduler;
use crate::ops::probes::Probes;
use crate::server::control::Readiness;
use crate::server::lifecycle::{Lifecycle, State};
use crate::server::{Running, Stop};

/// What has to happen before the server is ready.
pub(super) struct Startup {
    pub(super) hooks: Vec<Hook>,
    pub(super) checks: Scheduler,
    pub(super) probes: Arc<Probes>,
    pub(super) lifecycle: Lifecycle,
    /// RWS_CONFIG_STARTUP_TIMEOUT; zero: no limit.
    pub(super) timeout: Duration,
}

impl Startup {
    /// Begins, beside the server. If it fails, the server is stopped, and the reason is here. Either way `begun` is
    /// dropped when it is over.
    ///
    /// # Errors
    /// The operating system's, when it has no thread to give.
    pub(super) fn begin(self, running: &Running, begun: impl Send + 'static) -> io::Result<Receiver<String>> {
        let (readiness, stop): (Readiness, Stop) = (running.readiness(), running.stop());
        let (failed, failure) = bounded(1);
        let lifecycle = self.lifecycle.clone();
        let run = move || {
            match self.run() {
                Ok(true) => readiness.ready(),
                Ok(false) => {}
                // It ends already, and what fails now fails because of that.
                Err(reason) if lifecycle.state() >= State::Draining => tracing::warn!(reason, "the start was given up"),
                Err(reason) => {
                    let _ = failed.send(reason);
                    stop.fail();
                }
            }
            drop(begun);
        };
        thread::Builder::new().name("rws-startup".into()).spawn(run)?;
        Ok(failure)
    }

    /// Returns whether the server is ready now: it is not if it was told to stop meanwhile.
    fn run(self) -> Result<bool, String> {
        let limit = self.timeout;
        let over = if limit.is_zero() { never() } else { after(limit) };
        for hook in self.hooks {
            if self.lifecycle.state() >= State::Draining {
                return Ok(false);
            }
            let (name, began) = (hook.to_string(), Instant::now());
            select! {
                recv(hook.begin()) -> result => match result {
                    Ok(Ok(())) => tracing::info!(hook = name, took_ms = millis(began), "start-up hook done"),
                    Ok(Err(error)) => return Err(format!("the start-up hook {name} failed: {error}")),
                    Err(_) => return Err(format!("the start-up hook {name} ended without a result")),
                },
                recv(over) -> _ => {
                    return Err(format!("the start-up hook {name} has not returned within {}", timeout(limit)));
                }
            }
        }
        let watch = self.checks.start(self.probes).map_err(|error| format!("health checks cannot be run: {error}"))?;
        select! {
            // If nobody can tell any more, the server drains.
            recv(watch.is_ready) -> ready => Ok(ready.is_ok()),
            recv(over) -> _ => {
                let missing = watch.missing().join(", ");
                Err(format!("health checks have not passed within {}: {missing}", timeout(limit)))
            }
        }
    }
}

fn timeout(limit: Duration) -> String {
    format!("RWS_CONFIG_STARTUP_TIMEOUT ({limit:?})")
}
