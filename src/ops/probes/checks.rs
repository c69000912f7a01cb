//! The built-in checks.

use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Check, Probe, Verdict};
use crate::server::lifecycle::{Lifecycle, State};
use crate::server::stats::Stats;

/// Passes whenever it is asked: an answer is an answer.
pub(super) struct Ping;

impl Check for Ping {
    fn name(&self) -> &str {
        "ping"
    }

    fn concerns(&self, _: Probe) -> bool {
        true
    }

    fn verdict(&self) -> Verdict {
        Verdict::Pass
    }
}

/// Fails until the server is ready for the first time.
pub(super) struct Startup {
    lifecycle: Lifecycle,
}

impl Startup {
    pub(super) fn new(lifecycle: Lifecycle) -> Self {
        Startup { lifecycle }
    }
}

impl Check for Startup {
    fn name(&self) -> &str {
        "startup"
    }

    fn concerns(&self, probe: Probe) -> bool {
        matches!(probe, Probe::Readyz | Probe::Startupz)
    }

    fn verdict(&self) -> Verdict {
        match self.lifecycle.state() {
            State::Starting => Verdict::Fail("the server is starting".into()),
            _ => Verdict::Pass,
        }
    }
}

/// Fails from the moment the server is told to stop, so that it gets no new traffic.
pub(super) struct Shutdown {
    lifecycle: Lifecycle,
    stats: Arc<Stats>,
    status: Arc<AtomicU16>,
}

impl Shutdown {
    /// `status` is RWS_CONFIG_DRAIN_READY_STATUS; what is no status code counts as 503.
    pub(super) fn new(lifecycle: Lifecycle, stats: Arc<Stats>, status: Arc<AtomicU16>) -> Self {
        Shutdown { lifecycle, stats, status }
    }
}

impl Check for Shutdown {
    fn name(&self) -> &str {
        "shutdown"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self) -> Verdict {
        let reason = match self.lifecycle.state() {
            State::Starting | State::Ready => return Verdict::Pass,
            State::Draining => "the server is draining",
            State::Stopping | State::Stopped | State::Forced => "the server is stopping",
        };
        let status = StatusCode::from_u16(self.status.load(Relaxed)).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Verdict::FailWith(status, reason.into())
    }

    fn data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("state".into(), self.lifecycle.state().name().into());
        data.insert("requests_active".into(), self.stats.requests_active.load(Relaxed).into());
        data.insert("connections_active".into(), self.stats.connections_active.load(Relaxed).into());
        data
    }
}
